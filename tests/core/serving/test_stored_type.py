"""A type of the cache among an engine's settings: its bits are the job's, in the payload, the bounds and the grid."""

from fractions import Fraction

import pytest

from core.engines.stored_type import StoredType, stored_type
from core.errors import SizingError
from core.figures.sizing import options_alt_text
from core.serving.headline import LLAMA_2_13B
from core.serving.inverse import fewest_kv_bits
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.options import option_grid, verdict
from core.serving.roofline import decode_bound
from core.serving.sweep import sweep
from core.serving.ways_to_fit import ways_to_fit


def job(engine: str = "vllm", **settings: object) -> ServingJob:
    return ServingJob(
        model=LLAMA_2_13B, num_kv_heads=8, batch_size=1, context_length=4096, engine=engine,
        engine_settings=tuple(settings.items()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "settings", "bits"),
    [
        ("vllm", {"cache_type": "nvfp4"}, Fraction(9, 2)),  # half a byte, and a byte for every 16
        ("vllm", {"cache_type": "turboquant_k8v4"}, 6),  # keys of 8, values of 4
        ("vllm", {"cache_type": "int8_per_token_head"}, 8),
        ("sglang", {"cache_type": "fp8_e5m2"}, 8),
        ("llama.cpp", {"type_k": "q8_0", "type_v": "q8_0"}, Fraction(17, 2)),  # 34 bytes for 32 elements
        ("llama.cpp", {"type_k": "f16", "type_v": "q4_0"}, Fraction(41, 4)),  # 16 and 4.5
        ("mlx", {"kv_bits": 4}, Fraction(9, 2)),  # a scale and a bias of 16 bits for 64
        ("mlx", {"kv_bits": 4, "kv_group_size": 32}, 5),
    ],
)
def test_the_bits_of_a_type_by_hand(engine: str, settings: dict[str, object], bits: Fraction) -> None:
    found = stored_type(engine, settings)
    assert found is not None
    assert found.bits == bits
    assert job(engine, **settings).kv_bits_per_element == bits


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("vllm", {"max_batched_tokens": 8192}),
        ("vllm", {"cache_type": "auto"}),
        ("vllm", {"cache_type": "no_such"}),
        ("sglang", {"cache_type": 8}),
        ("llama.cpp", {"type_k": "q8_0"}),
        ("payload", {}),
    ],
)
def test_what_names_no_type_leaves_the_bits(engine: str, settings: dict[str, object]) -> None:
    assert stored_type(engine, settings) is None


def test_bits_that_are_typed_beside_a_type_say_nothing() -> None:
    asked = job(cache_type="turboquant_4bit_nc")
    assert asked.stored_type == StoredType("turboquant_4bit_nc", Fraction(4))
    assert asked.where(kv_bits=16, kv_scale_overhead_bits=32).kv_bits_per_element == 4


def test_a_step_reads_what_the_type_stores() -> None:
    """Llama-2 13B with G = 8: 2 x 40 layers x 8 heads x 128 x 4,096 tokens at 4 bits."""
    elements = 2 * 40 * 8 * 128 * 4096
    plain, named = (decode_bound(job(**settings)) for settings in ({}, {"cache_type": "turboquant_4bit_nc"}))
    assert (plain.kv_read_bytes, named.kv_read_bytes) == (elements * 2, elements // 2)


def test_the_grid_has_one_width_with_the_type_s_name() -> None:
    grid = option_grid(job(cache_type="nvfp4"))
    assert grid.widths == (4,)
    assert {option.width for option in grid.options} == {"nvfp4"}
    assert grid.options[0].cache == "a cache in nvfp4"
    assert "nvfp4 cache: G = 1" in options_alt_text(grid)
    assert verdict(grid).startswith("Every G fits in nvfp4")
    assert all(option.plan.engine_plan is not None for option in grid.options)


def test_nothing_answers_by_bits_where_a_type_is_named() -> None:
    large = job(cache_type="nvfp4").where(batch_size=64, context_length=65_536)
    assert not plan(large).fits
    assert fewest_kv_bits(large).sentence == "The cache is in nvfp4, whatever the bits."
    assert not [way for way in ways_to_fit(large) for change in way.changes if change.axis == "kv_bits"]
    with pytest.raises(SizingError, match="store the cache in nvfp4"):
        sweep(large, kv_bits=[16, 8])
