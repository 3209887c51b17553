"""Bounds stay bounds where a model has experts, latents, states or towers, and where copies, stages or drafts share."""

from functools import cache
from typing import Any

import pytest

from core.models.registry import load_registry
from core.models.spec import ModelSpec, read_config
from core.serving.draft import Draft
from core.serving.job import ServingJob
from core.serving.kv_ledger import kv_ledger
from core.serving.memory_plan import plan
from core.serving.prefill import prefill_bound
from core.serving.roofline import decode_bound
from core.serving.speed_aid_bounds import draft_bound
from core.serving.speed_words import aids_lines
from core.serving.weights import count_of


@cache
def model(name: str) -> ModelSpec:
    return read_config(next(known.config for known in load_registry() if known.name == name))


def job(name: str, **fields: Any) -> ServingJob:
    given: dict[str, Any] = {"batch_size": 1, "context_length": 8_192, "weight_format": "published"}
    return ServingJob(model=model(name), **given | fields)


SMALL = Draft(method="draft_model", model=model("Llama-3.2 1B"))


@pytest.mark.parametrize("name", ["DeepSeek-V3", "Kimi-K2", "Qwen3 30B-A3B", "Mixtral 8x7B"])
def test_a_prompt_of_one_token_reads_the_experts_of_one_token(name: str) -> None:
    """All of them were read: DeepSeek-V3's first token took 18 times the step that it is."""
    one = job(name, context_length=1)
    assert prefill_bound(one).weight_read_bytes == decode_bound(one).weight_read_bytes
    assert prefill_bound(job(name)).weight_read_bytes > 5 * prefill_bound(one).weight_read_bytes / 2


def test_a_prompt_s_latents_are_multiplied_out_once() -> None:
    """DeepSeek-V3: 61 layers x 128 heads x 2 x (192 + 128), not 2 x (576 + 512) as in a step; 3.4 times less."""
    bound = prefill_bound(job("DeepSeek-V3", context_length=1_024))
    assert bound.attention_flops == 61 * 128 * 2 * 320 * 1_024 * 1_025 // 2
    assert decode_bound(job("DeepSeek-V3", context_length=1_024)).attention_flops == 61 * 128 * 2 * 1_088 * 1_024


def test_a_prompt_of_words_goes_through_no_tower() -> None:
    count = count_of(model("Gemma-3 4B"))
    assert count.parts["towers"] > 10**8
    assert prefill_bound(job("Gemma-3 4B")).parameters == count.total - (count.embedding or 0) - count.parts["towers"]


def test_stages_of_a_pipeline_work_at_once_with_a_draft_too() -> None:
    """Of four stages the best case with a draft was below the one without."""
    found = []
    for stages in (1, 4):
        split = job("Llama-3 70B", batch_size=8, num_accelerators=4 * stages, tensor_parallel=4,
                    pipeline_parallel=stages, draft=SMALL)  # fmt: skip
        drafted, plain = draft_bound(split), decode_bound(split)
        assert drafted is not None
        found.append((drafted.tokens_per_second, plain.tokens_per_second))
    assert found[1][0] == pytest.approx(4 * found[0][0])
    assert found[1][0] > found[1][1]


@pytest.mark.parametrize("drafted", [False, True])
def test_copies_that_share_a_batch_unevenly_each_step_at_their_own_pace(drafted: bool) -> None:
    """Nine sequences over eight copies: one step of two, seven of one."""

    def rate(**fields: Any) -> float:
        asked = job("Llama-3 8B", context_length=131_072, draft=SMALL if drafted else None, **fields)
        bound = draft_bound(asked) if drafted else decode_bound(asked)
        assert bound is not None
        return bound.tokens_per_second or 0.0

    shared = rate(batch_size=9, num_accelerators=8)
    assert shared == pytest.approx(rate(batch_size=2) + 7 * rate(batch_size=1))
    assert rate(batch_size=3, num_accelerators=8) == pytest.approx(3 * rate(batch_size=1))
    assert rate(batch_size=16, num_accelerators=8) == pytest.approx(8 * rate(batch_size=2))


