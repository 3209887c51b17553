"""A table of a slide as DrawingML, its rows written in one piece: python-pptx takes a millisecond and more a cell.

What is written is what python-pptx writes for the same cells, borders included, which it has no words for. ECMA-376,
part 1, 21.1.3.
"""

import re
from xml.sax.saxutils import escape

from core.figures.palette import Palette
from core.reports.pages import Grid
from core.reports.table_layout import CELL_SIDE_IN, CELL_TOP_IN
from core.reports.text_width import FONT

EMU_AN_INCH = 914_400
NAMESPACE = "http://schemas.openxmlformats.org/drawingml/2006/main"
PLAIN_STYLE = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"  # PowerPoint's "No Style, No Grid"
LINE_EMU = 9_525  # 0.75 points, under each row
CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]")


def table_xml(grid: Grid, colours: Palette) -> str:
    """The a:tbl of the grid: its head on the panel's colour, a faint line under each row."""
    heads, rows = grid.table
    columns = "".join(f'<a:gridCol w="{_emu(across)}"/>' for across in grid.widths)
    written = "".join(
        f'<a:tr h="{_emu(height)}">{_cells(row, grid.points, colours, head=number == 0)}</a:tr>'
        for number, (row, height) in enumerate(zip((heads, *rows), grid.heights, strict=True))
    )
    return (
        f'<a:tbl xmlns:a="{NAMESPACE}"><a:tblPr firstRow="1" bandRow="1"><a:tableStyleId>{PLAIN_STYLE}'
        f"</a:tableStyleId></a:tblPr><a:tblGrid>{columns}</a:tblGrid>{written}</a:tbl>"
    )


def _cells(row: tuple[str, ...], points: int, colours: Palette, *, head: bool) -> str:
    side, top = _emu(CELL_SIDE_IN), _emu(CELL_TOP_IN)
    fill = colours.panel if head else colours.background
    frame = (
        f'<a:tcPr marL="{side}" marR="{side}" marT="{top}" marB="{top}"><a:lnB w="{LINE_EMU}">{_solid(colours.ghost)}'
        f"</a:lnB>{_solid(fill)}</a:tcPr>"
    )
    type_ = f'<a:rPr sz="{points * 100}" b="{int(head)}">{_solid(colours.text)}<a:latin typeface="{FONT}"/></a:rPr>'
    return "".join(
        f"<a:tc><a:txBody><a:bodyPr/><a:lstStyle/>{_paragraphs(words, type_)}</a:txBody>{frame}</a:tc>" for words in row
    )


def _paragraphs(words: str, type_: str) -> str:
    lines = (CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", line) for line in words.split("\n"))
    return "".join(f"<a:p><a:r>{type_}<a:t>{escape(line)}</a:t></a:r></a:p>" if line else "<a:p/>" for line in lines)


def _solid(colour: str) -> str:
    return f'<a:solidFill><a:srgbClr val="{colour.lstrip("#").upper()}"/></a:solidFill>'


def _emu(inches: float) -> int:
    return int(inches * EMU_AN_INCH)
