"""Serving a model on the sizing page: two inputs to the answer, each job in the link, and nothing lost between them."""

import json
from concurrent.futures import Future

import pytest

from core.__main__ import main
from core.models.hub.pulls import HubError
from core.models.registry import load_registry
from pages.shell import cached
from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"
HEADLINE = "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."


def texts(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def test_two_inputs_from_the_opening_to_how_many_requests_fit(open_page):
    app = open_page(PAGE)
    assert app.segmented_control(key="size_job").value == "Choose G"
    app.segmented_control(key="size_job").set_value("Serve a model").run()
    app.selectbox(key="size_model").set_value("Qwen3 32B").run()
    assert "### Qwen3-32B on one H100 SXM5 80 GB: 1 request at 32,768 tokens" in texts(app)
    assert "Longest context, one request" in texts(app)
    assert "Fewest H100 SXM5 80 GB for one request" in texts(app)
    alt = " ".join(chart.proto.alt for chart in app.get("vega_lite_chart"))
    assert "weights 65.5 GB, cache of 1 request of 32,768 tokens 8.6 GB" in alt
    assert "Had it 4 KV heads and not 8, it would be another model" in " ".join(e.label for e in app.expander)


def test_the_job_is_in_the_link_and_the_other_jobs_inputs_stay(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_batch="4", size_serve_context="4096")
    assert "Llama-2-13B on one H100 SXM5 80 GB: 14 requests at 4,096 tokens" in texts(app)
    app.segmented_control(key="size_job").set_value("Choose G").run()
    assert app.number_input(key="size_batch").value == 4
    assert app.number_input(key="size_context").value == 65_536
    app.number_input(key="size_batch").set_value(32).run()
    assert f"### {HEADLINE}" in texts(app)
    app.segmented_control(key="size_job").set_value("Serve a model").run()
    assert app.number_input(key="size_serve_context").value == 4_096


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("size_serve_context", 0, "context_length is 0: give a whole number from 1"),
        ("size_tp", 3, "num_accelerators is 1, not a multiple of tensor_parallel 3"),
        ("size_count", 10**9, "num_accelerators is 1000000000: give a whole number from 1 to 65,536"),
    ],
)
def test_what_cannot_be_gets_a_sentence(open_page, key, value, message):
    app = more_inputs(open_page(PAGE, size_job="Serve a model"))
    app.number_input(key=key).set_value(value).run()
    assert message in app.error[0].value
    assert app.number_input(key=key).value == value
    assert not app.exception


def test_the_tabs_say_the_servers_memory(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_accelerator="DGX Spark (GB10)")
    assert "The memory is shared with the system, which leaves 102.00 GiB" in texts(app)


@pytest.mark.parametrize("name", ["Qwen3 8B", "Gemma-3 27B", "Mistral-Nemo 12B"])
def test_the_page_answers_as_the_shell(open_page, capsys, name):
    app = open_page(PAGE, size_job="Serve a model", size_model=name, size_accelerator="L40S")
    main(["size", name, "--gpu", "l40s", "--engine", "vllm", "--json"])
    said = json.loads(capsys.readouterr().out)
    requests = said["largest_batch"]
    assert f"on one L40S: {requests:,} request{'' if requests == 1 else 's'} at 32,768 tokens" in texts(app)
    assert f"{said['weight_bytes']:,} bytes" in texts(app)
    assert f"{said['budget_bytes']:,} bytes" in texts(app)


def test_a_model_that_the_hub_does_not_give_is_asked_for_as_text(open_page, monkeypatch):
    def unreachable(repository, mirror):
        failed = Future()
        failed.set_exception(HubError("offline", repository, "The Hub cannot be reached."))
        return failed

    unreachable.clear = lambda *given: None
    monkeypatch.setattr(cached, "hub_model", unreachable)
    app = open_page(PAGE, size_job="Serve a model", size_model="nobody/Qwen3-32B-fine")
    assert "The Hub cannot be reached" in app.error[0].value
    assert "Qwen3 32B, Qwen2" in texts(app)
    assert app.text_area(key="size_paste").label == "Paste its config.json here"


def test_a_pasted_config_is_served(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_model="A file of your own")
    config = next(known.config for known in load_registry() if known.name == "Qwen3 32B")
    app.text_area(key="size_paste").set_value(json.dumps(config)).run()
    assert "A file of your own on one H100 SXM5 80 GB: 1 request at 32,768 tokens" in texts(app)
    assert not app.error


def test_the_time_to_first_token_is_a_bound_with_its_formula(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_model="Qwen3 32B", size_serve_tab="Speed and cost")
    assert "**Time to first token ≥ 3.21 s** for 32,768 tokens of one request: a bound" in texts(app)
    assert "+ 2 × 777,912,320 + 1,125,934,266,580,992 of attention) FLOP / 1 / 989.4 TFLOP/s" in texts(app)
