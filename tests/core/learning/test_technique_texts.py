"""The texts beside the lessons: figures by hand and from the evidence, links, the quiz, the glossary and the FAQ."""

import re
from urllib.parse import unquote

import pytest

from core.evidence.studies import published as evidence
from core.learning import faq, glossary, glossary_themes, lessons, quiz
from core.learning.places import OTHERS, place
from core.learning.progress import Progress, answered
from core.learning.techniques import figures as technique_figures
from core.learning.techniques import texts as techniques
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from tests.core.learning.text_numbers import texts_as_written


def test_figures_by_hand() -> None:
    """Arithmetic done on paper: 2 x 40 x 40 x 128 x 2 = 819,200 B; 40e9 / 819,200 = 48,828; 8,192 x 800 KiB = 6.25 GiB;
    4 + 32/32 = 5 bits and 16/5 = 3.2; 2 x 128 x 128 = 32,768; 2 x 32 x 8 x 128 x 2 = 128 KiB; K and V of 32 of 40
    heads are 2 x 40 x 5120 x 32 x 128 = 1.678e9 of 13.016e9 parameters, 13 %.

    DeepSeek-V3.2 at 32,768 tokens: 61 x 32,768 x 704 x 2 = 2.814e9 B, 128 / 704 = 18 % of it index keys; a step reads
    61 x (32,768 x 128 + 2,048 x 576) x 2 = 655.6e6. DeepSeek-V4-Flash: (21 x 8,192 x 640 + 20 x 256 x 512) x 2 =
    225.4e6 beside a window of (41 x 512 + 2 x 1,024) x 128 x 2 = 5.9e6 and 0.2e6 in buffers: 231.6e6, 97 % of it."""
    expected = {
        "page_mha_token": "800 KiB", "page_g8_token": "160 KiB", "page_mha_tokens": "48,828",
        "page_g8_tokens": "244,140", "evict_full": "6.25 GiB", "evict_kept": "1.56 GiB",
        "evict_g_equal": "G = 10 of 40", "quant_bits": "5", "quant_factor": "3.2", "quant_naive": "4",
        "mla_elements": "576", "mla_equal": "2.25", "mla_mha": "32,768", "mla_g8_rank": "256",
        "mla_small_share": "14 %", "mla_large_share": "4 %", "q_group": "4", "q_llama8b": "128 KiB",
        "q_llama8b_half": "64 KiB", "q_llama8b_mha": "512 KiB", "faq_params": "1.7 B", "faq_params_share": "13 %",
        "upt_chance": "2.77", "sparse_kept": "2.8 GB", "sparse_index": "18 %", "sparse_read": "655.6 MB",
        "sparse_side_kept": "231.6 MB", "sparse_side_share": "97 %",
    }  # fmt: skip
    figures = technique_figures.figures()
    assert {name: figures[name].text for name in expected} == expected


def test_figures_from_the_evidence() -> None:
    figures = technique_figures.figures()
    said = next(finding for finding in evidence().findings if finding.id == "uptraining-cost").statement
    assert f"{figures['upt_paper_percent'].text} % more pretraining" in said
    assert f"about {figures['upt_chip_days'].text} TPUv3" in said
    assert (figures["upt_paper_mqa"].text, figures["upt_paper_gqa"].text) == ("0.6", "0.1")  # 47.2 - 46.6, 47.2 - 47.1
    assert (figures["page_earlier"].text, figures["page_paged"].text) == ("20.4 to 38.2 %", "96.3 %")


def test_no_figure_shadows_one_of_the_lessons() -> None:
    from core.learning import figures as lesson_figures

    assert not set(technique_figures.figures()) & set(lesson_figures.figures())


def test_every_figure_is_used_and_says_how() -> None:
    everything = " ".join(text for _, text in texts_as_written())
    for name, figure in technique_figures.figures().items():
        assert figure.how
        assert f"{{{name}}}" in everything, f"no text shows {name}"


def test_an_unknown_figure_is_named() -> None:
    with pytest.raises(lessons.LessonError, match="no_such_figure"):
        technique_figures.filled("{no_such_figure}")


