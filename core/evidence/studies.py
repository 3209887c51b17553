"""What is published nearest to a choice of G, and about bits, windows and sharding.

Each result of a study is a dot against that study's own MHA. Dots are listed and drawn, never joined into one curve:
the studies differ in size, training length, task and in whether the freed parameters were spent again. Benchmark
points and perplexity stay on their own scales.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from core.evidence.records import CONFIDENCES, TOPICS, Comparison, Evidence, Finding, load
from core.models.attention import kind_of

ENOUGH_STUDIES = 3  # with fewer at a G, its studied neighbours are given too


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One result of one study against its own MHA, ready to draw or list."""

    study: Comparison
    num_kv_heads: int | None
    change: float
    scale: Literal["points", "perplexity"]

    @property
    def kind(self) -> str:
        return "MQA" if self.num_kv_heads == 1 else "GQA"

    @property
    def variant(self) -> str:
        """'MQA', 'GQA-8', or 'GQA' where the paper does not give G."""
        return self.kind if self.num_kv_heads in (1, None) else f"GQA-{self.num_kv_heads}"

    @property
    def better(self) -> bool:
        """Better than MHA: more points, or less perplexity."""
        return self.change > 0 if self.scale == "points" else self.change < 0

    @property
    def change_text(self) -> str:
        """'+0.13 points' or '−1.1 % perplexity'."""
        return (
            f"{signed(self.change, 2)} points" if self.scale == "points" else f"{signed(self.change, 1)} % perplexity"
        )


@dataclass(frozen=True, kw_only=True)
class ChoiceEvidence:
    """What is published nearest to one choice of G: a sentence, the dots it sums up, and statements about that G."""

    sentence: str
    dots: tuple[Dot, ...]
    findings: tuple[Finding, ...]


@cache
def published() -> Evidence:
    """The evidence that ships with Headroom, read once."""
    return load()


def all_dots(evidence: Evidence | None = None) -> tuple[Dot, ...]:
    """Every result of every study, in the file's order of studies."""
    return tuple(
        Dot(
            study=study,
            num_kv_heads=result.num_kv_heads,
            change=study.change(result),
            scale="points" if study.unit == "points" else "perplexity",
        )
        for study in (evidence or published()).comparisons
        for result in study.results
    )


def evidence_for(num_query_heads: int, num_kv_heads: int, evidence: Evidence | None = None) -> ChoiceEvidence:
    """Results of studies at this G; where few or none have it, at the nearest studied G below and above too.

    By G, then largest models first.

    Raises ValueError unless 1 <= G <= H and G divides H.
    """
    if num_kv_heads < 1 or num_query_heads < 1 or num_query_heads % num_kv_heads:
        raise ValueError(
            f"G = {num_kv_heads} does not divide H = {num_query_heads}: choose a divisor of {num_query_heads}"
        )
    evidence = evidence or published()
    if kind_of(num_query_heads, num_kv_heads) == "MHA":
        return ChoiceEvidence(
            sentence="MHA is what the studies compare against: nothing is given up.", dots=(), findings=()
        )
    counts = Counter(dot.num_kv_heads for dot in all_dots(evidence) if dot.num_kv_heads is not None)
    levels = {num_kv_heads} if num_kv_heads in counts else set()
    if counts[num_kv_heads] < ENOUGH_STUDIES:
        levels |= {max((g for g in counts if g < num_kv_heads), default=num_kv_heads)}
        levels |= {min((g for g in counts if g > num_kv_heads), default=num_kv_heads)}
    by_level = {g: _dots_at(evidence, g) for g in sorted(levels & set(counts))}
    findings = tuple(finding for finding in evidence.findings if finding.num_kv_heads == num_kv_heads)
    dots = tuple(dot for level in by_level.values() for dot in level)
    return ChoiceEvidence(sentence=_sentence(num_kv_heads, by_level), dots=dots, findings=findings)


def findings_for(topic: str, *, bits: float | None = None, evidence: Evidence | None = None) -> tuple[Finding, ...]:
    """Findings of a topic; with bits, those at the nearest published precision at or below it come first.

    Below, because a figure at fewer bits bounds the loss at more; a figure at more bits says nothing about fewer.
    Raises ValueError for a topic not in TOPICS.
    """
    if topic not in TOPICS:
        raise ValueError(f"topic '{topic}' is not one of {', '.join(TOPICS)}")
    found = [finding for finding in (evidence or published()).findings if topic in finding.topics]
    if bits is None:
        return tuple(found)
    usable = [finding for finding in found if finding.bits is not None and finding.bits <= bits]
    return tuple(sorted(usable, key=lambda finding: bits - (finding.bits or 0)))


def signed(value: float, digits: int) -> str:
    """A number with its sign, with a true minus: -8.22 -> '−8.22', 0 -> '0.00'."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def range_text(dots: Sequence[Dot]) -> str:
    """'−8.22 to −0.39 points (3 comparisons); −0.8 to +3.0 % perplexity (6 comparisons)', scales never mixed."""
    parts = []
    for scale, digits, name in (("points", 2, "points"), ("perplexity", 1, "% perplexity")):
        changes = [dot.change for dot in dots if dot.scale == scale]
        if changes:
            low, high = signed(min(changes), digits), signed(max(changes), digits)
            count = f"{len(changes)} comparisons" if len(changes) > 1 else "1 comparison"
            parts.append(f"{low if low == high else f'{low} to {high}'} {name} ({count})")
    return "; ".join(parts)


def figure_rows(dots: Sequence[Dot]) -> list[dict[str, object]]:
    """One row a dot, with everything that a reader needs to quote it."""
    return [
        {
            "Study": dot.study.label,
            "Layout": dot.variant,
            "Change against MHA (points)": dot.change if dot.scale == "points" else None,
            "Change against MHA (% perplexity)": dot.change if dot.scale == "perplexity" else None,
            "Measure": dot.study.measure,
            "Training": dot.study.training,
            "Parameters held equal": "yes" if dot.study.parameters_held_equal else "no",
            "Caveat": dot.study.caveat,
            "Source": dot.study.citation,
            "How it was read": CONFIDENCES[dot.study.confidence],
            "Link": dot.study.link or "",
        }
        for dot in dots
    ]


def _dots_at(evidence: Evidence, num_kv_heads: int) -> list[Dot]:
    dots = [dot for dot in all_dots(evidence) if dot.num_kv_heads == num_kv_heads]
    return sorted(dots, key=lambda dot: -(dot.study.billion_parameters or 0))


def _sentence(num_kv_heads: int, by_level: dict[int, list[Dot]]) -> str:
    levels = [f"{'MQA' if g == 1 else f'GQA-{g}'} {range_text(dots)}" for g, dots in by_level.items()]
    if num_kv_heads in by_level:
        return f"Against MHA, in published studies: {'. '.join(levels)}."
    return f"No study listed here has G = {num_kv_heads}. The nearest, against MHA: {'. '.join(levels)}."
