"""Evidence: every dot with its change reckoned out from the study's own figures, and the studies' sources."""

from collections.abc import Sequence

from core.evidence.records import Finding
from core.evidence.studies import Dot, range_text
from core.reports.closing import Rests, cited

SPENT = "Filled dots spent the freed parameters again, on a wider or deeper model; rings did not."
ASSUMED = (
    "The studies differ in size, training length, task and in whether the freed parameters were spent again. Each is "
    "held against its own MHA, and no line joins two of them.",
    "Benchmark points and perplexity stay on scales of their own.",
)


def evidence_rests(dots: Sequence[Dot], findings: Sequence[Finding]) -> Rests:
    """The selection's studies, and the findings of the topic on screen."""
    studies = {dot.study.id: dot.study for dot in dots}
    told = [cited(study, f"{study.label}: {study.measure}; {study.training}; {study.how_held}.")
            for study in studies.values()]  # fmt: skip
    return Rests(
        said=" ".join(filter(None, (_loss(dots), SPENT))),
        formulas=tuple((f"{dot.study.label}, {dot.variant}", _change(dot), dot.change_text) for dot in dots),
        evidence=(*told, *(cited(finding, finding.statement) for finding in findings)),
        assumed=ASSUMED,
    )


def _loss(dots: Sequence[Dot]) -> str:
    """The ranges of perplexity, which stand beside the answer's benchmarks."""
    of_loss = [dot for dot in dots if dot.scale == "perplexity"]
    by_kind = ((kind, range_text([dot for dot in of_loss if dot.kind == kind])) for kind in ("GQA", "MQA"))
    said = "; ".join(f"{kind} {ranges}" for kind, ranges in by_kind if ranges)
    return f"Language-model loss: {said}." if said else ""


def _change(dot: Dot) -> str:
    """'43.76 − 44.15', or '13.36 / 13.21 − 1' of a perplexity."""
    study = dot.study
    value = next(result.value for result in study.results if study.change(result) == dot.change)
    if study.unit == "points":
        return f"{value:g} − {study.mha:g}"
    if study.unit == "ln_perplexity":
        return f"exp({value:g} − {study.mha:g}) − 1"
    return f"{value:g} / {study.mha:g} − 1"
