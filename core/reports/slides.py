"""A walk or a comparison as a .pptx whose text can be edited: one idea a slide, its note for the presenter below.

Pictures are PNGs of the charts at the size of the slide's picture; titles, sentences, tables and the source line are
text. python-pptx is imported when a deck is asked for, not before.
"""

import re
import textwrap
from io import BytesIO
from typing import TYPE_CHECKING, Any

from core.figures.palette import Palette
from core.reports.exports import CHART_WIDTH_PX, Document, Picture, Section, Table, chart_svg, plain

if TYPE_CHECKING:
    from pptx.slide import Slide

WIDTH_IN, HEIGHT_IN, MARGIN_IN = 13.333, 7.5, 0.6
TITLE_TOP_IN, BODY_TOP_IN, FOOT_TOP_IN = 0.45, 1.75, 6.95
PICTURE_PX_PER_IN = 144
BESIDE_IN, BESIDE_PX = 4.3, 620  # width of words beside a picture, and what the picture is drawn at there
SENTENCE_IN = 0.75  # above a picture, for the sentence that it stands under on its page
CHARACTER_EM, LINE_EM = 0.56, 1.25  # mean width and height of type, on the wide side: fonts differ
GAP_IN = 0.3  # between words and what stands beside them
CELL_SIDE_IN, CELL_ROOM_IN = 0.1, 0.12  # what a cell keeps free at each side, and above and below together
BOLDER = 1.15  # how much wider bold type runs
LONGEST_LINE, SMALLEST_BESIDE = 34, 13  # characters before a cell breaks its line; points
BLANK_LAYOUT, ROWS_A_SLIDE = 6, 14


def deck(document: Document, colours: Palette) -> bytes:
    """The .pptx: a title slide, then a slide a section (a long table takes several). Raises ExportError."""
    from pptx import Presentation  # noqa: PLC0415  loaded for the first deck that someone asks for
    from pptx.util import Inches  # noqa: PLC0415

    presentation = Presentation()
    presentation.slide_width, presentation.slide_height = Inches(WIDTH_IN), Inches(HEIGHT_IN)
    blank = presentation.slide_layouts[BLANK_LAYOUT]
    presentation.core_properties.title = document.title
    opening = _Page(presentation.slides.add_slide(blank), colours)
    opening.text(document.title, top=2.6, height=1.4, points=44, bold=True)
    opening.text(document.source, top=4.1, height=1.0, points=16, colour=colours.muted)
    for section in document.sections:
        for part in _parts(section):
            page = _Page(presentation.slides.add_slide(blank), colours)
            page.section(part, document.source)
    written = BytesIO()
    presentation.save(written)
    return written.getvalue()


def _parts(section: Section) -> list[Section]:
    """The section as slides: picture and words on one, a table on slides of ROWS_A_SLIDE rows or beside the words."""
    if section.table is not None and section.picture is None and section.text and _fits_beside(section.table):
        return [section]
    slides = []
    if section.table is None or section.text or section.picture is not None:
        slides.append(
            Section(title=section.title, text=section.text, picture=section.picture, note=section.note, table=None)
        )
    if section.table is not None:
        heads, rows = section.table
        for start in range(0, max(len(rows), 1), ROWS_A_SLIDE):
            part: Table = (heads, rows[start : start + ROWS_A_SLIDE])
            slides.append(Section(title=section.title, table=part, note=section.note))
    return slides


def _fits_beside(table: Table) -> bool:
    """Whether words can stand beside the table at type that a room reads."""
    return _table_points(table, WIDTH_IN - 2 * MARGIN_IN - BESIDE_IN - GAP_IN) >= SMALLEST_BESIDE


