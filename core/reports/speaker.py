"""Notes for whoever presents, in a PDF: a deck keeps them under its slides, a PDF has to print them somewhere.

A report has each below what it is about, or on a page after it; slides as a PDF have all of them on pages at the end.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from core.reports.exports import Document, Section, plain
from core.reports.pages import SLIDE, Drawing, Grid, Item, Page, Paper, Words, laid_out
from core.reports.text_width import words_height

SAID = "For the speaker"
POINTS, GAP_IN = 9, 0.2


def noted_pages(document: Document, paper: Paper) -> tuple[Page, ...]:
    """The document laid out for a PDF, with every section's note."""
    if paper is SLIDE:
        return laid_out(_with_notes_at_its_end(document), paper)
    sections = groupby(laid_out(document, paper), key=lambda page: (page.title.text, page.note))
    return tuple(page for _, pages in sections for page in _noted(tuple(pages), document, paper))


def _with_notes_at_its_end(document: Document) -> Document:
    noted = {plain(section.title): section.note for section in document.sections if section.note}
    if not noted:
        return document
    text = "\n\n".join(f"{title}: {' '.join(note.split())}" for title, note in noted.items())
    return replace(document, sections=(*document.sections, Section(title=SAID, text=text)))


def _noted(pages: tuple[Page, ...], document: Document, paper: Paper) -> Iterator[Page]:
    yield from pages[:-1]
    last = pages[-1]
    if not last.note:
        yield last
        return
    said = "\n\n".join(" ".join(part.split()) for part in f"{SAID}: {last.note}".split("\n\n"))
    top = max((_foot(item) for item in last.items), default=paper.top_in) + GAP_IN
    tall = words_height(said, paper.across_in, POINTS)
    if top + tall <= paper.foot_in - 0.1:
        words = Words(text=said, left=paper.margin_in, top=top, width=paper.across_in, height=tall, points=POINTS,
                      muted=True)  # fmt: skip
        yield replace(last, items=(*last.items, words))
        return
    yield last
    alone = Section(title=last.title.text, text=said)
    yield from laid_out(Document(title=document.title, source=document.source, sections=(alone,)), paper)


def _foot(item: Item) -> float:
    """Inches from the page's top to where it ends."""
    if isinstance(item, Grid):
        return item.top + sum(item.heights)
    if isinstance(item, Drawing):
        return item.top + item.height
    return item.top + words_height(item.text, item.width, item.points, bold=item.bold)
