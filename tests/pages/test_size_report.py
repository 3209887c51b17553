"""What Size carries away says what the page says: the verdict's numbers to the digit, what was asked first, sources."""

import json
from io import BytesIO

import pytest
from pptx import Presentation
from pypdfium2 import PdfDocument
from streamlit.testing.v1 import AppTest

from core.__main__ import main
from core.figures.palette import DARK, LIGHT
from core.models.registry import load_registry
from core.models.spec import read_config
from core.reports import slides
from core.reports.exports import Document, Section, html_report
from core.reports.pages import A4, SLIDE
from core.reports.pdf import pdf
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.version import VERSION
from pages.tools.size import asked
from pages.tools.size import plan as plan_tab
from tests.dashboard import ROOT

PAGE = "tools/size/size.py"
HEADLINE = "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."


def sections(app: AppTest) -> tuple[Section, ...]:
    return tuple(app.session_state["_share_report"](LIGHT))


def titled(app: AppTest) -> dict[str, Section]:
    return {section.title: section for section in sections(app)}


@pytest.fixture(scope="module")
def opened() -> tuple[Section, ...]:
    """Of the page as it opens, but for a batch of 16 and the traffic."""
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60)
    app.query_params["size_batch"], app.query_params["size_tab"] = "16", "Traffic"
    app.switch_page(PAGE).run()
    assert not app.exception
    return sections(app)


def test_a_choice_holds_what_the_page_says_in_its_order(opened):
    titles = [section.title for section in opened]
    assert titles[0].startswith("Only G = 1 and 2 fit in bf16")
    assert titles[1:3] == ["What was asked", "Every G at every width of the cache, on one accelerator"]
    for part in ("Memory of G =", "Ways to make G = 8 fit", "Where the limits of", "What each G holds",
                 "Under real traffic", "The least that one decode step takes", "What is published about G =",
                 "What was assumed"):  # fmt: skip
        assert any(title.startswith(part) for title in titles), part
    assert opened[0].picture is not None


def test_what_was_asked_stands_first_where_it_is_no_default(opened):
    heads, rows = opened[1].table
    assert heads == ("Input", "Value", "Default")
    assert rows == (("Batch", "16", "32"),)
    assert "As it opens: Model Llama-2 13B; Accelerator H100 SXM5 80 GB; Engine vLLM" in opened[1].text


def test_the_evidence_has_its_sources_and_the_formula_its_numbers(opened):
    by_title = {section.title: section for section in opened}
    evidence = next(section for title, section in by_title.items() if title.startswith("What is published"))
    assert "https://arxiv.org/abs/" in str(evidence.table)
    formula = next(section for title, section in by_title.items() if title.startswith("Memory of"))
    assert "85,520,809,984 × 0.9" in str(formula.table)  # 81,559 MiB, and the utilisation
    assert "at most" in by_title["The least that one decode step takes"].text


def test_the_untouched_page_has_nothing_but_defaults(open_page):
    """Each default in the list is what its widget opens on."""
    for query in ({}, {"size_job": "Serve a model"}, {"size_engine": "vLLM"}, {"size_engine": "SGLang"}):
        app = open_page(PAGE, **query)
        table = titled(app)["What was asked"].table
        moved = [] if table is None else [row[0] for row in table[1]]
        assert moved == (["Engine"] if query.get("size_engine") == "SGLang" else []), query


def test_every_file_holds_the_verdict_to_the_digit(open_page):
    app = open_page(PAGE)
    document = Document(title="Size", source="Headroom · Size · /size", sections=sections(app))
    numbers = ("66.89 GB", "10.08 GB", "76.97 GB", "1.08 GB")
    html = html_report(document, DARK)
    deck = Presentation(BytesIO(slides.deck(document, LIGHT)))
    words = " ".join(shape.text_frame.text for slide in deck.slides for shape in slide.shapes if shape.has_text_frame)
    assert HEADLINE in html
    assert HEADLINE in words
    for paper in (SLIDE, A4):
        made = PdfDocument(pdf(document, LIGHT, paper))
        text = " ".join(" ".join(page.get_textpage().get_text_range() for page in made).split())
        made.close()
        assert HEADLINE in text
        assert all(number in text for number in numbers)
    assert all(number in html for number in numbers)