class _Page:
    """One slide being filled."""

    def __init__(self, slide: "Slide", colours: Palette) -> None:
        self.slide, self.colours = slide, colours
        self.slide.background.fill.solid()
        self.slide.background.fill.fore_color.rgb = _rgb(colours.background)

    def section(self, section: Section, source: str) -> None:
        """Title, words, picture or table, source line and note."""
        title = plain(section.title)
        points = fitting_points(title, width_in=WIDTH_IN - 2 * MARGIN_IN, height_in=1.2, most=30)
        self.text(title, top=TITLE_TOP_IN, height=1.2, points=points, bold=True)
        words = plain(section.text)
        beside = bool(words) and (section.picture is not None or section.table is not None)
        left = MARGIN_IN + (BESIDE_IN + GAP_IN if beside else 0.0)
        if words:
            width = BESIDE_IN if beside else WIDTH_IN - 2 * MARGIN_IN
            points = fitting_points(words, width_in=width, height_in=4.9, most=18 if beside else 22)
            self.text(words, top=BODY_TOP_IN, height=4.9, points=points, width=width)
        if section.picture is not None:
            self.picture(section.picture, section.title, left=left, width=WIDTH_IN - MARGIN_IN - left)
        if section.table is not None:
            self.table(section.table, left=left, width=WIDTH_IN - MARGIN_IN - left)
        self.text(source, top=FOOT_TOP_IN, height=0.35, points=11, colour=self.colours.muted)
        if section.note:
            notes: Any = self.slide.notes_slide.notes_text_frame
            notes.text = plain(section.note)

    def text(
        self, words: str, *, top: float, height: float, points: int, bold: bool = False,
        colour: str | None = None, width: float | None = None, left: float = MARGIN_IN,
    ) -> None:  # fmt: skip
        """A text box across the slide, or of that width from `left`; a blank line begins a paragraph."""
        from pptx.util import Inches, Pt  # noqa: PLC0415

        across = width or WIDTH_IN - 2 * MARGIN_IN
        frame = self.slide.shapes.add_textbox(Inches(left), Inches(top), Inches(across), Inches(height)).text_frame
        frame.word_wrap = True
        for number, words_of in enumerate(re.split(r"\n\s*\n", words)):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            run = paragraph.add_run()
            run.text = words_of.replace("\n", " ")
            run.font.size, run.font.bold = Pt(points), bold
            run.font.color.rgb = _rgb(colour or self.colours.text)
            paragraph.space_after = Pt(points / 2)

    def picture(self, picture: Picture, title: str, *, left: float, width: float) -> None:
        """The chart at its own proportions below the title, under its sentence where the title does not say it."""
        import vl_convert  # noqa: PLC0415
        from pptx.util import Inches  # noqa: PLC0415

        top, said = BODY_TOP_IN, plain(picture.sentence)
        if said not in ("", plain(title)):
            points = fitting_points(said, width_in=width, height_in=SENTENCE_IN, most=15)
            self.text(said, top=top, height=SENTENCE_IN, points=points, left=left, width=width)
            top += SENTENCE_IN + 0.1
        height = FOOT_TOP_IN - top - 0.15
        room = (round(width * PICTURE_PX_PER_IN), round(height * PICTURE_PX_PER_IN))
        drawn_at = BESIDE_PX if left > MARGIN_IN else CHART_WIDTH_PX
        png = bytes(vl_convert.svg_to_png(chart_svg(picture.spec, room=room, width_px=drawn_at), scale=2))
        shape: Any = self.slide.shapes.add_picture(BytesIO(png), Inches(left), Inches(top), width=Inches(width))
        if shape.height > Inches(height):
            shape.width, shape.height = round(shape.width * Inches(height) / shape.height), Inches(height)
        shape.name = plain(picture.sentence)[:80] or "Picture"
        shape._element.nvPicPr.cNvPr.set("descr", picture.alt_text)

    def table(self, table: Table, *, left: float, width: float) -> None:
        """Rows as text that can be edited, in the largest type at which they fit."""
        from pptx.util import Inches  # noqa: PLC0415

        heads, rows = table
        points, widths = _table_points(table, width), _column_widths(table, width)
        heights = [_row_height(row, widths, points) for row in (heads, *rows)]
        place = [Inches(length) for length in (left, BODY_TOP_IN, width, sum(heights))]
        grid: Any = self.slide.shapes.add_table(len(rows) + 1, len(heads), *place).table
        for column, column_in in zip(grid.columns, widths, strict=True):
            column.width = Inches(column_in)
        for number, row in enumerate((heads, *rows)):
            grid.rows[number].height = Inches(heights[number])
            for column, words in enumerate(row):
                self._cell(grid.cell(number, column), words, points, head=number == 0)

    def _cell(self, cell: Any, words: str, points: int, *, head: bool) -> None:
        from pptx.util import Pt  # noqa: PLC0415

        cell.fill.solid()
        cell.fill.fore_color.rgb = _rgb(self.colours.panel if head else self.colours.background)
        cell.text = words
        for paragraph in cell.text_frame.paragraphs:
            for part in paragraph.runs:
                part.font.size, part.font.bold, part.font.color.rgb = Pt(points), head, _rgb(self.colours.text)


