"""mlx-lm 0.32.2's rules by hand arithmetic: steps, chunks, windows, widths, and what each class fails at."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.columns import columns
from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.mlx.caches import ChunkedCache, GrowingCache, Moment, RotatingCache
from core.engines.mlx.classes import table
from core.engines.plan import EngineError
from core.models.spec import read_config

LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
}  # fmt: skip
TOKEN = 8 * 256 * 2 * 32  # 8 heads x 256 elements x 2 bytes x 32 layers = 131,072 bytes
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128, "vocab_size": 201088, "intermediate_size": 2880,
    "num_local_experts": 32, "layer_types": ["sliding_attention", "full_attention"] * 12,
}  # fmt: skip


def spec(**changes: Any) -> Any:
    return read_config({**LLAMA, **changes})


def asked(config: dict[str, Any], **job: Any) -> int:
    return plan_cache(read_config(config), engine="mlx", **job).request_bytes or 0


def test_room_grows_in_steps_of_256_tokens() -> None:
    assert asked(LLAMA, context_length=1) == 256 * TOKEN
    assert asked(LLAMA, context_length=5_000) == 5_120 * TOKEN
    assert asked(LLAMA, context_length=5_120) == 5_120 * TOKEN
    assert asked(LLAMA, context_length=5_121) == 5_376 * TOKEN


def test_a_chunk_that_is_no_multiple_of_a_step_leaves_its_rest_behind() -> None:
    # chunks of 700: 768 tokens; cut to 700 and 768 more: 1,468; cut to 1,400 + 768: 2,168; 2,100 + 768: 2,868;
    # then 199 of the prompt's 2,999: 2,999 do not fit into 2,868: cut to 2,800 and 256 more: 3,056
    assert asked(LLAMA, context_length=3_000, prefill_step_size=700) == 3_056 * TOKEN


def test_windows_of_a_class_without_a_cache_of_its_own_are_kept_whole() -> None:
    mistral = {**LLAMA, "model_type": "mistral", "sliding_window": 4_096}
    assert asked(mistral, context_length=32_768) == 32_768 * TOKEN


def test_a_window_layer_holds_the_chunk_while_the_prompt_is_read() -> None:
    # 8 heads x 128 elements x 2 bytes = 2,048 bytes a token and layer; prompts of 20,000: 9 chunks of 2,048 and 1,567.
    # After the ninth chunk 12 full layers hold 18,432 tokens and 12 window layers 127 + 2,048;
    # after the rest 20,224 (19,999 in steps) and 127 + 1,567: 21,918 tokens against 20,607
    assert asked(GPT_OSS, context_length=20_000) == 12 * 2_048 * (20_224 + 127 + 1_567)
    assert asked(GPT_OSS, context_length=20_000, moment="end") == 12 * 2_048 * (20_224 + 128)


def test_a_batch_is_as_long_as_its_longest_prompt() -> None:
    plan = plan_cache(spec(), engine="mlx", context_length=3_000, batch_size=4)
    assert plan.request_bytes == 4 * 3_072 * TOKEN
    assert held_bytes(plan, batch_size=4) == 4 * 3_072 * TOKEN


WINDOWED = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 6, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64, "tie_word_embeddings": True, "sliding_window": 64,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "generated", "batch", "job", "live"),
    [
        (300, 4, 8, {}, 2_055_168),
        (300, 4, 16, {}, 2_907_136),
        (300, 4, 24, {}, 3_759_104),
        (250, 40, 24, {}, 2_716_672),
        (300, 40, 11, {"prefill_batch_size": 4}, 1_622_656),
        (300, 40, 16, {"prefill_batch_size": 16}, 4_110_336),
        (300, 40, 11, {}, 2_055_168),
        (500, 60, 20, {"prefill_step_size": 128}, 2_785_280),
    ],
)
def test_a_large_batch_is_read_in_groups(
    prompt: int, generated: int, batch: int, job: dict[str, Any], live: int
) -> None:
    """The largest prompt_cache_nbytes that mlx-lm 0.32.2's BatchGenerator had on the way (mlx 0.32.4, bfloat16)."""
    counts = {"context_length": prompt + generated, "generated_tokens": generated, "batch_size": batch}
    assert asked(WINDOWED, **counts, **job) == live


