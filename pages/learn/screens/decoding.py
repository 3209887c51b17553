"""Watch it decode: a prompt, the steps of three G side by side, and keys to walk them. A page and a lesson's step.

The model decodes here and now, in numpy, as far as somebody looks; what was decoded stays with the visitor. Only the
picture's data changes from step to step.
"""

from time import monotonic

import streamlit as st

from core.hardware.accelerators import catalogue
from core.uptraining.small_decoder import MOST_PROMPT, PromptError, Watched
from pages.shell import cached, style

PROMPT = "The KV cache"
PLAY_S = 0.7
ACCELERATORS = ("h100-sxm", "a100-80-sxm", "b200-sxm", "l4")


def plays(name: str) -> bool:
    """Whether steps go on by themselves."""
    return st.session_state.get(f"{name}_played") is not None


def just_pressed(name: str) -> bool:
    """Whether Play or Pause was pressed before this run."""
    return bool(st.session_state.pop(f"{name}_pressed", False))


def watched(prompt: str) -> Watched:
    """The prompt as far as it was decoded for this visitor. Raises PromptError."""
    kept: Watched | None = st.session_state.get("_watched")
    if kept is None or kept.prompt != prompt:
        kept = Watched(prompt)
        st.session_state["_watched"] = kept
    return kept


def controls(name: str) -> tuple[str, str]:
    """Prompt and accelerator."""
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    prompt = first.text_input(
        f"Prompt, up to {MOST_PROMPT} characters",
        PROMPT,
        key=f"{name}_prompt",
        bind="query-params",
        max_chars=10 * MOST_PROMPT,  # more than is read, so that somebody who pastes a paragraph is told why not
    )
    known = catalogue()
    chosen = second.selectbox(
        "Accelerator whose limits are drawn",
        ACCELERATORS, format_func=lambda key: known[key].name,
        key=f"{name}_roof", bind="query-params",
    )  # fmt: skip
    return prompt, chosen


def step_of(name: str, last: int) -> int:
    """The step to show; while it plays, one more whenever its time has come."""
    here = min(int(st.session_state.get(f"{name}_at", 0)), last)
    since = st.session_state.get(f"{name}_played")
    if since is not None and monotonic() - since >= 0.9 * PLAY_S:
        here = min(here + 1, last)
        st.session_state[f"{name}_played"] = monotonic() if here < last else None
    st.session_state[f"{name}_at"] = here
    return here


def turn_buttons(name: str, here: int, last: int, *, keys: bool) -> None:
    """Back, play and step; with keys, the arrow keys press the first and the last (assets/keys.js)."""
    playing = plays(name)
    back, forth = ("turn_back", "turn_next") if keys else (f"{name}_box_back", f"{name}_box_next")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(key=back, width="content"):
            st.button("Back", key=f"{name}_back", disabled=here == 0, on_click=_go, args=(name, here - 1),
                      shortcut="Left" if keys else None)  # fmt: skip
        with st.container(key=forth, width="content"):
            st.button("Step", key=f"{name}_next", disabled=here == last, on_click=_go, args=(name, here + 1),
                      type="primary", shortcut="Right" if keys else None)  # fmt: skip
        st.button("Pause" if playing else "Play", key=f"{name}_play", on_click=_play, args=(name, playing, here, last))
        st.button("Start again", key=f"{name}_first", type="tertiary", on_click=_go, args=(name, 0))


def _go(name: str, number: int) -> None:
    st.session_state[f"{name}_at"] = number
    st.session_state[f"{name}_played"] = None


def _play(name: str, playing: bool, here: int, last: int) -> None:
    if here == last:
        st.session_state[f"{name}_at"] = 0
    st.session_state[f"{name}_played"] = None if playing else monotonic()
    st.session_state[f"{name}_pressed"] = True


def picture(name: str, found: Watched, here: int, accelerator: str) -> None:
    """The step under its sentence."""
    from core.figures import watch  # noqa: PLC0415  altair loads with the first picture, not the page

    theme = st.context.theme.type or "light"
    spec = cached.watch_spec(theme)
    device = catalogue()[accelerator]
    spec = {**spec, "datasets": {**spec["datasets"], **watch.datasets(found, here, device, style.current_palette())}}
    style.draw_spec(
        spec, sentence=watch.sentence(found, here), alt_text=watch.alt_text(found, here), key=f"{name}_picture",
        outline=watch.OUTLINE,
    )  # fmt: skip


def said(found: Watched, here: int) -> str:
    """The sentence over the picture."""
    from core.figures import watch  # noqa: PLC0415

    return watch.sentence(found, here)


def heading(found: Watched, here: int) -> str:
    """The step in words: a heading that changes with it, by which the keys see that a turn has landed."""
    from core.figures import watch  # noqa: PLC0415

    return watch.title(found, here)


def begin(name: str, prompt: str) -> Watched | None:
    """The decoded prompt, or the reason why there is none; another prompt starts at its first step."""
    try:
        found = watched(prompt)
    except PromptError as refused:
        st.error(f"Nothing is decoded: {refused}")
        return None
    if st.session_state.get(f"{name}_of") != prompt:
        st.session_state[f"{name}_of"] = prompt
        _go(name, 0)
    return found