@pytest.mark.parametrize(
    ("fields", "sequences", "said"),
    [
        ({"batch_size": 8}, 8, "8 × (3 + 1) / ("),
        ({"batch_size": 8, "num_accelerators": 4, "pipeline_parallel": 4}, 32, "8 × (3 + 1) × 4 stages / ("),
        ({"batch_size": 9, "num_accelerators": 8}, None, "the fullest copies: 2 × (3 + 1) / ("),
    ],
)
def test_the_formula_of_a_draft_gives_the_figure_beside_it(
    fields: dict[str, int], sequences: int | None, said: str
) -> None:
    """Over stages or uneven copies its numbers came to another figure than the sentence's."""
    asked = job("Llama-3 8B", draft=SMALL, **fields)
    bound = draft_bound(asked)
    assert bound is not None
    assert bound.seconds is not None
    [(words, formula)] = aids_lines(plan(asked))
    assert f"at most {bound.tokens_per_second:,.0f} tokens/s" in words
    assert formula.startswith(said)
    if sequences is None:
        assert formula.endswith("each; 7 with a sequence less step in less")
    else:
        assert bound.tokens_per_second == pytest.approx(4 * sequences / bound.seconds)


def test_tokens_that_are_checked_wake_experts_of_their_own() -> None:
    asked = job("Qwen3 235B-A22B", num_accelerators=8, tensor_parallel=8, draft=Draft(method="draft_model", tokens=7,
                model=model("Qwen3 8B")))  # fmt: skip
    bound = draft_bound(asked)
    assert bound is not None
    assert bound.checked.weight_read_bytes == decode_bound(asked.where(batch_size=8, draft=None)).weight_read_bytes
    assert bound.checked.kv_read_bytes == bound.plain.kv_read_bytes


def test_an_mtp_layer_with_an_index_reads_what_it_chooses() -> None:
    """DeepSeek-V3.2: 2,048 of the latents of 576, and every index key of 128, at 2 bytes."""
    asked = job("DeepSeek-V3.2", context_length=131_072, weight_format=None, weight_bits=16, draft=Draft(method="mtp"))
    bound, without = draft_bound(asked), draft_bound(asked.where(context_length=1))
    assert bound is not None
    assert without is not None
    more = (2_048 - 1) * 576 + (131_072 - 1) * 128
    assert bound.draft_bytes - without.draft_bytes == 2 * more


def test_a_head_in_a_pipeline_looks_its_embedding_up() -> None:
    """It brings a table of its own there, of which a step reads rows: 0.54 GB a step had become 1.59."""
    config = {**model("Llama-3 8B").config, "num_hidden_layers": 1}
    head = Draft(method="eagle", model=read_config(config))
    whole, split = (
        draft_bound(job("Llama-3 8B", num_accelerators=stages, pipeline_parallel=stages, draft=head))
        for stages in (1, 2)
    )
    assert whole is not None
    assert split is not None
    assert whole.draft_bytes == split.draft_bytes


@pytest.mark.parametrize("engine", ["payload", "vllm", "sglang"])
def test_states_are_read_whichever_engine_keeps_them_and_split_over_the_ranks(engine: str) -> None:
    """Mamba-Codestral keeps 273,678,336 bytes a sequence; a named engine read none, and every rank read all."""
    alone = decode_bound(job("Mamba-Codestral 7B", batch_size=64, engine=engine))
    split = decode_bound(job("Mamba-Codestral 7B", batch_size=64, engine=engine, num_accelerators=8, tensor_parallel=8))
    assert alone.state_read_bytes == 64 * model("Mamba-Codestral 7B").state_bytes(batch_size=1)
    assert split.state_read_bytes == alone.state_read_bytes // 8


@pytest.mark.parametrize("name", ["DeepSeek-V3", "Qwen3 30B-A3B", "Gemma-3 4B"])
def test_at_n_star_cache_and_weights_are_read_alike(name: str) -> None:
    """Of the weights a step's own part: the experts of one sequence, no tower. All of them made it 18 times too far."""
    full = job(name)
    tokens = decode_bound(full).crossover_tokens
    assert tokens is not None
    per_token = sum(group.readers * group.rank_width for group in kv_ledger(full.model, 1).groups) * 2
    assert tokens * per_token == pytest.approx(decode_bound(full).weight_read_bytes)


def test_a_shared_prefix_may_be_read_once() -> None:
    """131,072 bytes a token of Llama-3 8B: 64 sequences of 8,192 tokens, less 63 times the 8,000 that they share."""
    read = decode_bound(job("Llama-3 8B", batch_size=64, shared_prefix=8_000)).kv_read_bytes
    assert read == (64 * 8_192 - 63 * 8_000) * 131_072
