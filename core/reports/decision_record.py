"""The decision record of a sizing: the job, the options weighed, the chosen G and why, the evidence, and the link that
restores the view; as Markdown, and as one HTML file that needs nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.evidence.records import CONFIDENCES
from core.evidence.studies import ChoiceEvidence
from core.figures.palette import Palette
from core.reports.decision_job import job_table
from core.reports.exports import Document, Picture, Section, Table, html_report
from core.reports.tables import markdown_table
from core.serving.budget import budget_basis
from core.serving.memory_plan import MemoryPlan
from core.serving.options import (
    Option,
    OptionGrid,
    as_payload,
    near_misses,
    option_name,
    refused_widths,
    verdict,
)
from core.serving.roofline import StepBound, cost_per_million_tokens
from core.serving.traffic import Traffic
from core.serving.traffic_fit import TrafficFit
from core.serving.ways_evidence import evidence_for_way
from core.serving.ways_to_fit import WayToFit
from core.units import GB, GIB, in_gb

MOST_WAYS = 6


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Everything that a record is made of. written is a date, ISO 8601; link restores the view."""

    model_name: str
    grid: OptionGrid
    option: Option
    evidence: ChoiceEvidence | None
    bound: StepBound
    wished: int | None
    ways: tuple[WayToFit, ...]
    link: str
    written: str
    price_per_gpu_hour: float | None = None
    traffic: tuple[Traffic, TrafficFit] | None = None
    traffic_refusal: str = ""  # why traffic that was asked for is not in it
    picture: Picture | None = None
    pinned: Table | None = None  # the scenarios that stand side by side


def record_document(decision: Decision) -> Document:
    """The record as sections; what the decision does not have (traffic, ways) is left out."""
    sections = [
        Section(title="Decision", text=_decision_text(decision)),
        Section(title="The job", table=job_table(decision.model_name, decision.grid.job, decision.option)),
        Section(
            title="Options compared",
            text="Every G at every width of the cache, on one accelerator. GB are 10^9 bytes.",
            picture=decision.picture,
            table=option_table(decision.grid),
        ),
        Section(
            title=f"Memory of {option_name(decision.option)}",
            text="Each line with its formula and numbers.",
            table=plan_table(decision.option.plan),
        ),
        Section(title="Evidence on quality", text=evidence_text(decision), table=evidence_table(decision.evidence)),
        Section(title="Speed and cost", text=speed_text(decision)),
    ]
    if decision.ways:
        title = "Ways to make it fit" if decision.wished is None else f"What would make G = {decision.wished} fit"
        sections.append(Section(title=title, table=ways_table(decision.ways[:MOST_WAYS])))
    sections += traffic_sections(decision)
    if decision.pinned is not None:
        text = "Pinned for comparison. In brackets what moved against the first; bytes are of one accelerator."
        sections.append(Section(title="Side by side", text=text, table=decision.pinned))
    sections.append(Section(title="What this record does not know", text=limits_text(decision)))
    return Document(
        title=f"Decision record: {option_name(decision.option)} for {decision.model_name}",
        source=f"Written {decision.written} by Headroom. The view: {decision.link}",
        sections=tuple(sections),
    )


def traffic_sections(decision: Decision) -> list[Section]:
    """The job under traffic, or why it is not simulated; nothing where it was not asked for."""
    if decision.traffic is None and not decision.traffic_refusal:
        return []
    said = f"Not simulated: {decision.traffic_refusal}"
    return [
        Section(title="Under real traffic", text=said if decision.traffic is None else traffic_text(*decision.traffic))
    ]


def document_markdown(document: Document) -> str:
    """The document as Markdown; pictures are left out, since a Markdown file cannot hold one."""
    parts = [f"# {document.title}", document.source]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += [section.text] if section.text else []
        parts += [markdown_table(section.table)] if section.table and section.table[1] else []
    return "\n\n".join(parts) + "\n"


def document_html(document: Document, colours: Palette) -> str:
    """One HTML file with inline SVG and no script; addresses become links. Raises core.reports.exports.ExportError."""
    html = html_report(document, colours)
    return re.sub(r"(?<![\"'=\w])(https?://[^\s<>\"')]+)", r'<a href="\1">\1</a>', html)


