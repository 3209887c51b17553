"""What leaves Headroom: files that open, say what the page said, and need nothing from outside."""

import re
import struct
import xml.etree.ElementTree as ET
from io import BytesIO

import pytest
from pptx import Presentation

from core.figures.house import dress
from core.figures.layouts import layout_chart
from core.figures.palette import DARK, LIGHT
from core.models.head_sharing import Layout, alt_text, sentence
from core.reports import slides
from core.reports.exports import (
    Document,
    ExportError,
    Picture,
    Section,
    chart_svg,
    file_stem,
    html_report,
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


def test_long_words_take_smaller_type():
    assert slides.fitting_points("Short words.", width_in=4.3, height_in=4.9, most=18) == 18
    # 4.9 in are 352.8 pt; at 14 points a line is 17.5 pt high and holds 39 characters, 8 words of 5: 20 lines
    assert slides.fitting_points("word " * 152, width_in=4.3, height_in=4.9, most=18) == 14
    assert slides.fitting_points("word " * 4000, width_in=4.3, height_in=4.9, most=18) == 10


def test_a_long_table_takes_several_slides_with_its_heads_on_each():
    deck = Presentation(BytesIO(slides.deck(REPORT, LIGHT)))
    tables = [shape.table for slide in deck.slides for shape in slide.shapes if shape.has_table]
    assert [len(table.rows) for table in tables] == [15, 7]  # 20 rows, 14 a slide, and a head each
    assert [table.cell(0, 1).text for table in tables] == ["G", "G"]
    assert tables[1].cell(6, 0).text == "model 19"


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
    assert grid.table.cell(2, 0).text_frame.paragraphs[0].runs[0].font.size.pt == 20


def test_a_table_s_columns_keep_its_lines_whole():
    """33 of 68 characters and 3 for each column are 36 / 77 of 7.53 in, less 0.2 in: 3.32 in, so 12.9 points."""
    rows = (("text_config.num_attention_heads: 40"[:33], "text_config.num_kv_heads", "MHA, G = 32"),)
    table = (("Lines that decide in the file", "B", "Declares"), rows)
    points = slides._table_points(table, 7.53)
    widths = slides._column_widths(table, 7.53)
    assert sum(widths) == pytest.approx(7.53)
    assert points == 12
    for text, width in zip(rows[0], widths, strict=True):
        assert len(text) * 0.56 * points / 72 <= width - 0.2


def test_a_table_of_many_long_rows_takes_smaller_type_and_stays_on_its_slide():
    rows = tuple(
        (f"model {number}", "a line that is much too long to stand on one line of a cell") for number in range(14)
    )
    report = Document(title="T", source=SOURCE, sections=(Section(title="Many", table=(("A", "B"), rows)),))
    deck = Presentation(BytesIO(slides.deck(report, LIGHT)))
    grid = next(shape for shape in deck.slides[1].shapes if shape.has_table)
    assert grid.top + sum(row.height for row in grid.table.rows) <= deck.slide_height * 6.95 / 7.5
