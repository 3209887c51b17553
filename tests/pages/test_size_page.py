"""The sizing page through AppTest: the headline as literals, inputs that move the verdict, errors that keep them."""

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT
from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"
HEADLINE = "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."


def texts(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def alts(app: AppTest) -> str:
    return " ".join(chart.proto.alt for chart in app.get("vega_lite_chart"))


@pytest.fixture
def app(open_page):
    return open_page(PAGE)


def test_opens_on_the_headline(app):
    assert f"### {HEADLINE}" in [element.value for element in app.markdown]
    assert "against the 76.97 GB that one H100 SXM5 80 GB gives" in texts(app)  # 81,559 MiB x 0.9
    assert "G = 5 misses by 1.08 GB at 4 bits." in texts(app)
    assert "G = 1 with a bf16 cache needs 66.89 GB and leaves 10.08 GB." in texts(app)
    assert "G = 40 · MHA 1,746.0 GB does not fit" in alts(app)


def test_the_evidence_for_that_g_stands_beside_the_verdict(app):
    said = texts(app)
    assert "**Quality at G = 1.** Against MHA, in published studies: MQA −8.22 to −0.39 points" in said
    assert "[Llama 2, 30B, Table 18: −0.39](https://arxiv.org/abs/2307.09288)" in said


def test_the_plan_has_every_line_with_numbers_and_both_units(app):
    said = texts(app)
    assert "42.95 GB (40.00 GiB)" in said  # one KV head is 40 GiB
    assert "`40 × 1 × 256 × 65,536 × 32 × 16 / 8 / 1 = 42,949,672,960 bytes`" in said
    assert "`85,520,809,984 × 0.9 = 76,968,728,985 bytes`" in said
    assert "80,000,000,000 bytes = 74.51 GiB; the device reports 81,559 MiB = 79.65 GiB = 85.52 GB" in said


def test_the_table_has_every_g_and_its_parameters(open_page):
    app = open_page(PAGE, size_tab="Every G")
    table = app.dataframe[0].value
    assert len(table) == 8 * 3
    mha = table[(table["G"] == "40") & (table["Cache"] == "bf16")].iloc[0]
    assert mha["Parameters"] == 13_015_864_320
    assert mha["KV cache, GiB"] == 1_600
    fitting = table[table["Fits"] == "yes"]
    assert set(zip(fitting["Cache"], fitting["G"], strict=True)) == {
        ("bf16", "1"), ("8 bits", "1"), ("8 bits", "2"), ("4 bits", "1"), ("4 bits", "2"), ("4 bits", "4"),
    }  # fmt: skip


def test_changing_the_job_changes_the_verdict_and_the_picture(app):
    before = alts(app)
    app.number_input(key="size_batch").set_value(4).run()
    assert "### Only G = 1, 2, 4, 5 and 8 fit in bf16; 8-bit cache also allows G = 10;" in texts(app)
    assert alts(app) != before
    app.segmented_control(key="size_g").set_value("5").run()
    assert "G = 5 with a bf16 cache needs" in texts(app)
    assert "No study listed here has G = 5." in texts(app)


def test_a_typed_shape_and_spent_parameters(open_page):
    app = open_page(PAGE, size_model="A shape of your own", size_tab="Every G", size_freed="spent")
    table = app.dataframe[0].value
    mqa = table[(table["G"] == "1") & (table["Cache"] == "bf16")].iloc[0]
    # 13.0 B are kept but for the remainder of a whole FFN width: one column is 40 x 3 x 5,120 parameters
    assert 0 <= 13_015_864_320 - mqa["Parameters"] < 40 * 3 * 5_120


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("size_batch", 0, "batch_size is 0: give a whole number from 1"),
        ("size_context", -5, "context_length is -5"),
        ("size_tp", 3, "num_accelerators is 1, not a multiple of tensor_parallel 3"),
        ("size_utilisation", 1.5, "memory_utilization is 1.5"),
        ("size_block", 0, "block_size is 0"),
        ("size_scale_bits", -1, "kv_scale_overhead_bits is -1"),
        ("size_parameters", -1, "parameters is -1"),
    ],
)
def test_a_bad_value_is_named_and_everything_entered_stays(app, key, value, message):
    more_inputs(app).number_input(key="size_price").set_value(7.5)
    app.number_input(key=key).set_value(value).run()
    assert message in app.error[0].value
    assert app.number_input(key=key).value == value
    assert app.number_input(key="size_price").value == 7.5
    assert not app.exception


