"""What one decode step reads of the weights, and what it multiplies with them.

A step looks up one row of the embedding a sequence, not the table (a tied table is read whole as the head); it reads
the head and every matrix of the layers, and leaves vision and audio towers alone. Of tables of embeddings by layer or
n-gram it looks up a few rows too. Of E experts of a layer, B sequences that take k each wake

    E (1 - (1 - k/E)^B)

distinct ones on average where every token chooses k of E evenly and apart from the others. Real routing is uneven and
wakes fewer: never fewer than k, never more than E or k B.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from core.parameters.count import ExpertGroup, ParameterCount
from core.parameters.storage import Storage

UNREAD = ("towers", "per_layer_embeddings")  # of a table by layer a token looks up rows, as of the embedding


def expected_distinct(num_experts: int, experts_per_token: int, batch: int) -> float:
    """Distinct experts of a layer that a step of `batch` sequences wakes on average, under even routing."""
    return num_experts * (1 - (1 - experts_per_token / num_experts) ** batch)


@dataclass(frozen=True, kw_only=True)
class WeightReads:
    """Bits of weights that one step of one copy reads: expected under even routing, and the least and most."""

    expected_bits: float
    least_bits: float
    most_bits: float
    flops_per_sequence: int
    has_experts: bool


def weight_reads(
    count: ParameterCount,
    how: Storage,
    *,
    batch: int,
    vocab_size: int | None,
    stored_bits: Fraction,
    expert_copies: int = 1,
    awake: int | None = None,
) -> WeightReads:
    """Reads of a step of `batch` sequences. stored_bits are those of all weights: where files were measured, what they
    hold beyond the parts counts as read. expert_copies: attention ranks that share the experts, each with as many
    sequences; what a step reads of the experts is then a share of what all of them wake. awake: the tokens that choose
    experts, where that is not one of each of these sequences.

    A count without parts is read whole; so are experts of which nobody knows how many a token takes.
    """
    if not count.parts:
        return _read_whole(count, stored_bits, expert_copies)
    bits = {part: parameters * how.bits_of(part, count) for part, parameters in count.parts.items()}
    fixed = float(stored_bits - sum(bits.get(part, Fraction(0)) for part in (*UNREAD, "embedding", "routed_experts")))
    fixed += _embedding_bits(count, how, batch, vocab_size)
    expert_bits, groups = how.bits_of("routed_experts", count), count.expert_groups
    if not groups:
        fixed += float(bits.get("routed_experts", 0)) / expert_copies
    beside = count.parts.get("routed_experts", 0) - sum(_all(group) for group in groups) if groups else 0
    fixed += float(beside * expert_bits)
    awake = batch * expert_copies if awake is None else awake
    expert_bits /= expert_copies
    reads = [
        fixed + float(expert_bits) * sum(group.layers * group.parameters_each * distinct(group) for group in groups)
        for distinct in (
            lambda group: expected_distinct(group.num_experts, group.experts_per_token, awake),
            lambda group: group.experts_per_token,
            lambda group: min(group.num_experts, group.experts_per_token * awake),
        )
    ]
    return WeightReads(
        expected_bits=reads[0],
        least_bits=reads[1],
        most_bits=reads[2],
        flops_per_sequence=2 * _multiplied(count),
        has_experts=bool(count.routed_experts),
    )


def _read_whole(count: ParameterCount, stored_bits: Fraction, expert_copies: int) -> WeightReads:
    shared = (count.routed_experts or 0) / count.total * (1 - 1 / expert_copies)
    whole = float(stored_bits) * (1 - shared)
    return WeightReads(
        expected_bits=whole,
        least_bits=whole,
        most_bits=whole,
        flops_per_sequence=2 * count.total,
        has_experts=bool(count.routed_experts),
    )


def is_read_in_part(count: ParameterCount) -> bool:
    """Whether a step leaves much of the weights alone: experts, towers, tables by layer. Rows of the embedding are no
    matter."""
    return bool(count.expert_groups) or any(part in count.parts for part in UNREAD)


def rounded_bytes(bits: float, ranks: int) -> int:
    """Bytes on one of `ranks` accelerators, rounded up; a float's last digit is no byte."""
    return ceil(round(bits / 8 / ranks, 3))


def _embedding_bits(count: ParameterCount, how: Storage, batch: int, vocab_size: int | None) -> float:
    table = count.parts.get("embedding", 0) * float(how.bits_of("embedding"))
    if count.tied or not vocab_size:
        return table
    return table * min(batch, vocab_size) / vocab_size


def _multiplied(count: ParameterCount) -> int:
    """Parameters that one token is multiplied with: its active ones less tables and the towers."""
    active = count.active if count.active is not None else count.total
    looked_up = 0 if count.tied else count.parts.get("embedding", 0)
    return active - looked_up - count.parts.get("towers", 0)


def _all(group: ExpertGroup) -> int:
    return group.layers * group.num_experts * group.parameters_each
