"""What lies below the window runs on the server and is sent when somebody comes near it: by scrolling, by a link to one
of its headings, or because the window reaches so far.

Charts and tables that nobody sees cost the browser as much as those that are seen (benchmarks/interface.md: three
quarters of what Models sends lies below a window of 800 px). Until then the headings stand there, so that they are read
out, found and scrolled to. What the parts are worth to a file, a link or an input they are worth unsent too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from pages.shell import present, unsent

_NEAR = "_below_near"  # session state: the page whose part below the window is sent, until another page is opened
# As Streamlit writes its own, so that the first stays where it stood; about as tall as what stands under each.
_CSS = """
#rest h3 {
  min-height: 28rem; margin: 0; padding: .75rem 0 1rem; box-sizing: border-box;
  font-size: 1.2rem; font-weight: 600; line-height: 1.2; letter-spacing: -.005em;
}
"""
_JS = """
const STILL_MS = 400 // pieces above may not have their height yet
const written = (title) => Object.assign(document.createElement("h3"), { textContent: title })
const stands = () => !document.documentElement.classList.contains("arriving") &&
  document.querySelector('[data-testid="stApp"]').dataset.testScriptState === "notRunning"
export default function ({ data, parentElement, setTriggerValue }) {
  const main = document.querySelector('[data-testid="stMain"]')
  parentElement.querySelector("#rest").replaceChildren(...data.headings.map(written))
  let asked = false
  let looks = 0
  const ask = () => {
    if (!asked) setTriggerValue("near", true)
    asked = true
  }
  const reached = new IntersectionObserver((entries) => {
    clearInterval(looks)
    if (entries.at(-1).isIntersecting) looks = setInterval(() => { if (stands()) ask() }, STILL_MS)
  })
  reached.observe(parentElement.querySelector("h3"))
  main.addEventListener("scroll", ask, { passive: true })
  for (const event of ["hashchange", "beforeprint"]) addEventListener(event, ask)
  if (location.hash) ask()
  return () => {
    clearInterval(looks)
    reached.disconnect()
    main.removeEventListener("scroll", ask)
    for (const event of ["hashchange", "beforeprint"]) removeEventListener(event, ask)
  }
}
"""
_headings = st.components.v2.component("headroom_below", html='<div id="rest"></div>', css=_CSS, js=_JS)


@contextmanager
def sent_when_near(page: str, headings: Sequence[str], *, unless: Sequence[str] = ()) -> Iterator[None]:
    """The rest of the page of that path, under those headings; in a room, whose screens are cut from it, at once.

    So it is where the address holds one of the keys in `unless`, of inputs there: its link leads to what they show.
    """
    asked = any(key in st.query_params for key in unless)
    in_a_room = present.in_a_room()
    near = asked or st.session_state.get(_NEAR) == page or in_a_room
    rest = st.container(key="rest" if in_a_room else None)  # its parts are screens there: assets/present.js
    if not near:  # after the rest, so that the page is never shorter than what was scrolled to
        _headings(key=f"{page}_below", data={"headings": list(headings)}, on_near_change=lambda: _send(page))
    with unsent.sent_if(near, rest, f"{page}_below"):
        yield


def leave(page: str) -> None:
    """Another page is opened: what was near on the last one is not any more."""
    if st.session_state.get(_NEAR) != page:
        st.session_state[_NEAR] = None


def _send(page: str) -> None:
    st.session_state[_NEAR] = page
