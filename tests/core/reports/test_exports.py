"""What leaves Headroom: files that open, say what the page said, and need nothing from outside."""

import re
import struct
import xml.etree.ElementTree as ET
from io import BytesIO

import pytest
import vl_convert
from pptx import Presentation
from pypdfium2 import PdfDocument

from core.evidence.studies import all_dots
from core.figures.evidence import quality_chart
from core.figures.house import dress
from core.figures.layouts import layout_chart
from core.figures.palette import DARK, LIGHT
from core.models.head_sharing import Layout, alt_text, sentence
from core.reports import slides
from core.reports.exports import Document, Section, html_report
from core.reports.pictures import (
    ExportError,
    Picture,
    chart_svg,
    file_stem,
    paper_png,
    paper_svg,
    plain,
    slide_png,
    slide_svg,
)

SVG = "{http://www.w3.org/2000/svg}"
SOURCE = "Headroom · The three layouts · http://localhost:8501/layouts?layouts_g64=8"
LAYOUT = Layout(num_query_heads=64, num_kv_heads=8)


def picture(says: str = sentence(LAYOUT)) -> Picture:
    return Picture(sentence=says, alt_text=alt_text(LAYOUT), spec=dress(layout_chart(LAYOUT, LIGHT).to_dict(), LIGHT))


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_a_slide_says_title_and_source_and_holds_the_chart(colours):
    root = ET.fromstring(slide_svg(picture(), source=SOURCE, colours=colours))
    assert (root.get("width"), root.get("height")) == ("1920", "1080")
    own = ["".join(node.itertext()) for node in root.findall(f"{SVG}text")]
    assert " ".join(own[:-1]) == "GQA: 64 query heads share 8 key and value heads, 8 to each. The cache is 8 times " \
        "smaller than MHA's."  # fmt: skip
    assert own[-1] == SOURCE
    assert root.get("aria-label") == alt_text(LAYOUT)
    chart = root.find(f"{SVG}svg")
    assert "4,096 B of MHA's 32,768 B · saves 87.5%" in ["".join(node.itertext()) for node in chart.iter(f"{SVG}text")]


def test_the_chart_stands_between_title_and_source():
    chart = ET.fromstring(slide_svg(picture("One line"), source=SOURCE, colours=LIGHT)).find(f"{SVG}svg")
    top, height = float(chart.get("y")), float(chart.get("height"))
    assert top > 80 + 46  # below the margin and a line of the title
    assert top + height < 1080 - 80  # above the source line


def test_a_long_title_is_cut_with_an_ellipsis_and_markup_is_plain():
    svg = slide_svg(picture("**Bold** [words](https://example.org) " + "and more " * 60), source=SOURCE, colours=LIGHT)
    own = [node.text for node in ET.fromstring(svg).findall(f"{SVG}text")]
    assert own[0].startswith("Bold words and more")
    assert len(own) == 4
    assert own[2].endswith("…")


def test_a_png_is_as_large_as_a_slide():
    png = slide_png(picture(), source=SOURCE, colours=LIGHT)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1920, 1080)


def test_a_chart_that_names_no_such_mark_is_refused():
    with pytest.raises(ExportError, match="cannot be drawn as a file"):
        chart_svg({"mark": "spaghetti", "data": {"values": []}}, room=(800, 400))


def test_a_chart_never_fetches_anything():
    spec = {"data": {"url": "http://127.0.0.1:9/rows.json"}, "mark": "bar", "encoding": {"x": {"field": "a"}}}
    with pytest.raises(ExportError, match="cannot be drawn as a file"):
        chart_svg(spec, room=(800, 400))


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**MQA** −8.22 to −0.39", "MQA −8.22 to −0.39"),
        ("see [the paper](https://arxiv.org/abs/2305.13245)", "see the paper"),
        (":small[note], `G = 1`", "note, G = 1"),
        ("2 * 3 * 4 and kv_bytes_per_token", "2 * 3 * 4 and kv_bytes_per_token"),
        ("an *idea*, _another_", "an idea, another"),
        (":material/home: Overview", "Overview"),
        (r"When they reach N\*, and \*not\* before", "When they reach N*, and *not* before"),
        (r"**Falcon\-7B** keeps 8 KiB", "Falcon-7B keeps 8 KiB"),
    ],
)
def test_plain(markdown, expected):
    assert plain(markdown) == expected


