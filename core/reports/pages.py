"""A document laid out: which words, pictures and tables stand where on which page, before any format is written.

Slides and PDFs are drawn from the same pages. Type is reckoned at the widths of the widest likely font, so a page that
holds here holds in every office: a title takes at most two lines, a table goes on over as many pages as it needs with
its head repeated, and a table too wide for one page goes on in further columns beside its first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from core.reports.exports import Document, Picture, Section, Table, plain
from core.reports.table_layout import (
    column_widths,
    columns_that_fit,
    parts_of,
    row_height,
    row_heights,
    whole_points,
    wide_enough,
)
from core.reports.text_width import fitting_points, folded, width_in, words_height, wrap


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Inches and points of one size of page."""

    width_in: float
    height_in: float
    margin_in: float
    title_points: tuple[int, int]  # the largest and the smallest
    text_points: tuple[int, int]
    table_points: tuple[int, int]
    title_height_in: float
    beside_in: float  # words beside a picture or a table; 0 puts them above
    picture_px: int  # what a picture that takes the page's width is drawn at: the less, the larger its type
    beside_px: int

    @property
    def across_in(self) -> float:
        return self.width_in - 2 * self.margin_in

    @property
    def top_in(self) -> float:
        return self.margin_in + self.title_height_in + 0.15

    @property
    def foot_in(self) -> float:
        """Where the line of the source begins."""
        return self.height_in - self.margin_in + 0.1

    @property
    def tall_in(self) -> float:
        return self.foot_in - 0.1 - self.top_in


SLIDE = Paper(
    width_in=13.333, height_in=7.5, margin_in=0.55, title_points=(30, 18), text_points=(20, 12), table_points=(18, 11),
    title_height_in=1.05, beside_in=4.3, picture_px=860, beside_px=620,
)  # fmt: skip
A4 = Paper(
    width_in=8.268, height_in=11.693, margin_in=0.7, title_points=(18, 13), text_points=(11, 9), table_points=(10, 7),
    title_height_in=0.65, beside_in=0, picture_px=760, beside_px=760,
)  # fmt: skip
GAP_IN = 0.3
SOURCE_POINTS, SOURCE_LEAST = 11, 6
SENTENCE_IN = 0.75  # above a picture, for the sentence that it stands under on its page
LONGEST_WORD = 0.5  # of the page's width, that a cell of a table holds in one piece
BESIDE_POINTS = 14  # a table with words beside it is set no smaller: else they take a page of their own


@dataclass(frozen=True, kw_only=True)
class Words:
    """Paragraphs in one size, parted by a blank line."""

    text: str
    left: float
    top: float
    width: float
    height: float
    points: int
    bold: bool = False
    muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A picture and the room that it may take; drawn_at is its width in px before it is enlarged."""

    picture: Picture
    left: float
    top: float
    width: float
    height: float
    drawn_at: int


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table, or the part of it that stands on this page, with each column's width and each row's height."""

    table: Table
    left: float
    top: float
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    points: int
    alt_text: str = ""


