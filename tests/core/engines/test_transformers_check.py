"""The check against transformers: real forwards on the meta device, in real processes of the worker's."""

import json
import shutil
import subprocess
import sys
import threading
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from core.engines.transformers_check import (
    CacheCheckError,
    CacheMeasurement,
    MeasuredLayer,
    compare,
    measure_cache,
    measurement,
    usual_context,
)
from core.models.attention import GroupedAttention
from core.models.spec import ModelDimensions, ModelSpec, UnsupportedConfig, read_config
from tests.dashboard import ROOT

TINY: dict[str, Any] = {
    "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 64, "vocab_size": 128,
    "max_position_embeddings": 512,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    # Falcon-7B's real figures: 32 layers, 71 query heads on one KV head
    "falcon-7b": {"model_type": "falcon", "hidden_size": 4_544, "num_hidden_layers": 32, "num_attention_heads": 71,
                  "multi_query": True, "new_decoder_architecture": False},
    "falcon new": {"model_type": "falcon", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 8,
                   "num_kv_heads": 2, "new_decoder_architecture": True},
    "gemma3": {**TINY, "model_type": "gemma3_text", "num_key_value_heads": 2, "head_dim": 24, "sliding_window": 16},
    "deepseek_v3": {**TINY, "model_type": "deepseek_v3", "num_key_value_heads": 8, "kv_lora_rank": 40,
                    "q_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 24,
                    "moe_intermediate_size": 32},
    "qwen3_next": {**TINY, "model_type": "qwen3_next", "num_key_value_heads": 2, "head_dim": 24,
                   "linear_num_key_heads": 4, "linear_num_value_heads": 8, "linear_key_head_dim": 8,
                   "linear_value_head_dim": 12, "num_experts": 8, "num_experts_per_tok": 2,
                   "moe_intermediate_size": 32},
    "minimax": {**TINY, "model_type": "minimax", "num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 24,
                "num_local_experts": 4},
}  # fmt: skip


def measured(name: str, context_length: int = 40) -> CacheMeasurement:
    return measure_cache(CONFIGS[name], context_length=context_length, batch_size=2, time_limit_seconds=300)


@cache
def beside_falcon_7b() -> dict[str, CacheMeasurement]:
    """By name, answered by the worker's own function in one process: each that loads transformers takes seconds."""
    names = [name for name in CONFIGS if name != "falcon-7b"]
    asked = [{"config": CONFIGS[name], "context_length": 40, "batch_size": 2} for name in names]
    script = (
        "import json, sys; from core.engines.transformers_check_worker import answer_to;"
        " print(json.dumps([answer_to(question) for question in json.load(sys.stdin)]))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout.splitlines()[-1])
    return {name: measurement(answer, 0.0) for name, answer in zip(names, answers, strict=True)}


def reasons(name: str) -> list[str]:
    return [line.reason for line in compare(read_config(CONFIGS[name]), beside_falcon_7b()[name])]


@pytest.mark.torch
def test_falcon_7b_really_keeps_one_head_in_each_of_32_layers() -> None:
    answer = measured("falcon-7b")
    assert answer.model_class == "FalconForCausalLM"
    # (batch, heads, tokens, width)
    assert {layer.key_shape for layer in answer.layers} == {(2, 1, 40, 64)}
    lines = compare(read_config(CONFIGS["falcon-7b"]), answer)
    assert len(lines) == 32
    assert all(line.equal and line.explained for line in lines)
    assert answer.kv_bytes == read_config(CONFIGS["falcon-7b"]).kv_cache_bytes(context_length=40, batch_size=2)


@pytest.mark.torch
def test_falcon_new_architecture_differs_for_a_named_reason() -> None:
    assert reasons("falcon new") == ["transformers stores a copy per query head: 8 instead of 2"] * 2


@pytest.mark.torch
def test_gemma3_sliding_layers_differ_by_the_one_token() -> None:
    sliding = "transformers keeps window - 1 = 15 tokens; the next token completes the window"
    assert reasons("gemma3") == [sliding] * 5 + ["equal"]


@pytest.mark.torch
def test_deepseek_v3_keeps_the_latent() -> None:
    answer = beside_falcon_7b()["deepseek_v3"]
    assert (answer.layers[0].key_shape, answer.layers[0].value_shape) == ((2, 1, 40, 40), (2, 1, 40, 8))
    assert all(line.equal for line in compare(read_config(CONFIGS["deepseek_v3"]), answer))


@pytest.mark.torch
def test_qwen3_next_states_are_measured_too() -> None:
    answer = beside_falcon_7b()["qwen3_next"]
    spec = read_config(CONFIGS["qwen3_next"])
    assert all(line.equal for line in compare(spec, answer))
    assert answer.state_bytes == spec.state_bytes(batch_size=2)
    assert [layer.key_shape for layer in answer.layers] == [None, None, None, (2, 2, 40, 24), None, None]


@pytest.mark.torch
def test_minimax_keeps_its_states_on_the_cache_itself() -> None:
    answer = beside_falcon_7b()["minimax"]
    # one linear layer behind one that attends: 8 heads x 24 x 24 in bfloat16, batch 2
    assert [layer.state_bytes for layer in answer.layers] == [0, 8 * 24 * 24 * 2 * 2]
    assert answer.state_bytes == read_config(CONFIGS["minimax"]).state_bytes(batch_size=2)


@pytest.mark.torch
def test_a_config_that_our_rules_refuse_can_still_be_measured() -> None:
    config = {**TINY, "model_type": "bert", "is_decoder": True, "add_cross_attention": False}
    with pytest.raises(UnsupportedConfig):
        read_config({**config, "is_decoder": None})
    answer = measure_cache(config, context_length=10, time_limit_seconds=300)
    # 6 layers x 8 heads x (16 + 16) x 10 tokens x 2 bytes
    assert answer.kv_bytes == 6 * 8 * 32 * 10 * 2


@pytest.mark.torch
def test_what_transformers_cannot_build_is_an_error_with_its_reason() -> None:
    with pytest.raises(CacheCheckError, match="has no model_type 'chatglm'"):
        measure_cache({"model_type": "chatglm", "auto_map": {"AutoModel": "x.Y"}}, context_length=8)
    with pytest.raises(CacheCheckError, match="transformers could not run this config"):
        measure_cache({**TINY, "model_type": "llama", "num_attention_heads": 0}, context_length=8)


@pytest.mark.torch
def test_the_worker_is_stopped_at_its_time_limit() -> None:
    with pytest.raises(CacheCheckError, match="took longer than 0 s and was stopped"):
        measure_cache(CONFIGS["gemma3"], context_length=40, time_limit_seconds=0.3)


@pytest.mark.torch
def test_the_worker_is_stopped_when_cancelled() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CacheCheckError, match="cancelled"):
        measure_cache(CONFIGS["gemma3"], context_length=40, cancelled=cancelled)


