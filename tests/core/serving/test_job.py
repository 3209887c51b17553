"""Every field of a job is refused where it cannot be honoured, with what, which value and what to do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.models.spec import read_config
from core.serving.draft import Draft
from core.serving.job import ServingJob, WindowPattern
from core.serving.memory_plan import plan
from core.serving.model_shapes import llama_shape
from core.serving.weights import ParameterCount
from core.serving.what_if import allowed_kv_heads, check_parallel_layers, own_kv_heads, query_heads
from tests.core.serving.sizing_models import FALCON_7B, HYBRID, LLAMA_2_13B, LLAMA_2_70B, MLA, SHARED


def job(**changes: Any) -> ServingJob:
    return ServingJob(**({"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536} | changes))


WHOLE = [
    "batch_size", "context_length", "kv_bits", "kv_scale_overhead_bits", "kv_elements_per_scale", "num_accelerators",
    "tensor_parallel", "block_size", "prefill_chunk", "num_kv_heads",
]  # fmt: skip


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("value", [True, False, 1.5, 16.0, float("nan"), "8", -1, 10**12])
def test_whole_numbers_only(field: str, value: object) -> None:
    with pytest.raises(SizingError, match=rf"^{field} is .*: give a whole number from"):
        job(**{field: value})


@pytest.mark.parametrize("field", [name for name in WHOLE if name != "kv_scale_overhead_bits"])
def test_zero_is_refused(field: str) -> None:
    with pytest.raises(SizingError, match=f"^{field} is 0: give a whole number from 1 to"):
        job(**{field: 0})


@pytest.mark.parametrize("field", ["weight_bits", "memory_utilization", "runtime_reserve_bytes"])
@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), -1, "16", None, 1e20])
def test_finite_numbers_only(field: str, value: object) -> None:
    with pytest.raises(SizingError, match=rf"^{field} is .*: give a number from"):
        job(**{field: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, "model is a str: give a ModelSpec"),
        ({"batch_size": None}, "batch_size is None: give a whole number from 1 to 1,048,576"),
        ({"freed_parameters": "kept"}, "freed_parameters is 'kept': use 'dropped' or 'spent'"),
        ({"accelerator": "h1"}, "accelerator is 'h1', which the catalogue does not hold"),
        ({"accelerator": None}, "accelerator is None: give an id of the catalogue or an Accelerator"),
        ({"accelerator": "ascend-910b"}, "its memory size is not established, so a fit cannot be judged"),
        ({"memory_utilization": 1.01}, "memory_utilization is 1.01: give a number from 1e-06 to 1"),
        ({"memory_utilization": 0}, "memory_utilization is 0"),
        ({"memory_reading": "torch"}, "memory_reading is 'torch': use 'server' or 'device'"),
        ({"num_kv_heads": 3}, "num_kv_heads is 3, which does not divide 40 query heads: use one of 1, 2, 4, 5, 8, 10"),
        ({"num_kv_heads": 80}, "num_kv_heads is 80: give a whole number from 1 to 40"),
        ({"tensor_parallel": 2}, "num_accelerators is 1, not a multiple of tensor_parallel 2"),
        ({"tensor_parallel": 3, "num_accelerators": 3}, "tensor_parallel is 3, which does not divide 40 query heads"),
        ({"tensor_parallel": 5, "num_accelerators": 5, "num_kv_heads": 8}, "8 KV heads neither divide nor repeat"),
        ({"window_pattern": (10, 30)}, r"window_pattern is \(10, 30\): give a WindowPattern"),
        ({"window_pattern": WindowPattern(global_layers=10, local_layers=10, window=64)}, "the model has 40 layers"),
        ({"window_pattern": WindowPattern(global_layers=10, local_layers=30, window=0)}, "window_pattern.window is 0"),
        ({"window_pattern": WindowPattern(global_layers=-1, local_layers=41, window=8)}, "global_layers is -1"),
        ({"parameter_count": 13_000_000_000}, "parameter_count is 13000000000: give a ParameterCount"),
    ],
)
def test_refusals_say_what_to_do(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SizingError, match=message):
        job(**changes)


def test_what_was_asked_before_does_not_excuse_a_wrong_type() -> None:
    """True equals 1 and 8.0 equals 8, also as keys of a cache."""
    job(num_kv_heads=1, window_pattern=WindowPattern(global_layers=10, local_layers=30, window=64))
    job(num_kv_heads=8)
    for wrong in (True, 8.0):
        with pytest.raises(SizingError, match="num_kv_heads is"):
            job(num_kv_heads=wrong)
    with pytest.raises(SizingError, match=r"window_pattern.window is 64\.0"):
        job(num_kv_heads=1, window_pattern=WindowPattern(global_layers=10, local_layers=30, window=64.0))  # type: ignore[arg-type]


def test_numpy_integers_are_whole_numbers() -> None:
    assert plan(job(batch_size=np.int64(32))).total_bytes == plan(job()).total_bytes


def test_latent_attention_has_no_g() -> None:
    with pytest.raises(SizingError, match=r"one latent vector that all heads share \(MLA\), so it has no G. Leave"):
        job(model=MLA, num_kv_heads=8)
    assert (allowed_kv_heads(MLA), own_kv_heads(MLA)) == ((), None)


def test_layers_that_compress_have_no_g_beside_layers_with_a_window_alone() -> None:
    """DeepSeek-V4's first two layers keep a window of one KV head; the others compress, for all of 64 query heads."""
    flash = read_config(
        {
            "model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 4, "num_attention_heads": 64,
            "head_dim": 512, "index_head_dim": 128, "index_topk": 512, "sliding_window": 128,
            "compress_ratios": [0, 0, 4, 128], "vocab_size": 129280, "moe_intermediate_size": 2048,
        }
    )  # fmt: skip
    says = r"one key, which is the value too, and compressed entries of it for all heads, so it has no G. Leave"
    with pytest.raises(SizingError, match=says):
        job(model=flash, num_kv_heads=8)
    assert (allowed_kv_heads(flash), own_kv_heads(flash)) == ((), None)
    with pytest.raises(SizingError, match="tensor_parallel is 3, which does not divide 64 query heads"):
        check_parallel_layers(replace(flash, layers=flash.layers[2:]), 3)