def test_serving_holds_its_answer_and_the_limits(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_serve_context="16384")
    found = sections(app)
    assert found[0].title.startswith("Llama-2-13B on one H100 SXM5 80 GB: ")
    assert found[0].title.endswith(" at 16,384 tokens")
    assert found[0].picture is not None
    assert found[1].table[1][0] == ("Tokens of a request", "16,384", "32,768")
    limits = next(section for section in found if section.title == "Where the limits lie")
    assert [row[0] for row in limits.table[1]] == [
        "Requests of 16,384 tokens", "Longest context of one request", "Fewest H100 SXM5 80 GB for one request",
    ]  # fmt: skip


def test_a_batch_that_is_not_simulated_leaves_the_rest_of_the_answer(open_page):
    app = open_page(PAGE, size_batch="20000", size_context="512", size_tab="Traffic")
    traffic = titled(app)["Under real traffic"]
    assert traffic.text == "Not simulated: batch_size is 20,000: the simulation takes 1 to 16,384 sequences"


def test_an_answer_of_the_payload_says_why_the_engine_has_none(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_model="Qwen3 32B", size_engine="vLLM", size_kv_bits="4")
    assert "Counted as payload. cache_bits is 4: vLLM 0.33 has a cache of 16 bits" in sections(app)[0].text


def test_serving_carries_the_first_token_and_what_is_done_besides(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_model="Qwen3 8B", size_offload="100", size_prefix="8192",
                    size_draft="Qwen2.5 7B")  # fmt: skip
    said = titled(app)["The first token, and what a server does besides"].text
    for words in ("**Time to first token ≥ ", "**With a plain draft, at most ", "with the shared prefix in the cache**",
                  "**Outside wait "):  # fmt: skip
        assert words in said


def test_the_plan_as_json_is_the_command_line_s(capsys):
    assert main(["size", "Llama-2 13B", "--context", "4096", "--json"]) in (0, 1)
    printed = json.loads(capsys.readouterr().out)
    registered = next(model for model in load_registry() if model.name == "Llama-2 13B")
    spec = read_config(registered.config)
    job = ServingJob(model=spec, batch_size=1, context_length=4_096, weight_format="published")
    assert json.loads(plan_tab._json(plan(job), "Llama-2 13B")) == printed


def test_every_input_of_the_list_is_a_widget_of_the_page(open_page):
    app = open_page(PAGE, size_model=asked.OWN_SHAPE)
    known = {key for key, _, _ in (*asked.FIRST, *asked.CHOOSE, *asked.BOTH, *asked.OF_A_SHAPE, *asked.OF_WINDOWS,
                                   *asked.OF_TRAFFIC)}  # fmt: skip
    assert [key for key in known if key not in app.session_state] == []


def infos(app: AppTest) -> str:
    return " ".join(element.value for element in app.info)


def test_a_link_that_a_newer_version_reads_differently_says_so(open_page):
    then = open_page(PAGE, size_batch="16", made="0.1.0-00000000")
    assert "This link was made with Headroom 0.1.0. Headroom 0.2.0 reads it differently" in infos(then)
    assert "made" not in then.query_params
    assert then.session_state["size_batch"] == 16
    then.query_params["size_batch"] = "8"  # as a browser does when the input is moved
    then.run()
    assert "reads it differently" not in infos(then)  # another view than the link's


def test_a_link_of_this_version_restores_its_view_without_a_word(open_page):
    made = open_page(PAGE, size_batch="16").session_state["_share_answer"]
    assert made.startswith("Only G = 1 and 2 fit in bf16")
    again = open_page(PAGE, size_batch="16", made=f"{VERSION}-00000000")
    assert again.session_state["_share_answer"] == made
    assert "reads it differently" not in infos(again)


def test_the_front_page_has_no_link_to_tell_of(open_page):
    """Its path and its inputs are empty, as those of a link that nobody opened."""
    assert infos(open_page("overview.py")).count("reads it differently") == 0
    signed = open_page("overview.py", made="0.1.0-00000000")
    assert "reads it differently" in infos(signed)
