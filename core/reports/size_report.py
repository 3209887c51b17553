"""What Size carries away: the answer first, what was asked, the memory, what would change it, and what it rests on.

Both jobs of the page have the same order: the verdict with its picture, the inputs, the plan line by line, limits and
ways to fit, traffic where it was asked for, the bound on a step beside what was measured, quality with its sources,
and what was assumed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.decode.records import RunRecord
from core.figures.house import dress
from core.figures.palette import Palette
from core.reports.decision_record import (
    MOST_WAYS,
    Decision,
    assumptions,
    bound_sentences,
    evidence_table,
    evidence_text,
    limits_text,
    option_table,
    plan_table,
    traffic_sections,
    ways_table,
)
from core.reports.exports import Section, Table
from core.reports.pictures import Picture
from core.serving.inverse import (
    Answer,
    fewest_accelerators,
    fewest_kv_bits,
    largest_batch,
    largest_kv_heads,
    longest_context,
)
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.options import Option, OptionGrid, near_misses, option_name, option_sentence, verdict
from core.serving.roofline import StepBound, decode_bound
from core.serving.serve import Served, first_line, longest_sentence, other_heads, other_heads_sentence
from core.serving.speed_words import aids_lines, first_token_lines
from core.serving.sweep import FrontierPoint, frontier, holds_any
from core.serving.what_if import query_heads
from core.units import GB, format_both

Measured = Callable[[], RunRecord | None]
Drawn = Callable[[str, Palette, Callable[[Palette], Any]], dict[str, Any]]


def _draw(_key: str, colours: Palette, chart: Callable[[Palette], Any]) -> dict[str, Any]:
    from core.figures.drawing import written  # noqa: PLC0415  altair loads with the first picture

    return written(chart(colours))


@dataclass(frozen=True, kw_only=True)
class SizeView:
    """What both jobs say beside their answer. asked is the page's inputs; measured finds this host's last run.

    drawn gives a chart's spec by its name, in those colours: the page's own, where it has drawn it already.
    """

    asked: Table
    measured: Measured
    pinned: Callable[[], Table | None] = lambda: None  # the jobs that stand side by side
    said: tuple[str, ...] = ()  # sentences that stand under the verdict on the page
    drawn: Drawn = _draw


def choose_sections(decision: Decision, view: SizeView, colours: Palette) -> tuple[Section, ...]:
    """Choose G, for the option under discussion."""
    grid, option = decision.grid, decision.option
    name = option_name(option)
    sections = [
        _verdict(decision, view),
        asked_section(view.asked),
        Section(title="Every G at every width of the cache, on one accelerator", table=option_table(grid)),
        _plan_section(option.plan, name),
        *_ways(decision),
        *_limits(grid, option, view, colours),
        *_pinned(view),
    ]
    sections += traffic_sections(decision)
    bound = bound_text(decision.bound, decision.price_per_gpu_hour, grid.job.num_accelerators)
    sections += _speed(decision.bound, bound, option.plan.job, view, colours)
    title = f"What is published about {name}"
    sections.append(Section(title=title, text=evidence_text(decision), table=evidence_table(decision.evidence)))
    sections.append(Section(title="What was assumed", text=limits_text(decision)))
    return tuple(sections)


def _verdict(decision: Decision, view: SizeView) -> Section:
    grid, option = decision.grid, decision.option
    said = [option_sentence(option), near_misses(grid), *view.said, *option.plan.job.model.remarks]
    return Section(
        title=verdict(grid, decision.wished or 8), text="\n\n".join(filter(None, said)), picture=decision.picture
    )


def serve_sections(
    name: str, served: Served, view: SizeView, colours: Palette, *, price_per_gpu_hour: float
) -> tuple[Section, ...]:
    """Serve a model: the answer of the page's first line, and what it rests on."""
    from core.figures.serve_memory import memory_alt_text, memory_chart  # noqa: PLC0415  with the first file

    key = f"serve {served.plan.job!r}"
    spec = dress(view.drawn(key, colours, lambda palette: memory_chart(served, palette)), colours)
    filled = Picture(sentence=served.requests.sentence, alt_text=memory_alt_text(served), spec=spec)
    said = [*view.said, longest_sentence(served), other_heads_sentence(served, other_heads(served)),
            *served.job.model.remarks]  # fmt: skip
    bound = decode_bound(served.plan.job)
    return (
        Section(title=first_line(name, served), text="\n\n".join(filter(None, said)), picture=filled),
        asked_section(view.asked),
        _plan_section(served.plan, "the model as published"),
        *_pinned(view),
        Section(title="Where the limits lie", table=serve_limits_table(served)),
        *_speed(
            bound, bound_text(bound, price_per_gpu_hour, served.job.num_accelerators), served.plan.job, view, colours
        ),
        _beside_section(served),
        Section(title="What was assumed", text=assumed_text(served.plan)),
    )


