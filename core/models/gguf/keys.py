"""Typed look-ups in a GGUF file's key/value metadata; every refusal names the key and its value.

The rules are those of llama.cpp's loader (src/llama-model-loader.cpp, build 11434): a number where one is asked for,
and for per-layer keys either one number for all layers or an array of exactly as many.
"""

from collections.abc import Mapping
from typing import Any

from core.models.rules.facts import UnsupportedConfig, shown

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_NUMBER = 2**31 - 1  # u32 in the file; nothing real comes near


class Keys:
    """The metadata with the architecture's prefix put before a key: keys.number('block_count')."""

    def __init__(self, metadata: Mapping[str, Any], architecture: str) -> None:
        self._metadata = metadata
        self.architecture = architecture

    def name(self, key: str) -> str:
        return f"{self.architecture}.{key}"

    def raw(self, key: str) -> Any:
        return self._metadata.get(self.name(key))

    def has(self, key: str) -> bool:
        return self.raw(key) is not None

    def is_array(self, key: str) -> bool:
        return isinstance(self.raw(key), list | tuple)

    def number(self, key: str, default: int) -> int:
        """A whole number of 0 or more; default where the key is absent. Raises UnsupportedConfig."""
        value = self.raw(key)
        return default if value is None else whole(self.name(key), value)

    def required(self, key: str) -> int:
        """The same, where llama.cpp does not load the file without the key."""
        if self.raw(key) is None:
            raise UnsupportedConfig(
                f"{self.name(key)} is absent: llama.cpp does not load a {self.architecture} file without it. "
                "Read the header again, or convert the model again."
            )
        return self.number(key, 0)

    def per_layer(self, key: str, num_layers: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """One number a layer: a single one stands for all. Raises UnsupportedConfig for an array of another length."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, list | tuple):
            return (whole(self.name(key), value),) * num_layers
        if len(value) != num_layers:
            raise UnsupportedConfig(
                f"{self.name(key)} holds {len(value)} numbers for {num_layers} layers: llama.cpp does not load that. "
                "Convert the model again."
            )
        return self._numbers(key, value)

    def array(self, key: str, num_layers: int) -> tuple[int, ...]:
        """An array, cut or filled with zeros to one number a layer. Raises UnsupportedConfig where it is none."""
        value = self.raw(key)
        if not isinstance(value, list | tuple):
            raise UnsupportedConfig(
                f"{self.name(key)} is {shown(value)}: a {self.architecture} file needs an array there, one entry a "
                "layer. Convert the model again."
            )
        if len(value) > MAX_LAYERS:
            raise UnsupportedConfig(f"{self.name(key)} holds {len(value)} entries: llama.cpp takes {MAX_LAYERS}.")
        numbers = self._numbers(key, value)[:num_layers]
        return numbers + (0,) * (num_layers - len(numbers))

    def _numbers(self, key: str, values: list[Any] | tuple[Any, ...]) -> tuple[int, ...]:
        name = self.name(key)
        return tuple(int(value) if isinstance(value, bool) else whole(name, value) for value in values)


def whole(name: str, value: object) -> int:
    """value as a whole number from 0 to MAX_NUMBER. Raises UnsupportedConfig."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise UnsupportedConfig(
            f"{name} is {shown(value)}: a whole number from 0 to {MAX_NUMBER:,} is meant. Read the header again."
        )
    return value
