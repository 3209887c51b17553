"""What leaves a page: a link to the view, each picture as SVG or PNG, the view as a report or as slides.

A page says nothing about this: pages.style remembers each picture as it draws it. Menus hold nothing until they are
opened, and a file is made when it is asked for, in a thread of its own.
"""

from collections.abc import Callable
from urllib.parse import urlencode

import streamlit as st

from core.exports import Document, Picture, Section
from core.palette import Palette, palette

_PICTURES, _PAGE = "_share_pictures", "_share_page"

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
export default function ({ parentElement }) {
  const button = parentElement.querySelector("#copy")
  const shown = parentElement.querySelector("#shown")
  const address = parentElement.querySelector("#address")
  button.onclick = async () => {
    const link = window.location.href
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
_copy_link = st.components.v2.component("headroom_copy_link", html=_LINK_HTML, css=_LINK_CSS, js=_LINK_JS)


def begin(page: st.Page) -> None:
    """A page begins to run: forget the pictures of the last one."""
    st.session_state[_PICTURES] = {}
    st.session_state[_PAGE] = page.title


def remember(name: str, picture: Picture) -> None:
    """A picture was drawn; drawn again under the same name it takes the place of the old one."""
    st.session_state.setdefault(_PICTURES, {})[name] = picture


def source_line() -> str:
    """'Headroom · The three layouts · http://…/layouts?layouts_g64=1': where what is exported can be seen again."""
    query = {key: value for key, value in st.query_params.items() if key not in ("present", "screen")}
    address = (st.context.url or "").split("?")[0] + (f"?{urlencode(query)}" if query else "")
    return " · ".join(part for part in ("Headroom", st.session_state.get(_PAGE, ""), address) if part)


@st.fragment
def picture_menu(name: str, picture: Picture) -> None:
    """Save: the picture as SVG or PNG at slide size."""
    menu = st.popover("Save", icon=":material/download:", type="tertiary", key=f"save_{name}", on_change="rerun")
    if not menu.open:
        return
    from core import exports  # noqa: PLC0415

    source, colours, stem = source_line(), _colours(), exports.file_stem(picture.sentence or picture.alt_text)
    with menu:
        _file("SVG for a paper or a slide", f"{stem}.svg", "image/svg+xml",
              lambda: exports.slide_svg(picture, source=source, colours=colours).encode())  # fmt: skip
        _file("PNG, 1920 × 1080", f"{stem}.png", "image/png",
              lambda: exports.slide_png(picture, source=source, colours=colours))  # fmt: skip


@st.fragment
def view_menu() -> None:
    """Share: the link to this view, and the view as a report or as slides."""
    menu = st.popover("Share", type="tertiary", key="share_view", on_change="rerun")
    if not menu.open:
        return
    from core import exports, slides  # noqa: PLC0415

    document, colours = view_document(), _colours()
    stem = exports.file_stem(document.title)
    with menu:
        _copy_link(key="share_link")
        _file("Report, one HTML file", f"{stem}.html", "text/html",
              lambda: exports.html_report(document, colours).encode())  # fmt: skip
        _file("Slides, .pptx with text to edit", f"{stem}.pptx",
              "application/vnd.openxmlformats-officedocument.presentationml.presentation",
              lambda: slides.deck(document, colours))  # fmt: skip


def view_document() -> Document:
    """What this view holds: its pictures in order, each with its sentence."""
    pictures: dict[str, Picture] = st.session_state.get(_PICTURES, {})
    sections = tuple(Section(title=picture.sentence, picture=picture) for picture in pictures.values())
    return Document(title=st.session_state.get(_PAGE, "Headroom"), source=source_line(), sections=sections)


def _file(label: str, name: str, mime: str, make: Callable[[], bytes]) -> None:
    st.download_button(label, data=make, file_name=name, mime=mime, on_click="ignore", width="stretch")


def _colours() -> Palette:
    return palette(st.context.theme.type)
