"""MHA, GQA and MQA drawn for a real model or a shape of one's own: choose G, and picture, formula and bytes follow."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.models.head_sharing import PRESETS, Layout, LayoutError, alt_text, divisors, formula, outline, sentence
from core.units import format_binary
from pages.shell import below, cached, share, style

if TYPE_CHECKING:
    from core.reports.closing import Rests

OWN = "A shape of your own"
BESIDE = "The three side by side"
BY_NAME = {preset.name: preset for preset in PRESETS}


def choose_shape() -> Layout:
    """The model's own layout from the first row of controls; LayoutError for a shape that cannot be."""
    left, *rest = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    name = left.selectbox("Model", [*BY_NAME, OWN], key="layouts_model", bind="query-params")
    if name in BY_NAME:
        preset = BY_NAME[name]
        shape = preset.layout
        rest[0].metric("Query heads H", shape.num_query_heads)
        rest[1].metric("Layers L", shape.num_layers)
        rest[2].metric("head_dim", shape.head_dim)
        return shape
    # No bounds on the widgets: core says what is wrong with a number, and the number stays where it was typed.
    heads = rest[0].number_input("Query heads H", value=12, step=1, key="layouts_h", bind="query-params")
    layers = rest[1].number_input("Layers L", value=12, step=1, key="layouts_l", bind="query-params")
    head_dim = rest[2].number_input("head_dim", value=64, step=1, key="layouts_d", bind="query-params")
    return Layout(num_query_heads=heads, num_kv_heads=heads, head_dim=head_dim, num_layers=layers)


def choose_kv_heads(shape: Layout) -> Layout:
    """G among the divisors of H; the model's own G to begin with."""
    options = divisors(shape.num_query_heads)
    chosen = st.segmented_control(
        f"KV heads G: 1 is MQA, {shape.num_query_heads} is MHA, the other divisors of H are GQA",
        options,
        default=shape.num_kv_heads,
        required=True,
        key=f"layouts_g{shape.num_query_heads}",
        bind="query-params",
    )
    return shape.with_kv_heads(chosen or shape.num_kv_heads)


def picture(layout: Layout, width_px: int, key: str) -> None:
    """The sentence, and under it the picture."""
    theme = st.context.theme.type or "light"
    spec = cached.layout_spec(layout.num_query_heads, layout.num_kv_heads, layout.head_dim, theme, width_px)
    style.draw_spec(spec, sentence=sentence(layout), alt_text=alt_text(layout), key=key, outline=outline(layout))


def figures(layout: Layout) -> None:
    """Bytes per token with the formula that gives them."""
    whole = layout.with_kv_heads(layout.num_query_heads)
    left, middle, right = st.columns([3, 1, 1], vertical_alignment="center")
    left.latex(formula(layout))
    middle.metric("Cache per token", format_binary(layout.kv_bytes_per_token))
    right.metric("MHA would keep", format_binary(whole.kv_bytes_per_token))


def side_by_side(layout: Layout) -> None:
    """MHA, the model's own layout (a typical GQA where it has none) and MQA next to each other, whatever G is tried."""
    heads = layout.num_query_heads
    between = layout.num_kv_heads if layout.kind == "GQA" else _typical_kv_heads(heads)
    choices = list(dict.fromkeys([heads, between, 1]))
    st.subheader(BESIDE)
    for column, kv_heads in zip(st.columns(len(choices), gap="medium"), choices, strict=True):
        with column:
            picture(layout.with_kv_heads(kv_heads), 380, key=f"layouts_beside_{kv_heads}")


def _typical_kv_heads(num_query_heads: int) -> int:
    """The divisor of H nearest below or at H / 4 that is neither MQA nor MHA; H where there is none (71 is prime)."""
    between = [d for d in divisors(num_query_heads) if 1 < d < num_query_heads]
    return max((d for d in between if d <= max(num_query_heads / 4, between[0])), default=num_query_heads)


def rests(layout: Layout, name: str, _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.reports.rests.layouts import layouts_rests  # noqa: PLC0415  with the first file

    return layouts_rests(layout, BY_NAME.get(name))


@st.fragment
def follow(model: Layout) -> None:
    """G, and all that follows it: a fragment, so that a click on G reruns nothing else."""
    chosen = choose_kv_heads(model)
    picture(chosen, 900, key="layouts_main")
    figures(chosen)
    share.remember_answer(sentence(chosen), partial(rests, chosen, st.session_state["layouts_model"]))
    if (preset := BY_NAME.get(st.session_state["layouts_model"])) is not None:
        st.caption(
            f"{preset.name} chose G = {preset.layout.num_kv_heads} ({preset.layout.kind}); "
            f"its config.json says `{preset.declared}`. Bytes are for a 16-bit cache."
        )


st.title("The three layouts")
st.markdown(
    "**G** is how many key and value heads a layer keeps for its **H** query heads: H is MHA, 1 is MQA, between is GQA."
)
try:
    shape = choose_shape()
    follow(shape)
    with below.sent_when_near("layouts", [BESIDE]):
        side_by_side(shape)
except LayoutError as error:
    st.error(str(error))
