"""Devices beside each other: what a step takes, how much of the bandwidth it reaches, and what a token costs.

A decode step gives one token to each sequence of the batch. With a price per hour,
cost of a million tokens = price / 3600 s x seconds of a step / batch x 10^6. Prices are given, never guessed; without a
whole step timed, the seconds are those of attention in every layer, and the row says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from core.cluster.store import DONE, KeptPoint
from core.decode.plan import InvalidJob
from core.decode.records import KernelResult, RunRecord, share_in_words

Prices = Mapping[str, float]
SECONDS_PER_HOUR, MILLION = 3600, 10**6
WHOLE, ATTENTION = "whole step", "attention of every layer"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A device at one G and shape. bandwidth_fraction: KV bytes over seconds, of the read rate measured in the run."""

    device: str
    device_name: str
    node: str
    kv_heads: int
    context_length: int
    batch_size: int
    dtype: str
    kernel: str
    what: str  # what step_seconds is of
    step_seconds: float
    attention_seconds: float  # of one layer
    bandwidth_fraction: float | None
    cost_per_million: float | None  # in the currency of the prices
    why_no_cost: str = ""

    @property
    def job(self) -> tuple[int, int, str]:
        """What is served, whatever the G and the device."""
        return self.context_length, self.batch_size, self.dtype

    @property
    def share(self) -> str:
        """'50% of the bandwidth'; where more than all of it is reached, that its limit was measured too low."""
        said = share_in_words(self.bandwidth_fraction)
        return f"{said} of the bandwidth" if said.endswith("%") else said

    @property
    def sentence(self) -> str:
        share = f", {self.share}" if self.share else ""
        cost = self.why_no_cost if self.cost_per_million is None else f"{self.cost_per_million:,.4g} a million tokens"
        shape = f"{self.batch_size:,} × {self.context_length:,} tokens, {self.dtype}"
        return (
            f"{self.device} at G = {self.kv_heads}, {shape}: {self.step_seconds * 1e3:,.3f} ms ({self.what}){share}, "
            f"{cost}"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compared(points: Iterable[KeptPoint], *, prices: Prices, num_layers: int = 1) -> list[Compared]:
    """A row for each finished point. num_layers counts where no whole step was timed.

    Raises InvalidJob for a price that is no positive number.
    """
    for device, price in prices.items():
        if not isfinite(price) or price <= 0:
            raise InvalidJob(f"the price of {device} is {price}: give what an hour of it costs, above 0.")
    return [
        _row(p, p.record, best, prices, num_layers)
        for p in points
        if p.state == DONE and p.record is not None
        for best in p.record.best().values()
    ]


def _row(p: KeptPoint, record: RunRecord, best: KernelResult, prices: Prices, num_layers: int) -> Compared:
    job, attention = p.point.job, best.median_seconds or 0.0
    step = next((s for s in record.steps if s.kv_heads == best.kv_heads), None)
    layers = num_layers if job.step is None else job.step.num_layers
    seconds = step.step_seconds if step else layers * attention * record.scale
    why = ""
    if p.point.device not in prices:
        why = "no price given"
    elif step and record.scale != 1:
        why = "scaled down to fit, so what a whole step of the job takes is not known"
    rate = record.roofline.bytes_per_second if record.roofline else 0.0
    return Compared(
        device=p.point.device, device_name=record.device_name, node=p.place.get("host", ""), kv_heads=best.kv_heads,
        context_length=job.context_length, batch_size=job.batch_size, dtype=job.dtype, kernel=best.kernel,
        what=WHOLE if step else ATTENTION, step_seconds=seconds, attention_seconds=attention,
        bandwidth_fraction=best.kv_bytes / attention / rate if attention and rate and not best.fits_cache else None,
        cost_per_million=None if why else cost_per_million(prices[p.point.device], seconds, job.batch_size),
        why_no_cost=why,
    )  # fmt: skip


def cost_per_million(price_per_hour: float, step_seconds: float, batch_size: int) -> float:
    """In the currency of the price: a step gives batch_size tokens."""
    return price_per_hour / SECONDS_PER_HOUR * step_seconds / batch_size * MILLION


def cheapest(rows: Sequence[Compared]) -> list[Compared]:
    """For each job (context, batch, dtype) the device and G whose tokens cost least; jobs without a cost are left out.

    Of equal costs the one with more KV heads, which gives up less of the model. Where a whole step was timed, attention
    alone is no rival of it.
    """
    found: dict[tuple[int, int, str], Compared] = {}
    whole = {row.job for row in rows if row.what == WHOLE}
    for row in rows:
        if row.job in whole and row.what != WHOLE:
            continue
        best = found.get(row.job)
        if row.cost_per_million is not None and (best is None or _rank(row) < _rank(best)):
            found[row.job] = row
    return list(found.values())


def _rank(row: Compared) -> tuple[float, int]:
    assert row.cost_per_million is not None  # rows without a cost are not ranked
    return row.cost_per_million, -row.kv_heads