def _decision_text(decision: Decision) -> str:
    grid, option = decision.grid, decision.option
    plan = option.plan
    fits = (
        f"It needs {plan.total_bytes / GB:,.2f} GB of a budget of {plan.budget_bytes / GB:,.2f} GB and leaves "
        f"{plan.headroom_bytes / GB:,.2f} GB."
        if plan.fits
        else f"It needs {plan.total_bytes / GB:,.2f} GB and {_lacks(plan)}: it is recorded here for comparison, it "
        "does not fit."
    )
    why = _why(grid, option)
    chosen = f"**{option_name(option)} with {option.cache}.** {fits} {why}".strip()
    said = "\n\n".join(filter(None, [as_payload(option.engine_refusal), *plan.job.model.remarks]))
    overall = " ".join(filter(None, [verdict(grid, decision.wished), near_misses(grid), refused_widths(grid)]))
    return f"{chosen}\n\n{overall}\n\n{said}".strip()


def _why(grid: OptionGrid, option: Option) -> str:
    """Why this G and not the next larger one."""
    if option.num_kv_heads is None or not option.plan.fits:
        return ""
    larger = [g for g in grid.kv_heads if g is not None and g > option.num_kv_heads]
    if not larger:
        return "It is MHA: no head is shared."
    after = grid.at(min(larger), option.kv_bits)
    if after.plan.fits:
        return f"G = {after.num_kv_heads} would fit too, with {after.plan.headroom_bytes / GB:,.2f} GB to spare."
    return f"It is the largest G that fits: G = {after.num_kv_heads} {_lacks(after.plan)}."


def _lacks(plan: MemoryPlan) -> str:
    """What a plan that does not fit lacks: bytes, or an engine that serves it from what is left."""
    return f"does not fit, for {plan.refusal_words}" if plan.refusal_words else f"lacks {in_gb(-plan.headroom_bytes)}"


def option_table(grid: OptionGrid) -> Table:
    """Every option, figures in GB (10^9 bytes)."""
    rows = tuple(
        (
            "as published" if option.num_kv_heads is None else str(option.num_kv_heads),
            option.width,
            f"{option.plan.parameters.total:,}",
            f"{option.plan.weight_bytes / GB:,.2f}",
            f"{option.plan.kv_reserved_bytes / GB:,.2f}",
            f"{option.plan.total_bytes / GB:,.2f}",
            f"{option.plan.headroom_bytes / GB:+,.2f}".replace("-", "−"),
            "yes" if option.plan.fits else "no",
        )
        for option in grid.options
    )
    return ("G", "Cache", "Parameters", "Weights, GB", "KV cache, GB", "Total, GB", "Headroom, GB", "Fits"), rows


def plan_table(plan: MemoryPlan) -> Table:
    """Each line of a plan with its formula and numbers."""
    rows = tuple(
        (
            line.label,
            line.formula,
            line.substituted,
            f"{line.num_bytes:,}",
            f"{line.num_bytes / GB:,.2f}",
            f"{line.num_bytes / GIB:,.2f}",
            line.provenance,
        )
        for line in plan.lines
    )
    return ("Figure", "Formula", "With numbers", "Bytes", "GB", "GiB", "From"), rows


def evidence_text(decision: Decision) -> str:
    """What studies found, with citation and caveat."""
    if decision.evidence is None:
        return "This model has no G to change, so no study of fewer KV heads applies."
    said = [decision.evidence.sentence]
    said += [
        f"{finding.statement} {finding.caveat} ({finding.citation}{_address(finding.link)})"
        for finding in decision.evidence.findings
    ]
    return "\n\n".join(said)


