"""The width of the cache that the model's own file states, taken as the page's default and said with its key."""

from typing import Any

import streamlit as st

from core.errors import SizingError
from core.figures.comparison import plain
from core.models.formats.cache_width import CacheWidth
from core.models.hub.pulls import HubError
from core.models.spec import ModelSpec, UnsupportedConfig
from pages.tools.size.count import StillWaiting
from pages.tools.size.model import HEADLINE, OWN_SHAPE, chosen_spec

WIDTHS = (16, 8, 4, 2)  # bits that the page offers
DEFAULT = 16
KEPT = "size_width_kept"  # in the link: the page's own width, chosen for a model whose file states another


def take_width() -> None:
    """Before the inputs are drawn: a model whose file states a width opens on it, once; a link's own width stays.

    The next model without one gets 16 bits back, unless somebody chose a width since.
    """
    state: Any = st.session_state
    name = state.get("size_model") or st.query_params.get("size_model", HEADLINE)
    marker = (name, _upload_id())
    if state.get("size_width_of") == marker:
        return
    try:
        width = None if name == OWN_SHAPE else chosen_spec(name).cache_width
    except (SizingError, UnsupportedConfig, HubError, StillWaiting):
        return  # the Hub has yet to answer, or the page will say what is wrong
    first = "size_width_of" not in state
    state["size_width_of"] = marker
    if first and (KEPT in st.query_params or "size_kv_bits" in st.query_params):
        return
    taken = state.get("size_width_taken")
    if width is not None and width.element_bits in WIDTHS:
        _set(width)
    elif taken is not None and taken == state.get("size_kv_bits"):
        state["size_kv_bits"], state["size_scale_bits"], state["size_width_taken"] = 16, 0, None


def keep_width(spec: ModelSpec, kv_bits: int) -> None:
    """Puts into the link that 16 bits were chosen over the file's width: as the page's default they stand in none."""
    width = spec.cache_width
    over = width is not None and width.element_bits in WIDTHS and kv_bits == DEFAULT != width.element_bits
    if over and st.query_params.get(KEPT) != str(DEFAULT):
        st.query_params[KEPT] = str(DEFAULT)
    elif not over and KEPT in st.query_params:
        del st.query_params[KEPT]


def _set(width: CacheWidth) -> None:
    state: Any = st.session_state
    state["size_kv_bits"] = state["size_width_taken"] = width.element_bits
    state["size_scale_bits"] = width.scale_bits
    if width.scale_bits:
        state["size_scale_elements"] = width.elements_per_scale


def say_width(spec: ModelSpec, kv_bits: int) -> None:
    """What the file says, and whether the page counts with it."""
    width = spec.cache_width
    if width is None:
        return
    counted = "counted with here" if kv_bits == width.element_bits else f"but {kv_bits} bits are counted with here"
    st.caption(f"Cache width: {plain(width.note.sentence.rstrip('.'))}; {counted}.")


def _upload_id() -> str:
    return str(getattr(st.session_state.get("size_upload"), "file_id", ""))