@pytest.mark.torch
def test_a_worker_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(platform=sys.platform, executable=shutil.which("false"))
    monkeypatch.setattr("core.host.children.sys", stand_in)
    with pytest.raises(CacheCheckError, match="The check ended with exit code 1 and without a result: most likely"):
        measure_cache(CONFIGS["gemma3"], context_length=40)


@pytest.mark.parametrize(("context", "batch"), [(0, 1), (40_001, 1), (10, 0), (10, 65)])
def test_bounds(context: int, batch: int) -> None:
    with pytest.raises(CacheCheckError, match="the check takes 1 to 40,000 tokens"):
        measure_cache(CONFIGS["gemma3"], context_length=context, batch_size=batch)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.host.packages.find_spec", lambda _name: None)
    with pytest.raises(CacheCheckError, match="The check needs torch and transformers, which are not installed here"):
        measured("gemma3")


def test_a_difference_without_a_named_reason_says_so() -> None:
    layer = GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=16, value_dim=16)
    spec = ModelSpec(model_type="x", layers=(layer,), dimensions=ModelDimensions(hidden_size=128))
    held = MeasuredLayer(
        index=0, cache_class="DynamicLayer", key_shape=(1, 8, 10, 16), value_shape=(1, 8, 10, 16), state_shapes=(),
        kv_bytes=8 * 32 * 10 * 2, state_bytes=0, indexer_bytes=0,
    )  # fmt: skip
    answer = CacheMeasurement(
        model_class="X", transformers_version="5.23.0", context_length=10, batch_size=1, layers=(held,), seconds=1.0
    )
    (line,) = compare(spec, answer)
    assert (line.equal, line.explained, line.reason) == (False, False, "unexplained")
    assert (line.payload_bytes, line.measured_bytes) == (2 * 32 * 10 * 2, 8 * 32 * 10 * 2)


def test_the_usual_context_fills_every_window() -> None:
    assert usual_context(None) == 128
    assert usual_context(read_config(CONFIGS["gemma3"])) == 128
    mistral = {"model_type": "mistral", "hidden_size": 4_096, "num_attention_heads": 32, "num_hidden_layers": 2}
    assert usual_context(read_config({**mistral, "sliding_window": 4_096})) == 4_112
    assert usual_context(read_config({**mistral, "sliding_window": 131_072})) == 128
