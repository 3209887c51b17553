"""What a file says of the width of the KV cache: bits an element, with the scales that its format stores beside them.

Read are compressed-tensors' kv_cache_scheme, ModelOpt's kv_cache_quant_algo (in config.json or in hf_quant_config.json
beside it), AMD Quark's kv_cache_group, and TensorRT-LLM's quantization. Quantisation of weights alone (MLX, GPTQ, AWQ,
MLC's q4f16_1) says nothing of the cache. What is said and not known is refused by name, never read as 16 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from core.models.rules.facts import Provenance, UnsupportedConfig, shown

ADVICE = "Say the cache's width yourself and take this key out, or ask for it to be added."


@dataclass(frozen=True, kw_only=True)
class CacheWidth:
    """element_bits of each key and value, and scale_bits for every elements_per_scale of them (0: none is stored)."""

    element_bits: int
    scale_bits: int = 0
    elements_per_scale: int = 1
    note: Provenance

    @property
    def bits(self) -> float:
        """Stored bits an element: NVFP4 has 4 bits and an 8-bit scale for 16 of them, which makes 4.5."""
        return self.element_bits + self.scale_bits / self.elements_per_scale


# One entry per name of ModelOpt 0.47 (torch/export/model_config.py) and TensorRT-LLM (quantization/mode.py):
# element bits, scale bits, elements a scale. Per-tensor scales are one number a layer and count nothing. NVFP4 holds
# an FP8 scale for 16 elements, MXFP4 and MXFP8 an 8-bit exponent for 32 (OCP Microscaling formats 1.0, section 5).
NAMED = {
    "fp8": (8, 0, 1),
    "fp8_e4m3": (8, 0, 1),
    "fp8_e5m2": (8, 0, 1),
    "int8": (8, 0, 1),
    "uint8": (8, 0, 1),
    "nvfp4": (4, 8, 16),
    "nvfp4_affine": (4, 8, 16),
    "mxfp8": (8, 8, 32),
    "mxfp4": (4, 8, 32),
}
TRT_TYPES = {**NAMED, "float16": (16, 0, 1), "bfloat16": (16, 0, 1), "float32": (32, 0, 1)}
SCALE_BITS = {"float8_e4m3fn": 8, "uint8": 8, "bfloat16": 16, "float16": 16, "float32": 32}


def cache_width_of(config: Mapping[str, Any]) -> CacheWidth | None:
    """The width that a config.json (or hf_quant_config.json) states; None where it says nothing.

    Raises UnsupportedConfig for a statement that is not known.
    """
    for key in ("quantization_config", "compression_config", "quantization"):
        found = _quantization(config.get(key), key)
        if found is not None:
            return found
    for key in ("text_config", "thinker_config", "language_config", "llm_config"):  # older multimodal files nest it
        inner = config.get(key)
        if isinstance(inner, Mapping):
            found = _quantization(inner.get("quantization_config"), f"{key}.quantization_config")
            if found is not None:
                return found
    return None


def is_silent(said: object) -> bool:
    """Whether a key's value says that the cache stays as the model has it: null, or a tool's word for none."""
    return said is None or (isinstance(said, str) and said.lower() in ("", "none", "auto", "no_quant"))


def named_width(name: object, key: str, names: Mapping[str, tuple[int, int, int]] = NAMED) -> CacheWidth:
    """The width of a named format. Raises UnsupportedConfig for a name that is not known."""
    widths = names.get(name.lower()) if isinstance(name, str) else None
    if widths is None:
        _refuse(key, name, f"a format of the cache is expected, one of {', '.join(names)}")
    return _width(key, widths, shown(name))


def _quantization(value: object, key: str) -> CacheWidth | None:
    """What one quantisation object says: kv_cache_scheme, kv_cache_quant_algo or Quark's group."""
    if not isinstance(value, Mapping):
        return None
    for name in ("kv_cache_scheme", "kv_cache_quant_algo"):
        said = value.get(name)
        if is_silent(said):
            continue
        if isinstance(said, Mapping):
            return _scheme(said, f"{key}.{name}")
        if said == "static" and value.get("quant_method") == "fp8":  # AutoFP8's word for fp8 with scales in the file
            return _width(f"{key}.{name}", NAMED["fp8"], '"static" beside quant_method "fp8"')
        return named_width(said, f"{key}.{name}")
    nested = value.get("quantization")  # ModelOpt also nests hf_quant_config.json whole
    if isinstance(nested, Mapping):
        return _quantization(nested, f"{key}.quantization")
    return _quark(value, key)


def _scheme(scheme: Mapping[str, Any], key: str) -> CacheWidth:
    """compressed-tensors' QuantizationArgs: num_bits (8 where absent), and a scale a group where group_size is set."""
    bits = scheme.get("num_bits", 8)
    if type(bits) is not int or not 1 <= bits <= 32:
        _refuse(f"{key}.num_bits", bits, "a whole number of bits from 1 to 32 is expected")
    group = scheme.get("group_size")
    if group is None or group == -1:
        return _width(f"{key}.num_bits", (bits, 0, 1), str(bits), keys=_keys(key, scheme, "num_bits"))
    if type(group) is not int or not 1 <= group <= 2**20:
        _refuse(f"{key}.group_size", group, "a whole number of elements is expected")
    dtype = scheme.get("scale_dtype")
    scale = SCALE_BITS.get(str(dtype).removeprefix("torch.")) if dtype is not None else None
    if scale is None:
        scale = 8 if (bits, scheme.get("type"), group) == (4, "float", 16) else 0  # NVFP4: its scales are FP8
    keys = _keys(key, scheme, "num_bits", "group_size")
    return _width(f"{key}.num_bits", (bits, scale, group if scale else 1), str(bits), keys=keys)


def _quark(value: Mapping[str, Any], key: str) -> CacheWidth | None:
    """AMD Quark: export.kv_cache_group names layers whose output_tensors say the type of the cache."""
    export, layers = value.get("export"), value.get("layer_quant_config")
    groups = export.get("kv_cache_group") if isinstance(export, Mapping) else None
    if not groups or value.get("quant_method") != "quark":
        return None
    patterns = [pattern for pattern in groups if isinstance(pattern, str)] if isinstance(groups, list) else []
    for name, entry in layers.items() if isinstance(layers, Mapping) else ():
        output = entry.get("output_tensors") if isinstance(entry, Mapping) else None
        if isinstance(output, Mapping) and any(fnmatchcase(str(name), pattern) for pattern in patterns[:64]):
            return named_width(output.get("dtype"), f"{key}.layer_quant_config.{str(name)[:60]}.output_tensors.dtype")
    return _refuse(f"{key}.export.kv_cache_group", groups, "no layer_quant_config says the type of these outputs")


def _width(key: str, widths: tuple[int, int, int], said: str, *, keys: tuple[str, ...] | None = None) -> CacheWidth:
    element, scale, per_scale = widths
    bits = element + scale / per_scale
    stored = f"{element} bits an element"
    if scale:
        stored += f" and {scale} bits of scale for {per_scale} of them, {bits:g} in all"
    note = Provenance(
        figure="cache_bits",
        value=f"{bits:g}",
        source="config",
        keys=(key,) if keys is None else keys,
        sentence=f"{key} in the file says {said}: {stored}.",
    )
    return CacheWidth(element_bits=element, scale_bits=scale, elements_per_scale=per_scale, note=note)


def _keys(key: str, scheme: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(f"{key}.{name}" for name in names if name in scheme) or (key,)


def _refuse(key: str, value: object, problem: str) -> NoReturn:
    raise UnsupportedConfig(f"{key} is {shown(value)}: {problem}. {ADVICE}")
