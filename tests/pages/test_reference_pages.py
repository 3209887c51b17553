"""FAQ, glossary and Ask as pages."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.learning import ask, ask_model, faq, glossary, glossary_themes
from core.learning.ask_model import Endpoint, Grounded, ModelError
from core.learning.registry_answer import kinds_by_model, sentence
from core.models.registry import RegistryError, load_registry
from pages.shell import cached
from tests.pages.tables import sortable_tables

OpenPage = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption))


def test_every_question_of_the_faq_is_there(open_page: OpenPage) -> None:
    app = open_page("reference/faq.py")
    assert [expander.label for expander in app.expander] == [entry.question for entry in faq.entries()]
    assert not app.error


def test_a_link_opens_its_question(open_page: OpenPage) -> None:
    app = open_page("reference/faq.py", faq_open="pick")
    opened = [expander.label for expander in app.expander if expander.proto.expanded]
    assert opened == ["How do I pick G?"]


def test_which_models_use_gqa_is_read_live(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("reference/faq.py")
    assert sentence(kinds_by_model(load_registry())) in said(app)
    added = replace(next(m for m in load_registry() if m.name == "Mistral-7B v0.1"), name="A model added just now")
    monkeypatch.setattr(cached, "registered_models", lambda: (*load_registry(), added))
    app = open_page("reference/faq.py")
    assert "A model added just now" in list(app.dataframe[0].value["model"])
    app = open_page("reference/faq.py", faq_kind="MQA")
    assert "Falcon-7B" in list(app.dataframe[0].value["model"])


def test_a_registry_that_cannot_be_read_is_named(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RegistryError("model_registry.yaml, entry 3: family is missing.")

    monkeypatch.setattr(cached, "registered_models", broken)
    app = open_page("reference/faq.py")
    assert app.error[0].value == "model_registry.yaml, entry 3: family is missing."


def test_the_glossary_shows_all_then_what_is_sought(open_page: OpenPage) -> None:
    app = open_page("reference/glossary.py")
    assert all(f"**{term.term}**" in said(app) for term in glossary.terms())
    app = open_page("reference/glossary.py", glossary_find="H2O")
    assert "**heavy hitters**" in said(app)
    assert "**MHA**" not in said(app)
    app = open_page("reference/glossary.py", glossary_find="zebra")
    assert "No term has “zebra” in it." in app.info[0].value


def test_in_a_room_each_question_has_a_heading_of_its_own(open_page: OpenPage) -> None:
    app = open_page("reference/faq.py", present="1")
    assert [header.value for header in app.header] == [entry.question for entry in faq.entries()]
    assert not app.expander
    assert all(f"[{entry.question}](#{entry.id})" in said(app) for entry in faq.entries())


def test_in_a_room_the_glossary_stands_by_theme(open_page: OpenPage) -> None:
    app = open_page("reference/glossary.py", present="1")
    assert [header.value for header in app.header] == list(glossary_themes.THEMES)
    terms = [text.value.split("**")[1] for text in app.markdown if text.value.startswith("**")]
    assert terms == [name for names in glossary_themes.THEMES.values() for name in names]
    app = open_page("reference/glossary.py", present="1", glossary_find="zebra")
    assert not app.header
    assert "No term has “zebra” in it." in app.info[0].value


def test_a_link_s_entry_stands_first(open_page: OpenPage) -> None:
    app = open_page("reference/glossary.py", glossary_find="KV head")
    assert next(text.value for text in app.markdown if text.value.startswith("**")).startswith("**KV head**")


def test_ask_starts_with_examples_that_are_answered(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py")
    examples = [link.value for link in app.page_link]
    assert len(examples) >= 4
    for example in examples:
        assert not ask.ask(example).is_declined


def test_ask_shows_passages_with_links(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py", ask_question="What is a block table in vLLM?")
    found = ask.ask("What is a block table in vLLM?").passages
    assert [f"**{number}. {passage.title}**" in said(app) for number, passage in enumerate(found, 1)] == [True] * 3
    assert "Read it in: PagedAttention" in [link.value for link in app.page_link]
    assert not app.warning


def test_ask_reckons_what_a_named_model_takes(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py", ask_question="How much memory does Llama-3 8B need?")
    assert any("8.0 B parameters weigh 16.1 GB at 16 bits" in text.value for text in app.markdown)
    assert not app.info


def test_ask_reckons_for_the_context_that_is_asked_for_and_sizes_it(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py", ask_question="How big is the KV cache of Llama-3 8B at 128k tokens?")
    assert any("a sequence of 131,072 tokens caches 17.2 GB (16.0 GiB)" in text.value for text in app.markdown)
    (link,) = [link.proto.query_string for link in app.page_link if "Size a job" in link.proto.label]
    assert "size_serve_context=131072" in link


def test_ask_asks_back_where_a_term_is_misspelt(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py", ask_question="What is paged atention?")
    assert app.info[0].value == ask.DECLINED
    (link,) = [link.proto for link in app.page_link if "Did you mean" in link.proto.label]
    assert link.label == "Did you mean: What is paged attention?"
    assert link.query_string == "ask_question=What+is+paged+attention%3F"


def test_ask_declines_and_says_what_it_cannot_do(open_page: OpenPage) -> None:
    app = open_page("reference/ask.py", ask_question="How do I bake sourdough bread?")
    assert app.info[0].value == ask.DECLINED
    assert "It does not predict what a change of G does to your costs" in said(app)


def test_what_no_text_can_say_is_said_before_the_passages(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ask_model, "configured", lambda: Endpoint(url="http://127.0.0.1:9/v1", model="small"))
    monkeypatch.setattr(ask_model, "answer", lambda *given: asked.append(given))
    app = open_page("reference/ask.py", ask_question="How much money will we save with GQA?")
    assert app.info[0].value == ask.NO_PREDICTION
    assert "**1. What can this dashboard not tell me?**" in said(app)
    assert not asked


def test_with_a_model_the_answer_stands_above_the_passages(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask_model, "configured", lambda: Endpoint(url="http://127.0.0.1:9/v1", model="small"))
    monkeypatch.setattr(ask_model, "answer", lambda *given: Grounded(text="One KV head [1].", cited=(1,)))
    app = open_page("reference/ask.py", ask_question="What is MQA?")
    assert r"One KV head \[1\]." in said(app)
    assert "Written by small from passages 1 below. Check them." in said(app)


def test_a_failing_model_leaves_the_passages(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> Grounded:
        raise ModelError("The model's server answered 500. Try again later.")

    monkeypatch.setattr(ask_model, "configured", lambda: Endpoint(url="http://127.0.0.1:9/v1", model="small"))
    monkeypatch.setattr(ask_model, "answer", fails)
    app = open_page("reference/ask.py", ask_question="What is MQA?")
    assert app.warning[0].value == "The model's server answered 500. Try again later."
    assert "**1. " in said(app)


def test_an_off_topic_question_never_reaches_a_model(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ask_model, "configured", lambda: Endpoint(url="http://127.0.0.1:9/v1", model="small"))
    monkeypatch.setattr(ask_model, "answer", lambda *given: asked.append(given))
    open_page("reference/ask.py", ask_question="How do I bake sourdough bread?")
    assert not asked


def test_engines_side_by_side_for_every_model(open_page: OpenPage) -> None:
    """The literals are those of tests/core/serving/test_engine_table.py."""
    app = open_page("reference/engines.py", engines_model="Qwen3-Next", engines_engine="SGLang")
    (row,) = sortable_tables(app)[0].to_dict("records")
    assert (row["Engine"], row["In 40 GiB"], row["In 70 GiB"]) == ("SGLang 0.5.23", 28, 49)
    app.segmented_control(key="engines_context").set_value(4_096).run()
    assert sortable_tables(app)[0]["In 40 GiB"].tolist() == [52]
    app.text_input(key="engines_model").set_value("no such model").run()
    assert app.info[0].value == (
        "No model of the registry has “no such model” in its name. Clear the field to see all, or size it by its "
        "config.json on Size."
    )
    assert not app.exception
