"""Fewer bits for each key and value: what the scales add to them, and what rounding does to attention.

Elements are rounded in groups; a group keeps a scale and a zero point, so it costs bits + (scale + zero) / group
elements. A group may run along a token's channels or along one channel's tokens. Keys of real models have a few
channels that are far larger than the others; KIVI (arXiv 2402.02750) therefore groups keys by channel and values by
token. The data here is made up and seeded, with such channels, to show why.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = (8, 4, 3, 2)
AXES = {"channel": "one channel over tokens", "token": "one token over channels"}
SCALE_BITS = ZERO_BITS = 16
SAMPLE_TOKENS, SAMPLE_CHANNELS, SAMPLE_QUERIES = 512, 128, 64
Array = NDArray[np.float64]


class QuantisationError(ValueError):
    """An input that cannot be: the message says what, which value and what to do."""


def stored_bits(bits: int, group: int) -> float:
    """Bits that one element takes with its share of a 16-bit scale and a 16-bit zero point: bits + 32 / group."""
    if isinstance(group, bool) or not isinstance(group, int) or not 2 <= group <= 4_096:
        raise QuantisationError(f"the group is {group!r}: give a whole number of elements from 2 to 4,096.")
    if bits == 16:
        return 16.0
    _check_bits(bits)
    return bits + (SCALE_BITS + ZERO_BITS) / group


def round_trip(data: Array, *, bits: int, group: int, axis: str) -> Array:
    """data (tokens, channels) after rounding to `bits` in groups and back; 16 bits returns it as it is.

    Raises QuantisationError where the groups do not divide the axis that they run along.
    """
    if bits == 16:
        return data
    _check_bits(bits)
    if axis not in AXES:
        raise QuantisationError(f"the axis is '{axis}': choose one of {', '.join(AXES)}.")
    rows = data.T if axis == "channel" else data
    if rows.shape[1] % group:
        raise QuantisationError(f"groups of {group} do not divide {rows.shape[1]} elements: choose a divisor.")
    groups = rows.reshape(rows.shape[0], -1, group)
    low, high = groups.min(axis=2, keepdims=True), groups.max(axis=2, keepdims=True)
    scale = np.maximum(high - low, 1e-12) / (2**bits - 1)
    rounded: Array = (np.round((groups - low) / scale) * scale + low).reshape(rows.shape)
    return rounded.T if axis == "channel" else rounded


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Made-up keys, values (tokens, channels) and queries (queries, channels) of one head."""

    keys: Array
    values: Array
    queries: Array


def sample(*, outlier_scale: float = 8.0, num_outliers: int = 6, seed: int = 0) -> Sample:
    """Normal data; num_outliers key channels have a large mean, the same sign for every token."""
    if not 1 <= outlier_scale <= 100:
        raise QuantisationError(f"the size of the large channels is {outlier_scale!r}: give a number from 1 to 100.")
    random = np.random.default_rng(seed)
    keys = random.standard_normal((SAMPLE_TOKENS, SAMPLE_CHANNELS))
    channels = random.choice(SAMPLE_CHANNELS, num_outliers, replace=False)
    keys[:, channels] += outlier_scale * random.choice([-1.0, 1.0], num_outliers)
    values = random.standard_normal((SAMPLE_TOKENS, SAMPLE_CHANNELS))
    # each query leans towards a few keys, so that attention is neither one token nor an average of all
    targets = random.integers(0, SAMPLE_TOKENS, (SAMPLE_QUERIES, 3))
    centred = keys - keys.mean(axis=0)
    queries = 0.6 * centred[targets].sum(axis=1)
    return Sample(keys=keys, values=values, queries=queries)


def attend(data: Sample) -> Array:
    """Softmax attention output, (queries, channels)."""
    scores = data.queries @ data.keys.T / np.sqrt(data.keys.shape[1])
    scores -= scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    output: Array = (weights / weights.sum(axis=1, keepdims=True)) @ data.values
    return output


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One precision tried on the sample. Errors are relative: |difference| / |original|, Frobenius norms."""

    bits: int
    key_axis: str
    stored_bits: float
    key_error: float
    value_error: float
    output_error: float


def try_bits(data: Sample, *, bits: int, group: int, key_axis: str) -> Trial:
    """Keys grouped along key_axis, values by token, both at the same bits; the error of what attention returns."""
    keys = round_trip(data.keys, bits=bits, group=group, axis=key_axis)
    values = round_trip(data.values, bits=bits, group=group, axis="token")
    rounded = Sample(keys=keys, values=values, queries=data.queries)
    return Trial(
        bits=bits,
        key_axis=key_axis,
        stored_bits=stored_bits(bits, group),
        key_error=_relative(keys, data.keys),
        value_error=_relative(values, data.values),
        output_error=_relative(attend(rounded), attend(data)),
    )


def trials(data: Sample, *, group: int) -> tuple[Trial, ...]:
    """Every precision with both ways to group keys."""
    return tuple(try_bits(data, bits=bits, group=group, key_axis=axis) for axis in AXES for bits in BITS)


def _relative(found: Array, wanted: Array) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _check_bits(bits: int) -> None:
    if bits not in BITS:
        raise QuantisationError(f"{bits!r} bits: choose one of {', '.join(map(str, BITS))}.")
