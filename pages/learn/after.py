"""After G: what each later idea attacks in the formula of the cache, with layout, keys, bytes and quality."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.learning import ideas
from core.learning.drills import LARGEST_SEED
from core.learning.ideas import CONTEXT, FACTORS, Idea
from core.learning.later_drills import later_question
from core.units import format_binary
from pages.shell import cached, share, style

if TYPE_CHECKING:
    from core.reports.closing import Rests

NAMES = {found.key: found.name for found in ideas.IDEAS}


def formula(found: Idea) -> str:
    """The formula with the factors that the idea attacks in bold."""
    said = (f":orange[**{factor}**]" if factor in found.factors else factor for factor in FACTORS[:-1])
    reads = "  \nIt attacks :orange[**what a step reads**], not what is stored." if "reads" in found.factors else ""
    return f"{' · '.join(said)}{reads}"


def picture(found: Idea) -> None:
    """The layout, in the hand of the three."""
    drawn = cached.idea_picture(found.key, st.context.theme.type or "light")
    style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="after_layout")


def size(found: Idea) -> None:
    """Bytes of a model that ships it, as our reader counts them, or of the paper's shape, said so."""
    if found.paper_bytes is not None:
        said = ", ".join(f"{name}: {count:,} B" for name, count in found.paper_bytes.items())
        ships = ideas.models_on(found.key)
        by = f"In the registry within {', '.join(ships)}." if ships else "No model of the registry ships it."
        st.markdown(f"**{by}** The paper's shape, {found.paper_shape}: {said} (as the table below prints).")
        return
    shown = cached.idea_bytes(found.key)
    if shown is None:
        return
    reads = "" if shown.read == shown.kept else f", of which a step reads {format_binary(shown.read)}"
    where = f"{CONTEXT:,} tokens, 16 bits, states included"
    st.markdown(f"**{shown.name}** keeps **{format_binary(shown.kept)} a token**{reads} ({where}).")
    if shown.formats:
        said = ", ".join(f"{name}: {format_binary(count)}" for name, count in shown.formats.items())
        st.markdown(f"The same at fewer bits, scales included: {said}.")
    if shown.engines:
        said = ", ".join(f"{name}: {format_binary(count)}" for name, count in shown.engines.items())
        wide = "" if shown.engine_bits == 16 else f" at {shown.engine_bits} bits"
        st.markdown(f"What engines take for it{wide}, one request: {said} a token.")
    for why in shown.refused.values():
        st.caption(f"No figure of {why.removesuffix(' Choose another engine.')}")


def words(found: Idea) -> None:
    """What it does, how a config says so, what G still means, and what is published."""
    st.markdown(found.does)
    keys = ", ".join(f"`{key}`" for key in found.keys) or "none yet: no released config has a key for it"
    st.markdown(f"**Declared by** {keys}.")
    st.markdown(f"**What G still means there.** {found.g_means}")
    size(found)
    for figure in found.published:
        link = f"[arXiv {figure.arxiv}](https://arxiv.org/abs/{figure.arxiv})"
        st.markdown(f"**Published.** {figure.says}  \n:small[{figure.where}, {link}]")
    if not found.published:
        st.caption("Quality: no table that we could read compares it with the same model without it, so none is shown.")


def answer(found: Idea) -> str:
    """What it does, and which factors it attacks."""
    attacks = " and ".join("what a step reads" if factor == "reads" else factor for factor in found.factors)
    return f"{found.name} turns {attacks}: {found.does}"


def rests(found: Idea, _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.reports.rests.ideas import idea_rests  # noqa: PLC0415  with the first file

    return idea_rests(found)


@st.fragment
def follow() -> None:
    """The ideas to choose from, and all that follows: a fragment, so that the map below stays as it stands."""
    key = st.pills("Idea", list(NAMES), format_func=NAMES.__getitem__, default="latent", required=True,
                   key="after_idea", bind="query-params")  # fmt: skip
    chosen = ideas.idea(key or "latent")
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.markdown(formula(chosen))
        words(chosen)
    with right:
        picture(chosen)
    share.remember_answer(answer(chosen), partial(rests, chosen))


@st.fragment
def drill() -> None:
    """One question; its answer is said once an option is chosen."""
    number = st.number_input("Question", 1, LARGEST_SEED, key="after_question", bind="query-params", width=200)
    asked = later_question(int(number) - 1)
    chosen = st.radio(asked.text, asked.options, index=None, key=f"after_answer_{number}")
    if chosen is not None:
        right = asked.options[asked.answer]
        say = st.success if chosen == right else st.warning
        say(f"**{right}.** {asked.why}")
    st.button("Next question", key="after_next", on_click=_next)


def _next() -> None:
    st.session_state["after_question"] = int(st.session_state.get("after_question", 1)) % LARGEST_SEED + 1


st.title("After G")
st.markdown(
    "The cache is `2 · L · G · head_dim · context · batch · bytes`: keys and values, of L layers, for G KV heads of "
    "head_dim numbers, for each token of each sequence. G was the first factor that the field turned. Each "
    "later idea turns another one; most models of today turn several."
)
follow()
st.header("Every model of the registry on the map", anchor="map", divider="gray")
drawn = cached.idea_map(st.context.theme.type or "light")
style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="after_map")
st.header("Drill", anchor="drill", divider="gray")
drill()
