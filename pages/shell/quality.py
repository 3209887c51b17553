"""The published quality changes as dots, for a choice of studies."""

from typing import TYPE_CHECKING

import streamlit as st

from core.evidence import studies as evidence
from pages.shell import cached, style

if TYPE_CHECKING:
    from core.figures.evidence import Scale


def draw_quality(dots: tuple[evidence.Dot, ...], scale: "Scale", *, sentence: str, key: str) -> None:
    """Dots of one scale, at least one, under their sentence."""
    from core.figures.evidence import quality_alt_text  # noqa: PLC0415  altair, with the picture

    names = tuple((dot.study.id, dot.num_kv_heads) for dot in dots)
    spec = cached.quality_spec(names, scale, st.context.theme.type or "light", dots)
    style.draw_spec(spec, sentence=sentence, alt_text=quality_alt_text(dots, scale), key=key)