Item = Words | Drawing | Grid


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page: its title, what stands below it, and the note for whoever presents it."""

    title: Words
    items: tuple[Item, ...]
    source: Words
    note: str = ""


@dataclass
class _Filling:
    """Pages of one section while they are filled from the top."""

    paper: Paper
    section: Section
    title: Words
    source: Words
    pages: list[Page] = field(default_factory=list)

    def add(self, *items: Item) -> None:
        self.pages.append(Page(title=self.title, items=items, source=self.source, note=plain(self.section.note)))


def laid_out(document: Document, paper: Paper) -> tuple[Page, ...]:
    """Every section on pages of its own."""
    source = _source(document.source, paper)
    return tuple(page for section in document.sections for page in _section_pages(section, source, paper))


def opening(document: Document, paper: Paper) -> tuple[Words, Words]:
    """The title and the source in full, for a page that has nothing else."""
    most = paper.title_points[0] + 12
    height = 0.25 * paper.height_in
    top = 0.3 * paper.height_in
    points = fitting_points(document.title, across_in=paper.across_in, height_in=height, most=most)
    title = Words(text=document.title, left=paper.margin_in, top=top, width=paper.across_in, height=height,
                  points=points, bold=True)  # fmt: skip
    source = folded(document.source, paper.across_in, 16)
    said = fitting_points(source, across_in=paper.across_in, height_in=1.0, most=16)
    return title, replace(title, text=source, top=top + height + 0.2, height=1.0, points=said, bold=False,
                          muted=True)  # fmt: skip


def _source(text: str, paper: Paper) -> Words:
    points = next((p for p in range(SOURCE_POINTS, SOURCE_LEAST, -1) if width_in(text, p) <= paper.across_in), 0)
    if not points:  # longer than any line: the end of its inputs is left out here, the first page has them whole
        points = SOURCE_LEAST + 1
        while width_in(f"{text} …", points) > paper.across_in:
            text = text[: -max(len(text) // 20, 1)]
        text = f"{text} …"
    return Words(text=text, left=paper.margin_in, top=paper.foot_in, width=paper.across_in, height=0.25,
                 points=points, muted=True)  # fmt: skip


def _section_pages(section: Section, source: Words, paper: Paper) -> list[Page]:
    table = _short(section.table, paper) if section.table is not None else None
    title, beyond = headline(plain(section.title), paper)
    words = "\n\n".join(filter(None, (beyond, *_paragraphs(section.text))))
    filling = _Filling(paper, section, title, source)
    if section.picture is not None:
        _picture_pages(filling, words, section.picture, table)
    elif table is not None:
        _table_pages(filling, words, table)
    else:
        _word_pages(filling, words)
    return filling.pages


def _short(table: Table, paper: Paper) -> Table:
    """Addresses without their scheme, and what is longer than any column folded: a cell cannot break it."""
    across, points = LONGEST_WORD * paper.across_in, paper.table_points[1]

    def cell(text: str) -> str:
        words = re.sub(r"https?://(www\.)?", "", text).split(" ")
        return " ".join(word if width_in(word, points) <= across else folded(word, across, points) for word in words)

    return table[0], tuple(tuple(cell(text) for text in row) for row in table[1])


def headline(title: str, paper: Paper) -> tuple[Words, str]:
    """The title in at most two lines, and what of it has to stand below: whole sentences, or all of it again."""
    most, least = paper.title_points
    said, beyond = title, ""
    while not _two_lines(said, least, paper):
        parts = re.split(r"(?<=[.;:!?]) ", said)
        if len(parts) > 1:
            said, beyond = " ".join(parts[:-1]), f"{parts[-1]} {beyond}".strip()
            continue
        beyond = title
        said = f"{' '.join(' '.join(wrap(said, paper.across_in, least, bold=True)[:2]).split()[:-1])} …"
        break
    points = next((points for points in range(most, least, -1) if _two_lines(said, points, paper)), least)
    return (
        Words(text=said, left=paper.margin_in, top=paper.margin_in - 0.1, width=paper.across_in,
              height=paper.title_height_in, points=points, bold=True),
        beyond,
    )  # fmt: skip


def _two_lines(title: str, points: int, paper: Paper) -> bool:
    return (
        len(wrap(title, paper.across_in, points, bold=True)) <= 2
        and words_height(title, paper.across_in, points, bold=True) <= paper.title_height_in
    )


def _paragraphs(markdown: str) -> list[str]:
    """A list's entries are paragraphs too; other line breaks inside one are spaces."""
    blocks = re.split(r"\n\s*\n|\n(?=- )", markdown)
    return [" ".join(plain(block).split()) for block in blocks if block.strip()]


def _word_pages(filling: _Filling, words: str, least: int | None = None) -> None:
    """Words alone, over as many pages as they need."""
    paper = filling.paper
    smallest = least or paper.text_points[1]
    rest = words.split("\n\n")
    while rest:
        count = next((n for n in range(len(rest), 1, -1) if _holds(rest[:n], paper, smallest)), 1)
        said, rest = "\n\n".join(rest[:count]), rest[count:]
        points = fitting_points(said, across_in=paper.across_in, height_in=paper.tall_in, most=paper.text_points[0],
                                least=8)  # fmt: skip
        filling.add(_words(said, paper.margin_in, paper.top_in, paper.across_in, paper.tall_in, points))


def _holds(paragraphs: list[str], paper: Paper, points: int) -> bool:
    return words_height("\n\n".join(paragraphs), paper.across_in, points) <= paper.tall_in


def _words(text: str, left: float, top: float, width: float, height: float, points: int) -> Words:
    return Words(text=text, left=left, top=top, width=width, height=height, points=points)