# neighbours


def test_pages_are_those_of_the_files() -> None:
    assert {path.stem for path in techniques.FOLDER.glob("*.md")} == set(techniques.ORDER)
    assert techniques.topic("paging").section("table").title == "A block table, filled token by token"


@pytest.mark.parametrize(
    ("text", "says"),
    [("no head", "begin with key"), ("---\nkey: b\ntitle: t\npromise: p\n---\n# a: A\nx", "file's name"),
     ("---\nkey: a\ntitle: t\npromise: p\n---\nno section", "'# slug: Title'")],
)  # fmt: skip
def test_a_malformed_page_is_named(text: str, says: str) -> None:
    with pytest.raises(techniques.TechniqueError, match=says):
        techniques.parse(text, "a.md")


def test_unknown_pages_and_sections_are_named() -> None:
    with pytest.raises(techniques.TechniqueError, match="no page 'x'"):
        techniques.topic("x")
    with pytest.raises(techniques.TechniqueError, match="no section 'x'"):
        techniques.topic("paging").section("x")


# links


def test_every_key_in_a_text_leads_to_a_script() -> None:
    from tests.dashboard import ROOT

    keys = {question.lesson for question in quiz.questions()} | {term.see for term in glossary.terms()}
    keys |= {key for entry in faq.entries() for key in entry.see} | set(techniques.ORDER) | set(OTHERS)
    for key in keys:
        assert (ROOT / "pages" / place(key).script).exists(), key
    with pytest.raises(KeyError, match="nowhere"):
        place("nowhere")


# quiz


def test_twenty_five_questions_with_their_answers_in_different_places() -> None:
    questions = quiz.questions()
    assert len(questions) == 25
    places = [question.answer for question in questions]
    assert all(places.count(place) >= 3 for place in (0, 1, 2))


def test_the_capstone_question_is_what_the_plan_says() -> None:
    """Only G = 1 fits at 16 bits; G = 2 fits from 8 bits, G = 4 from 4 bits."""
    from core.serving.model_shapes import LLAMA_2_13B

    def fits(kv_heads: int, bits: int) -> bool:
        job = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536, num_kv_heads=kv_heads, kv_bits=bits)
        return plan(job).fits

    assert [fits(1, 16), fits(2, 16), fits(2, 8), fits(4, 8), fits(4, 4), fits(8, 4)] == [
        True, False, True, False, True, False,
    ]  # fmt: skip


def test_score_counts_what_was_answered() -> None:
    first, second, *_ = quiz.questions()
    kept = Progress().with_changes([answered(first.id, first.answer), answered(second.id, (second.answer + 1) % 3)])
    score = quiz.score(kept)
    assert (score.answered, score.right, score.total) == (2, 1, 25)
    assert score.sentence == "1 of 2 right. 23 to go."
    assert quiz.first_open(kept) == 2
    assert not score.is_complete


def test_a_finished_quiz_says_so_and_old_answers_do_not_count() -> None:
    every = Progress().with_changes([answered(question.id, question.answer) for question in quiz.questions()])
    assert quiz.score(every).sentence == "25 of 25 right. That was the last one."
    assert quiz.first_open(every) == 24
    stale = Progress().with_changes([answered(quiz.questions()[0].id, 7), answered("gone", 0)])
    assert quiz.score(stale).answered == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [({"answer": 4}, "answer must number"), ({"answer": 0}, "answer must number"), ({"why": None}, "keys must be"),
     ({"options": ["a", "a"]}, "different options")],
)  # fmt: skip
def test_a_malformed_question_is_named(change: dict[str, object], says: str) -> None:
    entry = {"id": "q", "lesson": "slider", "question": "?", "options": ["a", "b", "c"], "answer": 1, "why": "x"}
    entry |= change
    with pytest.raises(quiz.QuizError, match=f"q.*{says}"):
        quiz.parse({key: value for key, value in entry.items() if value is not None})


# glossary and FAQ


