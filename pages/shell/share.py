"""What leaves a page: a link to the view, each picture as SVG or PNG, the view as a report or as slides.

A page says nothing about this: pages.shell.style remembers each picture as it draws it. Menus hold nothing until they
are opened, and a file is made when it is asked for, in a thread of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.figures.palette import Palette, palette
from core.learning import lessons as core_lessons
from core.reports.exports import Document, Picture, Section

LESSONS = frozenset(core_lessons.ORDER)
_PICTURES, _TABLES, _PAGE, _WALK = "_share_pictures", "_share_tables", "_share_page", "_share_walk"

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
    """A page begins to run: forget the pictures of the last one, but not those of the lesson that is being walked."""
    st.session_state[_PICTURES] = {}
    st.session_state[_TABLES] = {}
    if st.session_state.get(_WALK, ("",))[0] != page.url_path:
        st.session_state[_WALK] = (page.url_path, {})
    if page.url_path in LESSONS:
        st.session_state[_WALK][1].pop(lesson_step(page.url_path), None)
    st.session_state[_PAGE] = page


def remember(name: str, picture: Picture) -> None:
    """A picture was drawn; drawn again under the same name it takes the place of the old one."""
    st.session_state.setdefault(_PICTURES, {})[name] = picture
    page = st.session_state.get(_PAGE)
    if page is not None and page.url_path in LESSONS:
        st.session_state[_WALK][1].setdefault(lesson_step(page.url_path), {})[name] = picture


def remember_table(name: str, section: Callable[[], Section]) -> None:
    """A table was drawn; what makes its section runs when a file asks for it."""
    st.session_state.setdefault(_TABLES, {})[name] = section


def lesson_step(key: str) -> int:
    """The step, from 1, that the lesson of that key shows in this run; whatever cannot be a step is the first."""
    asked = str(st.session_state.get(key) or st.query_params.get(key))
    return int(asked) if asked.isdecimal() and len(asked) < 4 and int(asked) > 0 else 1


def source_line() -> str:
    """'Headroom · The three layouts · http://…/layouts?layouts_g64=1': where what is exported can be seen again."""
    query = {key: value for key, value in st.query_params.items() if key not in ("present", "screen")}
    address = (st.context.url or "").split("?")[0] + (f"?{urlencode(query)}" if query else "")
    return " · ".join(part for part in ("Headroom", _title(), address) if part)


@st.fragment
def picture_menu(name: str, picture: Picture) -> None:
    """Save: the picture as SVG or PNG at slide size."""
    menu = st.popover("Save", icon=":material/download:", type="tertiary", key=f"save_{name}", on_change="rerun")
    if not menu.open:
        return
    from core.reports import exports  # noqa: PLC0415

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
    from core.reports import exports, slides  # noqa: PLC0415

    document, colours = view_document(), _colours()
    stem = exports.file_stem(_title())
    with menu:
        _copy_link(key="share_link")
        _file("Report, one HTML file", f"{stem}.html", "text/html",
              lambda: exports.html_report(document(), colours).encode())  # fmt: skip
        _file("Slides, .pptx with text to edit", f"{stem}.pptx",
              "application/vnd.openxmlformats-officedocument.presentationml.presentation",
              lambda: slides.deck(document(), colours))  # fmt: skip


def save_csv(
    rows: Sequence[Mapping[str, Any]],
    *,
    key: str,
    file_name: str,
    label: str = "Save as CSV",
    remarks: Sequence[str] = (),
) -> None:
    """The rows of a table as CSV, at full precision; the columns are the first row's.

    remarks, of the model that the rows are about, go into a last column of every row: a saved row may travel alone.
    """
    said = {"Remarks": " ".join(remarks)} if remarks else {}
    st.download_button(
        label,
        data=lambda: _csv([{**row, **said} for row in rows]),
        file_name=file_name,
        mime="text/csv",
        icon=":material/download:",
        key=key,
        on_click="ignore",
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import csv  # noqa: PLC0415  needed for a file alone
    from io import StringIO  # noqa: PLC0415  as above

    written = StringIO()
    table = csv.DictWriter(written, fieldnames=list(rows[0]) if rows else [])
    table.writeheader()
    table.writerows(rows)
    return written.getvalue().encode()


def view_document() -> Callable[[], Document]:
    """What this view holds: a lesson's steps, else the page's pictures in order and what is compared as a table.

    What the run knows is taken now; what has yet to be drawn, a lesson's other steps, is drawn when a file asks for it.
    """
    page = st.session_state.get(_PAGE)
    path, title, source = page.url_path if page is not None else "", _title(), source_line()
    if path in LESSONS or path == "map":
        sections = _walk_sections(path)
        return lambda: Document(title=title, source=source, sections=sections())
    pictures: dict[str, Picture] = st.session_state.get(_PICTURES, {})
    shown = [Section(title=picture.sentence, picture=picture) for picture in pictures.values()]
    shown += [section() for section in st.session_state.get(_TABLES, {}).values()]
    document = Document(title=title, source=source, sections=tuple(shown))
    return lambda: document


def _walk_sections(path: str) -> Callable[[], tuple[Section, ...]]:
    """Every step of a lesson, as it was seen in this visit or as it opens; on the map, those of every lesson."""
    from core.learning.figures import texts  # noqa: PLC0415
    from core.reports.walk import walk_sections  # noqa: PLC0415

    lessons = core_lessons.lessons() if path == "map" else (core_lessons.lesson(path),)
    walked: dict[int, dict[str, Picture]] = st.session_state[_WALK][1]
    seen = {(path, number): tuple(pictures.values()) for number, pictures in walked.items()}
    query, colours = st.query_params.to_dict(), _colours()
    return lambda: walk_sections(lessons, figures=texts(), seen=seen, query=query, colours=colours)


def _title() -> str:
    page = st.session_state.get(_PAGE)
    return str(page.title) if page is not None else "Headroom"


def _file(label: str, name: str, mime: str, make: Callable[[], bytes]) -> None:
    st.download_button(label, data=make, file_name=name, mime=mime, on_click="ignore", width="stretch")


def _colours() -> Palette:
    return palette(st.context.theme.type)
