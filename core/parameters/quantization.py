"""quantization_config of a config.json -> how the weights are stored, scales included.

Each method's own layout: GPTQ (AutoGPTQ: 16-bit scales and packed zero points a group), AWQ (the same), bitsandbytes
(32-bit absmax a block of 64, or 8-bit with 32-bit ones a block of 256 of those), compressed-tensors (groups of targets
and an ignore list), ModelOpt, Quark, fp8 with or without block scales, MXFP4 (8 bits a block of 32), NVFP4 (8 bits a
block of 16). A method that is not known here is refused by name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from core.errors import SizingError
from core.models.rules.facts import shown
from core.parameters.modules import share_covered, targeted_parts
from core.parameters.storage import LAYER_MATRICES, MXFP4, NVFP4, SIXTEEN, Storage

MXFP8 = Fraction(33, 4)
TOWERS = (*LAYER_MATRICES, "towers")
TEXT_ONLY = ("gptq", "awq")  # methods whose tools leave a vision or audio tower alone
IGNORE_KEYS = ("modules_to_not_convert", "ignore", "exclude_modules", "exclude", "llm_int8_skip_modules",
               "ignored_layers")  # fmt: skip

MTP_WHOLE = re.compile(r"(re:)?\^?(\.?\*)?(model\\?\.)?mtp((\\?\.)?\.?\*)?\$?")
MTP_PART = re.compile(r"(re:)?\^?(model\\?\.)?mtp\\?\.")
OF_A_LAYER = re.compile(r"\blayers\\?\.(\d{1,6})(?!\d)")
DELTA_ATTENTION = ("kimi_linear", "glm5_next_text")  # whose files name a recurrent layer's mixer self_attn too


def published_storage(config: Mapping[str, Any], layers: int, *, mtp_layers: int = 0) -> Storage | None:
    """How the file says that its weights are stored; None where it says nothing.

    layers is the number of layers, for what an ignore list leaves out layer by layer. mtp_layers: of so many MTP layers
    behind them, and not of the layers themselves. Raises SizingError for a method or a width that is not known here.
    """
    quantization = _quantization(config)
    if not quantization:
        return None
    method = _method(quantization)
    bits, parts = _bits_by_part(method, quantization)
    # DeepSeek-V4's files say it beside quantization_config
    if "fp4" in str(config.get("expert_dtype", quantization.get("expert_dtype"))).lower():
        bits["routed_experts"] = MXFP4
    ignored = [name for key in IGNORE_KEYS for name in _names(quantization.get(key))]
    if mtp_layers:
        ignored, layers = _of_mtp(ignored, layers), mtp_layers
    for part in list(bits):
        as_attention = part == "recurrent" and _text_type(config) in DELTA_ATTENTION
        share = share_covered("attention" if as_attention else part, ignored, layers)
        bits[part] = bits[part] * (1 - share) + SIXTEEN * share
    usual = next((bits[part] for part in ("dense_ffn", "routed_experts") if part in bits), SIXTEEN)
    if quantization.get("lm_head") is True:
        bits["head"] = usual
    narrow = min((bits[part] for part in parts if part in bits), default=usual)
    sentence = (
        f"quantization_config says {method}: {float(narrow):.4g} bits a weight with its scales, what it leaves out and "
        "embeddings, head, norms, routers and biases at 16."
    )
    return Storage(name=f"{method} of the file", sentence=sentence, bits=bits, usual_bits=usual)


def _of_mtp(names: Sequence[str], layers: int) -> list[str]:
    """An ignore list's entries for the layers behind the model's own, as if those began at 0: by number, by the name
    mtp, and what is said of every layer."""
    found = []
    for name in names:
        if MTP_WHOLE.fullmatch(name):
            return ["*"]
        numbered = OF_A_LAYER.search(name)
        if MTP_PART.match(name):
            found.append(MTP_PART.sub("model.", name))
        elif numbered is None:
            found.append(name)
        elif int(numbered[1]) >= layers:
            found.append(f"{name[: numbered.start(1)]}{int(numbered[1]) - layers}{name[numbered.end(1) :]}")
    return found


def _text_type(config: Mapping[str, Any]) -> object:
    nested = config.get("text_config")
    return nested.get("model_type") if isinstance(nested, Mapping) else config.get("model_type")


def _quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("quantization_config") or config.get("compression_config")
    mlx = config.get("quantization")
    if isinstance(mlx, Mapping) and (not found or (isinstance(found, Mapping) and found.get("quant_method") is None)):
        return {**mlx, "quant_method": "mlx"}  # as mlx-lm writes it, in newer files under both names
    nested = config.get("text_config")
    if not found and isinstance(nested, Mapping):
        found = nested.get("quantization_config")
    return found if isinstance(found, Mapping) else {}


def _method(quantization: Mapping[str, Any]) -> str:
    method = quantization.get("quant_method")
    if method is None and ("load_in_4bit" in quantization or "load_in_8bit" in quantization):
        method = "bitsandbytes"
    if method is None and isinstance(quantization.get("quantization"), Mapping):
        method = "modelopt"
    return str(method).lower().replace("_", "-")


def _bits_by_part(method: str, quantization: Mapping[str, Any]) -> tuple[dict[str, Fraction], tuple[str, ...]]:
    """Bits of each part that the method packs, and those parts."""
    if method in ("compressed-tensors", "modelopt") and isinstance(quantization.get("config_groups"), Mapping):
        bits = _groups(quantization["config_groups"])
        return bits, tuple(bits)
    parts: tuple[str, ...] = LAYER_MATRICES if method in TEXT_ONLY else TOWERS
    if method == "mxfp4":
        parts = ("routed_experts",)
    if method == "mlx":
        parts = (*TOWERS, "embedding", "head")
    width = _METHODS.get(method)
    if width is None:
        raise SizingError(
            f"quantization_config.quant_method is {shown(quantization.get('quant_method'))}: how it stores weights is "
            f"not known here. Choose a format by name or type the bits. Known: {', '.join(_METHODS)}"
        )
    return dict.fromkeys(parts, width(quantization)), parts


def _grouped(quantization: Mapping[str, Any]) -> Fraction:
    """GPTQ and AWQ: packed weights, a 16-bit scale and a packed zero point a group; -1 is one group a row."""
    bits = _whole(quantization, ("bits", "w_bit"), 4)
    group = _whole(quantization, ("group_size", "q_group_size"), 128)
    return Fraction(bits) if group <= 0 else bits + Fraction(16 + bits, group)


def _mlx(quantization: Mapping[str, Any]) -> Fraction:
    """mlx-lm's affine mode: a 16-bit scale and a 16-bit bias a group, embedding and head too (mlx.nn.quantize)."""
    mode = quantization.get("mode", "affine")
    if mode != "affine" or any(isinstance(value, Mapping) for value in quantization.values()):
        raise SizingError(
            "quantization of MLX is not of one width for all (mode or widths by module): choose a format by name or "
            "type the bits"
        )
    return _whole(quantization, ("bits",), 4) + Fraction(32, _whole(quantization, ("group_size",), 64))


