"""transformers' own cache against what it really allocated: every measured config, and its words for what cannot be."""

import gzip
import json

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.engines.release_cases import small
from core.engines.transformers import stored_elements
from core.models.attention import GroupedAttention
from core.models.spec import UnsupportedConfig, read_config
from tests.core.measured_cases import measured_cases
from tests.dashboard import ROOT

LEFT_OUT = {"stray", "encdec", "exotic"}  # as the measured cases' own judge leaves them out


def test_every_measured_dynamic_cache_is_ours_to_the_byte():
    """4,274 runs: keys, values, latents and index keys; a few truths leave the index keys out, and say so by type."""
    checked = 0
    for case in measured_cases():
        if LEFT_OUT & set(case["tags"]):
            continue
        try:
            spec = read_config(case["config"])
        except UnsupportedConfig:
            continue
        for run in case["truth"]:
            if run.get("transformers_dynamic") is None:
                continue
            width, tokens = run["dtype_bytes"], run["seq"]
            made = plan_cache(spec, engine="transformers", context_length=tokens, cache_bits=8 * width)
            held = (made.request_bytes - spec.state_bytes(bytes_per_element=width)) * run["batch"]
            keys_and_values = spec.kv_cache_bytes(context_length=tokens, bytes_per_element=width)
            beside = (spec.cache_bytes(context_length=tokens, bytes_per_element=width) - keys_and_values) * run["batch"]
            assert run["transformers_dynamic"] in (held, held - beside), case["case"]
            checked += 1
    assert checked >= 4_000


def test_every_measured_static_cache_is_ours_to_the_byte_or_refused_as_transformers_refuses_it():
    """StaticCache(max_cache_len=tokens); MPT and RoCBert of a few shapes did not run with one, so nothing is known."""
    with gzip.open(ROOT / "tests/data/engines/transformers_static.json.gz", "rt") as text:
        truths = json.load(text)["static_bytes"]
    checked, refused = 0, set()
    for case in measured_cases():
        if LEFT_OUT & set(case["tags"]):
            continue
        spec = read_config(case["config"])
        for run, truth in zip(case["truth"], truths[case["case"]], strict=True):
            width, tokens = run["dtype_bytes"], run["seq"]
            job = {"context_length": tokens, "cache_bits": 8 * width, "cache": "static"}
            if truth is None and spec.model_type in ("minimax", "xlstm"):
                refused.add(spec.model_type)
                with pytest.raises(EngineError, match="takes no StaticCache"):
                    plan_cache(spec, engine="transformers", **job)
            elif truth is not None:
                beside = run["with_indexer"] - run["architecture"]
                held = plan_cache(spec, engine="transformers", **job).request_bytes
                states = spec.state_bytes(bytes_per_element=width)
                assert (held - states) * run["batch"] == truth + beside, case["case"]
                checked += 1
    assert checked == 4_193
    assert refused == {"minimax", "xlstm"}