def _unbroken(table: Table) -> list[int]:
    """Characters of each column that stand on one line: a line of a cell unless it is long, a word of a head."""
    heads, rows = table
    found = []
    for head, *cells in zip(heads, *rows, strict=True):
        lines = [
            line if len(line) <= LONGEST_LINE else max(line.split(), key=len) for c in cells for line in c.split("\n")
        ]
        bold = max(map(len, head.split()), default=0) * BOLDER
        found.append(max(round(bold), *map(len, lines), 1))
    return found


def _column_widths(table: Table, width_in: float) -> list[float]:
    """Inches of each column, by what stands on one line in it and what a long line would like."""
    heads, rows = table
    longest = [max((len(line) for row in rows for line in row[at].split("\n")), default=0) for at in range(len(heads))]
    wants = [max(whole, min(count, LONGEST_LINE)) + 3 for whole, count in zip(_unbroken(table), longest, strict=True)]
    return [width_in * want / sum(wants) for want in wants]


def _row_height(row: tuple[str, ...], widths_in: list[float], points: int) -> float:
    """Inches of the row's tallest cell in that type."""
    lines = [
        _lines_of(words, max(width - 2 * CELL_SIDE_IN, 0.1), points)
        for words, width in zip(row, widths_in, strict=True)
    ]
    return max(lines) * LINE_EM * points / 72 + CELL_ROOM_IN


def _lines_of(words: str, width_in: float, points: int) -> int:
    a_line = max(int(72 * width_in / (CHARACTER_EM * points)), 1)
    return sum(len(textwrap.wrap(part, a_line)) or 1 for part in words.split("\n"))


def _table_points(table: Table, width_in: float) -> int:
    """The largest type, from 20 down to 10 points, at which lines stay whole and the table ends above the source."""
    heads, rows = table
    widths, whole = _column_widths(table, width_in), _unbroken(table)
    for points in range(20, 10, -1):
        tall = sum(_row_height(row, widths, points) for row in (heads, *rows))
        across = [count * CHARACTER_EM * points / 72 + 2 * CELL_SIDE_IN for count in whole]
        fits = all(needed <= width for needed, width in zip(across, widths, strict=True))
        if fits and tall <= FOOT_TOP_IN - BODY_TOP_IN - 0.1:
            return points
    return 10


def fitting_points(words: str, *, width_in: float, height_in: float, most: int) -> int:
    """The largest type, from `most` down to 10 points, at which the words stay within the box."""
    for points in range(most, 10, -1):
        a_line = max(int(72 * width_in / (CHARACTER_EM * points)), 1)
        paragraphs = [textwrap.wrap(part, a_line) or [""] for part in re.split(r"\n\s*\n", words)]
        lines = sum(map(len, paragraphs)) + 0.4 * (len(paragraphs) - 1)
        if lines * LINE_EM * points <= 72 * height_in:
            return points
    return 10


def _rgb(colour: str) -> Any:
    """'#1b2430' as python-pptx wants it."""
    from pptx.dml.color import RGBColor  # noqa: PLC0415

    make: Any = RGBColor  # python-pptx carries no types here
    return make(*bytes.fromhex(colour.lstrip("#")))
