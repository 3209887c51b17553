"""Every G at every width: the headline's verdict word for word, and the words for other outcomes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SizingError
from core.models.attention import LatentAttention
from core.models.spec import ModelDimensions, ModelSpec
from core.reports.size_report import limit_answers
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.options import (
    near_misses,
    option_grid,
    option_of,
    option_sentence,
    refused_widths,
    verdict,
    width_name,
)
from core.serving.typed_shape import typed_shape
from core.serving.ways_evidence import evidence_for_way
from core.serving.ways_to_fit import ways_to_fit
from core.serving.weights import ParameterCount


def headline(**changes) -> ServingJob:
    return ServingJob(**{"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536, **changes})


def test_limits_of_a_bf16_option_count_the_scales_of_the_grid():
    """G = 4 at 4 bits and 16 bits a scale of 8 elements takes 22.26 + 64.42 + 2 GB of 76.97; at 2 bits 42.95 of KV."""
    grid = option_grid(headline(kv_elements_per_scale=8), scale_overhead_bits=16)
    assert not grid.at(4, 4).plan.fits
    limits = {label: (int(answer), answer.sentence) for label, answer, _ in limit_answers(grid.at(4, 16))}
    assert limits["Fewest KV bits"] == (2, "2 bits an element fit; 4 bits do not.")


def test_the_headline_verdict():
    grid = option_grid(headline())
    assert verdict(grid) == (
        "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."
    )
    assert near_misses(grid) == "G = 5 misses by 1.08 GB at 4 bits."
    assert {bits: grid.largest_fitting(bits) for bits in grid.widths} == {16: 1, 8: 2, 4: 4}
    # 81,559 MiB x 0.9, rounded down; 40 GiB of cache for each KV head; the published 13.0 B at G = H
    assert grid.at(1, 16).plan.budget_bytes == 76_968_728_985
    assert [grid.at(g, 16).plan.kv_reserved_bytes for g in grid.kv_heads] == [40 * 2**30 * g for g in grid.kv_heads]
    assert grid.at(40, 16).plan.parameters.total == 13_015_864_320


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch_size": 1, "context_length": 4_096}, "Every G fits in bf16."),
        (
            {"context_length": 262_144},
            "No G fits in bf16; 4-bit cache allows G = 1. G = 8 fits at none of the three.",
        ),
        ({"accelerator": "l4"}, "No G fits in bf16; fewer bits add none."),
        (
            {"num_accelerators": 8, "tensor_parallel": 8},
            "Only G = 1, 2, 4 and 8 fit in bf16; 4-bit cache also allows G = 40.",
        ),
        (
            {"kv_bits": 2},
            "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4; 2-bit also G = 5 and 8.",
        ),
    ],
)
def test_the_words_for_other_outcomes(changes, expected):
    assert verdict(option_grid(headline(**changes))) == expected


def test_scales_count_below_sixteen_bits_alone():
    plain, scaled = option_grid(headline()), option_grid(headline(), scale_overhead_bits=16)
    assert scaled.at(1, 16).plan.kv_reserved_bytes == plain.at(1, 16).plan.kv_reserved_bytes
    # 16 bits for every 64 elements are a quarter of a bit each: 4.25 / 4
    assert scaled.at(4, 4).plan.kv_reserved_bytes == plain.at(4, 4).plan.kv_reserved_bytes * 17 // 16


def test_a_model_without_the_dial():
    latent = ModelSpec(
        model_type="deepseek_v2",
        layers=(LatentAttention(num_query_heads=16, latent_dim=512, rope_dim=64),) * 27,
        dimensions=ModelDimensions(hidden_size=2_048),
    )
    count = ParameterCount(total=15_706_484_224, source="typed", sentence="Typed in.")
    job = ServingJob(model=latent, batch_size=8, context_length=8_192, parameter_count=count)
    grid = option_grid(job)
    assert (grid.kv_heads, grid.largest_fitting(16)) == ((None,), None)
    # 76.97 - 31.41 weights - 2 reserve - 27 x 576 x 2 x 8,192 x 8 = 2.04 cache
    assert verdict(grid) == "The model as published fits in bf16, with 41.5 GB to spare."
    assert verdict(option_grid(job.where(batch_size=256))) == (
        "The model as published does not fit in bf16; at 8 bits it does, with 10.9 GB to spare."
    )
    assert verdict(option_grid(job.where(accelerator="l4"))) == (
        "The model as published does not fit, not even with a 4-bit cache."
    )


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 512), context=st.integers(16, 262_144))
def test_fewer_bits_and_fewer_heads_never_stop_fitting(batch, context):
    grid = option_grid(headline(batch_size=batch, context_length=context))
    for wider, narrower in zip(grid.widths, grid.widths[1:], strict=False):
        assert set(grid.fitting(wider)) <= set(grid.fitting(narrower))
    for bits in grid.widths:
        fitting = grid.fitting(bits)
        assert fitting == grid.kv_heads[: len(fitting)]


def test_an_option_that_is_not_there():
    with pytest.raises(KeyError):
        option_grid(headline()).at(3, 16)
    assert (width_name(16), width_name(4)) == ("bf16", "4 bits")


def test_ways_carry_the_evidence_at_their_precision():
    found = {way.label: evidence_for_way(way) for way in ways_to_fit(headline(num_kv_heads=8))}
    eight = next(cited for label, cited in found.items() if label.startswith("KV cache at 8 bits + context"))
    assert [finding.id for _, finding in eight] == ["vllm-fp8-kv"]
    four = next(cited for label, cited in found.items() if label.startswith("KV cache at 4 bits + context"))
    assert [finding.id for _, finding in four] == ["kivi-4bit"]
    weights = next(cited for label, cited in found.items() if label.startswith("weights at 4 bits"))
    assert weights[0][1].id == "weights-int4"
    assert found["batch of 4"] == ()


def test_a_typed_shape_is_the_models_own():
    shape = {
        "num_layers": 40, "num_query_heads": 40, "head_dim": 128, "hidden_size": 5_120, "intermediate_size": 13_824,
        "vocab_size": 32_000,
    }  # fmt: skip
    assert typed_shape(**shape) == LLAMA_2_13B
    for field, name in (("num_layers", "layers"), ("vocab_size", "vocabulary"), ("intermediate_size", "FFN width")):
        for wrong in (0, -1, 10**9, 1.5):
            with pytest.raises(SizingError, match=f"{name} is {wrong}: give a whole number"):
                typed_shape(**{**shape, field: wrong})


def test_a_grid_is_kept_by_its_job_and_by_the_model_itself():
    """An equal model may be of another class, which an engine would read: only the same object is the same model."""
    assert option_grid(headline()) is option_grid(headline())
    assert option_grid(headline(batch_size=31)) is not option_grid(headline())
    copy = replace(LLAMA_2_13B)
    assert copy == LLAMA_2_13B
    assert option_grid(headline(model=copy)) is not option_grid(headline())


def test_a_width_that_the_engine_does_not_take_is_said():
    grid = option_grid(headline(engine="vllm"))
    assert refused_widths(grid) == (
        "vLLM 0.33.0 takes a 4-bit cache by the name of its type alone (cache_type) for this job: what is said of it "
        "counts the payload alone."
    )
    assert refused_widths(option_grid(headline(engine="mlx"))) == (  # of one request at a time it would
        "mlx-lm 0.32.2 takes no 8-bit cache and no 4-bit cache for this job: what is said of them counts the payload "
        "alone."
    )
    assert refused_widths(option_grid(headline())) == ""
    assert refused_widths(option_grid(headline(engine="llama.cpp", batch_size=300))) == ""  # all of it is the payload


def test_an_option_that_the_engine_refuses_lacks_no_bytes():
    settings = (("max_running_requests", 16),)
    asked = headline(num_kv_heads=8, batch_size=64, context_length=2_048, engine="sglang", engine_settings=settings)
    assert option_sentence(option_of(asked)) == (
        "G = 8 with a bf16 cache needs 46.15 GB of 76.45 GB and does not fit: SGLang 0.5.23 serves 16 of 64 requests "
        "at once from what is left."
    )


def test_a_gap_below_a_hundredth_of_a_gigabyte_is_said_in_bytes():
    job = headline(num_kv_heads=1)
    free = plan(job).headroom_bytes
    assert option_sentence(option_of(job.where(runtime_reserve_bytes=2e9 + free + 1_000))) == (
        "G = 1 with a bf16 cache needs 76.97 GB and lacks 1,000 bytes."
    )