def _picture_pages(filling: _Filling, words: str, picture: Picture, table: Table | None) -> None:
    """A picture with its words beside or above it; words that do not fit there take a page before it."""
    paper = filling.paper
    said = plain(picture.sentence)
    if said in (plain(filling.section.title), words):
        said = ""
    beside = paper.beside_in if words else 0.0
    across, above = (beside, paper.tall_in) if beside else (paper.across_in, 0.35 * paper.tall_in)
    if words and words_height(words, across, paper.text_points[1]) > above:
        _word_pages(filling, words)
        words, beside = "", 0.0
    items: list[Item] = []
    left, top = paper.margin_in, paper.top_in
    if words:
        points = fitting_points(words, across_in=across, height_in=above, most=paper.text_points[0] - 2, least=9)
        tall = above if beside else words_height(words, across, points) + 0.1
        items.append(_words(words, left, top, across, tall, points))
        left, top = (left + beside + GAP_IN, top) if beside else (left, top + tall + 0.1)
    width = paper.width_in - paper.margin_in - left
    if said:
        points = fitting_points(said, across_in=width, height_in=SENTENCE_IN, most=min(15, paper.text_points[0]))
        items.append(_words(said, left, top, width, SENTENCE_IN, points))
        top += SENTENCE_IN + 0.1
    drawn_at = paper.beside_px if beside else paper.picture_px
    room = paper.foot_in - 0.1 - top
    if paper.beside_in == 0:  # on paper a picture as tall as the page would be mostly empty
        room = min(room, 0.62 * width)
    items.append(Drawing(picture=picture, left=left, top=top, width=width, height=room, drawn_at=drawn_at))
    filling.add(*items)
    if table is not None:
        _table_pages(filling, "", table)


def _table_pages(filling: _Filling, words: str, table: Table) -> None:
    """A table beside its words where both are read easily there, else on pages of its own after them."""
    paper = filling.paper
    if words and paper.beside_in:
        across = paper.across_in - paper.beside_in - GAP_IN
        small = words_height(words, paper.beside_in, paper.text_points[1]) <= paper.tall_in
        points = whole_points(table, across, paper.tall_in, (paper.table_points[0], BESIDE_POINTS))
        if small and points:
            size = fitting_points(words, across_in=paper.beside_in, height_in=paper.tall_in,
                                  most=paper.text_points[0] - 2)  # fmt: skip
            left = paper.margin_in + paper.beside_in + GAP_IN
            widths = column_widths(table, across, points)
            grid = _grid(table, (left, paper.top_in), widths, points, plain(filling.section.title))
            filling.add(_words(words, paper.margin_in, paper.top_in, paper.beside_in, paper.tall_in, size), grid)
            return
    top, above = paper.top_in, []
    if words:
        size = max(paper.text_points[1], paper.text_points[0] - 4)
        tall = words_height(words, paper.across_in, size) + 0.15
        if tall <= 0.4 * paper.tall_in:
            above = [_words(words, paper.margin_in, top, paper.across_in, tall, size)]
            top += tall + 0.1
        else:
            _word_pages(filling, words)
    _grid_pages(filling, above, top, table)


def _grid_pages(filling: _Filling, above: list[Words], top: float, table: Table) -> None:
    paper = filling.paper
    alt_text = plain(filling.section.title)
    for part in columns_that_fit(table, paper.across_in, paper.table_points[1]):
        points = whole_points(part, paper.across_in, paper.foot_in - 0.1 - top, paper.table_points)
        points = points or _split_points(part, paper)
        widths = column_widths(part, paper.across_in, points)  # of all rows: columns stand alike on every page
        for rows, start in _rows_that_fit(part, paper, points, top):
            filling.add(*above, _grid((part[0], rows), (paper.margin_in, start), widths, points, alt_text))
            above, top = [], paper.top_in


def _split_points(table: Table, paper: Paper) -> int:
    """The type of a table that goes on over pages: a little above the smallest where its columns allow it."""
    most, least = paper.table_points
    return next((p for p in range(min(least + 2, most), least, -1) if wide_enough(table, paper.across_in, p)), least)


def _rows_that_fit(
    table: Table, paper: Paper, points: int, top: float
) -> Iterator[tuple[tuple[tuple[str, ...], ...], float]]:
    """The rows of each page, with where its table begins."""
    heads, rows = table
    widths = column_widths(table, paper.across_in, points)
    head = row_height(heads, widths, points, bold=True)
    taken: list[tuple[str, ...]] = []
    used = head
    tall = paper.tall_in - head
    for row in (part for whole in rows for part in parts_of(whole, widths, points, tall)):
        height = row_height(row, widths, points)
        if taken and used + height > paper.foot_in - 0.1 - top:
            yield tuple(taken), top
            taken, used, top = [], head, paper.top_in
        taken.append(row)
        used += height
    yield tuple(taken), top


def _grid(table: Table, at: tuple[float, float], widths: tuple[float, ...], points: int, alt_text: str) -> Grid:
    heights = row_heights(table, widths, points)
    return Grid(table=table, left=at[0], top=at[1], widths=widths, heights=heights, points=points, alt_text=alt_text)
