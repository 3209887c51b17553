"""Buttons that copy: the address of the view, signed with the version and a digest of what it says, and its answer."""

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
button:focus-visible, input:focus-visible, textarea:focus-visible {
  outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
label { display: block; margin-top: .5rem; font: 400 .875rem/1.4 var(--st-font); color: var(--st-text-color); }
label[hidden] { display: none; }
input, textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .4rem; color: inherit;
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
_TEXT_HTML = """
<button type="button" id="copy"></button>
<label id="shown" hidden>Copied by hand<textarea id="text" rows="8" readonly></textarea></label>
"""
_TEXT_JS = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("#copy")
  const shown = parentElement.querySelector("#shown")
  const text = parentElement.querySelector("#text")
  button.textContent = data.label
  text.value = data.text
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(data.text)
      button.textContent = "Copied"
      setTimeout(() => { button.textContent = data.label }, 2000)
    } catch {
      shown.hidden = false  // as for a link
      text.select()
    }
  }
}
"""
_component = st.components.v2.component("headroom_copy_link", html=_LINK_HTML, css=_LINK_CSS, js=_LINK_JS)
_text_component = st.components.v2.component("headroom_copy_text", html=_TEXT_HTML, css=_LINK_CSS, js=_TEXT_JS)


def button(signed: str, *, made: str) -> None:
    """signed is the link as the server knows the view; where an input has moved since, the address goes unsigned."""
    _component(key="share_link", data={"made": made, "asked": urlsplit(signed).query, "aside": list(OF_THE_SCREEN)})


def text_button(label: str, text: str) -> None:
    """A button that copies the text; where there is no clipboard it shows it, selected."""
    _text_component(key="share_text", data={"label": label, "text": text})
