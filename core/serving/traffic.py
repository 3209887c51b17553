"""Traffic instead of a constant: how many tokens the sequences in flight really hold, and what batch that allows.

The model. Requests are independent. One with P prompt and O output tokens takes O decode steps, so at a random moment
a sequence in flight belongs to it with a probability proportional to O (long outputs are seen more often), and its
output so far is equally likely to be anything from 1 to O tokens. It then holds P + that many tokens. Prefill time,
and pauses between arrival and decoding, are left out. A batch overflows when the tokens of its sequences, each
rounded up to whole blocks, need more than the cache has; an engine then preempts or queues.

Static allocation cannot use any of this: it must set the longest context aside for every sequence.
"""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

CSV_COLUMNS = ("prompt_tokens", "output_tokens")
MAX_CSV_BYTES = 8_000_000
MAX_CSV_ROWS = 200_000
MAX_CSV_LINE = 131_072  # characters, csv's own limit of a field as Python starts
MAX_TOKENS = 2**30
MAX_SIMULATED_BATCH = 16_384
Z95 = NormalDist().inv_cdf(0.95)  # 1.6449
QUANTILES = 8_192  # points that stand for a log-normal
DRAWS = 6_000_000  # of one simulation, over all trials
STRETCHES = 16  # of the table that says which request a draw is, for each request
MIN_TRIALS, MAX_TRIALS = 600, 20_000