def _beside_section(served: Served) -> Section:
    """The first token, and what the server does besides, each with its numbers."""
    said, lines = first_token_lines(served.job)
    parts = [said, *lines]
    for words, formula in aids_lines(served.plan):
        parts += [words, formula]
    return Section(title="The first token, and what a server does besides", text="\n\n".join(parts))


def asked_section(asked: Table) -> Section:
    """What differs from the page's defaults as a table, everything else in a sentence."""
    heads, rows = asked
    moved = tuple(row for row in rows if row[1] != row[2])
    kept = "; ".join(f"{name} {value}" for name, value, opens_on in rows if value == opens_on)
    differs = (
        "In the table is what differs from the page's defaults. " if moved else "Everything is as the page opens. "
    )
    return Section(
        title="What was asked", text=f"{differs}As it opens: {kept}.", table=(heads, moved) if moved else None
    )


def _pinned(view: SizeView) -> list[Section]:
    table = view.pinned()
    text = "Pinned for comparison. In brackets what moved against the first; bytes are of one accelerator."
    return [] if table is None else [Section(title="Side by side", text=text, table=table)]


def _plan_section(plan: MemoryPlan, name: str) -> Section:
    total, budget = format_both(plan.total_bytes, 2), format_both(plan.budget_bytes, 2)
    text = f"Total {total} against a budget of {budget}. Each line has its formula with its numbers put in."
    return Section(title=f"Memory of {name} on one accelerator", text=text, table=plan_table(plan))


def _ways(decision: Decision) -> list[Section]:
    if not decision.ways:
        return []
    title = "Ways to make it fit" if decision.wished is None else f"Ways to make G = {decision.wished} fit"
    shown = decision.ways[:MOST_WAYS]
    text = f"The first {len(shown)} of {len(decision.ways)}, fewest changes first." if decision.ways[MOST_WAYS:] else ""
    return [Section(title=title, text=text, table=ways_table(shown))]


def limit_answers(option: Option) -> list[tuple[str, Answer, str]]:
    """The questions behind a plan: a label, the exact answer and how it is written."""
    job = option.plan.job
    answers = [
        ("Largest batch", largest_batch(job), "{:,}"),
        ("Longest context", longest_context(job), "{:,}"),
        ("Fewest accelerators", fewest_accelerators(job), "{:,}"),
        ("Fewest KV bits", fewest_kv_bits(job, scale_overhead_bits=option.scale_overhead_bits), "{} bits"),
    ]
    if option.num_kv_heads is not None:
        answers.insert(2, ("Largest G", largest_kv_heads(job), "G = {}"))
    return answers


def _answer_table(answers: Sequence[tuple[str, Answer, str]]) -> Table:
    rows = tuple((label, form.format(int(a)) if a.fits else "none", a.sentence) for label, a, form in answers)
    return ("Limit", "Answer", "Why"), rows


def serve_limits_table(served: Served) -> Table:
    """Requests, context and accelerators, each with why."""
    return _answer_table(
        [
            (f"Requests of {served.job.context_length:,} tokens", served.requests, "{:,}"),
            ("Longest context of one request", served.longest, "{:,} tokens"),
            (f"Fewest {served.job.device.name} for one request", served.fewest, "{:,}"),
        ]
    )


def _limits(grid: OptionGrid, option: Option, view: SizeView, colours: Palette) -> list[Section]:
    title = f"Where the limits of {option_name(option)} with {option.cache} lie, all else as asked"
    sections = [Section(title=title, table=_answer_table(limit_answers(option)))]
    picture = _frontier(option, view, colours)
    return sections if picture is None else [*sections, Section(title=picture.sentence, picture=picture)]


def _frontier(option: Option, view: SizeView, colours: Palette) -> Picture | None:
    job = option.plan.job
    if option.num_kv_heads is None or not holds_any(job):
        return None
    spec = view.drawn(f"frontier {job!r}", colours, lambda palette: frontier_picture(option, frontier(job), palette))
    return Picture(
        sentence=f"What each G holds with {option.cache}: a job below its line fits.",
        alt_text=f"Largest batch against context for every G; this job: {job.batch_size:,} × {job.context_length:,}.",
        spec=dress(spec, colours),
    )


