"""A GGUF file's header in, a ModelSpec out: the keys, what llama.cpp makes of them, and the reader of the bytes."""
