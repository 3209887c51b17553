"""The Models page through AppTest: recorded facts first, pulls against a loopback Hub, own configs that go nowhere."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import constants
from streamlit.testing.v1 import AppTest

from core.engines import transformers_check as cache_check
from core.engines import vllm_check
from core.engines.transformers_check import CacheCheckError, CacheMeasurement, MeasuredLayer
from core.engines.vllm_check import VllmAnswer
from core.models.hub import client as model_hub
from pages.tools.models.pick import by_name
from tests.hub_server import HubServer
from tests.pages.conftest import own_inputs
from tests.pages.tables import sortable_tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = "tools/models/models.py"
TINY = {
    "model_type": "llama", "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 4,
    "hidden_size": 2048,
}  # fmt: skip
Opener = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """Every pull of the page goes to a loopback server; nothing else can be reached."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    with HubServer() as server:
        bounded = functools.partial(model_hub.pull_many, endpoint=server.url, timeout=1.0)
        monkeypatch.setattr(model_hub, "pull_many", bounded)
        yield server


def table(app: AppTest, *, of_registry: bool = False) -> pd.DataFrame:
    """The comparison's table, or the registry's: the one that has families."""
    frames = [frame for frame in sortable_tables(app) if "Model" in frame]
    return next(frame for frame in frames if ("Family" in frame) == of_registry).set_index("Model")


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption))


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def pick(app: AppTest, *names: str) -> AppTest:
    return app.multiselect(key="models_pick").set_value(list(names)).run()


def test_it_opens_on_recorded_facts_and_asks_nobody(open_page: Opener, hub: HubServer) -> None:
    app = open_page(PAGE)
    assert "**Falcon-7B** keeps 8 KiB per token, **Llama-1 7B** 512 KiB: 64 times more." in texts(app)
    falcon = table(app).loc["Falcon-7B"]
    assert (falcon["Kind"], falcon["H"], falcon["G"], falcon["head_dim"], falcon["L"]) == ("MQA", 71, 1, 64, 32)
    assert (falcon["KiB/token"], falcon["Declared by"], falcon["Status"]) == (8.0, "multi_query: true", "recorded")
    assert table(app).loc["Falcon-40B"]["G"] == 8
    assert hub.asked == []


def test_an_engine_that_refuses_a_model_has_its_name_as_people_write_it(open_page: Opener) -> None:
    counts = next(frame.value for frame in open_page(PAGE).table if frame.value.index.name == "Counted by")  # Falcon-7B
    assert list(counts.index) == [
        "payload", "vLLM 0.33.0", "SGLang", "llama.cpp build 11434", "MLX", "transformers 5.24"
    ]  # fmt: skip
    assert counts.loc["SGLang"]["Bytes"] == "–"


def test_a_weight_bars_figure_is_said_to_hold_the_cache_too(open_page: Opener) -> None:
    # 811.7 GB of weights and 16.9 GB of cache at 32,768 tokens: the bar says 828.6 GB
    assert "**Llama-3.1 405B** weighs most: 811.7 GB. A bar's figure is of both." in texts(open_page(PAGE)).replace(
        "\\", ""
    )


def test_the_registry_shows_the_three_families_whole(open_page: Opener) -> None:
    listed = table(open_page(PAGE), of_registry=True)
    assert set(listed["Family"]) == {"Llama", "Mistral", "Falcon"}
    assert len(listed) == 35  # 18 Llama, 10 Mistral, 7 Falcon: every one that is not unverified
    assert "byte" not in listed.loc["Falcon-7B"]["Facts"]
    assert "commit ec89142" in listed.loc["Falcon-7B"]["Facts"]
    assert "Not confirmed: vocab_size" in listed.loc["Falcon-H1 0.5B"]["Facts"]


def test_other_families_can_be_listed_and_none(open_page: Opener) -> None:
    app = open_page(PAGE)
    pills = next(group for group in app.get("button_group") if group.key == "models_families")
    app = pills.set_value(["Kimi"]).run()
    assert list(table(app, of_registry=True).index) == ["Kimi-K2", "Kimi-K3"]
    pills = next(group for group in app.get("button_group") if group.key == "models_families")
    assert "No family is chosen." in [info.value for info in pills.set_value([]).run().info]


