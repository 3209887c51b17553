"""What papers report about fewer KV heads, fewer bits and windows: every figure with its source and caveat."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.evidence import studies as evidence
from core.evidence.records import CONFIDENCES, Finding, Source
from core.evidence.studies import Dot
from core.figures.evidence import Scale
from pages.shell import below, share
from pages.shell.quality import draw_quality

if TYPE_CHECKING:
    from core.reports.closing import Rests

ANY = "Either"
HELD = {ANY: None, "Spent again": True, "Dropped": False}
TOPIC_NAMES = {
    "fewer_kv_heads": "Fewer KV heads",
    "kv_quantisation": "Fewer bits in the cache",
    "window": "Sliding windows",
    "weight_quantisation": "Fewer bits in the weights",
    "tensor_parallel": "Tensor parallel",
    "paging": "Paged cache",
    "speed": "Speed",
    "stability": "Training stability",
    "conversion": "Converting MHA checkpoints",
    "choice": "Why models chose their G",
    "latent": "Latent attention",
}


def choose_dots() -> tuple[Dot, ...]:
    """The filter, and what is left of the dots."""
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    held = left.segmented_control(
        "Freed parameters", list(HELD), default=ANY, required=True, key="evidence_held", bind="query-params"
    )
    kind = middle.segmented_control(
        "Layout", ["Both", "GQA", "MQA"], default="Both", required=True, key="evidence_kind", bind="query-params"
    )
    smallest = right.segmented_control(
        "Model size",
        [0.0, 1.0, 7.0],
        default=0.0,
        required=True,
        format_func=lambda size: "Any" if size == 0 else f"≥ {size:g}B",
        key="evidence_size",
        bind="query-params",
    )
    return tuple(
        dot
        for dot in evidence.all_dots()
        if HELD.get(held or ANY) in (None, dot.study.parameters_held_equal)
        and kind in ("Both", None, dot.kind)
        and (dot.study.billion_parameters or 0) >= (smallest or 0)
    )


def range_chart(dots: tuple[Dot, ...], scale: Scale, says: str) -> None:
    """One scale's studies, or a line that says there are none."""
    shown = tuple(dot for dot in dots if dot.scale == scale)
    if not shown:
        st.info(f"No study in this selection reports {'benchmark points' if scale == 'points' else 'perplexity'}.")
        return
    by_kind = [(kind, tuple(dot for dot in shown if dot.kind == kind)) for kind in ("MQA", "GQA")]
    ranges = "; ".join(f"**{kind}** {evidence.range_text(of_kind)}" for kind, of_kind in by_kind if of_kind)
    sentence = f"{says} {ranges}. Right of the line is better than MHA."
    draw_quality(shown, scale, sentence=sentence, key=f"evidence_{scale}")


def disagreements() -> None:
    """The two contradictions a reader should know before quoting any single study."""
    by_study = {(dot.study.id, dot.num_kv_heads): dot.change_text for dot in evidence.all_dots()}
    left, right = st.columns(2)
    with left.container(border=True, height="stretch"):
        st.markdown(
            f"**Is GQA-8 as good as MHA?** Llama 2 says {by_study['llama2-30b', 8]} and T5-XXL "
            f"{by_study['t5-xxl', 8]}: within noise. DeepSeek-V2's study, trained about nine times as long as "
            f"Llama 2's and scored on harder benchmarks, says {by_study['deepseek-v2-7b', 8]}. All three put MQA "
            "below GQA-8."
        )
    with right.container(border=True, height="stretch"):
        st.markdown(
            f"**Are the freed parameters spent again?** With them back in a wider FFN, the GLA study has GQA-4 better "
            f"than MHA at every size ({by_study['gla-1.47b', 4]} at 1.47B). With the FFN fixed, the CLA study has it "
            f"worse ({by_study['cla-1b', 4]} at 1B). A claim about G must say which of the two it means."
        )


def source_line(record: Source) -> str:
    """The citation as a link, and how the figure was read."""
    cited = f"[{record.citation}]({record.link})" if record.link else record.citation
    return f"{cited} · {CONFIDENCES[record.confidence]}"


def statement(finding: Finding) -> None:
    """One finding with its caveat and source."""
    note = "Approximate. " if finding.approximate else ""
    with st.container(border=True):
        st.markdown(f"{note}{finding.statement}")
        st.caption(f"{finding.caveat}  \n{source_line(finding)}")


def answer(dots: tuple[Dot, ...]) -> str:
    """The ranges of what is shown, layout by layout: of benchmarks, or of perplexity where there are none."""
    dots = tuple(dot for dot in dots if dot.scale == "points") or dots
    by_kind = ((kind, evidence.range_text([dot for dot in dots if dot.kind == kind])) for kind in ("GQA", "MQA"))
    said = "; ".join(f"{kind} {ranges}" for kind, ranges in by_kind if ranges)
    if not said:
        return "No study in this selection compares fewer KV heads with MHA."
    return f"Against each study's own MHA: {said}."


def rests(dots: tuple[Dot, ...], findings: tuple[Finding, ...], _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.reports.rests.published import evidence_rests  # noqa: PLC0415  with the first file

    return evidence_rests(dots, findings)


st.title("Evidence")
st.markdown(
    "What papers report when the same model is trained with fewer KV heads. The studies differ in size, training "
    "length and task, so each is its own row. Fewer KV heads free parameters: **filled dots** spent them again, on a "
    "wider or deeper model; **rings** did not."
)
chosen = choose_dots()
range_chart(chosen, "points", "Benchmarks:")
range_chart(chosen, "perplexity", "Language-model loss:")
if chosen:
    share.save_csv(evidence.figure_rows(chosen), key="evidence_csv", file_name="headroom-evidence.csv")
DISAGREE, ELSE = "Where the studies disagree", "What else is published"
with below.sent_when_near("evidence", [DISAGREE, ELSE], unless=["evidence_topic"]):
    st.subheader(DISAGREE)
    disagreements()
    st.subheader(ELSE)
    topic = st.selectbox(
        "Topic",
        list(TOPIC_NAMES),
        format_func=lambda name: TOPIC_NAMES[name],
        key="evidence_topic",
        bind="query-params",
    )
    findings = evidence.findings_for(topic)
    for found in findings:
        statement(found)
    share.remember_answer(answer(chosen), partial(rests, chosen, findings))
    with st.expander("Every study with its table, caveat and source"):
        for study in evidence.published().comparisons:
            st.markdown(
                f"**{study.label}**: {study.measure}; {study.training}; {study.how_held}.  \n{study.caveat}  \n"
                f"{source_line(study)}"
            )