def test_file_names_are_short_and_plain():
    assert file_stem("GQA: 64 query heads share 8 key and value heads") == "headroom-gqa-64-query-heads-share-8-key-and"
    assert file_stem("?!") == "headroom"


REPORT = Document(
    title="Models <compared>",
    source=SOURCE,
    sections=(
        Section(title="A picture", text="First **words**.\n\nSecond & last.", picture=picture(), note="Say it slowly."),
        Section(title="A table", table=(("Model", "G"), tuple((f"model {i}", str(i)) for i in range(20)))),
    ),
)


def test_a_report_is_one_file_that_fetches_nothing():
    html = html_report(REPORT, LIGHT)
    assert "Models &lt;compared&gt;" in html
    assert "<p>First words.</p><p>Second &amp; last.</p>" in html
    assert "<td>model 19</td><td>19</td>" in html
    assert '<aside class="note">For the speaker: Say it slowly.</aside>' in html
    assert f'aria-label="{alt_text(LAYOUT).replace(chr(39), "&#x27;")}"' in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?(?!#)[^"\'\s>]+', html) == []


def test_slides_hold_text_that_can_be_edited():
    deck = Presentation(BytesIO(slides.deck(REPORT, LIGHT)))
    assert deck.core_properties.title == "Models <compared>"
    words = [[shape.text_frame.text for shape in slide.shapes if shape.has_text_frame] for slide in deck.slides]
    assert words[0] == ["Models <compared>", SOURCE]
    assert words[1] == ["A picture", "First words.\nSecond & last.", sentence(LAYOUT), SOURCE]
    assert deck.slides[1].notes_slide.notes_text_frame.text == "Say it slowly."
    pictures = [shape for shape in deck.slides[1].shapes if shape.shape_type == 13]  # MSO_SHAPE_TYPE.PICTURE
    assert [shape._element.nvPicPr.cNvPr.get("descr") for shape in pictures] == [alt_text(LAYOUT)]


def test_nothing_stands_outside_a_slide():
    deck = Presentation(BytesIO(slides.deck(REPORT, LIGHT)))
    for slide in deck.slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.left + shape.width <= deck.slide_width
            assert shape.top + shape.height <= deck.slide_height


def test_a_short_table_stands_beside_its_words():
    table = (("Model", "G"), (("Llama-2 70B", "8"), ("Falcon-7B", "1")))
    report = Document(title="T", source=SOURCE, sections=(Section(title="Two files", text="Read both.", table=table),))
    deck = Presentation(BytesIO(slides.deck(report, LIGHT)))
    assert len(deck.slides) == 2
    words = next(shape for shape in deck.slides[1].shapes if shape.has_text_frame and shape.text == "Read both.")
    grid = next(shape for shape in deck.slides[1].shapes if shape.has_table)
    assert words.left + words.width <= grid.left
    assert grid.left + grid.width <= deck.slide_width
    assert grid.table.cell(2, 0).text_frame.paragraphs[0].runs[0].font.size.pt == 18


@pytest.mark.parametrize("width_cm", [8.5, 17.5])
def test_a_picture_for_a_paper_is_as_wide_as_its_column_in_type_of_seven_points(width_cm):
    root = ET.fromstring(paper_svg(picture(), width_cm=width_cm, colours=LIGHT))
    assert root.get("width") == f"{width_cm:g}cm"
    points_a_px = width_cm / 2.54 * 72 / float(root.get("viewBox").split()[2])
    sizes = [float(node.get("font-size").removesuffix("px")) for node in root.iter(f"{SVG}text")]
    assert min(sizes) * points_a_px >= 6.995
    png = paper_png(picture(), width_cm=width_cm, colours=LIGHT)
    width, _ = struct.unpack(">II", png[16:24])
    assert width == pytest.approx(width_cm / 2.54 * 600, abs=2)


@pytest.mark.parametrize("width_cm", [8.5, 17.5])
def test_no_letter_leaves_a_picture_for_a_paper(width_cm):
    """Rows of words beside bars: what does not stretch is drawn wide, and its type is set larger where it stands."""
    spec = quality_chart([dot for dot in all_dots() if dot.scale == "points"], "points", LIGHT).to_dict()
    drawn = paper_svg(Picture(sentence="Dots", alt_text="Dots.", spec=dress(spec, LIGHT)), width_cm=width_cm,
                      colours=LIGHT)  # fmt: skip
    document = PdfDocument(bytes(vl_convert.svg_to_pdf(drawn)))
    wide, high = document[0].get_size()
    text = document[0].get_textpage()
    boxes = [text.get_charbox(at) for at in range(text.count_chars()) if text.get_text_range(at, 1).strip()]
    document.close()
    assert len(boxes) > 100
    edge = 0.6 * width_cm / 17.5  # points: half of the 3 px that stay free, of a drawing that is as wide as its words
    assert min(left for left, _, _, _ in boxes) >= edge
    assert min(foot for _, foot, _, _ in boxes) >= edge
    assert max(right for _, _, right, _ in boxes) <= wide - edge
    assert max(top for _, _, _, top in boxes) <= high - edge


def test_a_slide_s_picture_is_an_svg_with_a_png_behind_it():
    deck = Presentation(BytesIO(slides.deck(REPORT, LIGHT)))
    shape = next(shape for shape in deck.slides[1].shapes if shape.shape_type == 13)
    assert shape.image.content_type == "image/png"
    blip = next(node for node in shape._element.iter() if node.tag.endswith("}svgBlip"))
    related = blip.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed")
    svg = deck.slides[1].part.related_part(related)
    assert svg.content_type == "image/svg+xml"
    words = ["".join(node.itertext()) for node in ET.fromstring(svg.blob).iter(f"{SVG}text")]
    assert "4,096 B of MHA's 32,768 B · saves 87.5%" in words


def test_a_deck_is_set_in_a_font_of_every_office_with_titles_and_alt_texts_of_its_own():
    deck = Presentation(BytesIO(slides.deck(REPORT, LIGHT)))
    for slide in deck.slides:
        assert slide.shapes.title.text
        frames = [shape.text_frame for shape in slide.shapes if shape.has_text_frame]
        assert {run.font.name for frame in frames for part in frame.paragraphs for run in part.runs} == {"Arial"}
    table = next(shape for slide in deck.slides for shape in slide.shapes if shape.has_table)
    assert table._element.nvGraphicFramePr.cNvPr.get("descr") == "Table: A table"


def test_a_table_opened_again_has_every_cell_and_escapes_what_xml_cannot_hold():
    table = (("Name", "Says"), (("a <b> & c", "two\nlines"), ("bell \x07", "")))
    report = Document(title="T", source=SOURCE, sections=(Section(title="Words", table=table),))
    deck = Presentation(BytesIO(slides.deck(report, DARK)))
    grid = next(shape.table for shape in deck.slides[1].shapes if shape.has_table)
    cells = [[cell.text for cell in row.cells] for row in grid.rows]
    assert cells == [["Name", "Says"], ["a <b> & c", "two\nlines"], ["bell _x0007_", ""]]
    assert [str(grid.cell(row, 0).fill.fore_color.rgb) for row in (0, 1)] == ["1A212C", "10151D"]  # panel, background