def test_the_prompts_of_a_large_batch_are_told() -> None:
    job = {"context_length": 304, "generated_tokens": 4}
    notes = plan_cache(read_config(WINDOWED), engine="mlx", batch_size=16, **job).notes
    told = next(note for note in notes if note.name == "prompts")
    assert (told.numbers, told.reason) == ("16 requests, 8 at once", "")
    assert told.result == "8 hold 299 tokens each while 8 hold up to 301"
    notes = plan_cache(read_config(WINDOWED), engine="mlx", batch_size=40, **job).notes
    told = next(note for note in notes if note.name == "prompts")
    assert told.reason == "completion_batch_size is 32 unless it is named: give 40, or fewer are held at once."


@pytest.mark.parametrize("memory", [300_000, 2_055_168, 2_907_135, 2_907_136, 30_000_000])
def test_as_many_requests_are_served_as_fit(memory: int) -> None:
    """Whatever batch is asked: one of the number that is said fits, one of more does not."""
    model, job = read_config(WINDOWED), {"context_length": 304, "generated_tokens": 4, "available_bytes": memory}
    most = plan_cache(model, engine="mlx", **job).max_concurrency
    assert most is not None
    for batch in (int(most), int(most) + 1):
        made = plan_cache(model, engine="mlx", batch_size=batch, **job)
        assert made.fits is (batch == int(most))
        assert int(made.max_concurrency or 0) == int(most)


def test_kv_bits_begin_at_token_5000() -> None:
    # 4 bits and groups of 64: 64 bytes of elements and 2 x 2 scales and biases of 2 bytes for 128 elements, 72 bytes
    packed = 8 * 2 * (64 + 8) * 32
    assert asked(LLAMA, context_length=4_999, kv_bits=4) == 5_120 * TOKEN
    # the fullest moment is the one before the conversion: two chunks of 2,048 in 16 bits
    assert asked(LLAMA, context_length=6_000, kv_bits=4) == 4_096 * TOKEN
    assert asked(LLAMA, context_length=6_000, kv_bits=4, moment="end") == 6_144 * packed
    assert asked(LLAMA, context_length=6_000, cache_bits=4, quantized_kv_start=0) == 6_144 * packed


def test_max_kv_size_is_obeyed_or_ignored_by_class() -> None:
    qwen = {**LLAMA, "model_type": "qwen2"}
    assert asked(qwen, context_length=3_000, max_kv_size=1_024, moment="end") == 1_024 * TOKEN
    assert asked(LLAMA, context_length=3_000, max_kv_size=1_024, moment="end") == 3_072 * TOKEN


@pytest.mark.parametrize(
    ("cap", "prompt", "chunk", "live"),
    [
        (4, 6, 2, 1_024), (4, 9, 4, None), (3, 6, 2, 1_024), (3, 9, 4, None), (2, 4, 2, 512), (2, 5, 2, None),
        (1, 10, 8, 2_048), (1, 11, 8, None), (4, 300, 2_048, 76_544), (4, 2_050, 2_048, 524_288),
        (4, 2_051, 2_048, None), (1, 9, 1, 256), (5, 300, 100, 26_624),
    ],
)  # fmt: skip
def test_no_more_tokens_than_are_kept_and_a_second_chunk_are_refused(
    cap: int, prompt: int, chunk: int, live: int | None
) -> None:
    """A Qwen2 of 2 layers of 2 KV heads, 16 wide: what mlx-lm 0.32.2 held; None where it raised ValueError, "Shapes
    (4,7) and (1,4,4,8) cannot be broadcast" and the like."""
    qwen = {**WINDOWED, "model_type": "qwen2", "num_hidden_layers": 2, "sliding_window": None, "layer_types": None}
    job = {"context_length": prompt, "prefill_step_size": chunk, "max_kv_size": cap}
    if live is not None:
        assert asked(qwen, **job) == live
        return
    with pytest.raises(EngineError, match=f"max_kv_size is {cap}.*Set max_kv_size to 5 or more"):
        asked(qwen, **job)
    assert asked(qwen, **job, batch_size=2) > 0  # merged caches keep no tokens at the front
    with pytest.raises(EngineError, match=f"max_kv_size is {cap}"):
        columns(
            read_config(qwen), engine="mlx", contexts=np.array([1, prompt, 3]), batches=np.array([1, 1, 1]),
            available_bytes=np.array([2**40] * 3), common={}, settings={"max_kv_size": cap, "prefill_step_size": chunk},
        )  # fmt: skip


