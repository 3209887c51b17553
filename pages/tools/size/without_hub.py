"""Where the Hub gave nothing: what failed, what is cached, the registry's closest names, and a place to paste."""

import streamlit as st

from core.figures.comparison import plain
from core.models.hub.pulls import HubError

KEY, OF = "size_paste", "size_paste_of"  # the text, and the repository that it stands for


def paste_input() -> None:
    """A config.json as text; what is pasted stays on this server, out of the link."""
    st.text_area(
        "Paste its config.json here",
        key=KEY,
        height=160,
        placeholder='{"model_type": …}',
        persist_state="page",
        help="Read on this server, and sent nowhere: not to the Hub, not into the link.",
    )


def pasted(name: str | None) -> bytes | None:
    """What was pasted for a repository that gave nothing, or for no name; None where nothing was, or for another."""
    if name is not None and st.session_state.get(OF) != name:
        return None
    text = str(st.session_state.get(KEY) or "")
    return text.encode("utf-8", "surrogatepass") if text.strip() else None


def show(error: HubError, name: str) -> None:
    """The failure repeats what was typed: it is shown as text, whatever it holds."""
    from core.serving.near_names import instead_of_hub  # noqa: PLC0415  the Hub's client loads with a failure alone

    st.session_state[OF] = name
    st.error(plain(str(error), links=True))
    st.markdown(f"{plain(instead_of_hub(name))} Or paste its config.json here:")
    paste_input()