def test_layers_that_differ_have_no_single_g() -> None:
    mixed = LLAMA_2_13B.__class__(
        model_type="gemma4", layers=(LLAMA_2_13B.layers[0], LLAMA_2_70B.layers[0]), dimensions=LLAMA_2_13B.dimensions
    )
    with pytest.raises(SizingError, match=r"differ \(query/KV heads 40/40, 64/8\), so there is no single G to replace"):
        job(model=mixed, num_kv_heads=8)


def test_a_model_without_attention_has_no_g() -> None:
    mamba = HYBRID.__class__(model_type="mamba", layers=HYBRID.layers[:1], dimensions=HYBRID.dimensions)
    with pytest.raises(SizingError, match="no layer of this mamba model keeps keys and values"):
        job(model=mamba, num_kv_heads=1)
    with pytest.raises(SizingError, match="window_pattern applies to layers with grouped keys"):
        job(model=mamba, window_pattern=WindowPattern(global_layers=0, local_layers=0, window=64))
    assert query_heads(mamba) == 1


def test_g_is_replaced_in_every_kind_of_grouped_layer() -> None:
    parallel = job(model=HYBRID, num_kv_heads=8, batch_size=1).served_model.layers[1]
    assert parallel.kind == "MHA"
    shared = job(model=SHARED, num_kv_heads=4, batch_size=1).served_model.layers
    assert [layer.num_kv_heads for layer in shared] == [4, 4, 4]  # type: ignore[union-attr]


def test_none_keeps_the_models_own_g() -> None:
    assert job().served_model.layers == job(num_kv_heads=40).served_model.layers == LLAMA_2_13B.layers
    assert own_kv_heads(LLAMA_2_70B) == 8


def test_allowed_g_depend_on_the_ranks() -> None:
    assert allowed_kv_heads(LLAMA_2_13B) == (1, 2, 4, 5, 8, 10, 20, 40)
    assert allowed_kv_heads(LLAMA_2_13B, 4) == (1, 2, 4, 8, 20, 40)
    assert allowed_kv_heads(FALCON_7B) == (1, 71)


def test_windows_are_spread_and_the_last_layer_is_global() -> None:
    pattern = WindowPattern(global_layers=10, local_layers=30, window=4096)
    windows = [layer.window for layer in job(window_pattern=pattern).served_model.layers]  # type: ignore[union-attr]
    assert windows == [4096, 4096, 4096, None] * 10


def test_a_custom_accelerator_is_taken_as_typed() -> None:
    mine = Accelerator(id="mine", name="Mine", memory_nominal_bytes=100_000_000_000)
    assert plan(job(accelerator=mine)).budget_bytes == 90_000_000_000


def test_counts_that_cannot_be_added_up_are_asked_for() -> None:
    with pytest.raises(SizingError, match=r"model_type is 'deepseek_v3', read from no config.*Give an exact count"):
        plan(job(model=MLA))
    count = ParameterCount(total=671_026_419_200, source="typed", sentence="Typed in.")
    assert plan(job(model=MLA, parameter_count=count)).parameters == count


@pytest.mark.parametrize("engine", ["payload", "vllm", "llama.cpp"])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "ranks", "said"),
    [
        (14, 2, 8, "tensor_parallel is 8, which does not divide 14 query heads: use one of 1, 2, 7, 14"),
        (9, 3, 2, "tensor_parallel is 2, which does not divide 9 query heads: use one of 1, 3, 9"),
        (12, 6, 4, "over which 6 KV heads neither divide nor repeat evenly: use a tensor_parallel that divides 6"),
    ],
)
def test_a_draft_s_heads_divide_over_the_ranks_as_the_model_s_do(
    engine: str, heads: int, kv_heads: int, ranks: int, said: str
) -> None:
    small = llama_shape(
        num_layers=24, num_query_heads=heads, num_kv_heads=kv_heads, head_dim=64, hidden_size=64 * heads,
        intermediate_size=1536, vocab_size=32_000,
    )  # fmt: skip
    for method in ("draft_model", "eagle"):
        draft = Draft(method=method, model=small)
        with pytest.raises(SizingError, match=f"^The draft is split as the model is: .*{said}.*draft with another"):
            job(num_accelerators=ranks, tensor_parallel=ranks, engine=engine, draft=draft)
        assert job(engine=engine, draft=draft).draft is draft
