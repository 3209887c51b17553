"""mlx-lm's caches, class by class, against mlx-lm's own arrays (tests/core/engines/make_mlx_cases.py measured them)."""

import gzip
import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import UnsupportedConfig, read_config
from core.serving.model_shapes import LLAMA_2_13B
from tests.dashboard import ROOT


@cache
def cases():
    with gzip.open(ROOT / "tests/data/engines/mlx_cases.json.gz", "rt") as text:
        return json.load(text)


# mamba_n_heads x mamba_d_head is not mamba_expand x hidden_size there: transformers refuses it, mlx-lm does not
CONTRADICTS_ITSELF = {"wide:granitemoehybrid"}


def said(case):
    """Our request_bytes; 'unread' where the reader does not know the class, 'refused' where the engine's rules do."""
    try:
        spec = read_config(case["config"])
    except UnsupportedConfig:
        return "unread"  # classes that transformers does not have: Klear, plamo, rwkv7, ...
    try:
        return plan_cache(spec, engine="mlx", **case["job"]).request_bytes
    except EngineError:
        return "refused"


def test_the_cases_name_their_version():
    assert cases()["versions"]["mlx-lm"] == "0.32.2"


def test_every_measured_cache_is_ours_to_the_byte_or_refused():
    """1,391 jobs of every decoder class of mlx-lm 0.32.2."""
    measured = [c for c in cases()["cases"] if "error" not in c["truth"] and c["id"] not in CONTRADICTS_ITSELF]
    ours = [said(case) for case in measured]
    pairs = zip(measured, ours, strict=True)
    wrong = [(c["id"], c["job"], o) for c, o in pairs if isinstance(o, int) and o != c["truth"]["request_bytes"]]
    assert wrong == []
    assert sum(isinstance(o, int) for o in ours) >= 860
    assert ours.count("refused") <= 0.03 * len(ours)


def test_a_class_that_cannot_read_a_quantised_cache_is_refused_at_kv_bits():
    known = (c for c in cases()["cases"] if c["config"].get("model_type") in ("gemma2", "phi", "stablelm"))
    case = next(c for c in known if "error" not in c["truth"])
    with pytest.raises(EngineError):
        plan_cache(read_config(case["config"]), engine="mlx", context_length=6_000, kv_bits=8)


def test_room_grows_in_steps_of_256_tokens():
    """2 x 40 layers x 40 heads x 128 x 2 bytes a token; 257 tokens take room for 512."""
    a_token = 819_200
    assert plan_cache(LLAMA_2_13B, engine="mlx", context_length=256).request_bytes == 256 * a_token
    assert plan_cache(LLAMA_2_13B, engine="mlx", context_length=257).request_bytes == 512 * a_token


@given(st.integers(1, 2**20), st.integers(1, 64))
def test_it_never_takes_less_for_a_longer_context_without_windows(tokens, more):
    shorter = plan_cache(LLAMA_2_13B, engine="mlx", context_length=tokens).request_bytes
    assert plan_cache(LLAMA_2_13B, engine="mlx", context_length=tokens + more).request_bytes >= shorter


@pytest.mark.parametrize("job", [{"kv_bits": 7}, {"context_length": 0}, {"block_size": 16}, {"tensor_parallel": 4}])
def test_what_it_does_not_take_is_refused(job):
    with pytest.raises(EngineError):
        plan_cache(LLAMA_2_13B, engine="mlx", **job)
