"""Every page's report opens with its answer, says what was asked, and ends with what it was made with."""

import csv
import re
from collections.abc import Callable
from html import unescape
from io import BytesIO, StringIO
from typing import Any

import pytest
import streamlit as st
from pptx import Presentation
from pypdfium2 import PdfDocument
from streamlit.testing.v1 import AppTest

from core.figures.palette import LIGHT
from core.reports import slides
from core.reports.decision_record import document_markdown
from core.reports.exports import Document, html_report, plain
from core.reports.pages import A4, SLIDE
from core.reports.pdf import pdf
from pages.shell import share

Open = Callable[..., AppTest]
ANSWERS = {
    "overview.py": "At most G = 1 in bf16, G = 2 in 8 bits, G = 4 in 4 bits.",
    "learn/layouts.py": "GQA: 64 query heads share 8 key and value heads, 8 to each.",
    "learn/formula.py": "You can work out the KV cache of any model on paper.",
    "learn/paging.py": "You can explain where a server's KV memory goes",
    "learn/after.py": "A latent (MLA) turns 2 and G and head_dim: One vector a token and layer",
    "learn/bound.py": "**The ridge of H100 SXM5 80 GB lies at 295 FLOPs a byte.",
    "learn/quiz.py": "25 questions over the path",
    "learn/watch.py": "",
    "reference/evidence.py": "Against each study's own MHA: GQA −",
    "reference/timeline.py": "",
    "reference/faq.py": "",
    "reference/glossary.py": "",
    "tools/models/models.py": "",
    "tools/decode/benchmark.py": "One layer's step takes ",
}
QUERIES = {"tools/decode/benchmark.py": {"bench_tab": "Recorded runs"}}


def document(app: AppTest) -> Document:
    """What Share would make files of."""
    held: list[Document] = []

    def hold(_page: object) -> None:
        held.append(share.view_document()())
        st.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "begin", hold)
        app.run()
    return held[0]


@pytest.mark.parametrize("script", ANSWERS)
def test_a_page_s_report_opens_with_its_answer_and_ends_with_what_made_it(script: str, open_page: Open):
    found = document(open_page(script, **QUERIES.get(script, {}))).sections
    titles = [section.title for section in found]
    assert titles[0].startswith(ANSWERS[script] or titles[0])
    assert re.search(r"\w", titles[0])
    assert "as the page opens" in found[0].text or found[0].table is not None
    assert titles[-1] == "Versions and date"
    assert "What was assumed" in titles
    if script not in ("learn/quiz.py", "reference/faq.py", "reference/glossary.py"):
        formulas = [title for title in titles if title.startswith(("The formula with its", "Bytes of a token, reck"))]
        assert len(formulas) == 1


def test_what_was_asked_stands_under_the_answer(open_page: Open):
    first = document(open_page("learn/bound.py", bound_batch="512", bound_chunk="256")).sections[0]
    assert first.table == (("Input", "Value"), (("Batch", "512"), ("Prefill tokens in the same step", "256")))


def test_the_answer_of_another_g_is_that_g_s(open_page: Open):
    first = document(open_page("learn/layouts.py", layouts_g64="1")).sections
    assert first[0].title.startswith("MQA: all 64 query heads read one")
    formula = next(section for section in first if section.title == "The formula with its numbers")
    assert formula.table is not None
    assert formula.table[1][0] == ("G = 1, MQA", "2 × 80 layers × 1 KV head × 128 × 2 B", "40,960 B a token")


@pytest.mark.parametrize("key", ["paging", "eviction", "quantisation", "latent", "uptraining"])
def test_a_section_that_nobody_opened_is_drawn_as_it_opens(key: str, open_page: Open):
    """In a room the page draws every section, and its pictures are what a file has of a page opened at its first."""
    room = open_page(f"learn/{key}.py", present="1")
    drawn = {picture.alt_text for picture in room.session_state["_share_pictures"].values()}
    alone = document(open_page(f"learn/{key}.py")).sections
    made = [section.picture.alt_text for section in alone if section.picture is not None]
    assert made
    assert set(made) <= drawn