def frontier_picture(option: Option, points: Sequence[FrontierPoint], colours: Palette) -> Any:
    """The chart of batch against context for every G, as the page and its files draw it."""
    from core.figures.sizing_limits import frontier_chart  # noqa: PLC0415  altair loads with the first picture

    job = option.plan.job
    return frontier_chart(
        points, colours, num_query_heads=query_heads(job.model), chosen=option.num_kv_heads,
        context_length=job.context_length, batch_size=job.batch_size, fits=option.plan.fits,
    )  # fmt: skip


def _speed(bound: StepBound, text: str, job: ServingJob, view: SizeView, colours: Palette) -> list[Section]:
    record = view.measured()
    picture = None if bound.step_seconds is None else _step(bound, job, view, colours)
    sections = [Section(title="The least that one decode step takes", text=text, picture=picture)]
    if record is None:
        sections[0] = Section(
            title=sections[0].title, text=f"{text}\n\nThis host has measured no layer with these heads yet.",
            picture=picture,
        )  # fmt: skip
        return sections
    title = f"Measured on this host: {record.device_name}, {record.date[:10]}"
    return [*sections, Section(title=title, text=measured_text(record), table=measured_table(record))]


def _step(bound: StepBound, job: ServingJob, view: SizeView, colours: Palette) -> Picture:
    from core.figures.sizing_speed import step_chart  # noqa: PLC0415  as above

    read, compute = (bound.memory_seconds or 0) * 1e3, (bound.compute_seconds or 0) * 1e3
    return Picture(
        sentence=f"A decode step takes at least {(bound.step_seconds or 0) * 1e3:.1f} ms.",
        alt_text=f"One decode step: reading memory {read:.1f} ms, computing {compute:.1f} ms.",
        spec=dress(view.drawn(f"step {job!r}", colours, lambda palette: step_chart(bound, palette)), colours),
    )


def measured_text(record: RunRecord) -> str:
    """What was measured, and beside which bound."""
    return (
        f"One layer's decode attention of {record.job['num_query_heads']} query heads in {record.job['dtype']}, beside "
        "the bound from bandwidth that was measured in the same run. It is another job than the one sized here."
    )


def measured_table(record: RunRecord) -> Table:
    """The fastest correct kernel of each G."""
    rows: list[tuple[Any, ...]] = []
    for kv_heads, best in sorted(record.best().items()):
        low, high = best.spread_seconds or (best.median_seconds or 0.0,) * 2
        rows.append(
            (str(kv_heads), f"{(best.median_seconds or 0) * 1e3:.3f}", f"{low * 1e3:.3f} to {high * 1e3:.3f}",
             f"{best.roofline_seconds * 1e3:.3f}", best.share, best.kernel)
        )  # fmt: skip
    heads = ("G", "Measured, ms", "Half of the samples, ms", "Bound of this host, ms", "Bound / measured", "Kernel")
    return heads, tuple(rows)


def bound_text(bound: StepBound, price_per_gpu_hour: float | None, num_accelerators: int) -> str:
    """The bound with its numbers put in, what it means a second, and what it leaves out."""
    lines = [bound_sentences(bound, price_per_gpu_hour, num_accelerators)]
    if bound.bandwidth_bytes_per_s and bound.memory_seconds is not None:
        lines.append(
            f"Read memory: ({bound.weight_read_bytes / GB:,.2f} GB weights + "
            f"{(bound.kv_read_bytes + bound.state_read_bytes) / GB:,.2f} GB cache) / "
            f"{bound.bandwidth_bytes_per_s / 1e12:.3f} TB/s = {bound.memory_seconds * 1e3:.2f} ms."
        )
    if bound.flops_per_s and bound.compute_seconds is not None:
        lines.append(
            f"Compute: ({bound.weight_flops / 1e12:,.2f} TFLOP weights + {bound.attention_flops / 1e12:,.2f} TFLOP "
            f"attention) / {bound.flops_per_s / 1e12:,.1f} TFLOP/s = {bound.compute_seconds * 1e3:.2f} ms."
        )
    return "\n\n".join(lines)


def assumed_text(plan: MemoryPlan) -> str:
    """What a served model's figures rest on."""
    return assumptions(plan)
