"""Measure: predicted and measured time of each G with the numbers of the record, and what the limits rest on."""

from collections.abc import Iterator, Sequence

from core.decode.records import KernelResult, Roofline, RunRecord
from core.reports.closing import Rests, Sourced

FASTER = "A measured time below its prediction is a defect of the limit, measured too low: no share is said for it."


def measured_rests(record: RunRecord) -> Rests:
    """A line a bound and a line a share for the fastest correct kernel of each G."""
    best = [result for _, result in sorted(record.best().items())]
    return Rests(
        said=f"One layer's decode attention, {record.job['num_query_heads']} query heads, {record.job['dtype']}, on "
        f"{record.device_name}, {record.date[:10]}.",
        formulas=() if record.roofline is None else tuple(_formulas(best, record.roofline)),
        evidence=(
            Sourced(says="Every sample of every kernel", source=f"run {record.run_id}, {record.command}"),
            *(() if record.roofline is None else (Sourced(says="Rates measured in the same run",
                                                          source=record.roofline.detail),)),
        ),
        assumed=tuple(filter(None, (record.rule, _scaled(record), FASTER))),
    )  # fmt: skip


def _formulas(best: Sequence[KernelResult], roof: Roofline) -> Iterator[tuple[str, str, str]]:
    for result in best:
        name, measured = f"G = {result.kv_heads}", (result.median_seconds or 0) * 1e3
        flops = result.matmul_seconds * roof.flops_per_second
        yield (f"{name}: read", f"{result.kv_bytes:,} B / {roof.bytes_per_second / 1e9:,.2f} GB/s",
               f"{result.memory_seconds * 1e3:.3f} ms")  # fmt: skip
        yield (f"{name}: multiply", f"{flops:,.0f} FLOPs / {roof.flops_per_second / 1e9:,.1f} GFLOP/s",
               f"{result.matmul_seconds * 1e3:.3f} ms")  # fmt: skip
        if (result.roofline_fraction or 2) <= 1:
            yield (f"{name}: of the roofline", f"{result.roofline_seconds * 1e3:.3f} ms / {measured:.3f} ms",
                   result.share)  # fmt: skip


def _scaled(record: RunRecord) -> str:
    return f"Measured at 1/{record.scale:,.0f} of the job's tokens." if record.scale > 1 else ""