def test_a_part_that_two_pages_share_leaves_the_size_page_its_answer(open_page: Open):
    app = open_page("tools/size/size.py")
    said = app.session_state["_share_answer"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", app.session_state)
        share.remember_answer("Another answer", lambda _: None)  # type: ignore[arg-type,return-value]
        assert app.session_state["_share_answer"] == said


def test_the_map_carries_every_lesson(open_page: Open):
    found = document(open_page("learn/map.py")).sections
    assert found[0].title == "From a cache that eats a GPU to a G that you can defend."
    assert len(found) > 50


CARRIED = {  # what the page says, to the digit, and what must therefore stand in each of its files
    "tools/models/models.py": ("327,680", "8,192", "80 × 8 × (128 + 128) × 2"),
    "tools/decode/benchmark.py": (),
    "learn/bottleneck.py": ("You can tell what one decoded token costs", "13,015,864,320", "26.03 GB / 3.35 TB/s"),
    "tools/size/size.py": ("66.89 GB", "10.08 GB", "76.97 GB", "1.08 GB"),
}


@pytest.mark.parametrize("script", CARRIED)
def test_each_file_opened_again_holds_the_answer_to_the_digit(script: str, open_page: Open):
    found = document(open_page(script, **QUERIES.get(script, {})))
    figures = (*CARRIED[script], *re.findall(r"\d[\d,.]*\d|\d", plain(found.sections[0].title)))
    assert figures
    deck = Presentation(BytesIO(slides.deck(found, LIGHT)))
    opened = {"deck": " ".join(map(slide_words, deck.slides)), "report": page_words(html_report(found, LIGHT))}
    opened["Markdown"] = document_markdown(found)
    for paper in (A4, SLIDE):
        made = PdfDocument(pdf(found, LIGHT, paper))
        opened[f"PDF of {paper.width_in:g} in"] = " ".join(page.get_textpage().get_text_range() for page in made)
        made.close()
    lost = [(name, figure) for name, words in opened.items() for figure in figures
            if figure.replace(" ", "") not in "".join(words.split())]  # fmt: skip
    assert lost == []


def slide_words(slide: Any) -> str:
    """Every word of a slide: titles, texts, tables."""
    frames = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
    cells = [cell.text for shape in slide.shapes if shape.has_table for row in shape.table.rows for cell in row.cells]
    return " ".join([*frames, *cells])


def page_words(html: str) -> str:
    """What a browser shows of it."""
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)))


def test_a_table_opened_again_holds_the_page_s_figures(open_page: Open, monkeypatch: pytest.MonkeyPatch):
    saved: dict[str, list[dict[str, str]]] = {}

    def save(rows: Any, *, key: str, **_given: Any) -> None:
        saved[key] = list(csv.DictReader(StringIO(share._csv(rows).decode())))

    monkeypatch.setattr(share, "save_csv", save)
    open_page("tools/models/models.py", models_pick="Llama-2 70B")
    llama = next(row for row in saved["models_table_csv"] if row["Model"] == "Llama-2 70B")
    assert (llama["Bytes per token"], llama["KiB/token"], llama["G"]) == ("327680", "320.0", "8")
    assert llama["Window (tokens)"] == ""


COPIED = {
    ("tools/models/models.py", "models_answer_markdown"): (
        {"models_ghosts": "true"},
        "**Falcon-7B keeps 8 KiB per token, Llama-1 7B 512 KiB: 64 times more.**",
        "| What MHA would keep | true |",
        "/?models_ghosts=true&made=",
    ),
    ("tools/decode/benchmark.py", "bench_recorded_answer_markdown"): (
        {"bench_tab": "Recorded runs"},
        "**One layer's step takes 7.9 times as long at G = 40 as at G = 1.**",
        "G = 8: 2.715 ms by host_kernel, half of the samples 2.503 to 2.825 ms; 1.618 ms predicted.",
        "/?bench_tab=Recorded+runs&made=",
    ),
    ("tools/size/size.py", "size_verdict_markdown"): (
        {"size_batch": "16"},
        "**Only G = 1 and 2 fit in bf16",
        "| Batch | 16 | 32 |",
        "/?size_batch=16&made=",
    ),
    ("tools/size/size.py", "size_served_markdown"): (
        {"size_job": "Serve a model"},
        "**Llama-2-13B on one H100 SXM5 80 GB: 1 request at 32,768 tokens**",
        "Everything is as the page opens. As it opens: Model Llama-2 13B;",
        "/?size_job=Serve+a+model&made=",
    ),
}


@pytest.mark.parametrize(("script", "key"), COPIED, ids=lambda given: given)
def test_a_verdict_is_copied_with_what_was_asked_and_its_link(
    script: str, key: str, open_page: Open, monkeypatch: pytest.MonkeyPatch
):
    made: dict[str, str] = {}

    def copy(key: str, make: Callable[[], str]) -> None:
        made[key] = make()

    monkeypatch.setattr(share, "copy_markdown", copy)
    query, answer, asked, link = COPIED[script, key]
    open_page(script, **query)
    first, *rest, last, _ = made[key].split("\n")
    assert first.startswith(answer)
    assert any(line.startswith(asked) for line in rest)
    assert last.startswith(f"Headroom, {link}")
