"""What the small text model reads and writes: one token a character, and the shape that all of its variants share.

The build is that of the uptraining experiment (core.uptraining.network); only the task is another: the next character.
"""

from core.uptraining.recipe import Recipe

SHAPE = Recipe(num_query_heads=8, head_dim=8, num_layers=4)  # only heads, widths and layers are taken from it
KV_HEADS = (8, 2, 1)
CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127))
UNKNOWN = CHARACTERS.index("?")


def encode(text: str) -> list[int]:
    """A token a character; what the model has never seen becomes a question mark."""
    known = {character: token for token, character in enumerate(CHARACTERS)}
    return [known.get(character, UNKNOWN) for character in text]


def decode(tokens: list[int]) -> str:
    """The characters of tokens."""
    return "".join(CHARACTERS[token] for token in tokens)
