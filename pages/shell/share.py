"""What leaves a page: a link to the view, each picture as SVG or PNG, the view as a report or as slides.

A page says nothing about this: pages.shell.style remembers each picture as it draws it. Menus hold nothing until they
are opened, and a file is made when it is asked for, in a thread of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.figures.palette import Palette, palette
from core.learning import lessons as core_lessons
from core.learning.techniques import texts as techniques
from core.reports import links
from core.reports.exports import Document, Picture, Section
from pages.shell import copy_link

if TYPE_CHECKING:
    from core.reports.closing import Rests

LESSONS = frozenset(core_lessons.ORDER)
WALKS = LESSONS | frozenset(techniques.ORDER)  # pages of several steps, whose files hold every step
_PICTURES, _TABLES, _PAGE, _WALK = "_share_pictures", "_share_tables", "_share_page", "_share_walk"
_REPORT, _ANSWER, _FOLLOWED, _AFTER = "_share_report", "_share_answer", "_share_followed", "_share_after"
_RESTS = "_share_rests"
Report = Callable[[Palette], Sequence[Section]]
MakeRests = Callable[[Palette], "Rests"]


def begin(page: st.Page) -> None:
    """A page begins to run: forget the pictures of the last one, but not those of the lesson that is being walked."""
    st.session_state[_PICTURES] = {}
    st.session_state[_TABLES] = {}
    st.session_state[_REPORT] = st.session_state[_RESTS] = None
    st.session_state[_ANSWER], st.session_state[_AFTER] = "", {}
    _follow(page)
    if st.session_state.get(_WALK, ("",))[0] != page.url_path:
        st.session_state[_WALK] = (page.url_path, {})
    if page.url_path in WALKS:
        st.session_state[_WALK][1].pop(lesson_step(page.url_path), None)
    st.session_state[_PAGE] = page


def remember(name: str, picture: Picture) -> None:
    """A picture was drawn; drawn again under the same name it takes the place of the old one."""
    st.session_state.setdefault(_PICTURES, {})[name] = picture
    page = st.session_state.get(_PAGE)
    if page is not None and page.url_path in WALKS:
        st.session_state[_WALK][1].setdefault(lesson_step(page.url_path), {})[name] = picture


def walked_pictures() -> dict[str, Picture]:
    """Every picture of this walk that was on screen in this visit, by its name, whatever its step."""
    walked: dict[int, dict[str, Picture]] = st.session_state[_WALK][1]
    return {name: picture for pictures in walked.values() for name, picture in pictures.items()}


def remember_table(name: str, section: Callable[[], Section]) -> None:
    """A table was drawn; what makes its section runs when a file asks for it."""
    st.session_state.setdefault(_TABLES, {})[name] = section


def remember_report(report: Report, *, answer: str) -> None:
    """What the page's report and deck hold in place of its pictures alone; made when a file asks for it.

    answer is the page's verdict in a sentence: a link to this view is signed with it.
    """
    st.session_state[_REPORT], st.session_state[_ANSWER] = report, answer


def remember_sections(make: Callable[[], Sequence[Section]], *, after: str) -> None:
    """Sections that stand after the picture of that name, made when a file asks for them."""
    st.session_state[_AFTER][after] = make


def remember_answer(answer: str, make: MakeRests) -> None:
    """The page's answer in a sentence, which opens its files, and what makes what it rests on when one is asked for.

    A page with a report of its own has said its answer there: a part that it shares with another page changes nothing.
    """
    if st.session_state.get(_REPORT) is None:
        st.session_state[_ANSWER], st.session_state[_RESTS] = answer, make


def _follow(page: st.Page) -> None:
    """A signed link was opened: its signature is kept beside what it asked, and leaves the address."""
    made = st.query_params.get(links.MADE)
    if made is not None:
        del st.query_params[links.MADE]
        st.session_state[_FOLLOWED] = (page.url_path, st.query_params.to_dict(), made)


def follows_a_link() -> bool:
    """Whether this view is what a signed link asked for."""
    if _FOLLOWED not in st.session_state:  # the overview's address is empty too
        return False
    path, query, _ = st.session_state[_FOLLOWED]
    page = st.session_state.get(_PAGE)
    return page is not None and page.url_path == path and st.query_params.to_dict() == query


def say_how_it_reads(place: Any) -> None:
    """After the page: where this version reads the link differently than the one that made it, into that place."""
    if follows_a_link() and (said := links.read_differently(st.session_state[_FOLLOWED][2], _made())):
        place.info(said, icon=":material/history:")


def lesson_step(key: str) -> int:
    """The step, from 1, that the lesson of that key shows in this run; whatever cannot be a step is the first.

    Asked before the lesson's own control is drawn too: after Back the address says the step, and the session still the
    one that was left.
    """
    held, named = st.session_state.get(key), st.query_params.get(key)
    context = get_script_run_ctx()
    asked = str(named if context is not None and context.is_history_navigation else (held or named))
    return int(asked) if asked.isdecimal() and len(asked) < 4 and int(asked) > 0 else 1


def source_line() -> str:
    """'Headroom · The three layouts · /layouts?layouts_g64=1': where what is exported can be seen again."""
    return " · ".join(part for part in ("Headroom", _title(), signed_link()) if part)


def signed_link() -> str:
    """The address that restores this view, with the version that shows it and a digest of what it says."""
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    return links.view_link(links.path_of(st.context.url or ""), query, made=_made())


def _made() -> str:
    state = st.session_state
    said = [state.get(_ANSWER, ""), *(picture.alt_text for picture in state.get(_PICTURES, {}).values())]
    return links.made_by(said)


@st.fragment
def picture_menu(name: str, picture: Picture) -> None:
    """Save: the picture as SVG or PNG at slide size."""
    menu = st.popover("Save", icon=":material/download:", type="tertiary", key=f"save_{name}", on_change="rerun")
    if not menu.open:
        return
    from core.reports import pictures  # noqa: PLC0415

    source, colours, stem = source_line(), _colours(), pictures.file_stem(picture.sentence or picture.alt_text)
    with menu:
        _file("SVG for a slide, 1920 × 1080", f"{stem}.svg", "image/svg+xml",
              lambda: pictures.slide_svg(picture, source=source, colours=colours).encode())  # fmt: skip
        _file("PNG, 1920 × 1080", f"{stem}.png", "image/png",
              lambda: pictures.slide_png(picture, source=source, colours=colours))  # fmt: skip
        for width_cm, of in ((pictures.COLUMN_CM, "column"), (pictures.PAGE_CM, "page")):
            _paper_files(picture, width_cm, of, stem, colours)


def _paper_files(picture: Picture, width_cm: float, of: str, stem: str, colours: Palette) -> None:
    """The chart without its title, as wide as a paper prints it."""
    from core.reports import pictures  # noqa: PLC0415

    _file(f"{width_cm:g} cm, a paper's {of}: SVG", f"{stem}-{of}.svg", "image/svg+xml",
          lambda: pictures.paper_svg(picture, width_cm=width_cm, colours=colours).encode())  # fmt: skip
    _file(f"{width_cm:g} cm, a paper's {of}: PNG, 600 dpi", f"{stem}-{of}.png", "image/png",
          lambda: pictures.paper_png(picture, width_cm=width_cm, colours=colours))  # fmt: skip


@st.fragment
def view_menu() -> None:
    """Share: the link to this view, and the view as a report or as slides."""
    menu = st.popover("Share", type="tertiary", key="share_view", on_change="rerun")
    if not menu.open:
        return
    from core.reports import exports, pages, pdf, slides  # noqa: PLC0415
    from core.reports.decision_record import document_markdown  # noqa: PLC0415

    document, colours = view_document(), _colours()
    stem = exports.file_stem(_title())
    with menu:
        copy_link.button(signed_link(), made=_made())
        if answer := st.session_state.get(_ANSWER):
            copy_link.text_button("Copy the answer, Markdown", _answer(answer))
        _file("Report, one HTML file", f"{stem}.html", "text/html",
              lambda: exports.html_report(document(), colours).encode())  # fmt: skip
        _file("Slides, .pptx with text to edit", f"{stem}.pptx",
              "application/vnd.openxmlformats-officedocument.presentationml.presentation",
              lambda: slides.deck(document(), colours))  # fmt: skip
        _file("Report, PDF", f"{stem}.pdf", "application/pdf",
              lambda: pdf.pdf(document(), colours, pages.A4))  # fmt: skip
        _file("Slides, PDF", f"{stem}-slides.pdf", "application/pdf",
              lambda: pdf.pdf(document(), colours, pages.SLIDE))  # fmt: skip
        _file("Report without pictures, Markdown", f"{stem}.md", "text/markdown",
              lambda: document_markdown(document()).encode())  # fmt: skip


def save_csv(
    rows: Sequence[Mapping[str, Any]],
    *,
    key: str,
    file_name: str,
    label: str = "Save as CSV",
    remarks: Sequence[str] = (),
    shown: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """The rows of a table as CSV, at full precision, and as Markdown to copy; the columns are the first row's.

    Where the page writes its figures with their units, shown are those rows, for the Markdown. remarks, of the model
    that the rows are about, go into a last column of every row of the CSV: a saved row may travel alone.
    """
    said = {"Remarks": " ".join(remarks)} if remarks else {}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            label,
            data=lambda: _csv([{**row, **said} for row in rows]),
            file_name=file_name,
            mime="text/csv",
            icon=":material/download:",
            key=key,
            on_click="ignore",
        )
        copy_markdown(f"{key}_markdown", lambda: _markdown(rows if shown is None else shown))


@st.fragment
def copy_markdown(key: str, make: Callable[[], str]) -> None:
    """Copy as Markdown: the text with a button that copies it, made when the menu is opened."""
    menu = st.popover("Copy as Markdown", icon=":material/content_copy:", type="tertiary", key=key, on_change="rerun")
    if menu.open:
        menu.code(make(), language="markdown", wrap_lines=True, height=240)


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    from core.host.spreadsheet import csv_text  # noqa: PLC0415  needed for a file alone
    from core.reports.tables import spreadsheet_rows  # noqa: PLC0415  as above

    return csv_text(spreadsheet_rows(rows)).encode()


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    from core.reports.tables import markdown_rows  # noqa: PLC0415  as above

    return markdown_rows(rows)


def copy_answer(key: str, answer: str, *said: str) -> None:
    """Copy as Markdown, of an answer with what was asked; said goes on from it."""
    copy_markdown(key, lambda: _answer(answer, said))


def _answer(answer: str, said: Sequence[str] = ()) -> str:
    from core.reports.closing import answer_markdown  # noqa: PLC0415  needed for a file alone

    page = st.session_state.get(_PAGE)
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    path = page.url_path if page is not None else ""
    return answer_markdown(answer, said, path, query, signed_link())


def view_document() -> Callable[[], Document]:
    """What this view holds: the page's own report, else a lesson's steps, else its pictures and tables in order.

    At its end stand what was asked, where the report does not say it, and what it was made with. What the run knows is
    taken now; what has yet to be drawn or worked out is made when a file asks for it, once for all files of the view.
    """
    from core.reports import closing  # noqa: PLC0415

    page = st.session_state.get(_PAGE)
    path, title, source = page.url_path if page is not None else "", _title(), source_line()
    report, colours = st.session_state.get(_REPORT), _colours()
    ends = [closing.versions_section(link=signed_link(), written=datetime.now(UTC).date().isoformat())]
    if report is not None:
        return cache(lambda: Document(title=title, source=source, sections=(*report(colours), *ends)))
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    answer, rests, body = st.session_state.get(_ANSWER, ""), st.session_state.get(_RESTS), _body(path)

    def sections() -> Iterator[Section]:
        if rests is None:
            yield from body()
            yield from closing.asked_section(path, query)
            return
        found = rests(colours)
        yield closing.opening_section(answer, found.said, path, query)
        yield from body()
        yield from found.body
        yield from closing.rest_sections(found)

    return cache(lambda: Document(title=title, source=source, sections=(*sections(), *ends)))


def _body(path: str) -> Callable[[], Iterator[Section] | tuple[Section, ...]]:
    """A walk's steps, else the view's pictures and tables in order."""
    if path in LESSONS or path == "map":
        return _walk_sections(path)
    if path in WALKS:  # a technique page's answer lays out all of it
        return lambda: ()
    pictures: dict[str, Picture] = dict(st.session_state.get(_PICTURES, {}))
    tables = list(st.session_state.get(_TABLES, {}).values())
    after = dict(st.session_state.get(_AFTER, {}))

    def drawn() -> Iterator[Section]:
        for name, picture in pictures.items():
            yield Section(title=picture.sentence or picture.alt_text, picture=picture)
            yield from after[name]() if name in after else ()
        yield from (make() for make in tables)

    return drawn


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
