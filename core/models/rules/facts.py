"""What a reading is made of: figures with their origin, dimensions, and the one error of this package."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN_CHARACTERS = 60  # a value from a stranger's file is shown, never echoed whole


class UnsupportedConfig(ValueError):
    """The config is not understood: the message names the field, its value and what to do."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where one figure came from."""

    figure: str  # 'num_kv_heads', 'head_dim', 'window', ...
    value: str  # as shown: '8', '4,096 on 16 of 32 layers'
    source: str  # 'config' (raw key), 'class default' (of transformers) or 'rule'
    keys: tuple[str, ...]  # dotted keys of config.json that decided, possibly none
    sentence: str  # one plain sentence for people


@dataclass(frozen=True, kw_only=True)
class ModelDimensions:
    """What a parameter count needs beside the attention layers; None where the config does not say."""

    hidden_size: int
    vocab_size: int | None = None
    intermediate_size: int | None = None
    gated_ffn: bool = True  # SwiGLU and kin have three FFN matrices, a plain MLP two
    tied_embeddings: bool = False
    max_context_length: int | None = None
    num_experts: int | None = None
    attention_bias: bool = False


@dataclass(frozen=True, kw_only=True)
class DeclaredHeads:
    """The line of the file that declared the KV heads: 'multi_query: true', 'attn_config.kv_n_heads: 8', 'absent'."""

    key: str | None  # dotted; None when the file says nothing
    value: Any = None  # the raw JSON value

    def __str__(self) -> str:
        return "absent" if self.key is None else f"{self.key}: {shown(self.value)}"


def shown(value: object) -> str:
    """A raw JSON value as error text and pages may print it: one line, short, no control or lone surrogate characters.

    Markup stays text: pages draw it with text widgets, and backquotes, brackets and angle brackets are replaced
    so that a Markdown widget cannot read a link, an image or a tag in it either.
    """
    text = _compact(value)
    if not _PLAIN.fullmatch(text):
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        text = "".join(_harmless(character) for character in text)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _compact(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 10**SHOWN_CHARACTERS else f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return f'"{value[: SHOWN_CHARACTERS + 1]}"'
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    return str(value)[: SHOWN_CHARACTERS + 1]


_PLAIN = re.compile(r'[A-Za-z0-9 _.,:/"-]*')  # most values: nothing in them has to be replaced
_REPLACED = str.maketrans({"<": "‹", ">": "›", "`": "'", "[": "(", "]": ")", "$": "＄", "*": "∗", "\\": "∖"})


def _harmless(character: str) -> str:
    return character.translate(_REPLACED) if character.isprintable() else " "
