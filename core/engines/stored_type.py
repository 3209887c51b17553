"""Bits of a cached element where an engine's own setting names how the cache is stored, in place of cache_bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

# --kv-cache-dtype; of keys and values that differ, their mean. Scales of a head are left out: they hang on its width.
VLLM = {
    "float16": Fraction(16), "bfloat16": Fraction(16), "fp8": Fraction(8), "fp8_e4m3": Fraction(8),
    "fp8_e5m2": Fraction(8), "fp8_ds_mla": Fraction(8), "fp8_per_token_head": Fraction(8),
    "int8_per_token_head": Fraction(8), "int4_per_token_head": Fraction(4), "nvfp4": Fraction(9, 2),
    "turboquant_k8v4": Fraction(6), "turboquant_4bit_nc": Fraction(4), "turboquant_k3v4_nc": Fraction(7, 2),
    "turboquant_3bit_nc": Fraction(3),
}  # fmt: skip
SGLANG = {"bfloat16": Fraction(16), "fp8_e4m3": Fraction(8), "fp8_e5m2": Fraction(8)}


@dataclass(frozen=True)
class StoredType:
    """bits: of one element, with its share of a scale that stands for a fixed number of elements. name: the type's."""

    name: str
    bits: Fraction


def stored_type(engine: str, settings: Mapping[str, Any]) -> StoredType | None:
    """What the settings name; None where they leave it to cache_bits, or name a type that the engine will refuse.

    llama.cpp: where they name the type of keys and that of values.
    """
    match engine:
        case "vllm" | "sglang":
            return _of_table(VLLM if engine == "vllm" else SGLANG, settings.get("cache_type"))
        case "llama.cpp":
            return _of_blocks(settings.get("type_k"), settings.get("type_v"))
        case "mlx":
            return _of_groups(settings)
    return None


def _of_table(table: Mapping[str, Fraction], cache_type: object) -> StoredType | None:
    if not isinstance(cache_type, str) or cache_type not in table:
        return None
    return StoredType(cache_type, table[cache_type])


def _of_blocks(*types: object) -> StoredType | None:
    from core.engines.llama_cpp.cache_types import BLOCKS  # noqa: PLC0415  an engine is loaded when it is asked

    names = [name.lower() for name in types if isinstance(name, str)]
    if len(names) < len(types) or not BLOCKS.keys() >= set(names):
        return None
    bits = [Fraction(8 * size, elements) for elements, size in (BLOCKS[name] for name in names)]
    return StoredType(" and ".join(dict.fromkeys(names)), sum(bits, Fraction(0)) / len(bits))


def _of_groups(settings: Mapping[str, Any]) -> StoredType | None:
    """MLX keeps a scale and a bias of 16 bits each for a group."""
    from core.engines.mlx.planner import MlxJob  # noqa: PLC0415  an engine is loaded when it is asked

    bits, group = settings.get("kv_bits"), settings.get("kv_group_size", MlxJob.kv_group_size)
    if type(bits) is not int or type(group) is not int or group < 1:
        return None
    return StoredType(f"kv_bits={bits}", bits + Fraction(32, group))