def test_a_shape_that_cannot_be_is_named(open_page):
    app = open_page(PAGE, size_model="A shape of your own", size_layers="0")
    assert "layers is 0: give a whole number from 1 to 1,000" in app.error[0].value
    assert app.number_input(key="size_layers").value == 0


def test_an_accelerator_of_unknown_memory_is_refused_in_words(app):
    app.selectbox(key="size_accelerator").set_value("Ascend 910B (weakest variant)").run()
    assert "its memory size is not established" in app.error[0].value


def test_an_accelerator_of_ones_own(app):
    app.selectbox(key="size_accelerator").set_value("An accelerator of your own").run()
    assert f"### {HEADLINE}" in texts(app)
    app.number_input(key="size_own_mib").set_value(400_000).run()
    assert "Only G = 1, 2, 4, 5 and 8 fit in bf16" in texts(app)  # 377.5 GB
    app.number_input(key="size_own_mib").set_value(0).run()
    assert app.error


def test_a_model_without_the_dial_is_sized_as_published(open_page):
    app = open_page(PAGE, size_model="Gemma-3 27B", size_batch="1", size_context="4096", size_tab="Make it fit")
    assert "fit" in app.markdown[0].value
    latent = open_page(
        PAGE, size_model="DeepSeek-V2-Lite", size_parameters="15706484224", size_batch="8", size_tab="Tensor parallel",
        size_ranks_of="This job",
    )  # fmt: skip
    assert "### The model as published fits in bf16" in texts(latent)
    assert "one latent vector for all heads (MLA)" in latent.info[0].value
    assert r"**No G to choose:** this deepseek\_v2 model keeps one latent vector" in texts(latent)


def test_deepseek_v4_is_sized_as_published_whatever_its_first_layers_keep(open_page):
    """Its first two layers keep a window of one KV head; vLLM was asked for them with another G, and the page broke."""
    app = open_page(PAGE, size_model="A file of your own", size_tab="Tensor parallel", size_ranks_of="This job")
    ratios = [0, 0, *[4, 128] * 20, 4]
    config = {
        "model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 43, "num_attention_heads": 64,
        "head_dim": 512, "index_head_dim": 128, "index_n_heads": 64, "index_topk": 512, "sliding_window": 128,
        "q_lora_rank": 1024, "o_lora_rank": 1024, "o_groups": 8, "n_routed_experts": 256, "num_experts_per_tok": 6,
        "moe_intermediate_size": 2048, "compress_ratios": ratios, "vocab_size": 129280,
    }  # fmt: skip
    app.session_state["size_paste"] = json.dumps(config)
    app.run()
    assert not app.exception
    assert "### The model as published does not fit" in texts(app)
    assert r"**No G to choose:** this deepseek\_v4 model keeps one key, which is the value too" in texts(app)
    said = " ".join(info.value for info in app.info)
    assert "one key, which is the value too, for all heads. It cannot be split by head" in said


def test_ways_to_make_a_wished_g_fit(open_page):
    """Of the payload: vLLM has no cache of 4 bits by that name, so KIVI's is no way there."""
    assert "KIVI" not in texts(open_page(PAGE, size_tab="Make it fit"))
    app = open_page(PAGE, size_tab="Make it fit", size_engine="Payload alone")
    said = texts(app)
    assert "ways to make G = 8 fit" in said
    assert "KIVI" in said
    assert "Needs an engine with a 4-bit cache" in said
    app.button(key="size_use_1").click().run()
    assert more_inputs(app).number_input(key="size_count").value == 6
    assert app.number_input(key="size_tp").value == 2
    assert "G = 8 with a bf16 cache needs" in texts(app)
    assert "**26 ways" not in texts(app)


def test_the_engine_is_vllm_until_another_is_chosen(open_page):
    app = open_page(PAGE, size_tab="Engine")
    assert app.selectbox(key="size_engine").value == "vLLM"
    # 2 x 40 layers x 128 x 65,536 tokens x 2 bytes x G = 1; (76.97 - 21.94 - 2) GB / 1.34 GB
    assert "vLLM 0.33.0 serves 39 such requests at once on one copy." in texts(app)
    assert "Concurrency" not in texts(app)
    app.selectbox(key="size_engine").set_value("Payload alone").run()
    assert "The payload has no pages" in texts(app)
    assert not app.exception


