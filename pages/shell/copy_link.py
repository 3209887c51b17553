"""The button that copies the address of the view, signed with the version and a digest of what the view says."""

from urllib.parse import urlsplit

import streamlit as st

from core.reports.links import OF_THE_SCREEN

_LINK_HTML = """
<button type="button" id="copy">Copy link</button>
<label id="shown" hidden>Link to this view<input id="address" readonly></label>
"""
_LINK_CSS = """
button { font: 400 .875rem/1.6 var(--st-font); color: var(--st-text-color); width: 100%; min-height: 2.5rem;
  cursor: pointer; background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); }
button:focus-visible, input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
label { display: block; margin-top: .5rem; font: 400 .875rem/1.4 var(--st-font); color: var(--st-text-color); }
label[hidden] { display: none; }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .4rem; color: inherit;
  background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color); }
"""
_LINK_JS = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("#copy")
  const shown = parentElement.querySelector("#shown")
  const address = parentElement.querySelector("#address")
  const inputs = (search) =>
    JSON.stringify([...new URLSearchParams(search)].filter(([key]) => !data.aside.includes(key)).sort())
  const signed = () => {
    const here = new URL(window.location.href)
    // moved since the signature was made: the address stands for itself
    if (inputs(here.search) === inputs(data.asked)) here.searchParams.set("made", data.made)
    return here.href
  }
  button.onclick = async () => {
    const link = signed()
    try {
      await navigator.clipboard.writeText(link)
      button.textContent = "Link copied"
      setTimeout(() => { button.textContent = "Copy link" }, 2000)
    } catch {
      // no clipboard without https or permission: show the address, selected, ready to be copied by hand
      shown.hidden = false
      address.value = link
      address.select()
    }
  }
}
"""
_component = st.components.v2.component("headroom_copy_link", html=_LINK_HTML, css=_LINK_CSS, js=_LINK_JS)


def button(signed: str, *, made: str) -> None:
    """signed is the link as the server knows the view; where an input has moved since, the address goes unsigned."""
    _component(key="share_link", data={"made": made, "asked": urlsplit(signed).query, "aside": list(OF_THE_SCREEN)})