def test_deepseek_v2_holds_every_head_and_v3_the_latent() -> None:
    widths = {
        "q_lora_rank": 1_536, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
        "num_attention_heads": 128, "num_key_value_heads": 128, "num_hidden_layers": 60,
    }  # fmt: skip
    model = {**LLAMA, **widths, "hidden_size": 5_120}
    assert asked({**model, "model_type": "deepseek_v2"}, context_length=256) == 256 * 60 * 128 * (192 + 128) * 2
    assert asked({**model, "model_type": "deepseek_v3"}, context_length=256) == 256 * 60 * 576 * 2


@given(
    chunk=st.integers(1, 3_000), full=st.integers(0, 40), rest=st.integers(0, 2_999), singles=st.integers(0, 900)
)  # fmt: skip
def test_no_cache_has_less_room_than_its_tokens_need(chunk: int, full: int, rest: int, singles: int) -> None:
    moment = Moment(full, chunk, min(rest, chunk - 1), singles)
    assert GrowingCache(1, 1, 1).tokens(moment) >= moment.tokens
    assert RotatingCache(128, 1, 1, 1).tokens(moment) >= min(moment.tokens, 127)
    assert ChunkedCache(8_192, 1, 1, 1).tokens(moment) >= min(moment.tokens, 8_192)


@pytest.mark.parametrize(
    "job",
    [{"context_length": 0}, {"pages": 1}, {"kv_bits": 7}, {"kv_group_size": 48}, {"moment": "middle"},
     {"generated_tokens": 4_096}, {"batch_size": 2, "kv_bits": 4}, {"tensor_parallel": 2}, {"prefill_step_size": None},
     {"prefill_batch_size": 0}, {"max_kv_size": 0}, {"cache_bits": 7.5}],
)  # fmt: skip
def test_a_job_that_cannot_be_is_refused(job: dict[str, Any]) -> None:
    with pytest.raises(EngineError):
        plan_cache(spec(), engine="mlx", **job)


@pytest.mark.parametrize(
    ("config", "job", "why"),
    [
        (GPT_OSS, {"context_length": 6_000, "kv_bits": 8}, "rotating caches"),
        ({**LLAMA, "model_type": "gemma2", "head_dim": 256, "sliding_window": 4_096}, {"batch_size": 2}, "one request"),
        ({**LLAMA, "model_type": "bloom"}, {}, "no class for model_type 'bloom'"),
        (
            {**LLAMA, "model_type": "phi", "num_key_value_heads": 32},
            {"context_length": 6_000, "kv_bits": 8},
            "cannot read",
        ),
    ],
)
def test_what_mlx_lm_fails_at_is_refused_by_name(config: dict[str, Any], job: dict[str, Any], why: str) -> None:
    with pytest.raises(EngineError, match=why):
        asked(config, **job)


def test_the_table_names_each_class_once() -> None:
    known = table()
    assert not set(known["own_cache"]) & set(known["whole"])
    everything = set(known["own_cache"]) | set(known["whole"])
    assert len(everything) == 125
    assert set(known["not_quantised"]) | set(known["not_batched"]) | set(known["renamed"].values()) <= everything


def test_the_strongest_cause_is_said() -> None:
    said = plan_cache(read_config(GPT_OSS), engine="mlx", context_length=20_000).notes[-1].reason
    assert said == "A window layer holds a whole chunk of the prompt beside its window while the prompt is read."
    mistral = {**LLAMA, "model_type": "mistral", "sliding_window": 4_096}
    said = plan_cache(read_config(mistral), engine="mlx", context_length=20_000).notes[-1].reason
    assert said == "MLX's class llama keeps every token, whatever the window."
