"""A copy over stages, ranks of requests and experts on Size: each rank's plan drawn, in the link, with a sentence."""

from pages.tools.size.pinned import values_of
from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"
SERVE = {"size_job": "Serve a model", "size_accelerator": "H200 SXM 141 GB"}


def said(app) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.error, *app.warning])


def test_every_rank_is_drawn_and_the_fullest_said(open_page):
    app = open_page(PAGE, **SERVE, size_model="Qwen3 32B", size_count="3", size_pp="3")
    assert "**Each rank of a copy.** Rank 2 of 3 is the fullest and rules: it holds layers 22 to 43" in said(app)
    assert more_inputs(app).number_input(key="size_pp").value == 3


def test_experts_over_ranks_of_requests(open_page):
    app = open_page(
        PAGE, **SERVE, size_model="DeepSeek-V3", size_count="16", size_dp="16", size_ep="true", size_engine="vLLM"
    )
    assert "of a layer's 256 experts" in said(app)
    assert "ranks of a copy" in said(app)
    assert more_inputs(app).checkbox(key="size_ep").value


def test_a_split_that_cannot_be_gets_a_sentence_and_stays(open_page):
    app = open_page(PAGE, **SERVE, size_model="Qwen3 32B", size_count="2", size_tp="2", size_ep="true")
    assert "has no experts: leave it off" in said(app)
    assert more_inputs(app).checkbox(key="size_ep").value
    app = open_page(PAGE, **SERVE, size_model="Qwen3 32B", size_pp="4")
    assert "num_accelerators is 1, not a multiple of tensor_parallel 1 x pipeline_parallel 4" in said(app)


def test_choose_g_has_the_ranks_too(open_page):
    app = open_page(PAGE, size_batch="8", size_count="4", size_tp="2", size_pp="2")
    assert "**Each rank of a copy.**" in said(app)
    app = open_page(PAGE, size_batch="8", size_count="2", size_tp="2", size_tab="The plan")
    assert "All 2 ranks of a copy are as full" in said(app)


def test_a_pinned_job_says_how_it_is_split():
    found = values_of("model=DeepSeek-V3&pp=2&dp=4&ep=on")
    assert (found["size_pp"], found["size_dp"], found["size_ep"]) == (2, 4, True)
