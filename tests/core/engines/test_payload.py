"""The payload as an engine: the spec's own sum, and refusals in words."""

import pytest

from core.engines.face import engines, plan_cache
from core.engines.plan import EngineError
from core.serving.model_shapes import LLAMA_2_13B


def test_a_request_is_what_the_spec_adds_up():
    """2 x 40 layers x 40 heads x 128 x 4,096 tokens x 2 bytes."""
    made = plan_cache(LLAMA_2_13B, engine="payload", context_length=4_096, batch_size=3, available_bytes=10**10)
    assert made.request_bytes == 3_355_443_200
    assert made.max_concurrency == 10**10 / 3_355_443_200
    assert made.fits is False
    assert plan_cache(LLAMA_2_13B, engine="payload", context_length=4_096, available_bytes=10**10).fits is True


@pytest.mark.parametrize("job", [{"context_length": 0}, {"cache_bits": -4}, {"batch_size": True}, {"pages": 1}])
def test_what_cannot_be_is_refused(job):
    with pytest.raises(EngineError):
        plan_cache(LLAMA_2_13B, engine="payload", **job)


def test_every_engine_says_the_version_that_it_was_held_against():
    assert engines() == {
        "payload": "payload",
        "vllm": "vLLM 0.33.0",
        "sglang": "SGLang 0.5.23",
        "llama.cpp": "llama.cpp build 11434",
        "mlx": "mlx-lm 0.32.2",
        "transformers": "transformers 5.24.0",
    }


def test_an_engine_that_is_none_is_refused_by_name():
    with pytest.raises(EngineError, match="engine is 'tgi'"):
        plan_cache(LLAMA_2_13B, engine="tgi")


@pytest.mark.parametrize("engine", ["payload", "vllm", "llama.cpp", "transformers"])
@pytest.mark.parametrize(("key", "value"), [("available_bytes", "abc"), ("cache_bits", [1]), ("batch_size", {})])
def test_a_common_key_that_is_no_number_is_refused_by_name(engine, key, value):
    with pytest.raises(EngineError, match=f"{key} is .*: give a"):
        plan_cache(LLAMA_2_13B, engine=engine, **{"context_length": 4_096, key: value})