def test_a_window_is_kept_whole_by_the_static_cache_and_less_one_by_the_dynamic():
    layer = GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=64, value_dim=64, window=1_024)
    assert stored_elements(layer, 5_000, "static") == 1_024 * 2 * 128
    assert stored_elements(layer, 5_000, "dynamic") == 1_023 * 2 * 128
    assert stored_elements(layer, 1_000, "dynamic") == 1_000 * 2 * 128


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"cache": "paged"}, "cache is 'paged': choose one of dynamic, static"),
        ({"cache_bits": 8}, "cache_bits is 8"),
        ({"context_length": 0}, "context_length is 0"),
        ({"tensor_parallel": 2}, "tensor_parallel is 2"),
        ({"block_size": 16}, "no setting 'block_size'"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(job, says):
    spec = read_config(measured_cases()[0]["config"])
    with pytest.raises(EngineError, match=says):
        plan_cache(spec, engine="transformers", **job)


def test_a_prompt_is_held_whole_behind_a_window_until_the_next_token():
    """Mistral 7B v0.1: 32 layers x 8 heads x 256 x 2 bytes x 4,095 tokens kept, and of 32,768 held after the prompt."""
    mistral = {
        "model_type": "mistral", "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_size": 4096, "head_dim": 128, "sliding_window": 4096, "vocab_size": 32000,
    }  # fmt: skip
    plan = plan_cache(read_config(mistral), engine="transformers", context_length=32_768)
    assert plan.request_bytes == 32 * 8 * 256 * 2 * 4_095
    assert [note.name for note in plan.notes] == ["request", "prompt"]
    assert plan.notes[1].result == f"{32 * 8 * 256 * 2 * 32_768:,} bytes" == "4,294,967,296 bytes"
    short = plan_cache(read_config(mistral), engine="transformers", context_length=4_095)
    static = plan_cache(read_config(mistral), engine="transformers", context_length=32_768, cache="static")
    open_ = plan_cache(read_config(mistral | {"sliding_window": None}), engine="transformers", context_length=32_768)
    assert all([note.name for note in made.notes] == ["request"] for made in (short, open_))
    assert [note.name for note in static.notes] == ["request", "static cache"]


QWEN = {
    "model_type": "qwen2", "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
    "hidden_size": 64, "intermediate_size": 64, "vocab_size": 64,
}  # fmt: skip


def test_a_static_cache_stays_as_long_as_the_longest_before_it():
    """transformers 5.24: after generate(cache_implementation="static") with a prompt of 40 tokens one of 10 has a cache
    of 40 too, 61,440 bytes in float32."""
    long, short = (
        plan_cache(read_config(QWEN), engine="transformers", cache="static", cache_bits=32, context_length=tokens)
        for tokens in (40, 10)
    )
    assert (long.request_bytes, short.request_bytes) == (61_440, 15_360)
    told = short.notes[-1]
    assert (told.numbers, told.result) == ("10 tokens here", "15,360 bytes or more")
    assert "no shorter than the longest that the same model object made before" in told.reason


def test_compressed_attention_takes_no_static_cache():
    """transformers 5.24: StaticCache of a DeepSeek-V4 raises KeyError('heavily_compressed_attention'); one whose layers
    all slide has a cache of 40 tokens' windows."""
    config = small("deepseek_v4")
    says = "StaticCache knows no compressed attention as in deepseek_v4 .* Ask for cache='dynamic'"
    with pytest.raises(EngineError, match=says):
        plan_cache(read_config(config), engine="transformers", context_length=40, cache="static")
    assert plan_cache(read_config(config), engine="transformers", context_length=40).request_bytes > 0
    slides = {**config, "layer_types": ["sliding_attention"] * config["num_hidden_layers"]}
    plan = plan_cache(read_config(slides), engine="transformers", context_length=40, cache="static")
    assert plan.request_bytes == 9_216  # as live: 6 x 16 tokens x 48 elements x 2 bytes


@pytest.mark.parametrize(("tokens", "stops"), [(16, False), (17, True), (41, True)])
@pytest.mark.parametrize("model_type", ["inkling_text", "inkling_mm_model", "inkling2_text", "inkling2_loop_text"])
def test_inkling_generates_no_second_token_past_its_window_with_a_static_cache(model_type, tokens, stops):
    """transformers 5.24, a window of 16, eager, for Inkling sdpa too: a prompt of 10 and 7 new tokens (a cache of 16)
    run, 8 raise "The size of tensor a (16) must match the size of tensor b (17)"; of 40 and 2, (40) and (41)."""
    spec = read_config(small(model_type))
    static = plan_cache(spec, engine="transformers", context_length=tokens, cache="static")
    assert ("static window" in [note.name for note in static.notes]) is stops
    if stops:
        assert static.notes[-1].numbers == f"{tokens} against 16"
        assert static.notes[-1].reason.endswith("Ask for cache='dynamic'.")
    dynamic = plan_cache(spec, engine="transformers", context_length=tokens)
    assert "static window" not in [note.name for note in dynamic.notes]