def _bitsandbytes(quantization: Mapping[str, Any]) -> Fraction:
    if quantization.get("load_in_4bit") or quantization.get("_load_in_4bit"):
        double = quantization.get("bnb_4bit_use_double_quant")
        return 4 + (Fraction(8, 64) + Fraction(32, 64 * 256) if double else Fraction(32, 64))
    return Fraction(8)


def _fp8(quantization: Mapping[str, Any]) -> Fraction:
    """A 32-bit scale a block (an 8-bit one where scale_fmt is ue8m0 and blocks are rows); one a matrix otherwise."""
    block = quantization.get("weight_block_size")
    if not isinstance(block, list | tuple) or not all(type(side) is int and side > 0 for side in block) or not block:
        return Fraction(8)
    weights = 1
    for side in block:
        weights *= side
    return 8 + Fraction(8 if 1 in block else 32, weights)


def _modelopt(quantization: Mapping[str, Any]) -> Fraction:
    inner = quantization.get("quantization")
    stated = inner if isinstance(inner, Mapping) else quantization
    if stated.get("quant_algo") is None:  # the cache alone is narrower
        return SIXTEEN
    algorithm = str(stated.get("quant_algo")).upper()
    if algorithm == "MIXED_PRECISION":
        raise SizingError("quantization_config.quant_algo is MIXED_PRECISION: choose a format by name or type the bits")
    for name, bits in (("MXFP8", MXFP8), ("MXFP4", MXFP4), ("NVFP4", NVFP4), ("FP8", Fraction(8)),
                       ("INT8", Fraction(8)), ("W8A8", Fraction(8)), ("W4A16_AWQ", _grouped(stated)),
                       ("W4A8_AWQ", _grouped(stated))):  # fmt: skip
        if name in algorithm:
            return bits
    raise SizingError(
        f"quantization_config.quant_algo is {shown(stated.get('quant_algo'))}: how it stores weights is not known "
        "here. Choose a format by name or type the bits"
    )


