"""Inverse answers: literal cases, tightness (the answer fits, the next does not) and what 'nothing fits' looks like."""

import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving import inverse
from core.serving.draft import Draft
from core.serving.inverse import (
    KV_WIDTHS,
    Answer,
    fewest_accelerators,
    fewest_accelerators_with_copies,
    fewest_kv_bits,
    largest_batch,
    largest_kv_heads,
    longest_context,
    parallel_choices,
    with_kv_bits,
)
from core.serving.job import MAX_BATCH_SIZE, ServingJob
from core.serving.memory_plan import plan
from core.serving.weights import ParameterCount
from core.serving.what_if import MAX_CONTEXT_LENGTH, WindowPattern, allowed_kv_heads
from tests.core.serving.sizing_models import (
    FALCON_7B,
    HYBRID,
    LLAMA_2_13B,
    LLAMA_2_70B,
    MISTRAL_7B,
    MLA,
    SHARED,
    UNHURRIED,
)

SOME_COUNT = ParameterCount(total=1_000_000_007, source="typed", sentence="Typed in.")


def job(**changes: Any) -> ServingJob:
    return ServingJob(**({"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536} | changes))


@st.composite
def jobs(draw: st.DrawFn) -> ServingJob:
    """Jobs near the edge of their accelerator: windows, blocks, copies, ranks and scales included."""
    model = draw(st.sampled_from([LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B, MLA, SHARED, HYBRID]))
    ranks = draw(st.sampled_from([1, 2, 8] if model in (LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B, MLA) else [1, 2]))
    return ServingJob(
        model=model,
        num_kv_heads=draw(st.sampled_from([None, *allowed_kv_heads(model, ranks)])),
        batch_size=draw(st.integers(1, 64)),
        context_length=draw(st.integers(1, 40_000)),
        weight_bits=draw(st.sampled_from([16, 8])),
        kv_bits=draw(st.sampled_from([16, 8, 4])),
        kv_scale_overhead_bits=draw(st.sampled_from([0, 32])),
        accelerator=Accelerator(
            id="mine", name="Mine", memory_reported_bytes=draw(st.integers(1_000_000_000, 160_000_000_000))
        ),
        tensor_parallel=ranks,
        num_accelerators=ranks * draw(st.integers(1, 3)),
        memory_utilization=draw(st.sampled_from([0.5, 0.9, 1.0])),
        runtime_reserve_bytes=draw(st.sampled_from([0, 2e9])),
        freed_parameters=draw(st.sampled_from(["dropped", "spent"])) if model is LLAMA_2_13B else "dropped",
        block_size=draw(st.sampled_from([1, 16, 100])),
        parameter_count=SOME_COUNT if model in (MLA, HYBRID, SHARED) else None,
    )


@UNHURRIED
@given(jobs())
def test_largest_batch_is_tight(serving: ServingJob) -> None:
    answer = largest_batch(serving)
    assert answer.fits == (answer > 0)
    if answer.fits:
        assert plan(serving.where(batch_size=answer)).fits
    if answer < MAX_BATCH_SIZE:
        assert not plan(serving.where(batch_size=answer + 1)).fits
    assert answer.at_limit == (answer == MAX_BATCH_SIZE)


@UNHURRIED
@given(jobs())
def test_longest_context_is_tight(serving: ServingJob) -> None:
    answer = longest_context(serving)
    assert answer.fits == (answer > 0)
    if answer.fits:
        assert plan(serving.where(context_length=answer)).fits
    if answer < MAX_CONTEXT_LENGTH:
        assert not plan(serving.where(context_length=answer + 1)).fits
    assert answer.at_limit == (answer == MAX_CONTEXT_LENGTH)


@UNHURRIED
@given(jobs())
def test_largest_g_is_tight(serving: ServingJob) -> None:
    choices = allowed_kv_heads(serving.model, serving.tensor_parallel)
    if not choices:
        with pytest.raises(SizingError, match="has no G"):
            largest_kv_heads(serving)
        return
    answer = largest_kv_heads(serving)
    fitting = [g for g in choices if plan(serving.where(num_kv_heads=g)).fits]
    assert answer == max(fitting, default=0)
    assert answer.fits == bool(fitting)


@UNHURRIED
@given(jobs())
def test_fewest_kv_bits_is_the_widest_that_fits(serving: ServingJob) -> None:
    answer = fewest_kv_bits(serving)
    assert answer == max((bits for bits in KV_WIDTHS if plan(with_kv_bits(serving, bits)).fits), default=0)


@UNHURRIED
@given(jobs())
def test_fewest_accelerators_is_tight(serving: ServingJob) -> None:
    """One copy: the first count that divides the heads and fits. Copies: none of the smaller counts fits at any
    split."""
    choices = parallel_choices(serving)
    one = fewest_accelerators(serving)
    fitting = [n for n in choices if plan(serving.where(num_accelerators=n, tensor_parallel=n)).fits]
    assert one == min(fitting, default=0)
    shared = fewest_accelerators_with_copies(serving)
    if shared.job is not None:
        assert plan(shared.job).fits
    for total in range(1, min(shared - 1, 40) + 1):
        splits = [ranks for ranks in choices if total % ranks == 0]
        assert not any(plan(serving.where(num_accelerators=total, tensor_parallel=n)).fits for n in splits)
    if one.fits:
        assert 0 < shared <= one


@UNHURRIED
@given(jobs(), st.integers(1, 80_000_000_000))
def test_more_memory_never_answers_less(serving: ServingJob, more: int) -> None:
    memory = serving.device.memory_bytes
    assert memory is not None
    larger = serving.where(accelerator=Accelerator(id="more", name="More", memory_reported_bytes=memory + more))
    for question in (largest_batch, longest_context, fewest_kv_bits):
        assert question(larger) >= question(serving)


def test_nothing_fits_is_said() -> None:
    """26.03 + 53.69 + 2.00 - 76.97 = 4.75 GB."""
    answer = largest_batch(job(num_kv_heads=40))
    assert answer == 0
    assert not answer.fits
    assert answer.plan is None
    assert answer.sentence == "No batch fits: 4.75 GB are missing with a single sequence."


@pytest.mark.parametrize(
    ("question", "start"),
    [
        (largest_batch, "No batch fits: "),
        (longest_context, "No context fits: "),
        (largest_kv_heads, "No G fits: "),
        (fewest_kv_bits, "No width fits: "),
    ],
)
def test_weights_alone_can_be_too_large(question: Any, start: str) -> None:
    """Llama-2 70B in bf16 on one H100: 137.95 GB of weights."""
    answer = question(job(model=LLAMA_2_70B))
    assert (answer, answer.fits) == (0, False)
    assert answer.sentence.startswith(start)


def test_no_number_of_accelerators_can_be_enough() -> None:
    """A reserve that fills every accelerator on its own."""
    answer = fewest_accelerators(job(runtime_reserve_bytes=80e9))
    assert (answer, answer.fits) == (0, False)
    assert answer.sentence.startswith("No number fits: ")
    assert answer.sentence.endswith("at tensor_parallel 40, the largest that divides.")
    copies = fewest_accelerators_with_copies(job(runtime_reserve_bytes=80e9))
    assert (copies, copies.fits) == (0, False)


def test_windows_without_global_layers_set_no_limit_on_context() -> None:
    pattern = WindowPattern(global_layers=0, local_layers=40, window=1024)
    answer = longest_context(job(window_pattern=pattern))
    assert answer.at_limit
    assert answer.sentence == "Memory sets no limit: 1,073,741,824 tokens fit."


def test_batch_without_a_cache_to_grow() -> None:
    """One window of one token, on a tiny model: a million sequences fit."""
    pattern = WindowPattern(global_layers=0, local_layers=2, window=1)
    tiny = ServingJob(
        model=SHARED, num_kv_heads=1, batch_size=1, context_length=1, kv_bits=1, block_size=1, window_pattern=pattern,
        parameter_count=SOME_COUNT,
    )  # fmt: skip
    assert largest_batch(tiny).at_limit
    assert largest_batch(tiny) == MAX_BATCH_SIZE


def test_sentences_of_answers() -> None:
    eight = job(num_kv_heads=8, freed_parameters="spent")
    assert largest_batch(eight).sentence == "4 sequences of 65,536 tokens fit; 5 do not."
    # room for 4 x 65,536 = 262,144 tokens and less than as many more
    assert largest_batch(eight.where(context_length=262_144)).sentence == "1 sequence of 262,144 tokens fits; 2 do not."
    assert largest_kv_heads(eight).sentence == "G = 1 fits; G = 2 does not."
    assert fewest_kv_bits(eight).sentence == "2 bits an element fit; 4 bits do not."
    assert fewest_accelerators(eight).sentence == (
        "8 hold one copy with the whole batch; no smaller number that divides the heads does. "
        "3 copies that share the batch would do with 6 in all."
    )
    assert fewest_accelerators_with_copies(eight).sentence == "6 in all: 3 copies at tensor_parallel 2."


def test_a_context_beyond_the_declared_one_is_said() -> None:
    declared = replace(LLAMA_2_13B, dimensions=replace(LLAMA_2_13B.dimensions, max_context_length=4096))
    answer = longest_context(job(model=declared, num_kv_heads=1))
    assert answer.sentence.endswith(" do not. The config declares 4,096 at most.")


def test_sixteen_bits_need_no_scales() -> None:
    scaled = job(num_kv_heads=1, kv_bits=4, kv_scale_overhead_bits=32)
    answer = fewest_kv_bits(scaled)
    assert answer == 16
    assert answer.job is not None
    assert answer.job.kv_scale_overhead_bits == 0


def test_a_head_count_that_divides_nothing_stays_on_one_accelerator() -> None:
    falcon = ServingJob(model=FALCON_7B, batch_size=1, context_length=2048, parameter_count=SOME_COUNT)
    assert parallel_choices(falcon) == [1, 71]


def test_an_answer_is_an_int_that_survives_a_cache() -> None:
    answer = largest_batch(job(num_kv_heads=1))
    again = pickle.loads(pickle.dumps(answer))
    assert isinstance(again, Answer)
    assert (int(again), again.sentence, again.job) == (int(answer), answer.sentence, answer.job)
    assert f"{answer:,}" == str(int(answer))


@given(limit=st.integers(0, 1_000), near=st.integers(-5, 1_200))
def test_wherever_the_search_begins_it_ends_at_the_last_that_fits(limit: int, near: int) -> None:
    asked: list[int] = []

    def fits(value: int) -> bool:
        asked.append(value)
        return value <= limit

    assert inverse._last_fitting(fits, 1_000, near) == inverse._last_fitting(fits, 1_000) == limit
    assert all(1 <= value <= 1_000 for value in asked)


def test_a_good_guess_asks_little() -> None:
    asked: list[int] = []
    assert inverse._last_fitting(lambda value: asked.append(value) or value <= 700, 1_000_000, 700) == 700
    assert asked == [700, 701]


def test_a_context_holds_the_shared_prefix_at_least() -> None:
    """40 x 8 x 256 x 2 bytes a token: 400,000 take 65.5 GB and do not fit, whatever follows."""
    asked = ServingJob(
        model=LLAMA_2_13B, num_kv_heads=8, batch_size=32, context_length=500_000, shared_prefix=400_000,
        memory_reading="device",
    )  # fmt: skip
    answer = longest_context(asked)
    assert not answer.fits
    assert answer.sentence.endswith("GB are missing with the shared prefix of 400,000 tokens.")
    shorter = longest_context(asked.where(shared_prefix=100_000))
    assert shorter > 100_000
    assert plan(asked.where(shared_prefix=100_000, context_length=int(shorter))).fits
    assert not plan(asked.where(shared_prefix=100_000, context_length=int(shorter) + 1)).fits


def test_a_model_that_its_engine_serves_split_alone_has_an_answer():
    """Beside Qwen3 8B's keys vLLM gives Kimi-K3's latents pages from 4 ranks on: on one, a latent page of 6,635,520
    bytes does not divide 23,592,960; on two, 3,391,488 not 6,029,312."""
    specs = {known.name: read_config(known.config) for known in load_registry()}
    asked = job(
        model=specs["Kimi-K3"], batch_size=1, context_length=32_768, weight_format="published", num_accelerators=8,
        tensor_parallel=4, pipeline_parallel=2, engine="vllm",
        draft=Draft(method="eagle3", model=specs["Qwen3 8B"]),
    )  # fmt: skip
    assert not plan(asked).fits
    assert parallel_choices(asked)[:3] == [4, 8, 16]
    assert fewest_accelerators(asked).fits


def test_where_the_engine_takes_no_split_at_all_its_reason_is_the_answer():
    asked = job(window_pattern=WindowPattern(global_layers=10, local_layers=30, window=4_096), engine="vllm")
    assert parallel_choices(asked) == []
    for answer in (fewest_accelerators(asked), fewest_accelerators_with_copies(asked)):
        assert (int(answer), answer.fits) == (0, False)
        assert answer.sentence == (
            "No number serves one copy by tensor parallel alone: window_pattern is a what-if, and vllm serves the "
            "windows that the model's class has. Leave the pattern out, or take the payload."
        )


def registered(name: str, **changes: Any) -> ServingJob:
    config = next(entry.config for entry in load_registry() if entry.name == name)
    return ServingJob(**({"model": read_config(config), "memory_reading": "device"} | changes))


def test_a_g_that_no_engine_can_be_asked_for_is_no_answer() -> None:
    """A gptj config has no key for G. Of GPT-J's own 16 heads: 2 x 6,050,882,784 of weights, 256 x 2,048 tokens of
    2 x 28 x 16 x 256 x 2 = 458,752 bytes and 2 GB of reserve are 254.62 GB; an L4 gives 0.9 x 24,152,899,584 = 21.74.
    """
    asked = registered("GPT-J 6B", batch_size=256, context_length=2_048, accelerator="l4", engine="vllm")
    answer = largest_kv_heads(asked)
    assert answer.sentence == "No G fits: 232.88 GB are missing with G = 16. Of 5 values of G vllm takes 1."
    fitting = largest_kv_heads(asked.where(batch_size=1))
    assert (fitting, fitting.sentence) == (16, "G = 16 fits. Of 5 values of G vllm takes 1.")


def test_what_an_engine_refuses_at_the_size_asked_for_does_not_fit() -> None:
    """mlx-lm reads one request at a time under kv_bits, and copies that share two requests hold one each."""
    asked = registered("SmolLM3 3B", batch_size=2, context_length=8_192, accelerator="m4-max", engine="mlx", kv_bits=8)
    copies = asked.where(num_accelerators=2)
    assert plan(copies).fits
    assert fewest_accelerators(copies).sentence.startswith(
        "No number fits: it is refused (mlx: mlx-lm 0.32.2 reads one request at a time under kv_bits."
    )
    many = asked.where(kv_bits=16, batch_size=4_096)
    assert fewest_kv_bits(many).sentence.startswith("No width fits: it is refused (mlx: mlx-lm 0.32.2 reads one")


def test_one_token_is_one() -> None:
    """Weights of 1 GB and 2 GB of reserve leave 6.1 GB of 9.1: a token of Llama-2 13B is 2 x 40 x 5,120 x 2 = 819,200
    bytes, of 5,000 sequences 4.1 GB and two of each 8.2 GB."""
    small = Accelerator(id="small", name="small", memory_reported_bytes=9_100_000_000)
    count = ParameterCount(total=500_000_000, source="typed", sentence="Typed in.")
    asked = job(batch_size=5_000, accelerator=small, memory_utilization=1, parameter_count=count)
    assert longest_context(asked).sentence == "1 token in each of 5,000 sequences fits; 2 do not."


def test_a_model_without_heads_is_split_too() -> None:
    """Codestral Mamba's 2 x 7,285,403,648 bytes and 2 GB of reserve pass the 0.9 x 16,106,127,360 = 14.50 GB of a T4;
    over two, 7.29 of weights fit each. vLLM shares its 8 groups over 1, 2, 4 or 8 ranks."""
    asked = registered("Mamba-Codestral 7B", batch_size=1, context_length=4_096, accelerator="t4")
    assert parallel_choices(asked) == [1, 2, 4, 8, 16, 32, 64]
    assert parallel_choices(asked.where(engine="vllm")) == [1, 2, 4, 8]
    said = "2 hold one copy with the whole batch; no smaller number that divides the hidden size does."
    assert [fewest_accelerators(at).sentence for at in (asked, asked.where(engine="vllm"))] == [said, said]
