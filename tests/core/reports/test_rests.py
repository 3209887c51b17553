"""What answers rest on: each formula, reckoned again from its own words, gives the result beside it."""

import re

import pytest

from core.decode import store
from core.evidence.studies import all_dots, findings_for
from core.figures.palette import LIGHT
from core.figures.timeline import dots
from core.hardware.accelerators import catalogue
from core.learning.ideas import IDEAS
from core.learning.lessons import lessons
from core.learning.quiz import questions
from core.learning.techniques.texts import topics
from core.models.head_sharing import PRESETS
from core.models.registry import load_registry
from core.reports.closing import Rests, opening_section, rest_sections
from core.reports.rests.bound import bound_rests
from core.reports.rests.engines import engines_rests
from core.reports.rests.headline import headline_rests
from core.reports.rests.ideas import idea_rests
from core.reports.rests.layouts import layouts_rests
from core.reports.rests.measured import measured_rests
from core.reports.rests.published import evidence_rests
from core.reports.rests.reading import faq_rests, glossary_rests, quiz_rests
from core.reports.rests.techniques import OPENING, SOURCES, technique_rests
from core.reports.rests.timeline import timeline_rests
from core.reports.rests.walks import lesson_rests
from core.reports.rests.watching import watch_rests
from core.serving.engine_table import engine_table
from core.uptraining.small_decoder import Watched

LLAMA = PRESETS[0]
SIGNS = {"×": "*", "−": "-", "/": "/", "+": "+", "(": "(", ")": ")"}


def value(words: str) -> float:
    """'2 × 80 layers × 8 × 128 × 2 B' -> 327680: numbers and signs, whatever stands between them."""
    powers = {"T": 1e12, "G": 1e9, "M": 1e6, "K": 1024}
    scaled = re.sub(
        r"([\d.,]+) ([TG])(?=B/s|FLOP/s)", lambda f: str(float(f[1].replace(",", "")) * powers[f[2]]), words
    )
    tokens = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e\+?\d+)?|[×−/+()]", scaled.replace("B/s", "").replace("FLOP/s", ""))
    return float(eval("".join(SIGNS.get(token, token.replace(",", "")) for token in tokens)))  # noqa: S307  of our own


def number(words: str) -> float:
    found = re.search(r"[-−]?\d[\d,]*(?:\.\d+)?", words)
    assert found, words
    return float(found[0].replace(",", "").replace("−", "-"))


def test_a_layout_s_products_add_up():
    rests = layouts_rests(LLAMA.layout, LLAMA)
    assert rests.formulas[0] == ("G = 8, GQA", "2 × 80 layers × 8 KV heads × 128 × 2 B", "327,680 B a token")
    assert [name for name, _, _ in rests.formulas] == [
        "G = 8, GQA", "G = 1, MQA", "G = 2, GQA", "G = 4, GQA", "G = 16, GQA", "G = 32, GQA", "G = 64, MHA"
    ]  # fmt: skip
    assert all(value(formula) == number(result) for _, formula, result in rests.formulas)
    assert 'its config.json says "num_key_value_heads": 8' in rests.evidence[0].says


@pytest.mark.parametrize("run", store.recorded_runs(), ids=lambda run: run.run_id)
def test_a_measurement_s_formulas_are_its_record_s(run):
    rests = measured_rests(run)
    reads = [formula for formula in rests.formulas if formula[0].endswith(": read")]
    assert len(reads) == len(run.best())
    for (name, _, result), (g, best) in zip(reads, sorted(run.best().items()), strict=True):
        assert name == f"G = {g}: read"
        assert result == f"{best.kv_bytes / run.roofline.bytes_per_second * 1e3:.3f} ms"
    shares = [result for name, _, result in rests.formulas if name.endswith("of the roofline")]
    assert all(int(share.rstrip("%")) <= 100 for share in shares if share.endswith("%"))


def test_intensities_and_the_ridge_add_up():
    h100 = catalogue()["h100-sxm"]
    rests = bound_rests(h100, 32, 256)
    assert rests.formulas[0] == ("Ridge of H100 SXM5 80 GB", "989.4 TFLOP/s / 3.35 TB/s", "295.3 FLOPs a byte")
    for _, formula, result in rests.formulas:
        assert value(formula) == pytest.approx(number(result), rel=5e-3)
    assert any("Table 1. https://arxiv.org/abs/2505.21487" in each.source for each in rests.evidence)


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.key)
def test_an_idea_says_its_bytes_and_its_tables(idea):
    rests = idea_rests(idea)
    assert len(rests.evidence) == len(idea.published)
    assert all("https://arxiv.org/abs/" in each.source for each in rests.evidence)
    assert len(rests.formulas) > 1
    assert "What G still means there" in rests.said