def test_why_a_hybrid_takes_many_times_its_payload(open_page):
    """Qwen3-Next on vLLM: 10 pages of 14,155,776 bytes over 512 x 24,576 bytes of keys and values."""
    job = {"size_model": "Qwen3-Next 80B-A3B", "size_context": "512", "size_batch": "1", "size_g": "2"}
    app = open_page(PAGE, **job, size_parameters="80000000000", size_weight_bits="4", size_tab="Engine")
    said = texts(app) + " ".join(info.value for info in app.info)
    assert "A request of 512 tokens takes 11.2 times its keys and values on vLLM 0.33.0" in said
    assert "three groups of states take three pages each" in said
    pages, engines = app.get("vega_lite_chart")[-2:]
    assert pages.proto.alt.startswith("What one request takes in vLLM 0.33.0")
    assert engines.proto.alt.startswith("What each engine takes for one request. vLLM: 141.6 MB, 11.2 × its keys")


def test_limits_answer_the_inverse_questions(open_page):
    app = open_page(PAGE, size_tab="Limits", size_g="8")
    # 4 sequences fit in bf16 at G = 8 (section 6: 4)
    assert "### 4" in [element.value for element in app.markdown]
    assert "4 sequences of 65,536 tokens fit; 5 do not." in texts(app)
    assert "This job: 32 sequences of 65,536 tokens." in alts(app)


def test_tensor_parallel_shows_why_llama_2_70b_has_eight(open_page):
    app = open_page(PAGE, size_tab="Tensor parallel")
    assert "**G = 1, 2, 4 and 8 cost the same bytes**" in texts(app)
    assert "G = 8: KV heads on each 1, copies of each 1, 320 KiB per token over all" in alts(app)
    assert "G = 16: KV heads on each 2, copies of each 1, 640 KiB" in alts(app)


def test_traffic_beside_the_static_worst_case(open_page):
    app = open_page(PAGE, size_tab="Traffic")
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Chance of overflow"] == "none seen"
    assert "Static allocation sets the longest context aside and holds **39** sequences" in texts(app)
    app.number_input(key="size_p95").set_value(100_000).run()
    assert "p95 is 100,000 with a mean of 16,384" in app.error[0].value
    app.segmented_control(key="size_traffic").set_value("Constant").run()
    assert {metric.label: metric.value for metric in app.metric}["Live tokens a sequence"] == "65,536"


def test_speed_and_money(open_page):
    app = open_page(PAGE, size_tab="Speed and cost", size_freed="spent", size_price="3.6")
    # (25.70 + 42.95) GB / 3.35 TB/s = 20.5 ms; 32 / 20.49 ms = 1,561 tokens/s; 3.6 / 3600 / 1,561 x 1e6 = 0.64
    assert "takes at least **20.5 ms**" in texts(app)
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Tokens/s, all users"] == "≤ 1,561"
    assert figures["Cost of 1 M tokens"] == "≥ 0.64"
    more_inputs(app).number_input(key="size_price").set_value(-1.0).run()
    assert "price per GPU-hour is -1.0" in app.error[0].value


def test_the_record_and_the_plan_are_offered(open_page):
    app = open_page(PAGE, size_tab="Record", size_kv_bits="8")
    assert [button.label for button in app.get("download_button")] == [
        "Decision record, Markdown", "Decision record, one HTML file", "Benchmark plan, Markdown",
    ]  # fmt: skip
    app.toggle(key="size_record_traffic").set_value(True).run()
    app.session_state["size_share"] = 0.0
    app.run()
    assert "output_share is 0.0" in app.error[0].value


def test_the_benchmark_button_is_here(open_page):
    app = open_page(PAGE, size_tab="Measure")
    assert "Measure decoding on this host" in [button.label for button in app.button]
    more_inputs(app).selectbox(key="size_model").set_value("Mamba-Codestral 7B")
    app.number_input(key="size_parameters").set_value(7_285_403_648).run()
    assert "The kernels measure layers of grouped attention with one shape" in app.info[0].value


def test_falcon_is_sized_at_once_by_its_rule(open_page):
    app = open_page(PAGE, size_model="Falcon-7B", size_batch="1", size_context="2048", size_g="1")
    assert "6,921,720,704 × 16 / 8 / 1 = 13,843,441,408 bytes" in texts(app)
    assert "32 × 1 × 128 × 2,048 × 1 × 16 / 8 / 1 = 16,777,216 bytes" in texts(app)  # 8,192 bytes per token


