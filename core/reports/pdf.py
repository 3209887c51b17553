"""A document as a PDF whose text can be selected: pages drawn as SVG, each turned into a page by vl-convert.

vl-convert is here already, draws every chart, and needs no office and no browser: a server that has neither writes the
same file as one that has both. pypdfium2 binds the pages to one file.
"""

from html import escape
from io import BytesIO

from core.figures.palette import Palette
from core.reports.exports import Document
from core.reports.pages import Drawing, Grid, Item, Page, Paper, Words, opening
from core.reports.pictures import FONTS, chart_svg, placed
from core.reports.speaker import noted_pages
from core.reports.table_layout import CELL_SIDE_IN, CELL_TOP_IN
from core.reports.text_width import LINE_EM, wrap

PX_PER_IN = 72  # vl-convert takes a px of an SVG for a point
ASCENT_EM = 0.93  # from the top of a line to its base


def pdf(document: Document, colours: Palette, paper: Paper) -> bytes:
    """The title, then each section on pages of its own, and what its speaker is told. Raises ExportError."""
    import vl_convert  # noqa: PLC0415  a JavaScript engine: loaded for the first file that someone asks for
    from pypdfium2 import PdfDocument  # type: ignore[import-untyped]  # noqa: PLC0415  as above

    drawn = [_page(opening(document, paper), colours, paper)]
    drawn += [_page(_items(page), colours, paper) for page in noted_pages(document, paper)]
    whole = PdfDocument.new()
    try:
        for svg in drawn:
            one = PdfDocument(bytes(vl_convert.svg_to_pdf(svg)))
            whole.import_pages(one)
            one.close()
        whole.set_metadata_dict({"Title": document.title}) if hasattr(whole, "set_metadata_dict") else None
        written = BytesIO()
        whole.save(written)
    finally:
        whole.close()
    return written.getvalue()


def _items(page: Page) -> tuple[Item, ...]:
    return page.title, *page.items, page.source


def _page(items: tuple[Item, ...], colours: Palette, paper: Paper) -> str:
    """One page as SVG."""
    wide, high = paper.width_in * PX_PER_IN, paper.height_in * PX_PER_IN
    body = "".join(_drawn(item, colours) for item in items)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{wide:g}" '
        f'height="{high:g}" viewBox="0 0 {wide:g} {high:g}">'
        f'<rect width="{wide:g}" height="{high:g}" fill="{colours.background}"/>{body}</svg>'
    )


def _drawn(item: Item, colours: Palette) -> str:
    if isinstance(item, Words):
        ink = colours.muted if item.muted else colours.text
        return _paragraphs(item.text, item.left, item.top, item.width, item.points, ink, bold=item.bold)
    return _picture(item) if isinstance(item, Drawing) else _table(item, colours)


def _paragraphs(text: str, left: float, top: float, width: float, points: int, ink: str, *, bold: bool = False) -> str:
    lines, base = [], top * PX_PER_IN + ASCENT_EM * points
    for paragraph in text.split("\n\n"):
        for line in wrap(paragraph, width, points, bold=bold):
            lines.append(
                f'<text x="{left * PX_PER_IN:.2f}" y="{base:.2f}" font-family="{FONTS}" font-size="{points}" '
                f'font-weight="{700 if bold else 400}" fill="{ink}">{escape(line)}</text>'
            )
            base += LINE_EM * points
        base += 0.5 * points
    return "".join(lines)


def _picture(item: Drawing) -> str:
    room = (round(item.width * PX_PER_IN), round(item.height * PX_PER_IN))
    svg = chart_svg(item.picture.spec, room=room, width_px=item.drawn_at)
    return placed(
        svg, left_px=round(item.left * PX_PER_IN), top_px=round(item.top * PX_PER_IN), room=room, align="xMin"
    )


def _table(item: Grid, colours: Palette) -> str:
    """The head on its panel, a line under each row."""
    heads, rows = item.table
    left, right, top = item.left, item.left + sum(item.widths), item.top
    drawn = []
    for number, (row, height) in enumerate(zip((heads, *rows), item.heights, strict=True)):
        if number == 0:
            drawn.append(_box(left, top, right - left, height, colours.panel))
        at = left
        for cell, width in zip(row, item.widths, strict=True):
            drawn.append(
                _paragraphs(cell, at + CELL_SIDE_IN, top + CELL_TOP_IN, width - 2 * CELL_SIDE_IN, item.points,
                            colours.text, bold=number == 0)
            )  # fmt: skip
            at += width
        top += height
        drawn.append(_box(left, top - 0.006, right - left, 0.006, colours.ghost))
    return "".join(drawn)


def _box(left: float, top: float, width: float, height: float, fill: str) -> str:
    x, y, w, h = (length * PX_PER_IN for length in (left, top, width, height))
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" fill="{fill}"/>'
