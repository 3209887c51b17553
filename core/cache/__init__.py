"""The cache of one model by three definitions, and the check against the one that transformers makes."""