@pytest.fixture
def hub_answer(monkeypatch):
    """What the page's background question to the Hub is answered with; the questions asked stand in .asked."""
    from concurrent.futures import Future

    from core.serving.from_hub import HubModel
    from core.serving.weights import ParameterCount
    from pages.shell import cached

    class Answer(Future[HubModel]):
        def give(self, config, parameters):
            count = ParameterCount(total=parameters, source="safetensors", sentence="Counted.")
            self.set_result(HubModel(repository="owner/name", commit="c" * 40, config=config, count=count))

    answer = Answer()
    answer.asked = []

    def hub_model(repository, mirror):
        answer.asked.append((repository, mirror))
        return answer

    hub_model.clear = lambda repository, mirror: None
    monkeypatch.setattr(cached, "hub_model", hub_model)
    return answer


def _leaving_out_its_widths(monkeypatch, name):
    """The registry with one model whose recorded facts lack keys that its size depends on: then the Hub is asked."""
    from pages.shell import cached

    models = tuple(
        replace(model, leaves_out=("ffn_width",)) if model.name == name else model
        for model in cached.registered_models()
    )
    monkeypatch.setattr(cached, "registered_models", lambda: models)


def test_a_count_that_takes_time_does_not_hold_up_the_page(open_page, monkeypatch, hub_answer):
    _leaving_out_its_widths(monkeypatch, "Falcon-7B")
    app = open_page(PAGE, size_model="Falcon-7B", size_batch="1", size_context="2048")
    assert "Asking the Hub for tiiuae/falcon-7b" in app.info[0].value
    assert app.selectbox(key="size_model").value == "Falcon-7B"
    hub_answer.give({}, 6_921_720_704)
    app.run()
    assert not app.info
    assert "### Every G fits in bf16." in texts(app)
    assert "G = 71 with a bf16 cache needs" in texts(app)


def test_a_file_that_no_rule_covers_is_built_in_the_background(open_page, monkeypatch):
    """A config.json with a key that the rule does not follow: the page says what it waits for, then counts with it."""
    from concurrent.futures import Future

    from core.serving.weights import ParameterCount
    from pages.shell import cached

    config = {
        "model_type": "smollm9", "num_hidden_layers": 2, "num_attention_heads": 8, "hidden_size": 64,
        "num_key_value_heads": 2, "vocab_size": 100, "architectures": ["LlamaForCausalLM"],
    }  # fmt: skip
    building = Future()

    def built_count(key, config):
        return building

    built_count.clear = lambda key, config: None
    monkeypatch.setattr(cached, "built_count", built_count)
    app = open_page(PAGE, size_model="A file of your own", size_batch="1", size_context="2048", size_g="2")
    app.file_uploader(key="size_upload").upload("config.json", json.dumps(config).encode()).run()
    assert "transformers builds its class without memory" in app.info[0].value
    building.set_result(ParameterCount(total=1_234_567, source="meta device", sentence="Built."))
    app.run()
    assert not app.info
    assert "1,234,567 × 16 / 8 / 1 = 2,469,134 bytes" in texts(app)


def test_a_class_that_cannot_be_built_says_why(open_page, monkeypatch):
    from concurrent.futures import Future

    from core.errors import SizingError
    from pages.shell import cached

    building = Future()
    building.set_exception(SizingError("The architecture could not be built (no such class)."))

    def built_count(key, config):
        return building

    built_count.clear = lambda key, config: None
    monkeypatch.setattr(cached, "built_count", built_count)
    app = open_page(PAGE, size_model="A file of your own", size_batch="1", size_context="2048")
    config = {
        "model_type": "smollm9", "num_hidden_layers": 2, "num_attention_heads": 8, "hidden_size": 64,
        "num_key_value_heads": 2,
    }  # fmt: skip
    app.file_uploader(key="size_upload").upload("config.json", json.dumps(config).encode()).run()
    assert "could not be built (no such class)" in app.error[0].value


def test_any_repository_of_the_hub_can_be_sized(open_page, hub_answer):
    config = {
        "model_type": "olmo2",
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "hidden_size": 1024,
    }
    hub_answer.give(config, 123_456_789)
    app = open_page(PAGE, size_model="owner/name", size_batch="1", size_context="2048", size_g="2")
    assert hub_answer.asked == [("owner/name", None)] * len(hub_answer.asked)
    assert "123,456,789 × 16 / 8 / 1 = 246,913,578 bytes" in texts(app)
    # 2 layers x 2 heads x (128 + 128) x 2,048 tokens x 2 bytes
    assert "2 × 2 × 256 × 2,048 × 1 × 16 / 8 / 1 = 4,194,304 bytes" in texts(app)


