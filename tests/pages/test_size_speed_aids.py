"""What a server does besides on Size: a draft, a shared prefix, a cache outside, in the link, the plan and the report;
and pins that stay for the session."""

from core.figures.palette import LIGHT
from pages.tools.size.pinned import KEPT, values_of
from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"
SERVE = {"size_job": "Serve a model", "size_model": "Llama-3 8B", "size_serve_context": "16384"}


def said(app) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.error, *app.warning])


def report_of(app):
    return app.session_state["_share_report"](LIGHT)


def test_a_draft_a_prefix_and_a_cache_outside_are_counted_and_bound(open_page):
    """Bounds on the Speed tab, the draft in the picture, its line in the plan, and the input in the report."""
    app = open_page(
        PAGE, **SERVE, size_accelerator="H200 SXM 141 GB", size_draft="Llama-3.2 1B", size_prefix="4096",
        size_offload="64", size_serve_tab="Speed and cost",
    )  # fmt: skip
    assert "With a plain draft, at most" in said(app)
    assert "s with the shared prefix in the cache**: a bound." in said(app)
    assert "Outside wait " in said(app)
    assert "weights and draft" in said(app)
    assert "256 hold the shared prefix once" in said(app)
    plan = next(section for section in report_of(app) if section.title.startswith("Memory of")).table
    assert any(row[0] == "Draft, a plain draft" for row in plan[1])
    asked = next(section for section in report_of(app) if section.title == "What was asked").table
    assert ("Draft model", "Llama-3.2 1B", "None") in asked[1]


def test_a_draft_that_cannot_be_gets_a_sentence(open_page):
    app = open_page(PAGE, **SERVE, size_draft="The model's MTP layers")
    assert "what vLLM 0.33 builds of it for model_type 'llama' is not stated here" in said(app)
    assert more_inputs(app).selectbox(key="size_draft").value == "The model's MTP layers"


def test_engines_that_take_no_draft_in_a_pipeline_say_so_beside_the_one_that_does(open_page):
    app = open_page(
        PAGE, **SERVE, size_count="2", size_pp="2", size_draft="Llama-3.2 1B", size_engine="vLLM",
        size_serve_tab="Engine",
    )  # fmt: skip
    assert not app.exception
    tables = [table.value for table in app.table]
    beside = next(table for table in tables if "Requests at once" in table.columns)
    refused = beside[beside["Why"].str.startswith("pipeline_parallel with a draft")]
    assert list(refused["Engine"]) == ["SGLang", "llama.cpp", "MLX", "transformers"]


def test_a_pinned_job_says_its_draft():
    found = values_of("model=Llama-3+8B&draft=Llama-3.2+1B&draft_method=EAGLE&prefix=512")
    assert (found["size_draft"], found["size_draft_method"], found["size_prefix"]) == ("Llama-3.2 1B", "EAGLE", 512)


def test_pins_stand_in_the_report_and_outlive_the_page(open_page):
    """Leaving the page empties its part of the link; who comes back in the session finds them there again."""
    app = open_page(PAGE, **SERVE, size_pins="model=Llama-2+13B&kv_bits=8")
    assert app.session_state[KEPT] == ["model=Llama-2+13B&kv_bits=8"]
    section = next(section for section in report_of(app) if section.title == "Side by side")
    assert section.table[0][1].startswith("1. Llama-2 13B on one H100 SXM5 80 GB")
    del app.query_params["size_pins"]
    app.switch_page("overview.py").run()
    app.switch_page(PAGE).run()
    assert app.query_params["size_pins"] in ("model=Llama-2+13B&kv_bits=8", ["model=Llama-2+13B&kv_bits=8"])
