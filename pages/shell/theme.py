"""The colours follow the viewer's theme when it changes under an open page, by the system or in Streamlit's settings.

Streamlit tells a run which theme the viewer has and begins none when it changes (st.context.theme says so): pictures
and marks would keep the colours of the theme before, dark words on a dark page. An invisible component sees the app's
background change and asks for a run.
"""

import streamlit as st

_JS = """
const APP = '[data-testid="stApp"]'
const dark = () => {
  const [red, green, blue] = getComputedStyle(document.querySelector(APP)).backgroundColor.match(/[\\d.]+/g).map(Number)
  return red + green + blue < 384
}
export default function ({ data, setTriggerValue }) {
  let drawn = data.dark
  const look = () => {
    const now = dark()
    if (now === drawn) return
    drawn = now
    setTriggerValue("turned", now ? "dark" : "light")
  }
  const watch = new MutationObserver(() => setTimeout(look)) // Streamlit's own parts learn of it first
  watch.observe(document.querySelector(APP), { attributes: true, attributeFilter: ["class", "style"] })
  look()
  return () => watch.disconnect()
}
"""
_watch = st.components.v2.component("headroom_theme", js=_JS)


def follow() -> None:
    """Once a page, wherever it stands: it takes no place."""
    _watch(key="theme_watch", data={"dark": st.context.theme.type == "dark"}, on_turned_change=lambda: None)