def evidence_table(evidence: ChoiceEvidence | None) -> Table | None:
    """Each study's change against its own MHA; None without any."""
    if evidence is None or not evidence.dots:
        return None
    rows = tuple(
        (
            dot.study.label,
            dot.variant,
            dot.change_text,
            dot.study.training,
            "yes" if dot.study.parameters_held_equal else "no",
            dot.study.caveat,
            f"{dot.study.where}{_address(dot.study.link)} ({CONFIDENCES[dot.study.confidence]})",
        )
        for dot in evidence.dots
    )
    return ("Study", "Layout", "Against MHA", "Training", "Parameters held equal", "Caveat", "Source"), rows


def speed_text(decision: Decision) -> str:
    """The bound on a decode step, and what a million tokens cost at the least."""
    return bound_sentences(decision.bound, decision.price_per_gpu_hour, decision.grid.job.num_accelerators)


def bound_sentences(bound: StepBound, price_per_gpu_hour: float | None, num_accelerators: int) -> str:
    """The bound in words, with the price where there is one; only the caveats where nothing is known."""
    if bound.step_seconds is None or bound.tokens_per_second is None:
        return " ".join(bound.caveats)
    side = {"memory": "memory-bound", "compute": "compute-bound", None: "only the time to read memory is known"}
    text = (
        f"A decode step takes at least {bound.step_seconds * 1e3:.1f} ms ({side[bound.binds]}): at most "
        f"{1 / bound.step_seconds:,.1f} tokens/s for each user and {bound.tokens_per_second:,.0f} in all."
    )
    if price_per_gpu_hour is not None:
        cost = cost_per_million_tokens(bound, price_per_gpu_hour, num_accelerators)
        text += f" At {price_per_gpu_hour:g} per GPU-hour, a million tokens cost at least {cost:,.2f}."
    return " ".join([text, *bound.caveats])


def ways_table(ways: Sequence[WayToFit]) -> Table:
    """Changes that make a job fit, with what each costs."""
    rows = tuple(
        (
            way.label,
            f"{way.headroom_bytes / GB:,.1f}",
            "unknown" if way.step_seconds_after is None else f"{way.step_seconds_after * 1e3:.1f}",
            _way_quality(way),
        )
        for way in ways
    )
    return ("Change", "Headroom, GB", "Step at least, ms", "Quality"), rows


def _way_quality(way: WayToFit) -> str:
    said = [
        "no published figure here" if finding is None else f"{finding.statement} ({finding.citation})"
        for _, finding in evidence_for_way(way)
    ]
    return " ".join(said) or "no cost: the model itself does not change"


def traffic_text(traffic: Traffic, fit: TrafficFit) -> str:
    """The job under traffic, in sentences."""
    found = fit.occupancy
    chance = (
        f"no overflow in {found.trials:,} trials"
        if found.overflow_probability == 0
        else f"{found.overflow_probability:.2%} ± {found.overflow_error:.2%} of moments overflow"
    )
    return (
        f"{traffic.sentence} A sequence in flight holds {fit.mean_live_tokens:,.0f} tokens on average. With "
        f"{found.batch_size:,} sequences {chance}; {found.holding_batch:,} fit 99 % of the time "
        f"({found.holding_range[0]:,} to {found.holding_range[1]:,}), static allocation holds {found.static_batch:,}. "
        f"{fit.scope}"
    ).strip()


def limits_text(decision: Decision) -> str:
    """What was assumed and what is not known."""
    return assumptions(decision.option.plan)


def assumptions(plan: MemoryPlan) -> str:
    """What the figures of a plan rest on, and which memory the fit is judged on."""
    return (
        f"Bytes are computed, not measured{_by_engine(plan)}. Step times are bounds without launch overhead, "
        "communication or sampling. Published quality figures are from other models, mostly single runs. Confirm both "
        "with the benchmark plan before the choice is final.\n\n"
        f"{budget_basis(plan.job)}"
    )


def _by_engine(plan: MemoryPlan) -> str:
    """Whose allocation was counted, and a server's own memory where it was taken."""
    if plan.engine_plan is None:
        return ": an engine may reserve more"
    logged = " on the memory that a server logged as left" if plan.job.measured is not None else ""
    return f", by the rules of {plan.engine_plan.version}{logged}"


def _address(link: str | None) -> str:
    return f", {link}" if link else ""