def test_what_the_hub_refuses_is_said_and_what_was_typed_stays(open_page, hub_answer):
    from core.models.hub.pulls import HubError

    hub_answer.set_exception(HubError("not_found", "owner/name", "There is no owner/name on the Hub."))
    app = open_page(PAGE, size_model="owner/name", size_batch="7")
    assert "There is no owner/name on the Hub" in app.error[0].value
    assert (app.selectbox(key="size_model").value, app.number_input(key="size_batch").value) == ("owner/name", 7)


def test_an_id_that_is_none_is_refused_before_anything_is_asked(open_page, hub_answer):
    app = open_page(PAGE, size_model="not an id")
    assert "is not a repository id" in app.error[0].value
    assert hub_answer.asked == []


def test_a_registered_model_without_any_count_asks_for_one(open_page, monkeypatch, hub_answer):
    from core.models.hub.pulls import HubError

    _leaving_out_its_widths(monkeypatch, "Falcon-7B")
    hub_answer.set_exception(HubError("offline", "tiiuae/falcon-7b", "The Hub cannot be reached."))
    app = open_page(PAGE, size_model="Falcon-7B", size_batch="1", size_context="2048")
    assert "The facts recorded of Falcon-7B do not say its size" in app.error[0].value
    assert "The Hub cannot be reached" in app.error[0].value


def test_a_file_of_ones_own_opens_on_the_width_that_it_states(open_page):
    app = open_page(PAGE, size_model="A file of your own", size_parameters="8030261248")
    assert "upload or paste a model's config.json" in app.error[0].value
    config = {
        "model_type": "llama", "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256,
        "quantization_config": {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"},
    }  # fmt: skip
    app.file_uploader(key="size_upload").upload("config.json", json.dumps(config).encode()).run()
    assert not app.exception
    assert app.session_state["size_kv_bits"] == 8
    assert "quantization_config.kv_cache_quant_algo in the file says" in texts(app).replace("\\", "")
    assert "counted with here" in texts(app)
    app.selectbox(key="size_model").set_value("Llama-2 13B").run()
    assert app.session_state["size_kv_bits"] == 16  # nothing is said there


def test_a_block_scaled_width_brings_its_scales(open_page):
    config = {
        "architecture": "LlamaForCausalLM", "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096,
        "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "NVFP4"},
    }  # fmt: skip
    data = json.dumps(config).encode()
    app = open_page(PAGE, size_model="A file of your own", size_parameters="6738415616")
    app.file_uploader(key="size_upload").upload("config.json", data).run()
    state = app.session_state
    assert (state["size_kv_bits"], state["size_scale_bits"], state["size_scale_elements"]) == (4, 8, 16)


def test_a_file_without_figures_says_above_the_verdict_that_they_are_its_classs_own(open_page):
    app = open_page(PAGE, size_model="A file of your own", size_parameters="6738415616")
    app.file_uploader(key="size_upload").upload("config.json", b'{"model_type": "llama"}').run()
    assert not app.exception
    assert "defaults of llama in transformers" in app.warning[0].value


def test_a_log_stands_beside_our_figures_and_its_memory_is_taken(open_page):
    """40 GiB / 14,155,776 bytes = 3,034 blocks; 66 a request of 32,768 tokens; 10 of 512 tokens."""
    text = (ROOT / "tests/data/engines/logs/vllm-0.33-qwen3-next.log").read_text()
    job = {"size_model": "Qwen3-Next 80B-A3B", "size_context": "512", "size_batch": "1", "size_g": "2"}
    app = open_page(PAGE, **job, size_parameters="80000000000", size_weight_bits="4", size_tab="Server log")
    app.text_area(key="size_log").set_value(text).run()
    assert "3 of 4 figures are equal to ours." in texts(app)
    assert "our figures are of Qwen3-Next 80B-A3B." in texts(app)
    said = " ".join(warning.value for warning in app.warning)
    assert "Maximum concurrency for 32,768 tokens per request: 45.97x" in said
    assert "Count on 13 prompts of 32,768 tokens that stay cached" in said
    app.button(key="size_log_take").click().run()
    assert more_inputs(app).number_input(key="size_left").value == 40.0
    assert "4 of 4 figures are equal to ours." in texts(app)
    app.text_area(key="size_log").set_value("nginx started").run()
    assert app.error[0].value.startswith("No line of a start")
    assert "size_log" not in app.query_params
