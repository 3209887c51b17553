"""What Size says is what it gives: ways to fit, what they set, what an engine refuses, links that cannot open."""

import json
from types import SimpleNamespace

import pytest

from core.figures.palette import LIGHT
from core.hardware.accelerators import catalogue
from pages.shell import cached
from pages.tools.size.model import OWN_FILE
from tests.dashboard import ROOT
from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"


def said(app) -> str:
    shown = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return " ".join(element.value for element in shown).replace("\\", "")


@pytest.mark.parametrize(
    "asked",
    [
        {"size_kv_bits": "4"},  # on vLLM
        {"size_engine": "MLX"},  # 32 requests with a narrow cache
        {"size_engine": "llama.cpp", "size_batch": "300"},
        {"size_engine": "transformers", "size_kv_bits": "8"},
    ],
)
def test_ways_and_files_are_there_for_what_the_engine_refuses(open_page, asked):
    app = open_page(PAGE, size_tab="Make it fit", **asked)
    assert " ways to make G = 8 fit**" in said(app)
    titles = [section.title for section in app.session_state["_share_report"](LIGHT)]
    assert "Ways to make G = 8 fit" in titles
    assert not open_page(PAGE, size_tab="Record", **asked).exception


def test_a_width_that_the_engine_does_not_take_is_said_beside_the_verdict(open_page):
    sentence = "vLLM 0.33.0 takes a 4-bit cache by the name of its type alone (cache_type) for this job"
    assert sentence in said(open_page(PAGE))
    assert sentence in said(open_page(PAGE, size_tab="Every G"))
    assert "of its type alone" not in said(open_page(PAGE, size_engine="Payload alone"))


def test_a_type_that_the_engine_s_settings_name_is_what_the_grid_is_of(open_page):
    """Three columns of one plan stood there, as bf16, 8-bit and 4-bit, and the step was that of 16 bits."""
    app = open_page(PAGE, size_vllm_type="turboquant_4bit_nc")
    assert "Only G = 1 and 2 fit in turboquant_4bit_nc. G = 8 does not fit." in said(app)
    assert "G = 2 with a cache in turboquant_4bit_nc needs 52.87 GB" in said(app)
    assert "bf16" not in said(app).partition("Quality")[0]
    (bits,) = [each for each in app.segmented_control if each.label == "KV cache, bits"]
    assert bits.disabled
    fits = said(open_page(PAGE, size_vllm_type="turboquant_4bit_nc", size_tab="Make it fit"))
    assert "KV cache at" not in fits.partition("ways to make")[2]


def test_a_way_with_measured_memory_gives_what_it_says(open_page):
    """20 GiB left on an H100: what that server keeps beside weights and cache stays on a larger card."""
    app = open_page(PAGE, size_left="20", size_wish="8", size_g="8", size_batch="8", size_context="32768",
                    size_tab="Make it fit")  # fmt: skip
    assert "What the server keeps beside weights and cache, by its log, stays in every way." in said(app)
    app.button(key="size_use_1").click().run()
    assert not app.exception
    assert "G = 8 fits as it is." in [box.value for box in app.success]


def test_a_way_leaves_the_hosts_own_gpu_where_it_changes_none(open_page, monkeypatch):
    host = SimpleNamespace(accelerator=catalogue()["h100-sxm"])
    monkeypatch.setattr(cached, "host_accelerator", lambda: host)
    app = open_page(PAGE, size_accelerator="This host's GPU", size_tab="Make it fit", size_engine="Payload alone")
    number = next(n for n in range(1, 9) if any(e.value.startswith(f"**{n}. Batch of") for e in app.markdown))
    app.button(key=f"size_use_{number}").click().run()
    assert app.selectbox(key="size_accelerator").value == "This host's GPU"
    assert "G = 8 fits as it is." in [box.value for box in app.success]


def test_a_log_of_other_ranks_and_an_fp8_cache_is_taken_whole(open_page):
    text = (ROOT / "tests/data/engines/logs/vllm-0.33-qwen3-next.log").read_text()
    text += (
        "\nINFO engine config: model='x', tensor_parallel_size=4, kv_cache_dtype=fp8_e4m3, enable_prefix_caching=True"
    )
    app = open_page(PAGE, size_tab="Server log", size_count="2", size_pp="2", size_context="512", size_batch="1")
    app.text_area(key="size_log").set_value(text).run()
    app.button(key="size_log_take").click().run()
    assert not app.error, [error.value for error in app.error]
    more_inputs(app)
    assert (app.number_input(key="size_tp").value, app.number_input(key="size_count").value) == (4, 8)
    bits = next(group for group in app.get("button_group") if group.key == "size_kv_bits")
    assert bits.value == 8


def test_a_prefix_that_is_longer_than_the_request_is_refused_and_kept(open_page):
    app = open_page(PAGE, size_prefix="100000", size_context="4096")
    assert app.error[0].value == (
        "the shared prefix is 100,000 tokens, more than the 4,096 of a request: give a shorter prefix or a longer "
        "context"
    )
    assert more_inputs(app).number_input(key="size_prefix").value == 100_000


@pytest.mark.parametrize("key", ["size_offload", "size_left"])
def test_a_number_beyond_all_memory_is_a_sentence(open_page, key):
    app = open_page(PAGE, **{key: "1e300"})
    assert "give a number from 0 to " in app.error[0].value


def test_traffic_says_that_its_figures_are_of_one_copy(open_page):
    app = open_page(PAGE, size_batch="128", size_count="4", size_g="1", size_tab="Traffic")
    assert "the job asks for **32**. All of it is one copy of the model's, of 4 that share the batch." in said(app)


def test_a_link_to_a_gpu_that_is_not_here_says_what_stands_instead(open_page):
    app = open_page(PAGE, size_accelerator="This host's GPU")
    sentence = "The link asks for This host's GPU, which is not here: H100 SXM5 80 GB stands in its place."
    assert sentence in said(app)
    assert sentence in said(app.run())
    assert sentence not in said(app.selectbox(key="size_accelerator").set_value("H200 SXM 141 GB").run())
    assert sentence not in said(open_page(PAGE, size_accelerator="H200 SXM 141 GB"))


def test_an_accelerator_of_ones_own_stands_in_the_report(open_page):
    app = open_page(PAGE, size_accelerator="An accelerator of your own", size_own_mib="40960")
    report = app.session_state["_share_report"](LIGHT)
    asked = next(section for section in report if section.title == "What was asked").table[1]
    assert ("Memory that it reports, MiB", "40,960", "81,559") in asked


def test_sixteen_bits_over_the_files_own_width_stand_in_the_link(open_page):
    """Streamlit leaves an input's default out of the link: without a word of it the file's 8 bits would come back."""
    shape = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
             "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100}  # fmt: skip
    file = json.dumps({**shape, "quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}}).encode()

    def bits(app):
        return next(group for group in app.get("button_group") if group.key == "size_kv_bits")

    def with_file(**query: str):
        app = open_page(PAGE, size_model=OWN_FILE, **query)
        return app.file_uploader(key="size_upload").upload("config.json", file).run()

    app = with_file()
    assert bits(app).value == 8
    assert "size_width_kept" not in app.query_params
    app = bits(app).set_value(16).run()
    assert app.query_params["size_width_kept"] == "16"
    assert bits(with_file(size_width_kept="16")).value == 16
    assert "size_width_kept" not in bits(app).set_value(4).run().query_params