def test_a_term_is_linked_once_and_never_inside_code_formulas_headings_or_links() -> None:
    text = "GQA and GQA, `GQA`, [GQA](x), $GQA$"
    assert glossary.linked(text) == text.replace("GQA and", "[GQA](glossary?glossary_find=GQA) and", 1)
    untouched = "# GQA\n**cache = 2 × head_dim**\n[GQA](x)"
    assert glossary.linked(untouched) == untouched
    assert glossary.linked("a batch of G heads") == "a batch of G heads"  # everyday words stay


def test_a_term_is_linked_under_its_longest_name_in_any_case_and_in_the_plural() -> None:
    entry = "glossary?glossary_find="
    assert glossary.linked("multi-query") == f"[multi-query]({entry}MQA)"
    assert glossary.linked("**KV heads** of GQA-8") == f"**[KV heads]({entry}KV%20head)** of [GQA-8]({entry}GQA-8)"
    assert glossary.linked("Latent attention, a latent") == f"[Latent attention]({entry}MLA), a [latent]({entry}latent)"


def test_each_text_links_a_term_once_and_to_an_entry_that_stands_first() -> None:
    steps = [step.text for lesson in lessons.lessons() for step in lesson.steps]
    sections = [section.text for topic in techniques.topics() for section in topic.sections]
    links = 0
    for text in (*steps, *sections):
        shown = glossary.linked(technique_figures.filled(text))
        leading = [unquote(name) for name in re.findall(r"glossary_find=([^)]+)\)", shown)]
        assert len(leading) == len(set(leading)), shown
        assert all(glossary.find(name)[0].term == name for name in leading)
        assert re.sub(r"\[([^\]]+)\]\(glossary[^)]+\)", r"\1", shown) == technique_figures.filled(text)
        links += len(leading)
    assert links > 100


def test_a_related_word_leads_to_an_entry_and_is_no_name_of_it() -> None:
    assert glossary.find("vLLM")[0].term == "PagedAttention"
    assert glossary.linked("vLLM and KIVI") == "vLLM and KIVI"


def test_the_glossary_is_searched_by_name_and_meaning() -> None:
    assert glossary.find("h2o")[0].term == "heavy hitters"
    assert glossary.find("GQA")[0].term == "GQA"
    assert glossary.find("zebra") == ()
    assert glossary.find("") == glossary.terms()


def test_a_malformed_entry_is_named() -> None:
    with pytest.raises(glossary.GlossaryError, match="MHA"):
        glossary.parse({"term": "MHA", "text": "x"})
    with pytest.raises(faq.FaqError, match="why"):
        faq.parse({"id": "why", "question": "?"})


def test_the_five_questions_of_the_path_are_answered() -> None:
    asked = " ".join(entry.question for entry in faq.entries())
    for words in ("difference between", "keep quality", "pick G", "the bottleneck", "Which open models use GQA"):
        assert words in asked
    assert [entry.id for entry in faq.entries() if entry.shows_registry] == ["models"]


def test_each_term_has_one_theme_and_a_theme_no_more_than_a_room_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = glossary_themes.themes()
    assert sorted(term.term for group in groups for term in group.terms) == sorted(t.term for t in glossary.terms())
    assert max(len(group.terms) for group in groups) <= 6
    assert next(group.see for group in groups if group.title == "Several GPUs") == ("case-mqa", "case-llama")
    monkeypatch.setitem(glossary_themes.THEMES, "MLA", ("MLA", "latent", "a word of no entry"))
    with pytest.raises(glossary.GlossaryError, match="look at a word of no entry, rotary key"):
        glossary_themes.themes()


def test_what_is_sought_is_cut_into_screens_in_its_order() -> None:
    found = glossary.find("cache")
    assert len(found) == 15
    groups = glossary_themes.sought("cache", found)
    assert [(group.title, len(group.terms)) for group in groups] == [
        ("“cache”", 6), ("“cache”, continued", 6), ("“cache”, continued", 3)
    ]  # fmt: skip
    assert tuple(term for group in groups for term in group.terms) == found