def test_a_family_replaces_the_choice(open_page: Opener) -> None:
    app = open_page(PAGE)
    assert "models_family" not in [group.key for group in app.get("button_group")]
    app.session_state["models_families_menu"] = True
    pills = next(group for group in app.run().get("button_group") if group.key == "models_family")
    app = pills.set_value("DeepSeek").run()
    assert app.multiselect(key="models_pick").value == [
        "DeepSeek-V2",
        "DeepSeek-V2-Lite",
        "DeepSeek-V3",
        "DeepSeek-V3.2",
        "DeepSeek-V4-Flash",
        "DeepSeek-V4-Pro",
    ]
    assert set(table(app)["Kind"]) == {"MLA", "MQA"}


def test_a_link_is_a_view(open_page: Opener) -> None:
    app = open_page(PAGE, models_pick=["Gemma-3 27B", "gpt-oss-20b"], models_ghosts="true", models_detail="gpt-oss-20b")
    assert list(table(app).index) == ["Gemma-3 27B", "gpt-oss-20b"]
    assert app.toggle(key="models_ghosts").value is True
    assert app.selectbox(key="models_detail").value == "gpt-oss-20b"
    assert "12 × (G = 8 × 64, last 128 tokens)" in texts(app).replace("\\", "")


def test_a_pull_names_commits_and_falls_back_to_mirror_and_recorded_facts(open_page: Opener, hub: HubServer) -> None:
    hub.add("tiiuae/falcon-7b", config={"model_type": "falcon", "num_hidden_layers": 32, "num_attention_heads": 71,
                                        "hidden_size": 4544, "multi_query": True})  # fmt: skip
    hub.add("meta-llama/Llama-2-70b-hf", fault="gated")
    hub.add("NousResearch/Llama-2-70b-hf", config={**TINY, "num_hidden_layers": 80})
    hub.add("tiiuae/falcon-180B", fault="gated")
    hub.add("tiiuae/falcon-40b", fault="server_error")
    app = pick(open_page(PAGE), "Falcon-7B", "Llama-2 70B", "Falcon-180B", "Falcon-40B")
    app = app.button(key="models_pull").click().run()
    rows = table(app)
    assert list(rows["Status"]) == ["at 0123456", "at 0123456", "pull failed", "pull failed"]
    assert "agrees with the recorded facts" in rows.loc["Falcon-7B"]["Facts"]
    assert "its mirror NousResearch/Llama-2-70b-hf was read; differs from the" in rows.loc["Llama-2 70B"]["Facts"]
    assert rows.loc["Falcon-40B"]["G"] == 8  # the recorded one
    warned = " ".join(warning.value for warning in app.warning).replace("\\", "")
    assert "**Falcon-180B**: the recorded facts are shown. tiiuae/falcon-180B is gated. Accept its conditions" in warned
    assert "**Falcon-40B**: the recorded facts are shown. The Hub answered 500" in warned
    assert app.get("status")[0].label == "2 of 4 pulled, 2 failed: the reasons are below the table"


def test_the_whole_registry_is_pulled_together_and_every_row_has_its_answer(open_page: Opener, hub: HubServer) -> None:
    hub.add("tiiuae/falcon-7b", config={"model_type": "falcon", **TINY})
    hub.add("Qwen/Qwen3-8B", fault="rate_limited")
    hub.add("openai/gpt-oss-20b", fault="hang")
    app = open_page(PAGE, models_families=["All"]).button(key="models_pull_all").click().run()
    rows = table(app, of_registry=True)
    assert len(rows) == 106
    assert rows["Status"].value_counts().to_dict() == {"pull failed": 105, "at 0123456": 1}
    assert "Try again in 37 seconds" in rows.loc["Qwen3 8B"]["Facts"]
    assert "did not answer" in rows.loc["gpt-oss-20b"]["Facts"]
    assert "The Hub shows no microsoft/phi-4" in rows.loc["Phi-4"]["Facts"]