def test_the_bytes_of_grouped_heads_are_the_product():
    """Llama-3.1 8B: 32 layers, G = 8, 128: 131,072 B."""
    rests = idea_rests(IDEAS[0])
    assert rests.formulas[1] == ("Llama-3.1 8B keeps", "32 × 8 × (128 + 128) × 2", "128.0 KiB a token")


def test_every_change_of_a_study_is_reckoned_from_its_figures():
    found = all_dots()
    rests = evidence_rests(found, findings_for("fewer_kv_heads"))
    assert len(rests.formulas) == len(found)
    for dot, (_, formula, result) in zip(found, rests.formulas, strict=True):
        assert result == dot.change_text
        if dot.study.unit == "points":
            assert value(formula) == pytest.approx(dot.change, abs=5e-3)
        if dot.study.unit == "perplexity":
            assert 100 * value(formula) == pytest.approx(dot.change, abs=5e-3)
    assert all(each.source for each in rests.evidence)


def test_the_timeline_s_shares_add_up():
    found = dots(load_registry())
    rests = timeline_rests(found)
    assert len(rests.evidence) == len(found)
    for _, formula, result in rests.formulas:
        assert value(formula) / 1024 == pytest.approx(number(result), abs=0.06)


def test_the_engines_rows_are_a_table_with_plain_reasons():
    rows = list(engine_table(load_registry()[:6], ["mlx"], [4_096]))
    rests = engines_rests(rows)
    assert [line[0] for line in rests.body[0].table[1]] == [row.model for row in rows if not row.refused]
    for name, formula, result in rests.formulas:
        if "GiB" not in name:
            assert value(formula) == pytest.approx(number(result), rel=6e-3)


def test_the_overview_s_plans_are_written_out_and_add_up():
    rests = headline_rests()
    of_g1 = [number(result) for name, _, result in rests.formulas if name.startswith("G = 1 in bf16")]
    assert of_g1
    assert any("× 65,536" in formula for _, formula, _ in rests.formulas)


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.key)
def test_a_lesson_carries_its_figures_and_its_findings(lesson):
    rests = lesson_rests((lesson,))
    assert len(rests.evidence) == len({id for step in lesson.steps for id in step.evidence})
    assert rests.said.count("\n\n") == len(lesson.steps) - 1
    assert all(all(line) for line in rests.formulas)


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.key)
def test_a_technique_page_carries_every_section(topic):
    rests = technique_rests(topic, {}, LIGHT)
    assert len(rests.body) == len(topic.sections)
    without = [part.title for part in rests.body if part.picture is None and part.table is None]
    assert len(without) == (2 if topic.key == "uptraining" else 0)  # its live run and what it cost have none
    assert rests.evidence
    assert set(SOURCES) == {topic.key for topic in topics()}
    assert all(any(part.slug == slug for part in each.sections) for key, slug in OPENING for each in topics()
               if each.key == key)  # fmt: skip


def test_a_decoded_step_s_bytes_are_its_factors():
    rests = watch_rests(Watched("The KV cache"), 3)
    for name, formula, result in rests.formulas:
        if name.endswith(("the cache", "writes")):
            assert value(formula) == number(result)


def test_pages_of_words_carry_their_words():
    asked = quiz_rests(questions())
    assert len(asked.body) == len(questions())
    assert questions()[0].options[questions()[0].answer] in asked.body[0].note
    assert "answers stand in the notes" in asked.said
    assert all(section.text for section in faq_rests((), "GQA").body[:1])
    assert glossary_rests(()).body == ()


def test_the_answer_opens_and_what_was_asked_stands_under_it():
    first = opening_section("G = 8 fits.", "Said.", "layouts", {"layouts_g64": "1", "layouts": "2"})
    assert (first.title, first.table) == ("G = 8 fits.", (("Input", "Value"), (("KV heads G of 64", "1"),)))
    assert opening_section("G = 8 fits.", "", "layouts", {}).text == "Everything is as the page opens."
    assert rest_sections(Rests()) == ()
