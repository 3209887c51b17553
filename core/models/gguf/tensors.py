"""The tensor table of a GGUF file: behind the keys, each tensor's name, shape, type and place, and no weight of it.

It says what a file weighs exactly, whatever mix its tool chose. For each tensor (ggml's docs/gguf.md): a string, the
number of dimensions, a u64 each, the type and the offset of its data. Sizes of a type's blocks as GGML_QUANT_SIZES of
gguf-py has them (llama.cpp build 11434).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TENSORS = 100_000
MAX_DIMENSIONS = 4  # of ggml
MAX_ELEMENTS = 10**15
MAX_NAME_BYTES = 256
TYPES: Mapping[int, tuple[str, int, int]] = {  # type: (name, elements of a block, bytes of a block)
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One entry: dimensions as the file has them, the row's first."""

    name: str
    dimensions: tuple[int, ...]
    type_name: str
    num_bytes: int

    @property
    def elements(self) -> int:
        total = 1
        for dimension in self.dimensions:
            total *= dimension
        return total


class FileKeys(dict[str, object]):
    """A file's keys and values, with its tensor table where that was read whole."""

    tensors: tuple[GgufTensor, ...] = ()


def read_tensors(data: bytes, at: int, count: int) -> tuple[GgufTensor, ...]:
    """The table of `count` tensors that starts at byte `at`; () where the bytes end first or hold no such table.

    A file is used without it, so that nothing is refused here: what is odd in it is not known.
    """
    if not 0 < count <= MAX_TENSORS:
        return ()
    found = []
    try:
        for _ in range(count):
            tensor, at = _tensor(data, at)
            found.append(tensor)
    except (struct.error, ValueError):
        return ()
    return tuple(found)


def _tensor(data: bytes, at: int) -> tuple[GgufTensor, int]:
    """One entry, and the place behind it. Raises struct.error where the bytes end, ValueError for what is none."""
    (length,) = struct.unpack_from("<Q", data, at)
    if not 0 < length <= MAX_NAME_BYTES:
        raise ValueError
    at += 8
    (num_dimensions,) = struct.unpack_from("<I", data, at + length)
    name = data[at : at + length].decode("utf-8")
    at += length + 4
    if not 1 <= num_dimensions <= MAX_DIMENSIONS:
        raise ValueError
    dimensions = struct.unpack_from(f"<{num_dimensions}Q", data, at)
    at += 8 * num_dimensions
    kind, _ = struct.unpack_from("<IQ", data, at)
    type_name, block, size = TYPES.get(kind, ("", 1, 0))
    tensor = GgufTensor(name=name, dimensions=dimensions, type_name=type_name, num_bytes=0)
    if not type_name or not 0 < tensor.elements <= MAX_ELEMENTS or dimensions[0] % block:
        raise ValueError
    filled = tensor.elements // block * size
    return GgufTensor(name=name, dimensions=dimensions, type_name=type_name, num_bytes=filled), at + 12


def with_tensors(keys: Mapping[str, object], data: bytes, at: int, count: int) -> FileKeys:
    """The keys, and the table behind them."""
    held = FileKeys(keys)
    held.tensors = read_tensors(data, at, count)
    return held