def test_a_link_may_point_at_the_detail_of_a_typed_id(open_page: Opener, hub: HubServer) -> None:
    hub.add("acme/new-model", config=TINY)
    app = open_page(PAGE, models_pick=["Falcon-7B", "acme/new-model"], models_detail="acme/new-model")
    assert app.selectbox(key="models_detail").value == "acme/new-model"
    assert "&quot;num_key_value_heads&quot;: 4," in html(app)


def test_a_second_pull_says_that_nothing_changed(open_page: Opener, hub: HubServer) -> None:
    hub.add("tiiuae/falcon-7b", config={"model_type": "falcon", **TINY})
    app = pick(open_page(PAGE), "Falcon-7B")
    app = app.button(key="models_pull").click().run()
    app = app.button(key="models_pull").click().run()
    assert "unchanged, from the cache" in table(app).loc["Falcon-7B"]["Facts"]
    assert hub.methods("tiiuae/falcon-7b") == ["HEAD", "GET", "HEAD"]


def test_without_a_network_one_line_tells_why_for_all(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    app = pick(open_page(PAGE), "Falcon-7B", "Falcon-40B").button(key="models_pull").click().run()
    (warning,) = app.warning
    assert "**Falcon-7B**, **Falcon-40B**: the recorded facts are shown. HF" in warning.value
    assert list(table(app)["G"]) == [1, 8]


def test_a_typed_id_is_pulled_and_stands_in_the_comparison(open_page: Opener, hub: HubServer) -> None:
    hub.add("acme/new-model", config=TINY)
    app = pick(open_page(PAGE), "Falcon-7B", "acme/new-model")
    # 16 layers x 4 heads x 128 x 4 bytes = 32,768 bytes
    assert table(app).loc["acme/new-model"]["KiB/token"] == 32.0
    assert table(app).loc["acme/new-model"]["Status"] == "at 0123456"


def test_a_gated_id_of_the_registry_typed_in_finds_its_mirror(open_page: Opener, hub: HubServer) -> None:
    hub.add("meta-llama/Llama-2-7b-hf", fault="gated")
    hub.add("NousResearch/Llama-2-7b-hf", config=TINY)
    facts = table(pick(open_page(PAGE), "meta-llama/Llama-2-7b-hf")).loc["meta-llama/Llama-2-7b-hf"]["Facts"]
    assert "the original is gated, so its mirror NousResearch/Llama-2-7b-hf was read" in facts


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("acme/nowhere", "The Hub shows no acme/nowhere"),
        ("no id at all", "'no id at all' is not a repository id"),
        ("acme/broken", "config.json of acme/broken cannot be read"),
    ],
)
def test_a_typed_id_that_gives_nothing_says_why_and_stays(
    open_page: Opener, hub: HubServer, typed: str, words: str
) -> None:
    hub.add("acme/broken", config=b"{not json")
    app = pick(open_page(PAGE), "Falcon-7B", typed)
    assert words in app.error[0].value.replace("\\", "")
    assert app.multiselect(key="models_pick").value == ["Falcon-7B", typed]
    assert list(table(app).index) == ["Falcon-7B"]


def test_a_pasted_config_is_read_and_goes_nowhere(open_page: Opener, hub: HubServer) -> None:
    app = own_inputs(open_page(PAGE, models_pick=["Falcon-7B"]))
    app = app.text_area(key="models_paste").set_value(json.dumps(TINY)).run()
    assert table(app).loc["Pasted config"]["G"] == 4
    assert table(app).loc["Pasted config"]["Status"] == "pasted"
    assert "models_paste" not in app.query_params
    assert hub.asked == []


