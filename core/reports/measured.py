"""What a measurement carries away beside its pictures: the machine, its limits, the figures and their spread."""

from collections.abc import Mapping, Sequence

from core.decode.records import RunRecord, quartiles
from core.reports.exports import Section

FORMULA = (
    "Predicted time is the larger of bytes over bandwidth and FLOPs over rate, both measured in the same run; the "
    "softmax's exponentials are a third bound. The share is predicted over measured."
)


def figures_section(
    rows: Sequence[Mapping[str, object]], title: str = "The fastest correct kernel of each G"
) -> Section:
    """The page's own table turned, a column a G: it has more figures than a slide is wide."""
    heads = tuple(rows[0]) if rows else ()
    cells = [tuple(str(row.get(head, "")) or "–" for head in heads) for row in rows]
    columns = (heads[0] if heads else "", *(row[0] for row in cells))
    turned = tuple(zip(heads[1:], *(row[1:] for row in cells), strict=True))
    return Section(title=title, text=FORMULA, table=(columns, turned))


def machine_section(record: RunRecord) -> Section:
    """Device, job, limits with their spread, what the machine was busy with, versions and command."""
    job = "; ".join(f"{name} {_in_words(value)}" for name, value in record.job.items() if name != "lengths")
    rows = [("Device", record.device_name), ("Measured", record.date), ("Job", job)]
    if (roof := record.roofline) is not None:
        rows += [
            ("Read, GB/s", _rate(roof.bytes_per_second, (*roof.start_reads, *roof.round_reads), 1)),
            ("Products, GFLOP/s", _rate(roof.flops_per_second, (*roof.start_products, *roof.round_products), 0)),
            ("Exponentials, 10^9/s", _rate(roof.exp_per_second, (*roof.start_exps, *roof.round_exps), 2)),
            ("Limits from", roof.detail),
        ]
    rows += [(f"The machine {when} the run", said) for when, said in _busy(record)]
    rows += [(name, str(value)) for name, value in record.host.items()]
    rows += [("Command", record.command)] if len(record.command) < 400 else []
    return Section(title="Machine, limits and versions", table=(("What", "Which"), tuple(rows)))


def _in_words(value: object) -> str:
    """A field of a job as one would write it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_in_words, value)) or "none"
    return str(value)


def _busy(record: RunRecord) -> list[tuple[str, str]]:
    found = []
    for when in ("before", "during", "after"):
        seen = record.machine.get(when)
        words = seen.get("said") if isinstance(seen, dict) else None
        if isinstance(seen, dict):
            found.append((when, "; ".join(word for word in words or () if isinstance(word, str)) or "quiet"))
    return found


def _rate(median: float, samples: tuple[float, ...], digits: int) -> str:
    """'51.2 (half of 152 samples: 50.1 to 52.3)', in 10^9 per second."""
    written = f"{median / 1e9:,.{digits}f}"
    if not samples:
        return written
    low, high = (f"{rate / 1e9:,.{digits}f}" for rate in quartiles(samples))
    return f"{written} (half of {len(samples):,} samples: {low} to {high})"