def _quark(quantization: Mapping[str, Any]) -> Fraction:
    scheme = quantization.get("global_quant_config")
    weight = scheme.get("weight") if isinstance(scheme, Mapping) else None
    if weight is None and not _quark_by_layer(quantization):  # the cache alone is narrower
        return SIXTEEN
    if isinstance(weight, list):  # two stages, the last is what is stored
        weight = weight[-1] if weight else None
    kind = str(weight.get("dtype")).lower() if isinstance(weight, Mapping) else ""
    if kind.startswith("fp4"):
        return MXFP4
    digits = next((bits for name, bits in (("fp8", 8), ("int8", 8), ("int4", 4), ("uint4", 4)) if name in kind), None)
    if digits is None or not isinstance(weight, Mapping):
        raise SizingError(
            f"quantization_config of Quark has weights of {shown(kind)}: choose a format by name or type the bits"
        )
    group = weight.get("group_size")
    return Fraction(digits) + (Fraction(16, group) if type(group) is int and group > 0 else 0)


def _quark_by_layer(quantization: Mapping[str, Any]) -> bool:
    """Whether weights of some layers are narrowed, by name or by type of layer."""
    schemes = (quantization.get(name) for name in ("layer_quant_config", "layer_type_quant_config"))
    listed = (scheme for each in schemes if isinstance(each, Mapping) for scheme in each.values())
    return any(isinstance(scheme, Mapping) and scheme.get("weight") is not None for scheme in listed)


_METHODS: Mapping[str, Callable[[Mapping[str, Any]], Fraction]] = {
    "gptq": _grouped,
    "awq": _grouped,
    "bitsandbytes": _bitsandbytes,
    "fp8": _fp8,
    "fbgemm-fp8": _fp8,
    "mlx": _mlx,
    "mxfp4": lambda quantization: MXFP4,
    "mxfp8": lambda quantization: MXFP8,
    "modelopt": _modelopt,
    "quark": _quark,
    "compressed-tensors": lambda quantization: SIXTEEN,  # without groups nothing is packed
}


def _groups(groups: Mapping[str, Any]) -> dict[str, Fraction]:
    """compressed-tensors: each group's width for the parts that its targets name."""
    found: dict[str, Fraction] = {}
    for group in groups.values():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if not isinstance(weights, Mapping):
            continue
        for part in targeted_parts(_names(group.get("targets"))):
            found[part] = _weights_bits(weights)
    return found


def _weights_bits(weights: Mapping[str, Any]) -> Fraction:
    bits = _whole(weights, ("num_bits",), 8)
    group, block = weights.get("group_size"), weights.get("block_structure")
    strategy, is_float = str(weights.get("strategy")), str(weights.get("type")) == "float"
    if strategy == "block" and isinstance(block, list | tuple) and len(block) == 2:
        return bits + Fraction(16, int(block[0]) * int(block[1]))
    if type(group) is not int or group <= 0:
        return Fraction(bits)
    if is_float and bits == 4:  # NVFP4 in groups of 16, MXFP4 in groups of 32: an 8-bit scale each
        return bits + Fraction(8, group)
    zero = 0 if weights.get("symmetric", True) else bits
    return bits + Fraction((8 if is_float and group == 32 else 16) + zero, group)


def _names(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []


def _whole(quantization: Mapping[str, Any], names: tuple[str, ...], default: int) -> int:
    """The first of the keys that is there. Raises SizingError for what is no number of bits or weights."""
    for name in names:
        value = quantization.get(name)
        if value is None:
            continue
        if type(value) is not int or not -1 <= value <= 1_000_000:
            raise SizingError(f"quantization_config.{name} is {shown(value)}: a whole number is expected")
        return value
    return default
