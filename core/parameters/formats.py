"""Formats of weights by name: how many bits each takes with its scales, and what it leaves at 16."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from core.errors import SizingError
from core.parameters.gguf_mix import MIXES, Build, gguf_storage
from core.parameters.storage import MXFP4, NVFP4, Storage, every_weight_at, matrices_at


@dataclass(frozen=True, kw_only=True)
class NamedFormat:
    """A format as people name it: its label, and the storage of a model of some build."""

    id: str
    label: str
    storage: Callable[[Build], Storage]


def _bf16(build: Build) -> Storage:
    return every_weight_at(16)


def _matrices(label: str, bits: Fraction, why: str) -> Callable[[Build], Storage]:
    def storage(build: Build) -> Storage:
        sentence = f"{label}: {why}; embeddings, head, norms, routers and biases at 16 bits."
        return matrices_at(bits, name=label, sentence=sentence)

    return storage


def _mxfp4(build: Build) -> Storage:
    """As gpt-oss ships it: experts alone where there are some."""
    where = "the experts" if build.num_experts else "the layers' matrices"
    sentence = f"MXFP4: {where} at 4 bits and an 8-bit scale for every 32 of them; the rest at 16 bits."
    if build.num_experts:
        return matrices_at(MXFP4, name="MXFP4", sentence=sentence, parts=("routed_experts",))
    return matrices_at(MXFP4, name="MXFP4", sentence=sentence)


def _gguf(mix: str) -> Callable[[Build], Storage]:
    return lambda build: gguf_storage(mix, build)


_GROUP_128 = 4 + Fraction(16 + 4, 128)
_PACKED = (
    NamedFormat(id="bf16", label="bf16 or fp16", storage=_bf16),
    NamedFormat(id="fp8", label="fp8", storage=_matrices("fp8", Fraction(8), "8 bits and a scale for a matrix or row")),
    NamedFormat(
        id="fp8-block",
        label="fp8, blocks of 128 x 128",
        storage=_matrices("fp8 in blocks", 8 + Fraction(32, 128 * 128), "8 bits and a 32-bit scale for 128 x 128"),
    ),
    NamedFormat(id="mxfp4", label="MXFP4", storage=_mxfp4),
    NamedFormat(
        id="nvfp4", label="NVFP4", storage=_matrices("NVFP4", NVFP4, "4 bits and an 8-bit scale for every 16 of them")
    ),
    NamedFormat(
        id="gptq-4",
        label="GPTQ 4-bit, groups of 128",
        storage=_matrices("GPTQ", _GROUP_128, "4 bits, a 16-bit scale and a 4-bit zero point for every 128"),
    ),
    NamedFormat(
        id="awq-4",
        label="AWQ 4-bit, groups of 128",
        storage=_matrices("AWQ", _GROUP_128, "4 bits, a 16-bit scale and a 4-bit zero point for every 128"),
    ),
    NamedFormat(
        id="nf4",
        label="nf4 (bitsandbytes)",
        storage=_matrices("nf4", 4 + Fraction(32, 64), "4 bits and a 32-bit maximum for every 64"),
    ),
    NamedFormat(
        id="nf4-double",
        label="nf4, double quantisation",
        storage=_matrices(
            "nf4 with double quantisation",
            4 + Fraction(8, 64) + Fraction(32, 64 * 256),
            "4 bits, an 8-bit maximum for every 64 and a 32-bit one for every 256 of those",
        ),
    ),
)
NAMED: dict[str, NamedFormat] = {
    named.id: named
    for named in (
        *_PACKED,
        *(NamedFormat(id=f"gguf-{mix.lower()}", label=f"GGUF {mix}", storage=_gguf(mix)) for mix in reversed(MIXES)),
    )
}

PUBLISHED = "published"  # as the model's own file or repository says
FORMATS = (PUBLISHED, *NAMED)


def named_storage(name: str, build: Build) -> Storage:
    """The storage of that id. Raises SizingError for a name that is not known."""
    if name not in NAMED:
        raise SizingError(f"weight_format is {name!r}: use one of {', '.join(NAMED)}")
    return NAMED[name].storage(build)