class TrafficError(ValueError):
    """Traffic that cannot be: the message says what, which value and what to do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Traffic:
    """A mix of requests. weights[i] is the chance that a sequence in flight belongs to request i; they add up to 1."""

    prompt_tokens: IntArray
    output_tokens: IntArray
    weights: FloatArray
    longest_context: int  # what static allocation must set aside for every sequence
    sentence: str

    @property
    def mean_live_tokens(self) -> float:
        """Tokens that a sequence in flight holds on average: E[P + (O + 1) / 2]."""
        return float(self.weights @ (self.prompt_tokens + (self.output_tokens + 1) / 2))

    @property
    def live_tokens_deviation(self) -> float:
        """Standard deviation of the tokens that a sequence in flight holds."""
        prompt, output = self.prompt_tokens.astype(float), self.output_tokens.astype(float)
        second = prompt**2 + prompt * (output + 1) + (output + 1) * (2 * output + 1) / 6
        return math.sqrt(max(float(self.weights @ second) - self.mean_live_tokens**2, 0.0))

    def sample(self, count: int, random: np.random.Generator) -> IntArray:
        """Live tokens of `count` sequences in flight, drawn independently."""
        cumulative = np.cumsum(self.weights)
        chosen = _first_above(cumulative, random.random(count) * cumulative[-1])
        output = self.output_tokens[chosen]
        live: IntArray = self.prompt_tokens[chosen] + 1 + np.floor(random.random(count) * output).astype(np.int64)
        return live


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """What a cache does under some traffic. Errors are of the simulation; probabilities of one moment in time."""

    batch_size: int
    overflow_probability: float
    overflow_error: float  # standard error; where no trial overflowed, the 95 % upper bound 3 / trials
    holding_batch: int  # largest batch that holds with the asked probability
    holding_range: tuple[int, int]  # its 95 % interval
    static_batch: int  # largest batch when every sequence is given the longest context
    trials: int
    curve: tuple[tuple[int, float], ...]  # (batch, probability that it holds)


def constant_traffic(context_length: int) -> Traffic:
    """Every sequence holds exactly context_length tokens at all times: what a plan for one context assumes."""
    _require_tokens("context_length", context_length)
    return Traffic(
        prompt_tokens=np.array([context_length - 1]),
        output_tokens=np.array([1]),
        weights=np.array([1.0]),
        longest_context=context_length,
        sentence=f"Every sequence holds {context_length:,} tokens at all times.",
    )


def lognormal_parameters(mean: float, p95: float) -> tuple[float, float]:
    """(mu, sigma) of the log-normal with that mean and 95th percentile, exactly.

    ln(p95 / mean) = z sigma - sigma^2 / 2 has two roots; the smaller is taken (the other has sigma above 1.64).
    Raises TrafficError unless mean <= p95 <= 3.868 mean: no log-normal has its p95 higher, and with p95 below the
    mean the spread is not one of request lengths.
    """
    highest = math.exp(Z95**2 / 2)
    if not (math.isfinite(mean) and mean >= 1):
        raise TrafficError(f"mean is {mean!r}: give at least 1 token")
    if not (math.isfinite(p95) and mean <= p95 <= highest * mean):
        raise TrafficError(
            f"p95 is {p95:,.0f} with a mean of {mean:,.0f}: a log-normal needs it between the mean and "
            f"{highest:.3f} times the mean ({highest * mean:,.0f})"
        )
    sigma = Z95 - math.sqrt(max(Z95**2 - 2 * math.log(p95 / mean), 0.0))
    return math.log(mean) - sigma**2 / 2, sigma


def lognormal_traffic(*, mean: float, p95: float, output_share: float, longest_context: int) -> Traffic:
    """Contexts at the end of a request are log-normal, cut at longest_context; output_share of each is generated.

    A sequence in flight is picked in proportion to its output, which makes a log-normal(mu + sigma^2, sigma) of a
    log-normal(mu, sigma). Raises TrafficError for a pair that no log-normal has, or a share outside (0, 1].
    """
    _require_tokens("longest_context", longest_context)
    if not 0 < output_share <= 1:
        raise TrafficError(f"output_share is {output_share!r}: give a share above 0 and up to 1")
    mu, sigma = lognormal_parameters(mean, p95)
    normal = NormalDist()
    middle = [normal.inv_cdf((k + 0.5) / QUANTILES) for k in range(QUANTILES)]
    uncut = np.exp(mu + sigma**2 + sigma * np.array(middle))
    total = np.maximum(np.minimum(np.rint(uncut), longest_context), 1).astype(np.int64)
    output = np.maximum(np.rint(output_share * total), 1).astype(np.int64)
    weights = total / uncut  # requests that are cut end sooner than the log-normal says
    return Traffic(
        prompt_tokens=total - output,
        output_tokens=output,
        weights=weights / weights.sum(),
        longest_context=longest_context,
        sentence=(
            f"Contexts end log-normal: mean {mean:,.0f}, p95 {p95:,.0f} (mu {mu:.3f}, sigma {sigma:.3f}), cut at "
            f"{longest_context:,}; {output_share:.0%} of each is generated."
        ),
    )


def csv_traffic(data: bytes, *, longest_context: int) -> Traffic:
    """Requests as rows of prompt_tokens and output_tokens (other columns are ignored).

    A request longer than longest_context ends there; one whose prompt alone fills it is left out, and the sentence
    counts both. Raises TrafficError naming the row and the column.
    """
    _require_tokens("longest_context", longest_context)
    prompt, output = _read_csv(data)
    fits = prompt < longest_context
    if not fits.any():
        raise TrafficError(f"every prompt fills the context of {longest_context:,} tokens: raise the context")
    cut = int((prompt + output > longest_context).sum() - (~fits).sum())
    prompt, output = prompt[fits], output[fits]
    output = np.minimum(output, longest_context - prompt)
    left_out = f", {(~fits).sum():,} left out whose prompt fills it" if not fits.all() else ""
    return Traffic(
        prompt_tokens=prompt,
        output_tokens=output,
        weights=output / output.sum(),
        longest_context=longest_context,
        sentence=f"{len(fits):,} requests read; {cut:,} cut at {longest_context:,} tokens{left_out}.",
    )


def occupancy(
    traffic: Traffic,
    *,
    capacity: float | Callable[[IntArray], FloatArray],
    batch_size: int,
    cost: Callable[[IntArray], FloatArray],
    holds: float = 0.99,
    seed: int = 0,
) -> Occupancy:
    """Seeded Monte Carlo: each trial adds sequences in flight one by one until the cache is full.

    cost turns live tokens into what they take of capacity (tokens in whole blocks, or bytes); both in one unit. Where
    more sequences leave less room, capacity is a function of how many there are that never grows. From
    how many fitted in each trial follow, monotone by construction, the chance that any batch holds and the largest
    batch that holds with probability `holds`. Raises TrafficError for a batch above MAX_SIMULATED_BATCH.
    """
    if not 1 <= batch_size <= MAX_SIMULATED_BATCH:
        raise TrafficError(f"batch_size is {batch_size:,}: the simulation takes 1 to {MAX_SIMULATED_BATCH:,} sequences")
    random = np.random.default_rng(seed)
    room = capacity if callable(capacity) else partial(_same_room, float(capacity))
    typical, most = float(cost(traffic.sample(1_000, random)).mean()), float(room(np.array([1]))[0])
    reach = max(batch_size, math.ceil(1.5 * most / typical) if typical > 0 and most > 0 else 1) + 8
    reach = min(reach, MAX_SIMULATED_BATCH + 8)
    trials = max(MIN_TRIALS, min(MAX_TRIALS, DRAWS // reach))
    fitted = np.sort(_fitted(traffic, room(np.arange(1, reach + 1)), cost, trials, random))
    overflow = float((fitted < batch_size).mean())
    worst = float(cost(np.array([traffic.longest_context]))[0])
    return Occupancy(
        batch_size=batch_size,
        overflow_probability=overflow,
        overflow_error=3 / trials if overflow == 0 else math.sqrt(overflow * (1 - overflow) / trials),
        holding_batch=int(fitted[_rank(1 - holds, trials, 0)]),
        holding_range=(int(fitted[_rank(1 - holds, trials, -1.96)]), int(fitted[_rank(1 - holds, trials, 1.96)])),
        static_batch=_most_of(worst, room) if worst > 0 else 0,
        trials=trials,
        curve=_curve(fitted, batch_size),
    )


def block_tokens(tokens: IntArray, block_size: int) -> FloatArray:
    """Tokens rounded up to whole blocks: the cost of a paged cache that is counted in tokens."""
    return (-(-tokens // block_size) * block_size).astype(np.float64)


def _first_above(cumulative: FloatArray, at: FloatArray) -> IntArray:
    """Where cumulative first exceeds each of `at`, which lie between 0 and its last.

    As np.searchsorted says it, which takes three times as long for millions: a table says where equal stretches begin,
    and few lie beyond the first of theirs.
    """
    stretches = STRETCHES * len(cumulative)
    if len(at) < stretches:
        return np.searchsorted(cumulative, at, side="right")
    scale = stretches / cumulative[-1]
    # half a stretch early, so that no rounding of at * scale begins beyond what is looked for
    begins = np.searchsorted(cumulative, (np.arange(stretches + 1) - 0.5) / scale, side="right")
    found: IntArray = begins[(at * scale).astype(np.int64)]
    early = np.flatnonzero(cumulative[found] <= at)
    found[early] = np.searchsorted(cumulative, at[early], side="right")
    return found


def _same_room(capacity: float, batches: IntArray) -> FloatArray:
    return np.full(batches.shape, capacity)


def _most_of(each: float, room: Callable[[IntArray], FloatArray]) -> int:
    """The largest batch of sequences that take as much each."""
    fitting, failing = 0, max(int(float(room(np.array([1]))[0]) // each), 0) + 1
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        fits = each * middle <= float(room(np.array([middle]))[0])
        fitting, failing = (middle, failing) if fits else (fitting, middle)
    return fitting


def _fitted(
    traffic: Traffic,
    room: FloatArray,
    cost: Callable[[IntArray], FloatArray],
    trials: int,
    random: np.random.Generator,
) -> IntArray:
    """How many sequences fitted in each trial, where room is what one, two, … of them have; in chunks, so that memory
    stays bounded."""
    reach = len(room)
    at_once = max(1, 2_000_000 // reach)
    counts = []
    for start in range(0, trials, at_once):
        rows = min(at_once, trials - start)
        needed = cost(traffic.sample(rows * reach, random)).reshape(rows, reach).cumsum(axis=1)
        counts.append((needed <= room).sum(axis=1))
    return np.concatenate(counts).astype(np.int64)


def _rank(share: float, trials: int, deviations: float) -> int:
    """Index of the order statistic that bounds a quantile, by the normal approximation of the binomial."""
    position = share * trials + deviations * math.sqrt(share * (1 - share) * trials)
    return min(max(math.floor(position), 0), trials - 1)


def _curve(fitted: IntArray, batch_size: int) -> tuple[tuple[int, float], ...]:
    """(batch, chance that it holds) where the chance falls from 1 to 0, and at the batch asked for."""
    low, high = max(int(fitted[0]) - 1, 1), max(int(fitted[-1]) + 2, 2)
    batches = sorted({*np.unique(np.linspace(low, high, 120).astype(int)).tolist(), 1, batch_size})
    holding = 1 - np.searchsorted(fitted, np.array(batches), side="left") / len(fitted)
    return tuple(zip(batches, holding.tolist(), strict=True))


def _read_csv(data: bytes) -> tuple[IntArray, IntArray]:
    if len(data) > MAX_CSV_BYTES:
        raise TrafficError(f"the file has {len(data):,} bytes: at most {MAX_CSV_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrafficError(f"the file is not UTF-8 text (byte {error.start}): export it as CSV") from error
    longest = max(map(len, text.splitlines()), default=0)
    if longest > MAX_CSV_LINE:  # csv's own limit is one for the whole process, and whoever reads a run's CSV raises it
        raise TrafficError(f"the file is not CSV: a line has {longest:,} characters, and {MAX_CSV_LINE:,} are read")
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        places = [_column(header, name) for name in CSV_COLUMNS]
        values = [_row(row, number, places) for number, row in enumerate(rows, start=2) if any(map(str.strip, row))]
    except csv.Error as error:
        raise TrafficError(f"the file is not CSV: {error}") from error
    if not values:
        raise TrafficError("the file has a header and no rows: add one request a row")
    table = np.array(values, dtype=np.int64)
    return table[:, 0], table[:, 1]


def _column(header: list[str], name: str) -> int:
    if header.count(name) != 1:
        found = ", ".join(header[:8]) or "nothing"
        raise TrafficError(f"the first row must name {' and '.join(CSV_COLUMNS)} once each; found: {found}")
    return header.index(name)


def _row(row: list[str], number: int, places: list[int]) -> tuple[int, int]:
    if number - 1 > MAX_CSV_ROWS:
        raise TrafficError(f"the file has more than {MAX_CSV_ROWS:,} rows: take a sample of them")
    values = []
    for name, place, smallest in zip(CSV_COLUMNS, places, (0, 1), strict=True):
        text = row[place].strip() if place < len(row) else ""
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and smallest <= int(text) <= MAX_TOKENS):
            raise TrafficError(
                f"row {number}: {name} is {text[:20]!r}: give a whole number from {smallest} to {MAX_TOKENS:,}"
            )
        values.append(int(text))
    return values[0], values[1]


def _require_tokens(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TOKENS:
        raise TrafficError(f"{name} is {value!r}: give a whole number from 1 to {MAX_TOKENS:,}")
