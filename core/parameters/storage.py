"""Weights as they are stored: bits of each part, scales included, and the bytes that they come to.

    bytes = sum over the parts of parameters x bits / 8

A format shrinks the matrices of the layers; embeddings, head, norms, routers and the biases beside those matrices stay
at 16 bits unless it says more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import ceil

from core.parameters.count import ParameterCount

SIXTEEN = Fraction(16)
MXFP4, NVFP4 = Fraction(17, 4), Fraction(9, 2)  # with the scale of every 32 or 16
LAYER_MATRICES = ("attention", "kv_projections", "dense_ffn", "routed_experts", "shared_experts", "recurrent")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How each part is stored: bits by part, kept_bits for a part that is not named; usual_bits where parts are not
    known at all, since the layers' matrices are nearly everything then."""

    name: str
    sentence: str
    bits: Mapping[str, Fraction] = field(hash=False)
    usual_bits: Fraction
    kept_bits: Fraction = SIXTEEN

    def bits_of(self, part: str, count: ParameterCount | None = None) -> Fraction:
        """Bits of a weight of the part's matrices; with a count the average over the part, biases at kept_bits."""
        bits = self.bits.get(part, self.kept_bits)
        if count is None or not (biases := count.biases.get(part, 0)):
            return bits
        return bits + (self.kept_bits - bits) * Fraction(biases, count.parts[part])

    def bits_stored(self, count: ParameterCount) -> Fraction:
        """Bits of all weights, exact."""
        if not count.parts:
            return count.total * self.usual_bits
        return sum((parameters * self.bits_of(part, count) for part, parameters in count.parts.items()), Fraction(0))

    def bytes_by_part(self, count: ParameterCount) -> dict[str, int]:
        """Bytes of each part, rounded up; {} where the parts are not known."""
        return {part: ceil(parameters * self.bits_of(part, count) / 8) for part, parameters in count.parts.items()}


def matrices_at(
    bits: Fraction, *, name: str, sentence: str, parts: Iterable[str] = LAYER_MATRICES, kept_bits: Fraction = SIXTEEN
) -> Storage:
    """One width for the matrices of the layers (or the parts named), 16 bits for the rest."""
    return Storage(name=name, sentence=sentence, bits=dict.fromkeys(parts, bits), usual_bits=bits, kept_bits=kept_bits)


@lru_cache(maxsize=64)
def every_weight_at(bits: float) -> Storage:
    """One width for all weights alike."""
    width = Fraction(str(bits))
    return Storage(
        name=f"{bits:g} bits",
        sentence=f"Every weight at {bits:g} bits.",
        bits={},
        usual_bits=width,
        kept_bits=width,
    )
