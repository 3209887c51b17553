"""What llama.cpp's quantize tool makes of each tensor: the mixes behind names such as Q4_K_M.

Read from src/llama-quant.cpp of ggml-org/llama.cpp at commit 007dbbf (llama_tensor_get_type_impl and its fallback),
without an importance matrix. Bits of a type are its block's bytes over its weights (ggml-common.h): Q4_K holds 256
weights in 144 bytes, 4.5 bits each. Norms, biases and routers stay at 32 bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from core.parameters.storage import Storage

BITS: Mapping[str, Fraction] = MappingProxyType(
    {
        name: Fraction(8 * size, weights)
        for name, (size, weights) in {
            "Q2_K": (84, 256), "Q3_K": (110, 256), "Q4_K": (144, 256), "Q5_K": (176, 256), "Q6_K": (210, 256),
            "Q4_0": (18, 32), "Q4_1": (20, 32), "Q5_0": (22, 32), "Q5_1": (24, 32), "Q8_0": (34, 32), "F16": (2, 1),
        }.items()
    }
)  # fmt: skip
BLOCK = {name: 256 if name.endswith("_K") else 32 for name in BITS} | {"F16": 1}
# A row that no whole number of blocks fills takes the type beside it
FALLBACK = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
BASE = {
    "Q2_K": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_0": "Q4_0", "Q4_K_S": "Q4_K",
    "Q4_K_M": "Q4_K", "Q5_0": "Q5_0", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K", "Q8_0": "Q8_0",
}  # fmt: skip
MIXES = tuple(BASE)
KEPT_BITS = Fraction(32)
Chosen = Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class Build:
    """What the tool looks at in a model. Widths are elements of a row; 0 where the model has no such matrix."""

    layers: int
    query_heads: int
    kv_heads: int
    hidden_size: int
    ffn_width: int
    expert_width: int = 0
    num_experts: int = 0
    gated: bool = True
    tied: bool = False
    falcon: bool = False
    fused_qkv: bool = False

    @property
    def shared_by(self) -> int:
        return self.query_heads // self.kv_heads if self.kv_heads else 1

    @property
    def is_70b(self) -> bool:
        """The type that llama.cpp calls 70B: 80 layers and grouped heads."""
        return self.layers == 80 and self.query_heads != self.kv_heads


def gguf_storage(mix: str, build: Build) -> Storage:
    """A mix of MIXES for a model of that build."""
    value, down = _average(build, _value(mix, build)), _average(build, _down(mix, build), build.ffn_width)
    key = BITS["Q8_0"] if build.num_experts == 8 else _bits(BASE[mix], build.hidden_size)
    output, query = _bits(_attention_output(mix, build), build.hidden_size), _bits(BASE[mix], build.hidden_size)
    if build.fused_qkv:
        query = key = value = _bits(_fused(mix), build.hidden_size)
    up = _bits(BASE[mix], build.hidden_size)
    table = _bits(_head(mix, build), build.hidden_size)
    bits = {
        "embedding": table if build.tied else up,
        "head": table,
        "attention": (query + output) / 2,
        "kv_projections": (key + value) / 2,
        "dense_ffn": _ffn(up, down, build),
        "routed_experts": _ffn(up, _average(build, _down(mix, build), build.expert_width), build),
        "shared_experts": _ffn(up, _average(build, _down(mix, build), build.expert_width), build),
        "recurrent": up,
        "towers": Fraction(16),  # a file of its own (mmproj), which the tool leaves alone
    }
    sentence = f"llama.cpp's mix {mix}: {float(BITS[BASE[mix]]):g} bits for most matrices, more where it lays more."
    return Storage(name=f"GGUF {mix}", sentence=sentence, bits=bits, usual_bits=up, kept_bits=KEPT_BITS)


def _ffn(up: Fraction, down: Fraction, build: Build) -> Fraction:
    return (2 * up + down) / 3 if build.gated else (up + down) / 2


def _bits(kind: str, row: int) -> Fraction:
    """Bits of a type in rows of that length, after the fallback."""
    if row % BLOCK[kind]:
        kind = FALLBACK.get(kind, "F16")
    return BITS[kind if row % BLOCK[kind] == 0 else "F16"]


def _average(build: Build, chosen: Chosen, row: int | None = None) -> Fraction:
    length = build.hidden_size if row is None else row
    kinds = [chosen(layer) for layer in range(build.layers)]
    return sum((_bits(kind, length) * kinds.count(kind) for kind in set(kinds)), Fraction(0)) / build.layers


def _more_bits(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _head(mix: str, build: Build) -> str:
    base = BASE[mix]
    if build.falcon or build.hidden_size % BLOCK[base]:
        return "Q8_0"
    return base if base == "Q8_0" else "Q6_K"


def _value(mix: str, build: Build) -> Chosen:
    """The type of a layer's V projection."""

    def chosen(layer: int) -> str:
        if build.num_experts == 8:
            return "Q8_0"
        kind = BASE[mix]
        if mix == "Q2_K":
            kind = "Q4_K" if build.shared_by >= 4 else "Q3_K"
        elif mix == "Q3_K_M":
            kind = "Q5_K" if layer < 2 else "Q4_K"
        elif mix == "Q3_K_L" or (mix == "Q4_K_S" and layer < 4):
            kind = "Q5_K"
        elif mix in ("Q4_K_M", "Q5_K_M") and _more_bits(layer, build.layers):
            kind = "Q6_K"
        return "Q5_K" if build.is_70b and kind in ("Q3_K", "Q4_K") else kind

    return chosen


def _down(mix: str, build: Build) -> Chosen:
    """The type of a layer's FFN down projection."""
    layers = build.layers

    def chosen(layer: int) -> str:
        more = _more_bits(layer, layers)
        if mix == "Q2_K":
            return "Q3_K"
        if mix == "Q3_K_M":
            return "Q5_K" if layer < layers // 16 else "Q4_K" if more or not build.falcon else "Q3_K"
        if mix == "Q3_K_L":
            return "Q4_K" if build.falcon else "Q5_K"
        if mix == "Q4_K_M" and build.falcon:
            return "Q6_K" if layer < layers // 16 else "Q5_K" if more else "Q4_K"
        if mix in ("Q4_K_M", "Q5_K_M") and more:
            return "Q6_K"
        if mix == "Q4_K_S" and not build.falcon and layer < layers // 8:
            return "Q5_K"
        return BASE[mix]

    return chosen


def _attention_output(mix: str, build: Build) -> str:
    if build.falcon:
        return "Q4_K" if mix == "Q3_K_L" else BASE[mix]
    if build.num_experts == 8:
        return "Q5_K" if mix in ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M") else BASE[mix]
    return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(mix, BASE[mix])


def _fused(mix: str) -> str:
    return {"Q3_K_M": "Q4_K", "Q3_K_L": "Q4_K", "Q4_K_M": "Q5_K", "Q5_K_M": "Q6_K"}.get(mix, BASE[mix])
