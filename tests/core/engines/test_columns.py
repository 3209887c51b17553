"""Columns of jobs say what plan_cache says of each."""

import gzip
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.columns import columns
from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError
from core.models.gguf.metadata import read_metadata
from core.models.spec import ModelSpec, UnsupportedConfig, read_config

DATA = Path(__file__).parents[2] / "data" / "engines"
FILES = {
    "vllm": ("vllm_cases", "vllm_own_cases"),
    "sglang": ("sglang_cases",),
    "llama.cpp": ("llama_cpp_cases",),
    "mlx": ("mlx_cases",),
    "transformers": ("vllm_cases", "vllm_own_cases"),
}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "vllm": [{}, {"cache_type": "fp8"}, {"max_batched_tokens": 8192, "prefix_caching": False}],
    "sglang": [{}, {"cache_type": "fp8_e4m3"}, {"prefix_caching": False, "max_running_requests": 8}],
    "llama.cpp": [
        {},
        {"kv_unified": True},
        {"swa_full": True, "type_k": "q8_0"},
        {"flash_attn": "off", "n_ubatch": 64},
    ],
    "mlx": [
        {},
        {"max_kv_size": 300},
        {"prefill_step_size": 100},
        {"prefill_step_size": 1000, "prefill_batch_size": 2},
        {"prefill_batch_size": 3, "generated_tokens": 1},
        {"kv_bits": 4},
        {"moment": "end"},
    ],
    "transformers": [{}, {"cache": "static"}],
}


@lru_cache(maxsize=8)
def specs(engine: str) -> tuple[ModelSpec, ...]:
    """Every model of the engine's cases, once."""
    seen: dict[str, dict[str, Any]] = {}
    for name in FILES[engine]:
        with gzip.open(DATA / f"{name}.json.gz", "rt") as text:
            loaded = json.load(text)
        for case in loaded["cases"] if isinstance(loaded, dict) else loaded:
            seen.setdefault(json.dumps(case.get("metadata") or case["config"]), case)
    found = []
    for case in seen.values():
        with suppress(UnsupportedConfig):  # MLX reads a few files that the reader leaves open
            found.append(read_metadata(case["metadata"]) if "metadata" in case else read_config(case["config"]))
    return tuple(found)


@pytest.mark.parametrize("engine", sorted(FILES))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_columns_are_plans(engine: str, data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(specs(engine)))
    chosen = data.draw(st.sampled_from(SETTINGS[engine]))
    ranks = data.draw(st.sampled_from([1, 1, 2]))
    contexts = data.draw(st.lists(st.integers(1, 70_000), min_size=1, max_size=6))
    batches = data.draw(st.lists(st.integers(1, 9), min_size=len(contexts), max_size=len(contexts)))
    memory = data.draw(st.lists(st.integers(0, 2**38), min_size=len(contexts), max_size=len(contexts)))
    common = {} if ranks == 1 else {"tensor_parallel": ranks}
    try:
        found = columns(
            spec,
            engine=engine,
            contexts=np.array(contexts, dtype=np.int64),
            batches=np.array(batches, dtype=np.int64),
            available_bytes=np.array(memory, dtype=np.int64),
            common=common,
            settings=chosen,
        )
    except EngineError:
        return
    for index, (context, batch, bytes_) in enumerate(zip(contexts, batches, memory, strict=True)):
        job = {"context_length": context, "batch_size": batch, "available_bytes": bytes_, **common, **chosen}
        plan = plan_cache(spec, engine=engine, **job)
        assert found.held_bytes[index] == held_bytes(plan, batch_size=batch)
        assert found.fits[index] == bool(plan.fits)


def test_no_jobs_are_no_rows() -> None:
    none = np.zeros(0, dtype=np.int64)
    found = columns(
        specs("vllm")[0], engine="vllm", contexts=none, batches=none, available_bytes=none, common={}, settings={}
    )
    assert len(found.held_bytes) == len(found.fits) == 0


def test_more_bytes_than_columns_hold_are_refused() -> None:
    """Llama-3 8B: a billion tokens at 131,072 bytes are 1.3e14 bytes a request; 2^20 of them do not fit 64 bits."""
    llama = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8}
    spec = read_config({"model_type": "llama", "architectures": ["LlamaForCausalLM"], **llama})
    many = {"contexts": np.array([10**9]), "batches": np.array([2**20]), "available_bytes": np.array([1])}
    with pytest.raises(EngineError, match="64-bit columns"):
        columns(spec, engine="vllm", common={}, settings={}, **many)


def test_a_setting_that_differs_by_row_is_asked_row_by_row() -> None:
    """llama.cpp with n_ctx named: the context of all slots, whatever the row says."""
    found = columns(
        specs("llama.cpp")[0],
        engine="llama.cpp",
        contexts=np.array([1, 5000]),
        batches=np.array([1, 1]),
        available_bytes=np.array([2**40, 2**40]),
        common={},
        settings={"n_ctx": 2048},
    )
    assert found.held_bytes[0] == found.held_bytes[1] > 0