def test_what_was_pasted_stays_when_its_menu_is_closed(open_page: Opener) -> None:
    """A closed menu is not sent to the browser, and comes back with what was in it."""
    app = open_page(PAGE, models_pick=["Falcon-7B"])
    assert "models_paste" not in [area.key for area in app.text_area]
    app = own_inputs(app).text_area(key="models_paste").set_value(json.dumps(TINY)).run()
    app.session_state["models_own_menu"] = False
    app = app.run()
    assert "models_paste" not in [area.key for area in app.text_area]
    assert list(table(app).index) == ["Falcon-7B", "Pasted config"]
    app = own_inputs(app)
    assert app.text_area(key="models_paste").value == json.dumps(TINY)
    assert table(app).loc["Pasted config"]["G"] == 4


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("{broken", "Pasted config: The file is not JSON"),
        ('["a"]', "not a JSON object"),
        ('{"model_type": "bert"}', "Pasted config: "),
        (json.dumps({**TINY, "num_key_value_heads": "four"}), "num_key_value_heads"),
    ],
)
def test_a_pasted_config_that_cannot_be_read_says_why_and_stays(open_page: Opener, pasted: str, words: str) -> None:
    app = own_inputs(open_page(PAGE, models_pick=["Falcon-7B"])).text_area(key="models_paste").set_value(pasted).run()
    assert words in app.error[0].value.replace("\\", "")
    assert app.text_area(key="models_paste").value == pasted
    assert "Falcon-7B" in table(app).index


def test_an_uploaded_config_is_read_and_its_name_is_text(open_page: Opener, hub: HubServer) -> None:
    app = own_inputs(open_page(PAGE, models_pick=["Falcon-7B"]))
    name = "[x](javascript:alert(1)).json"
    upload = app.get("file_uploader")[0]
    app = upload.set_value((name, json.dumps({**TINY, "num_attention_heads": 4}).encode(), "application/json")).run()
    assert table(app).loc[f"Uploaded {name}"]["Kind"] == "MHA"
    assert "[x](java" not in texts(app)
    assert hub.asked == []


def test_what_a_file_leaves_open_stands_above_the_figures_and_in_the_table(open_page: Opener) -> None:
    unknown = {
        "model_type": "spark2_5", "num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 10,
        "num_key_value_heads": 2, "quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}},
    }  # fmt: skip
    app = own_inputs(open_page(PAGE, models_pick=[])).text_area(key="models_paste").set_value(json.dumps(unknown)).run()
    app = app.selectbox(key="models_detail").set_value("Pasted config").run()
    assert not app.exception
    first, second = (element.value.replace("\\", "") for element in app.warning[:2])
    assert "Read from the file's own keys; class not known" in first
    assert (
        "Used: num_hidden_layers, hidden_size, num_attention_heads, num_key_value_heads. Not used: vocab_size" in second
    )
    assert "Cache width: quantization" in texts(app).replace("\\", "")
    facts = str(table(app).loc["Pasted config"]["Facts"])
    assert "class not known" in facts
    assert "8 bits an element" in facts


def test_markup_in_a_config_is_shown_as_text(open_page: Opener) -> None:
    nasty = '<img src=x onerror="alert(1)">'
    app = own_inputs(open_page(PAGE, models_pick=[])).text_area(key="models_paste")
    app = app.set_value(json.dumps({**TINY, "_name_or_path": nasty, nasty: 1}, indent=1)).run()
    app = app.selectbox(key="models_detail").set_value("Pasted config").run()
    assert "<img" not in html(app)
    assert "&lt;img src=x onerror=" in html(app)


def test_no_more_than_a_dozen_are_compared(open_page: Opener, hub: HubServer) -> None:
    from core.models.registry import load_registry

    names = [model.name for model in load_registry()][:12]
    app = own_inputs(open_page(PAGE, models_pick=names))
    app = app.text_area(key="models_paste").set_value(json.dumps(TINY)).run()
    assert "13 models are chosen and 12 fit" in app.warning[0].value
    assert len(table(app)) == 12


def test_the_detail_marks_what_declared_g_and_says_why(open_page: Opener) -> None:
    app = open_page(PAGE)
    assert app.selectbox(key="models_detail").value == "Falcon-7B"
    assert "&quot;multi_query&quot;: true," in html(app)
    assert "<b>G = 1</b>" in html(app)


