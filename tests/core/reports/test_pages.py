"""Pages hold what they are given: titles of two lines, tables that go on, nothing broken, nothing over anything."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdfium2 import PdfDocument

from core.figures.palette import LIGHT
from core.reports.exports import Document, Picture, Section, Table
from core.reports.pages import A4, SLIDE, Drawing, Grid, Item, Page, Paper, Words, headline, laid_out, opening
from core.reports.pdf import pdf
from core.reports.speaker import noted_pages
from core.reports.table_layout import CELL_SIDE_IN, column_widths
from core.reports.text_width import fitting_points, width_in, words_height, wrap
from tests.export_checks import page_problems

PAPERS = pytest.mark.parametrize("paper", [SLIDE, A4], ids=["slide", "A4"])
SOURCE = "Headroom · Models · /models"
PICTURE = Picture(sentence="Bars", alt_text="Three bars.", spec={})
MODELS: Table = (
    ("Model", "Kind", "H", "G", "head_dim", "L", "Window", "KiB/token", "Bytes per token", "Declared by", "Status"),
    (("DeepSeek-V2-Lite of 2024", "MLA", "16", "–", "192", "27", "–", "30.4", "31104",
      "kv_lora_rank: 512, qk_rope_head_dim: 64", "recorded"),) * 9,
)  # fmt: skip


def laid(paper: Paper, *sections: Section) -> list[Page]:
    return list(laid_out(Document(title="T", source=SOURCE, sections=sections), paper))


def grids(pages: list[Page]) -> list[Grid]:
    return [item for page in pages for item in page.items if isinstance(item, Grid)]


def test_widths_are_those_of_dejavu_sans():
    """Its digits are 1,303 of 2,048 units wide, 0.6362 em, and a space 0.3179: 8 digits and a comma at 72 points."""
    assert width_in("52428800", 72) == pytest.approx(8 * 0.64)
    assert width_in("a b", 72) == pytest.approx(0.62 + 0.32 + 0.64)
    assert width_in("−", 72) == pytest.approx(0.84)


def test_lines_break_between_words_and_never_in_one():
    # a line of 72-point type holds 3.2 in: "12,345" is 5 x 0.64 + 0.32 = 3.52, and stays whole
    assert wrap("G = 8 of 12,345 heads", 3.2, 72) == ["G = 8", "of", "12,345", "heads"]
    assert wrap("", 3.2, 72) == [""]
    assert words_height("one\n\ntwo", 3.2, 72) == pytest.approx(2 * 1.2 + 0.5)


def test_words_take_the_largest_type_that_fits():
    assert fitting_points("Short words.", across_in=4.3, height_in=4.9, most=18) == 18
    assert fitting_points("word " * 4000, across_in=4.3, height_in=4.9, most=18) == 10


@PAPERS
def test_a_title_has_at_most_two_lines_and_loses_nothing(paper: Paper):
    for title in (
        "Short",
        "Weights, KV cache and reserve for every G, against the 76.97 GB of one H100. " * 5,
        "word " * 90,
    ):
        said, beyond = headline(title.strip(), paper)
        assert len(wrap(said.text, said.width, said.points, bold=True)) <= 2
        missing = set(title.split()) - set(said.text.split()) - set(beyond.split())
        assert not missing


@PAPERS
def test_a_long_table_goes_on_with_its_head_repeated(paper: Paper):
    rows = tuple((f"model {number}", f"{number * 52_428.8:,.1f}", "a line too long for one line of a cell, " * 3)
                 for number in range(60))  # fmt: skip
    pages = laid(paper, Section(title="Many", table=(("Model", "Bytes", "Why"), rows)))
    found = grids(pages)
    assert len(found) > 1
    assert [grid.table[0] for grid in found] == [("Model", "Bytes", "Why")] * len(found)
    assert [row for grid in found for row in grid.table[1]] == list(rows)
    assert len({grid.widths for grid in found}) == 1
    assert all(not problems(page, paper) for page in pages)


@PAPERS
def test_a_row_taller_than_a_page_goes_on_with_nothing_lost(paper: Paper):
    long = " ".join(f"word{number}" for number in range(3_000))
    pages = laid(paper, Section(title="Long", table=(("What", "Why"), (("one", "short"), ("two", long)))))
    assert len(grids(pages)) > 1
    assert " ".join(row[1] for grid in grids(pages) for row in grid.table[1]) == f"short {long}"
    assert all(not problems(page, paper) for page in pages)


@PAPERS
def test_a_wide_table_goes_on_in_further_columns_beside_its_first(paper: Paper):
    found = grids(laid(paper, Section(title="The models side by side", table=MODELS)))
    assert {grid.table[0][0] for grid in found} == {"Model"}
    assert [head for grid in found for head in grid.table[0] if head != "Model"] == list(MODELS[0][1:])
    for grid in found:
        for row in grid.table[1]:
            for cell, width in zip(row, grid.widths, strict=True):
                for word in cell.split():
                    assert width_in(word, grid.points) <= width - 2 * CELL_SIDE_IN + 1e-6, f"{word} is broken"


@PAPERS
@settings(max_examples=40, deadline=None)
@given(
    title=st.text("ab c", max_size=300),
    text=st.text("words 12,3.\n", max_size=3_000),
    note=st.text("n ", max_size=20),
    rows=st.lists(st.tuples(st.text("row 1,2", max_size=60), st.text("4567,. ", max_size=200)), max_size=30),
    pictured=st.booleans(),
    tabled=st.booleans(),
)
def test_nothing_leaves_its_page_or_lies_over_anything(paper, title, text, note, rows, pictured, tabled):
    table: Table | None = (("What", "How much"), tuple(rows)) if tabled else None
    section = Section(title=title, text=text, note=note, table=table, picture=PICTURE if pictured else None)
    for page in laid(paper, section):
        assert not problems(page, paper)


def problems(page: Page, paper: Paper) -> list[str]:
    """What stands outside the page or over something else."""
    placed = [(item, *box(item)) for item in (page.title, *page.items, page.source)]
    outside = [f"{item} is off the page" for item, left, top, right, bottom in placed
               if left < 0 or top < 0 or right > paper.width_in + 1e-6 or bottom > paper.height_in + 1e-6]  # fmt: skip
    over = [f"{one[0]} over {other[0]}" for one, other in combinations(placed, 2)
            if min(one[3], other[3]) - max(one[1], other[1]) > 1e-6
            and min(one[4], other[4]) - max(one[2], other[2]) > 1e-6]  # fmt: skip
    taller = [f"{item} is taller than its box" for item in (page.title, *page.items)
              if isinstance(item, Words)
              and words_height(item.text, item.width, item.points, bold=item.bold) > item.height + 1e-6]  # fmt: skip
    return outside + over + taller


def box(item: Item) -> tuple[float, float, float, float]:
    if isinstance(item, Words | Drawing):
        return item.left, item.top, item.left + item.width, item.top + item.height
    return item.left, item.top, item.left + sum(item.widths), item.top + sum(item.heights)


def test_a_pdf_s_text_can_be_selected_one_page_a_section():
    sections = (Section(title="Verdict", text="It needs 368.27 GB and lacks 291.30 GB."),
                Section(title="The job", table=(("Input", "Value"), (("Context", "65,536"),))))  # fmt: skip
    made = pdf(Document(title="Size", source=SOURCE, sections=sections), LIGHT, A4)
    assert said(made) == [
        f"Size {SOURCE}",
        f"Verdict It needs 368.27 GB and lacks 291.30 GB. {SOURCE}",
        f"The job Input Value Context 65,536 {SOURCE}",
    ]
    document = PdfDocument(made)
    assert [round(length) for length in document[0].get_size()] == [595, 842]
    document.close()


@PAPERS
@settings(max_examples=20, deadline=None)
@given(text=st.text("words 12,3.\n", max_size=2_000), note=st.text("note 4.\n", min_size=1, max_size=3_000))
def test_a_note_stands_on_its_pages_over_nothing(paper, text, note):
    section = Section(title="A step", text=text, note=note, picture=PICTURE)
    for page in noted_pages(Document(title="T", source=SOURCE, sections=(section, section)), paper):
        assert not problems(page, paper)


def test_a_pdf_says_what_the_speaker_is_told():
    """On paper below what it is about; as slides at the end, since a slide in a PDF has no notes."""
    sections = (Section(title="Seven factors", text="One product.", note="Ask **who** knows L."),
                Section(title="By hand", text="320 KiB."))  # fmt: skip
    document = Document(title="Post-it", source=SOURCE, sections=sections)
    assert said(pdf(document, LIGHT, A4))[1:] == [
        f"Seven factors One product. For the speaker: Ask who knows L. {SOURCE}",
        f"By hand 320 KiB. {SOURCE}",
    ]
    assert said(pdf(document, LIGHT, SLIDE))[1:] == [
        f"Seven factors One product. {SOURCE}",
        f"By hand 320 KiB. {SOURCE}",
        f"For the speaker Seven factors: Ask who knows L. {SOURCE}",
    ]


def test_a_note_without_room_takes_a_page_after_its_section():
    section = Section(title="Long", text="A line of words. " * 300, note="Be brief. " * 300)
    pages = noted_pages(Document(title="T", source=SOURCE, sections=(section,)), A4)
    assert len(pages) == 2
    last = pages[-1].items[-1]
    assert isinstance(last, Words)
    assert last.text == f"For the speaker: {'Be brief. ' * 300}".strip()


def said(made: bytes) -> list[str]:
    """The words of each page."""
    document = PdfDocument(made)
    found = [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    document.close()
    return found


def test_two_long_columns_share_a_page_though_one_holds_a_long_address():
    said, source = "word " * 34, f"{'word ' * 21}docs.example.org/{'a' * 36}"  # 169 and 158 characters
    left, right = column_widths((("What it says", "Source"), ((said.strip(), source),)), 12.0, 13)
    assert left + right == pytest.approx(12.0, abs=1e-3)
    assert 0.85 < left / right < 1.05


def test_no_column_is_wider_than_its_cells_while_another_breaks_its_own():
    short, long = column_widths((("G", "Why"), (("8", "word " * 200),)), 12.0, 13)
    assert short == pytest.approx(0.31, abs=0.02)  # 'G' in bold, 0.82 em of 13 points, and 0.08 inches at each side
    assert short + long == pytest.approx(12.0, abs=1e-3)


@PAPERS
def test_the_first_page_folds_an_address_that_is_longer_than_a_line(paper: Paper):
    link = "/size?" + "&".join(f"size_input_{number}={number}" for number in range(9))
    source = f"Headroom · Size · {link}&size_pin={'x' * 200}"
    _, words = opening(Document(title="Size", source=source, sections=()), paper)
    assert "".join(words.text.split()) == "".join(source.split())
    assert all(width_in(line, words.points) <= paper.across_in for line in words.text.split("\n"))
    assert "\n&size_" in words.text


@PAPERS
@pytest.mark.parametrize("longest", [140, 400, 1_500])
def test_an_address_in_a_cell_goes_on_below_and_stays_on_the_page(paper: Paper, longest: int):
    address = f"http://localhost:8501/size?{'size_batch=16&size_context=4096&' * 60}"[:longest]
    table: Table = (("What", "Which"), (("Headroom", "0.2.0"), ("The view", address)))
    document = Document(title="T", source=SOURCE, sections=(Section(title="Versions and date", table=table),))
    made = pdf(document, LIGHT, paper)
    assert page_problems(made) == []
    cells = [cell for grid in grids(list(laid_out(document, paper))) for row in grid.table[1] for cell in row]
    assert address.removeprefix("http://") in "".join(cells).replace("\n", "")
