"""The published quality changes as dots, for a choice of studies: the same picture in several lessons."""

from typing import TYPE_CHECKING

import streamlit as st

from core.evidence import studies as evidence
from pages.learn.screens.lesson import Stage
from pages.shell.quality import draw_quality

if TYPE_CHECKING:
    from core.figures.evidence import Scale


def quality_dots(stage: Stage, dots: tuple[evidence.Dot, ...], scale: "Scale") -> None:
    """Those of the dots that are on that scale, in the right column, with their range in the sentence above."""
    shown = tuple(dot for dot in dots if dot.scale == scale)
    with stage.right:
        if not shown:
            st.info("No study reports on this scale under this choice.")
            return
        sentence = f"Against each study's own MHA: {evidence.range_text(shown)}."
        draw_quality(shown, scale, sentence=sentence, key=stage.key("dots"))


def choose_dots(stage: Stage, *, only_kind: bool) -> None:
    """Controls for scale and for how freed parameters were treated, or for the kind, and the dots that remain."""
    first, second = stage.controls(1, 1)
    scale = first.segmented_control(
        "Scale", ("points", "perplexity"), default="points", required=True, key=stage.key("scale"), bind="query-params"
    )
    dots = evidence.all_dots()
    if only_kind:
        kinds = ("both", "MQA", "GQA")
        kind = second.segmented_control(
            "Variant", kinds, default="both", required=True, key=stage.key("kind"), bind="query-params"
        )
        dots = tuple(dot for dot in dots if kind in ("both", dot.kind))
    else:
        treated = ("all", "held equal", "not")
        held = second.segmented_control(
            "Parameters", treated, default="all", required=True, key=stage.key("held"), bind="query-params"
        )
        dots = tuple(dot for dot in dots if held == "all" or dot.study.parameters_held_equal == (held == "held equal"))
    quality_dots(stage, dots, "perplexity" if scale == "perplexity" else "points")