def test_falcon_40b_tells_the_definitions_apart(open_page: Opener) -> None:
    app = open_page(PAGE, models_detail="Falcon-40B")
    counted = app.table[0].value
    # 8,192 tokens x 122,880 bytes = 960 MiB; 128 heads instead of 8: 16 times
    # SGLang and mlx-lm have no code of their own for Falcon: no figure, and why
    assert list(counted["Bytes"]) == ["960 MiB", "960 MiB", "–", "960 MiB", "–", "15 GiB"]
    assert list(counted["Times the payload"]) == ["1 ×", "1 ×", "–", "1 ×", "–", "16 ×"]
    assert "FalconForCausalLM has no code of its own in SGLang" in counted["Why"].iloc[2]
    assert "copies keys and values to every query head" in counted["Why"].iloc[5]
    assert "Everything above is the payload" in texts(app)


def test_a_split_that_an_engine_refuses_is_said_in_its_row(open_page: Opener) -> None:
    app = open_page(PAGE, models_pick=["Phi-4"], models_detail="Phi-4", models_tp="4")
    counted = app.table[0].value
    assert "10 KV heads neither divide it nor are divided by it" in counted["Why"].iloc[1]
    assert counted["Bytes"].iloc[1] == "–"


def test_the_check_lays_transformers_beside_our_figure(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    # Falcon-7B over 128 tokens: 128 x 1 x (64 + 64) x 2 = 32,768 bytes a layer
    layers = tuple(
        MeasuredLayer(
            index=index, cache_class="DynamicLayer", key_shape=(1, 1, 128, 64), value_shape=(1, 1, 128, 64),
            state_shapes=(), kv_bytes=32_768, state_bytes=0, indexer_bytes=0,
        )
        for index in range(32)
    )  # fmt: skip
    measured = CacheMeasurement(
        model_class="FalconForCausalLM", transformers_version="5.23.0", context_length=128, batch_size=1,
        layers=layers, seconds=1.0,
    )  # fmt: skip
    monkeypatch.setattr(cache_check, "measure_cache", lambda *_args, **_options: measured)
    app = open_page(PAGE).button(key="models_check").click().run()
    said = app.success[0].value.replace("\\", "")
    assert "transformers 5.23.0 built FalconForCausalLM, read 128 tokens and held 1 MiB" in said
    assert "Our payload is 1 MiB: equal on 32 of 32 layers." in said


def test_vllm_s_own_plan_stands_beside_ours(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen3 8B at 4,096 tokens: 2 x 36 x 8 x 128 x 2 x 4,096 = 603,979,776 bytes, in 40 GiB 71.109375 times."""
    answer = VllmAnswer(
        version="0.33.0", block_size=16, groups=(("FullAttentionSpec", 36),), num_blocks=18_204, stood_in=False,
        request_bytes=603_979_776, capacity_tokens=291_264, max_concurrency=71.109375, available_bytes=40 * 2**30,
        seconds=1.0,
    )  # fmt: skip
    given: list[dict[str, object]] = []

    def asked(config: object, **options: object) -> VllmAnswer:
        given.append(options)
        return answer

    monkeypatch.setattr(vllm_check, "ask_vllm", asked)
    app = pick(open_page(PAGE), "Qwen3 8B")
    app.button_group(key="models_context").set_value(4_096).run()
    app.button(key="models_vllm_check").click().run()
    assert "Ours is equal in all 5 figures." in app.success[0].value
    assert given[0]["settings"] == {"max_batched_tokens": 2_048, "tensor_parallel": 1}
    monkeypatch.setattr(vllm_check, "ask_vllm", lambda *_args, **_options: replace(answer, block_size=32))
    app.button(key="models_vllm_check").click().run()
    assert "in: tokens of a block." in app.warning[0].value


def test_a_check_that_fails_says_why(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_options: object) -> None:
        raise CacheCheckError("The check took longer than 90 s and was stopped. Try a smaller context.")

    monkeypatch.setattr(cache_check, "measure_cache", fails)
    app = open_page(PAGE).button(key="models_check").click().run()
    assert "took longer than 90 s" in app.error[0].value


def test_a_refused_config_is_offered_the_measurement_as_the_answer(
    open_page: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = MeasuredLayer(
        index=0, cache_class="DynamicLayer", key_shape=(1, 2, 128, 8), value_shape=(1, 2, 128, 8), state_shapes=(),
        kv_bytes=8_192, state_bytes=0, indexer_bytes=0,
    )  # fmt: skip
    measured = CacheMeasurement(
        model_class="OddForCausalLM", transformers_version="5.23.0", context_length=128, batch_size=1, layers=(layer,),
        seconds=1.0,
    )  # fmt: skip
    monkeypatch.setattr(cache_check, "measure_cache", lambda *_args, **_options: measured)
    app = own_inputs(open_page(PAGE, models_pick=["Falcon-7B"])).text_area(key="models_paste")
    app = app.set_value('{"model_type": "bert", "num_hidden_layers": 1}').run()
    app = app.selectbox(key="models_detail").set_value("Pasted config").run()
    app = app.button(key="models_check").click().run()
    said = app.info[0].value.replace("\\", "")
    assert "a measurement and not a reading" in said
    assert "64 bytes per token" in said  # 8,192 / 128


def test_opening_the_page_imports_neither_torch_nor_transformers() -> None:
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/frame.py", default_timeout=60).switch_page({PAGE!r}).run()
assert not app.exception, app.exception
assert app.get("vega_lite_chart"), "the page is empty"
print(sorted(name for name in ("torch", "transformers") if name in sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip().splitlines()[-1:] == ["[]"], run.stderr


def test_a_pasted_file_of_another_tool_is_read_with_its_lines_marked(open_page: Opener, hub: HubServer) -> None:
    recipe = "model:\n  num_layers: 32\n  hidden_size: 4096\n  num_attention_heads: 32\n  num_query_groups: 8\n"
    app = own_inputs(open_page(PAGE, models_pick=[])).text_area(key="models_paste").set_value(recipe).run()
    row = table(app).loc["Pasted config"]
    assert (row["Kind"], row["G"], row["Declared by"]) == ("GQA", 8, "model.num_query_groups: 8")
    app = app.selectbox(key="models_detail").set_value("Pasted config").run()
    assert "model.num_query_groups in the file says 8." in html(app)
    assert hub.asked == []


def test_a_file_without_figures_says_above_them_that_they_are_its_classs_own(open_page: Opener) -> None:
    app = own_inputs(open_page(PAGE, models_pick=[])).text_area(key="models_paste")
    app = app.set_value('{"model_type": "llama"}').run()
    app = app.selectbox(key="models_detail").set_value("Pasted config").run()
    assert "defaults of llama in transformers" in app.warning[0].value


def test_an_engine_says_what_one_request_takes_of_it(open_page):
    """Qwen3-Next on vLLM: 3 x 3 + 15 pages of 14,155,776 bytes at 8,192 tokens."""
    app = open_page("tools/models/models.py", models_detail="Qwen3-Next 80B-A3B", models_pick="Qwen3-Next 80B-A3B")
    assert app.selectbox(key="models_engine").value == "vLLM"
    assert "24 pages of 14.2 MB. That is 339.74 MB (324.00 MiB) on one accelerator." in " ".join(
        element.value for element in app.markdown
    )
    app.selectbox(key="models_engine").set_value("SGLang").run()
    assert app.number_input(key="models_sg_states").value == 0.9
    assert not app.exception
    app.selectbox(key="models_engine").set_value("Payload alone").run()
    assert not app.exception


def test_a_family_of_more_than_fit_names_what_is_left_out(open_page: Opener) -> None:
    app = open_page(PAGE)
    app.session_state["models_families_menu"] = True
    pills = next(group for group in app.run().get("button_group") if group.key == "models_family")
    app = pills.set_value("Llama").run()
    taken = app.multiselect(key="models_pick").value
    assert len(taken) == 12
    left = [name for name, model in by_name().items() if model.family == "Llama"][12:]
    assert left[-1].startswith("Llama-4")
    sentence = f"12 models fit. Left out of the family: {', '.join(left)}."
    assert sentence in [caption.value for caption in app.caption]
    app = app.multiselect(key="models_pick").set_value(taken[:3]).run()
    assert sentence not in [caption.value for caption in app.caption]
