"""A measurement on screen: prediction against measurement, every kernel tried, and where each figure came from."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.decode.records import KernelResult, RunRecord, quartiles
from core.decode.sampling import TRIAL
from core.figures.comparison import plain
from core.models.attention import kind_of
from core.reports.measured import figures_section, machine_section
from pages.shell import share
from pages.shell.style import current_palette, draw
from pages.tools.decode.step import show_steps

if TYPE_CHECKING:
    from core.reports.closing import Rests

LIMIT_SENTENCE = (
    "A kernel came out faster than the limit measured beside it. That is a defect of the limit, measured too low while "
    "the machine did something else, and not a feat of the kernel: no share is shown for it. Measure again when the "
    "machine is quiet."
)
STEADY = 0.15  # half of the reads within this share of their median
LONG_COMMAND, COMMAND_PX = 900, 200  # characters; a ragged batch names every context, and its command scrolls


def in_words(lengths: Sequence[int]) -> str:
    """'32 × 65,536 tokens'; of a ragged batch '32 × 1,200 to 61,000 tokens'."""
    shortest, longest = min(lengths), max(lengths)
    tokens = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    return f"{len(lengths):,} × {tokens} tokens"


def measured_in_words(run: RunRecord) -> str:
    """The sequences that a run measured: '1 × 16,384 tokens'."""
    return in_words(run.job.get("lengths") or [int(run.job["context_length"])] * int(run.job["batch_size"]))


def show_result(
    results: tuple[KernelResult, ...],
    num_query_heads: int,
    num_layers: int,
    batch_size: int,
    *,
    key: str,
    record: RunRecord | None = None,
    brief: bool = False,
) -> None:
    """Chart and table of the fastest correct kernels; brief leaves out what is still being measured."""
    best = tuple(r for r in results if r.best)
    if not best:
        st.info("No kernel gave correct numbers within the limits: every attempt and its reason is listed below.")
    else:
        _draw_best(results, num_query_heads, key, record, brief=brief)
        if record is not None and not brief:
            share.remember_answer(_sentence(best), partial(_rests, record))
            share.copy_answer(f"{key}_answer_markdown", _sentence(best), _measured_on(record), *map(_said, best))
        rows = _best_table(best, num_query_heads, num_layers, batch_size, record)
        st.dataframe(rows, hide_index=True, key=f"{key}_best")
        if not brief:
            share.save_csv(rows, key=f"{key}_best_csv", file_name="headroom-measured.csv")
            share.remember_sections(lambda: [figures_section(rows)], after=f"{key}_chart")
        if any(r.limit_failed for r in best):
            st.warning(LIMIT_SENTENCE)
    if not brief:
        _show_every_kernel(results, key)
        if record is not None:
            show_steps(record, num_query_heads, key)
            show_origin(record)


def _draw_best(
    results: tuple[KernelResult, ...], num_query_heads: int, key: str, record: RunRecord | None, *, brief: bool
) -> None:
    from core.figures.decode import best_chart  # noqa: PLC0415  altair loads with the first picture, not the page

    best = tuple(r for r in results if r.best)
    sentence = "The fastest correct kernel of each G so far." if brief else _sentence(best)
    scaled = f" Measured at 1/{record.scale:,.4g} of the job's tokens." if record and record.scale > 1 else ""
    draw(
        best_chart(results, num_query_heads, current_palette()),
        sentence=f"**{sentence}** Bars are measured, the upright mark is what the roofline predicts.{scaled}",
        alt_text="Measured and predicted milliseconds of one layer's decode attention: "
        + "; ".join(map(_spoken, best)),
        key=f"{key}_chart",
    )


def _sentence(best: tuple[KernelResult, ...]) -> str:
    most, least = max(best, key=lambda r: r.kv_heads), min(best, key=lambda r: r.kv_heads)
    if most is least:
        return f"G = {most.kv_heads} takes {(most.median_seconds or 0) * 1e3:,.2f} ms{_reached(most.share)}."
    times = (most.median_seconds or 0) / (least.median_seconds or 1)
    return f"One layer's step takes {times:,.1f} times as long at G = {most.kv_heads} as at G = {least.kv_heads}."


def _rests(record: RunRecord, _colours: object) -> "Rests":
    from core.reports.rests.measured import measured_rests  # noqa: PLC0415  with the first file

    return measured_rests(record)


def _reached(share: str) -> str:
    return f", {share} of what this host can do" if share.endswith("%") else ""


def _measured_on(record: RunRecord) -> str:
    return (
        f"Measured on {record.device_name}, {record.date[:10]}: {measured_in_words(record)} in {record.job['dtype']}."
    )


def _said(r: KernelResult) -> str:
    low, high = r.spread_seconds or (0.0, 0.0)
    measured = f"{(r.median_seconds or 0) * 1e3:.3f} ms by {r.kernel}"
    spread = f"half of the samples {low * 1e3:.3f} to {high * 1e3:.3f} ms"
    return f"G = {r.kv_heads}: {measured}, {spread}; {r.roofline_seconds * 1e3:.3f} ms predicted."


def _spoken(r: KernelResult) -> str:
    measured = (r.median_seconds or 0) * 1e3
    return f"G = {r.kv_heads}, {measured:.2f} measured by {r.kernel}, {r.roofline_seconds * 1e3:.2f} predicted"


def _best_table(
    best: tuple[KernelResult, ...], num_query_heads: int, num_layers: int, batch_size: int, record: RunRecord | None
) -> list[dict[str, object]]:
    scale = record.scale if record else 1.0
    layers = "one layer" if num_layers == 1 else f"{num_layers:,} layers"
    part = ", as measured" if scale > 1 else ""
    rows: list[dict[str, object]] = []
    for r in best:
        seconds, (low, high) = r.median_seconds or 0.0, r.spread_seconds or (0.0, 0.0)
        row: dict[str, object] = {
            "G": r.kv_heads,
            "Kind": kind_of(num_query_heads, r.kv_heads),
            "Kernel": r.kernel,
            "Equal to, within the spread": ", ".join(r.equal_to),
            "Measured (ms)": f"{seconds * 1e3:.3f}",
            "Half of the samples (ms)": f"{low * 1e3:.3f} to {high * 1e3:.3f}",
            "Predicted (ms)": f"{r.roofline_seconds * 1e3:.3f}",
            "Exponentials alone (ms)": f"{r.exponential_seconds * 1e3:.3f}",
            "Predicted from": r.bound_by,
            "Of the roofline": r.share,
            "KV read (GB/s)": f"{r.kv_bytes / seconds / 1e9:.1f}",
            f"Tokens/s, attention of {layers} alone{part}": f"{batch_size / (seconds * num_layers):,.1f}",
            "Relative error": f"{r.relative_error or 0:.1e}",
        }
        if scale > 1:
            row[f"At the job's own size, × {scale:,.4g} (ms)"] = f"{seconds * scale * 1e3:,.1f}"
        rows.append(row)
    return rows


def _show_every_kernel(results: tuple[KernelResult, ...], key: str) -> None:
    tab = st.expander("Every kernel tried, and those refused", key=f"{key}_every", on_change="rerun")
    if not tab.open:
        return
    with tab:
        if any(r.status == "accepted" for r in results):
            from core.figures.decode import kernels_chart  # noqa: PLC0415  loads with the picture

            draw(
                kernels_chart(results, current_palette()),
                sentence="Each dot is a correct kernel's median; the broken line is the roofline.",
                alt_text="Milliseconds of every correct kernel: " + "; ".join(_listed(r) for r in results if r.samples),
                key=f"{key}_kernels",
            )
        rows = [_kernel_row(r) for r in results]
        st.dataframe(rows, hide_index=True, key=f"{key}_all")
        share.save_csv(rows, key=f"{key}_all_csv", file_name="headroom-kernels.csv")


def _listed(r: KernelResult) -> str:
    return f"{r.kernel} at G = {r.kv_heads} {(r.median_seconds or 0) * 1e3:.2f}"


def _kernel_row(r: KernelResult) -> dict[str, object]:
    seconds = r.median_seconds
    return {
        "G": r.kv_heads,
        "Kernel": r.kernel,
        "Outcome": r.status,
        "Measured (ms)": "" if seconds is None else f"{seconds * 1e3:.3f}",
        "Of the roofline": r.share,
        "Threads": str(r.threads or ""),
        "Relative error": "" if r.relative_error is None else f"{r.relative_error:.1e}",
        "Note": r.detail,
        "Cache layout": r.layout,
    }


def show_origin(record: RunRecord) -> None:
    """Device, limits, versions and command of a run: what makes its figures reproducible."""
    share.remember_table(f"origin {record.run_id}", lambda: machine_section(record))
    if record.roofline is not None:
        roof = record.roofline
        st.caption(
            f"Limits measured in the same run: {roof.bytes_per_second / 1e9:,.1f} GB/s read"
            f"{_half((*roof.start_reads, *roof.round_reads), 1)}, {roof.flops_per_second / 1e9:,.0f} GFLOP/s"
            f"{_half((*roof.start_products, *roof.round_products), 0)}, "
            f"{roof.exp_per_second / 1e9:,.2f} billion exponentials/s"
            f"{_half((*roof.start_exps, *roof.round_exps), 2)} "
            f"({plain(roof.detail)}). Predicted time is the larger of bytes over bandwidth and FLOPs over rate; the "
            "softmax's exponentials are a third bound, which is named where it is larger still."
        )
    show_machine(record)
    if record.rule:
        st.caption(plain(record.rule))
    versions = ", ".join(f"{name} {value}" for name, value in record.host.items())
    st.caption(plain(f"{record.device_name}, {record.date}. {versions}."))
    long = len(record.command) > LONG_COMMAND
    st.code(record.command, language="shell", wrap_lines=True, height=COMMAND_PX if long else "content")


def show_machine(record: RunRecord) -> None:
    """What the machine was busy with before, during and after, and what to do about it; nothing in runs without it."""
    said = []
    for when in ("before", "during", "after"):
        seen = record.machine.get(when)
        words = seen.get("said") if isinstance(seen, dict) else None
        said += [f"{when} the run {word}" for word in words or () if isinstance(word, str)]
    spread = record.machine.get("read_spread")
    if isinstance(spread, int | float) and spread > STEADY:
        said.append(f"half of the reads lay {spread:.0%} of their median apart: figures closer than that are equal")
    if isinstance(sampled := record.machine.get("sampling"), int | float):
        few = " At so few samples, reads are of 64 MiB, which a cache may hold; copies of keys and values are as few."
        trial = few if sampled <= TRIAL else ""
        st.caption(f"Sampled for {sampled:g} times as long as usual: HEADROOM_SAMPLING of this host.{trial}")
    if said:
        st.warning("This machine was not quiet: " + plain("; ".join(said)) + ".")
    elif record.machine:
        st.caption("The machine was quiet before, during and after the run.")


def _half(rates: tuple[float, ...], digits: int) -> str:
    """' (half of 152 samples: 50.1 to 52.3)', in 10^9 per second; empty for a run that kept no samples."""
    if not rates:
        return ""
    low, high = (f"{rate / 1e9:,.{digits}f}" for rate in quartiles(rates))
    return f" (half of {len(rates):,} samples: {low} to {high})"
