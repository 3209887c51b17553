"""A document as a .pptx whose text can be edited: one idea a slide, its note for the presenter below.

Where everything stands comes from `pages`; here it is written. Titles are the slides' own titles, tables are tables, a
picture is an SVG with a PNG behind it for offices that draw none, and every picture and table has its alt text.
python-pptx is imported when a deck is asked for, not before.
"""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from core.figures.palette import Palette
from core.reports.exports import Document
from core.reports.pages import SLIDE, Drawing, Grid, Page, Words, laid_out, opening
from core.reports.pictures import as_png, chart_svg, plain, svg_size
from core.reports.slide_table import table_xml
from core.reports.text_width import FONT

if TYPE_CHECKING:
    from pptx.slide import Slide

PICTURE_PX_PER_IN = 144
TITLE_LAYOUT = 5  # of python-pptx's own template: "Title Only"
SVG_EXTENSION = "{96DAC541-7B7A-43D3-8B79-37D633B846F1}"  # ECMA-376's extLst entry of PowerPoint 2016 for an SVG
SVG_NAMESPACE = "http://schemas.microsoft.com/office/drawing/2016/SVG/main"


def deck(document: Document, colours: Palette) -> bytes:
    """The .pptx: a title slide, then each section's slides. Raises ExportError."""
    from pptx import Presentation  # noqa: PLC0415  loaded for the first deck that someone asks for
    from pptx.util import Inches  # noqa: PLC0415

    presentation = Presentation()
    presentation.slide_width, presentation.slide_height = Inches(SLIDE.width_in), Inches(SLIDE.height_in)
    layout = presentation.slide_layouts[TITLE_LAYOUT]
    presentation.core_properties.title = document.title
    title, source = opening(document, SLIDE)
    first = _Filled(presentation.slides.add_slide(layout), colours)
    first.title(title)
    first.words(source)
    for page in laid_out(document, SLIDE):
        _Filled(presentation.slides.add_slide(layout), colours).page(page)
    written = BytesIO()
    presentation.save(written)
    return written.getvalue()


class _Filled:
    """One slide being filled."""

    def __init__(self, slide: "Slide", colours: Palette) -> None:
        self.slide, self.colours = slide, colours
        self.slide.background.fill.solid()
        self.slide.background.fill.fore_color.rgb = _rgb(colours.background)

    def page(self, page: Page) -> None:
        """Title, what stands below it, source line and note."""
        self.title(page.title)
        for item in page.items:
            if isinstance(item, Words):
                self.words(item)
            elif isinstance(item, Drawing):
                self.picture(item)
            else:
                self.table(item)
        self.words(page.source)
        if page.note:
            notes: Any = self.slide.notes_slide.notes_text_frame
            notes.text = page.note

    def title(self, words: Words) -> None:
        """The slide's own title, which outlines and screen readers find."""
        self._fill(self.slide.shapes.title, words)

    def words(self, words: Words) -> None:
        """A text box; a blank line begins a paragraph."""
        from pptx.util import Emu  # noqa: PLC0415

        self._fill(self.slide.shapes.add_textbox(Emu(0), Emu(0), Emu(0), Emu(0)), words)

    def _fill(self, shape: Any, words: Words) -> None:
        from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN  # noqa: PLC0415
        from pptx.util import Inches, Pt  # noqa: PLC0415

        shape.left, shape.top, shape.width, shape.height = (
            Inches(length) for length in (words.left, words.top, words.width, words.height)
        )
        frame = shape.text_frame
        frame.word_wrap, frame.auto_size, frame.vertical_anchor = True, MSO_AUTO_SIZE.NONE, MSO_ANCHOR.TOP
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
        for number, text in enumerate(words.text.split("\n\n")):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.alignment, paragraph.space_before, paragraph.space_after = PP_ALIGN.LEFT, Pt(0), Pt(0)
            if number:
                paragraph.space_before = Pt(words.points / 2)
            run = paragraph.add_run()
            run.text = text.replace("\n", " ")
            self._type(run.font, words.points, words.bold, self.colours.muted if words.muted else self.colours.text)

    def _type(self, font: Any, points: int, bold: bool, colour: str) -> None:
        from pptx.util import Pt  # noqa: PLC0415

        font.name, font.size, font.bold, font.color.rgb = FONT, Pt(points), bold, _rgb(colour)

    def picture(self, drawing: Drawing) -> None:
        """The chart at its own proportions in its room: an SVG, and behind it the same as a PNG."""
        from pptx.util import Inches  # noqa: PLC0415

        room = (round(drawing.width * PICTURE_PX_PER_IN), round(drawing.height * PICTURE_PX_PER_IN))
        svg = chart_svg(drawing.picture.spec, room=room, width_px=drawing.drawn_at, background=self.colours.background)
        wide, high = svg_size(svg)
        scale = min(drawing.width / wide, drawing.height / high)
        place = [Inches(length) for length in (drawing.left, drawing.top, wide * scale, high * scale)]
        shape: Any = self.slide.shapes.add_picture(BytesIO(as_png(svg, scale=2)), *place)
        shape.name = plain(drawing.picture.sentence)[:80] or "Picture"
        shape._element.nvPicPr.cNvPr.set("descr", drawing.picture.alt_text)
        self._with_svg(shape, svg)

    def _with_svg(self, shape: Any, svg: str) -> None:
        """The picture's drawing beside its pixels, where offices that draw SVG look for it."""
        from lxml import etree  # type: ignore[import-untyped]  # noqa: PLC0415  python-pptx brings it
        from pptx.opc.constants import RELATIONSHIP_TYPE  # noqa: PLC0415
        from pptx.opc.package import Part  # noqa: PLC0415
        from pptx.oxml.ns import qn  # noqa: PLC0415

        package: Any = self.slide.part.package
        part = Part(package.next_partname("/ppt/media/drawing%d.svg"), "image/svg+xml", package, svg.encode())
        related = self.slide.part.relate_to(part, RELATIONSHIP_TYPE.IMAGE)
        blip = shape._element.find(f".//{qn('a:blip')}")
        listed = etree.SubElement(blip, qn("a:extLst"))
        entry = etree.SubElement(listed, qn("a:ext"), uri=SVG_EXTENSION)
        drawn = etree.SubElement(entry, f"{{{SVG_NAMESPACE}}}svgBlip", nsmap={"asvg": SVG_NAMESPACE})
        drawn.set(qn("r:embed"), related)

    def table(self, grid: Grid) -> None:
        """Rows as text that can be edited, a line under each."""
        from pptx.oxml import parse_xml  # noqa: PLC0415
        from pptx.util import Inches  # noqa: PLC0415

        place = [Inches(length) for length in (grid.left, grid.top, sum(grid.widths), sum(grid.heights))]
        frame: Any = self.slide.shapes.add_table(1, 1, *place)
        data = frame._element.graphic.graphicData
        data.replace(data.tbl, parse_xml(table_xml(grid, self.colours)))
        frame._element.nvGraphicFramePr.cNvPr.set("descr", f"Table: {grid.alt_text}")


def _rgb(colour: str) -> Any:
    """'#1b2430' as python-pptx wants it."""
    from pptx.dml.color import RGBColor  # noqa: PLC0415

    make: Any = RGBColor  # python-pptx carries no types here
    return make(*bytes.fromhex(colour.lstrip("#")))
