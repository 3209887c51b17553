"""What a draft, a shared prefix and an offload add to a job: bytes by hand, and bounds with their arithmetic."""

from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from core.errors import SizingError
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.draft import Draft, draft_weights
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.offload import Offload, offload_bound, tier
from core.serving.ranks import rank_plans
from core.serving.speed_aid_bounds import cached_prefix_bound, draft_bound, offload_of
from core.serving.sweep import sweep

LLAMA_8B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128_256,
    "tie_word_embeddings": False,
}  # fmt: skip
LLAMA_1B = {
    **LLAMA_8B, "hidden_size": 2048, "num_hidden_layers": 16, "head_dim": 64, "intermediate_size": 8192,
    "tie_word_embeddings": True,
}  # fmt: skip
HEAD = {**LLAMA_8B, "num_hidden_layers": 1}
LAYER = 218_103_808  # 2 x 4096^2 + 2 x 4096 x 1024 + 3 x 4096 x 14336
TARGET = read_config(LLAMA_8B)
SHAPE = replace(TARGET, config={})
SMALL = Draft(method="draft_model", model=read_config(LLAMA_1B))


def job(**changes: object) -> ServingJob:
    asked = {"model": TARGET, "batch_size": 4, "context_length": 32_768, **changes}
    return ServingJob(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "config", "parameters"),
    [  # each as vLLM 0.33 builds it on the meta device, less what it shares with the model
        ("draft_model", LLAMA_1B, 1_235_814_400),
        ("eagle", HEAD, LAYER + 4096 + 2 * 4096**2),
        (
            "eagle3",
            {**HEAD, "draft_vocab_size": 32_000},
            LAYER + 4 * 4096 + (4096 + 2 * 1024 + 3 * 4096 + 32_000) * 4096,
        ),
    ],
)
def test_what_a_draft_adds(method: str, config: dict[str, object], parameters: int) -> None:
    assert draft_weights(Draft(method=method, model=read_config(config)), TARGET).parameters == parameters


def test_mtp_adds_the_layers_that_the_file_announces() -> None:
    """Qwen3-Next 80B as vLLM builds its MTP: 1,781,543,424 with embedding and head of 65,536,000 each."""
    qwen = {"model_type": "qwen3_next", "architectures": ["Qwen3NextForCausalLM"], "vocab_size": 32_000}
    added = draft_weights(Draft(method="mtp"), read_config(qwen)).parameters
    assert added == 1_781_543_424 - 2 * 32_000 * 2048


def test_a_plain_draft_stands_in_the_payload_with_weights_and_cache() -> None:
    """Its cache: 16 layers x 2 x 8 heads x 64 x 2 bytes x 32,768 x 4 requests; 2 bytes a parameter."""
    made, without = plan(job(draft=SMALL)), plan(job())
    assert made.draft_weight_bytes == 2 * 1_235_814_400
    assert made.draft_cache_bytes == 16 * 2 * 8 * 64 * 2 * 32_768 * 4
    assert made.total_bytes - without.total_bytes == made.draft_weight_bytes + made.draft_cache_bytes
    assert sum(line.num_bytes for line in made.lines if line.counted) == made.total_bytes
    assert [line.key for line in made.lines if line.key.startswith("draft")] == ["draft_weights", "draft_cache"]


def test_vllm_s_pool_holds_the_draft_s_cache_too() -> None:
    made = plan(job(draft=SMALL, engine="vllm"))
    assert made.draft_cache_bytes == 0
    assert made.kv_reserved_bytes == 4 * (32 * 128 + 16 * 64) * 2 * 8 * 2 * 32_768
    assert sum(line.num_bytes for line in made.lines if line.counted) == made.total_bytes


def test_a_shared_prefix_is_held_once() -> None:
    """131,072 bytes a token: of 4 requests of 32,768 tokens, 3 x 8,000 are not held again."""
    assert plan(job(shared_prefix=8_000)).kv_reserved_bytes == (4 * 32_768 - 3 * 8_000) * 131_072
    assert plan(job(shared_prefix=8_010, engine="vllm")).kv_reserved_bytes == (4 * 32_768 - 3 * 8_000) * 131_072
    assert largest_batch(job(shared_prefix=30_000, engine="vllm")) > largest_batch(job(engine="vllm"))


def test_a_draft_keeps_a_shared_prefix_once_too() -> None:
    """16 layers x 2 x 8 heads x 64 x 2 bytes a token of 4 requests of 32,768, of which 3 x 8,000 are not kept again."""
    made = plan(job(draft=SMALL, shared_prefix=8_000))
    assert made.draft_cache_bytes == (4 * 32_768 - 3 * 8_000) * 16 * 2 * 8 * 64 * 2
    line = next(line for line in made.lines if line.key == "draft_cache")
    assert line.substituted == "4 × 32,768 tokens − 3 × 8,000"


def test_a_window_shares_what_of_it_lies_in_the_prefix() -> None:
    """32 layers that keep 4,096 of 8,192 tokens: of a prefix of 5,000, tokens 4,096 to 5,000 are kept by each."""
    sliding = read_config(
        {**LLAMA_8B, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 4096}
    )
    one = ServingJob(model=sliding, batch_size=1, context_length=8_192, shared_prefix=5_000)
    two = one.where(batch_size=2)
    assert plan(two).kv_reserved_bytes - plan(one).kv_reserved_bytes == (4_096 - 904) * 131_072


@pytest.mark.parametrize("engine", ["payload", "vllm"])
def test_a_sweep_says_what_the_plan_says(engine: str) -> None:
    asked = job(draft=SMALL, shared_prefix=500, engine=engine)
    rows = sweep(asked, batch_size=[1, 40], context_length=[1_000, 16_000]).to_dict("records")
    plans = [plan(asked.where(batch_size=r["batch_size"], context_length=r["context_length"])) for r in rows]
    assert [r["total_bytes"] for r in rows] == [made.total_bytes for made in plans]
    assert [r["fits"] for r in rows] == [made.fits for made in plans]


def test_mtp_weighs_what_vllm_builds() -> None:
    """vLLM 0.33's classes on the meta device: Ernie's dense layer 123,217,920; Qwen3.5-35B-A3B's module 1,353,200,128
    less the embedding of 248,320 x 2,048 that it takes from the model."""
    ernie = {
        "model_type": "ernie4_5_moe", "architectures": ["Ernie4_5_MoeForCausalLM"], "hidden_size": 2560,
        "num_hidden_layers": 28, "num_attention_heads": 20, "num_key_value_heads": 4, "intermediate_size": 12288,
        "vocab_size": 103_424, "moe_num_experts": 64, "moe_k": 6, "moe_intermediate_size": 1536,
        "moe_num_shared_experts": 2, "moe_layer_start_index": 1, "num_nextn_predict_layers": 1,
    }  # fmt: skip
    assert draft_weights(Draft(method="mtp"), read_config(ernie)).parameters == 123_217_920
    known = next(known for known in load_registry() if known.name == "Qwen3.5 35B-A3B")
    assert draft_weights(Draft(method="mtp"), read_config(known.config)).parameters == 1_353_200_128 - 508_559_360


def deepseek(**more: Any) -> ServingJob:
    known = next(known for known in load_registry() if known.name == "DeepSeek-V3")
    given: dict[str, Any] = {
        "model": read_config(known.config), "batch_size": 16, "context_length": 4_096, "accelerator": "h200-sxm",
        "weight_format": "published", "draft": Draft(method="mtp"),
    }  # fmt: skip
    return ServingJob(**given | more)


# DeepSeek-V3's layer behind the 61: 256 experts and a shared one of 3 x 7,168 x 2,048, MLA of 187,107,328 matrices, a
# router of 256 x 7,168, norms of 5 x 7,168 + 1,536 + 512, and a projection of 2 x 7,168^2.
EXPERT, MLA = 3 * 7_168 * 2_048, 187_105_280 + 2_048
KEPT = 256 * 7_168 + 5 * 7_168 + 2 * 7_168**2


def test_mtp_layers_are_stored_as_the_file_says_and_their_experts_lie_as_the_model_s_do() -> None:
    """FP8 in blocks of 128 x 128 with a float32 scale: 8 + 32 / 16,384 bits; a rank of 16 holds 16 of the 256 experts.

    23.2 GB a rank were said of it: 16 bits, and every expert on every rank.
    """
    whole = plan(deepseek(num_accelerators=8, tensor_parallel=8))
    assert whole.draft_counted is not None
    said = next(line.provenance for line in whole.lines if line.key == "draft_weights")
    assert "quantization_config says fp8: 8.002 bits a weight" in said
    assert whole.draft_counted.parameters == 257 * EXPERT + MLA + KEPT == 11_610_067_968
    wide = plan(deepseek(num_accelerators=8, tensor_parallel=8, weight_format=None, weight_bits=16))
    assert wide.draft_weight_bytes == 2 * 11_610_067_968 // 8
    shared = plan(deepseek(num_accelerators=16, data_parallel=16, expert_parallel=True))
    fp8 = Fraction(8) + Fraction(32, 128 * 128)
    norms = 1_536 + 512
    narrow = fp8 * (16 * EXPERT + EXPERT + MLA - norms) + 16 * (KEPT + norms)
    assert shared.draft_weight_bytes == ceil(narrow / 8)


def test_experts_that_do_not_divide_lie_on_some_ranks_more_in_a_draft_too() -> None:
    ranks = rank_plans(plan(deepseek(num_accelerators=24, data_parallel=24, expert_parallel=True, batch_size=24)))
    without = rank_plans(
        plan(deepseek(num_accelerators=24, data_parallel=24, expert_parallel=True, batch_size=24, draft=None))
    )
    added = [one.weight_bytes - other.weight_bytes for one, other in zip(ranks, without, strict=True)]
    fp8 = Fraction(8) + Fraction(32, 128 * 128)
    assert {rank.experts for rank in ranks} == {10, 11}
    assert added[0] - added[-1] == pytest.approx(float(fp8 * EXPERT / 8), abs=2)


def test_a_draft_s_step_reads_the_experts_that_a_batch_wakes() -> None:
    """Of one request 8 of 256: all of them were read in what was called a bound."""
    bound = draft_bound(deepseek(batch_size=1, weight_format=None, weight_bits=16, num_accelerators=1))
    assert bound is not None
    cache = 576 * 2 * 4_096
    assert bound.draft_bytes == pytest.approx(2 * (9 * EXPERT + MLA + KEPT) + cache, abs=1)


def test_of_several_mtp_layers_a_step_reads_the_one_whose_turn_it_is() -> None:
    """deepseek_mtp.py of vLLM runs layers[step % number]: two announced weigh twice as much, and a token drafted reads
    8 of 256 experts, the shared one, and the rest of one layer, beside 576 cached elements a token."""
    config = next(known for known in load_registry() if known.name == "DeepSeek-V3").config
    two = read_config({**config, "num_nextn_predict_layers": 2})
    draft = Draft(method="mtp", tokens=2)
    asked = deepseek(batch_size=1, weight_format=None, weight_bits=16, num_accelerators=1, model=two, draft=draft)
    bound = draft_bound(asked)
    assert plan(asked).draft_weight_bytes == 2 * 2 * 11_610_067_968
    assert bound is not None
    assert bound.draft_bytes == pytest.approx(2 * (9 * EXPERT + MLA + KEPT) + 576 * 2 * 4_096, abs=1)


@pytest.mark.parametrize(
    ("left_out", "wide"),
    [
        (["lm_head", "model.layers.60.self_attn"], False),
        (["model.layers.61*"], True),
        (["mtp"], True),
        (["re:.*mtp.*"], True),
        (["re:^mtp.*"], True),
        (["mtp*"], True),
        (["mtp.fc", "mtp.layers.0.mlp.gate"], False),
    ],
)
def test_a_file_may_leave_its_mtp_layers_at_16_bits(left_out: list[str], wide: bool) -> None:
    given = deepseek(num_accelerators=8, tensor_parallel=8).model.config
    quantization = {**given["quantization_config"], "modules_to_not_convert": left_out}
    made = plan(
        deepseek(
            num_accelerators=8, tensor_parallel=8, model=read_config({**given, "quantization_config": quantization})
        )
    )
    assert made.draft_counted is not None
    bits = made.draft_weight_bytes * 8 * 8 / made.draft_counted.parameters
    assert (bits > 15.99) is wide


def test_a_plain_draft_is_stored_as_its_own_file_says() -> None:
    quantized = read_config({**LLAMA_1B, "quantization_config": {"quant_method": "fp8"}})
    draft = Draft(method="draft_model", model=quantized)
    made = plan(job(draft=draft, weight_format="published"))
    embedding = 128_256 * 2_048
    norms = 33 * 2_048
    assert made.draft_weight_bytes == 1_235_814_400 + embedding + norms
    assert plan(job(draft=draft)).draft_weight_bytes == 2 * 1_235_814_400


def test_fields_left_out_change_nothing() -> None:
    bare = plan(job(engine="vllm"))
    offloaded = plan(job(engine="vllm", offload=Offload(num_bytes=10**11, bandwidth_bytes_per_s=64e9)))
    assert (bare.total_bytes, bare.fits) == (offloaded.total_bytes, offloaded.fits)
    assert draft_bound(job()) is None
    assert cached_prefix_bound(job()) is None
    assert offload_of(bare) is None


def test_an_offload_keeps_whole_requests_and_is_bound_by_its_link() -> None:
    """A request takes 4,294,967,296 bytes: 23 of them in 10^11, 67 ms over 64 GB/s."""
    found = offload_of(plan(job(engine="vllm", offload=Offload(num_bytes=10**11, bandwidth_bytes_per_s=64e9))))
    assert found is not None
    assert (found.request_bytes, found.requests_kept) == (4_294_967_296, 23)
    assert found.load_seconds == pytest.approx(0.0671, abs=1e-4)
    assert found.pays is True
    assert offload_bound(Offload(num_bytes=5, bandwidth_bytes_per_s=1e6), 10, None).requests_kept == 0
    assert tier("nvme4")[1] == 8e9


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_a_request_outside_holds_the_shared_prefix_itself(batch: int) -> None:
    """32,768 tokens x 131,072 bytes, however many requests share 30,000 of them on the accelerator."""
    outside = Offload(num_bytes=10**11, bandwidth_bytes_per_s=64e9)
    found = offload_of(plan(job(batch_size=batch, shared_prefix=30_000, offload=outside)))
    assert found is not None
    assert (found.request_bytes, found.requests_kept) == (4_294_967_296, 23)


def test_a_draft_s_bound_is_every_token_accepted() -> None:
    """The draft reads 2 x 1,235,814,400 bytes of weights and 2^32 of cache three times a step, at 3.35 TB/s."""
    bound = draft_bound(job(draft=SMALL))
    assert bound is not None
    assert bound.draft_seconds == pytest.approx(3 * (2_471_628_800 + 2**32) / 3.35e12)
    assert bound.plain.step_seconds is not None
    assert bound.seconds == pytest.approx(bound.plain.step_seconds + bound.draft_seconds)
    assert bound.tokens_per_second == pytest.approx(16 / bound.seconds)
    assert bound.least_tokens_per_second == pytest.approx(4 / bound.seconds)


def test_a_cached_prefix_leaves_the_rest_to_work_out() -> None:
    bound = cached_prefix_bound(job(shared_prefix=30_000))
    assert bound is not None
    assert bound.tokens == 2_768


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Draft(method="ngram"), "draft method is 'ngram'"),
        (lambda: Draft(method="eagle"), "give its config.json"),
        (lambda: Draft(method="mtp", model=TARGET), "leave the draft's model out"),
        (lambda: Draft(method="mtp", tokens=0), "draft tokens is 0"),
        (lambda: draft_weights(Draft(method="mtp"), TARGET), "model_type 'llama'"),
        (lambda: draft_weights(Draft(method="mtp"), SHAPE), "give a config"),
        (lambda: Offload(num_bytes=0, bandwidth_bytes_per_s=1e9), "offload bytes is 0"),
        (lambda: Offload(num_bytes=1, bandwidth_bytes_per_s=0), "offload bandwidth"),
        (lambda: tier("usb"), "offload tier is 'usb'"),
        (lambda: job(shared_prefix=-1), "shared_prefix is -1"),
        (lambda: job(draft="eagle"), "draft is 'eagle'"),
        (lambda: plan(job(draft=replace(SMALL, method="eagle"), engine="mlx")), "what mlx keeps for it is not stated"),
        (lambda: plan(job(shared_prefix=5, engine="mlx")), "what mlx holds once of it is not stated here"),
    ],
)
def test_what_cannot_be_gets_a_sentence(make, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SizingError, match=said):
        make()


def test_a_pipeline_holds_the_draft_on_its_last_stage():
    """32 layers over 2: the last stage has the head, 16 layers, and the draft whole; the first the embedding and 16."""
    asked = job(num_accelerators=2, pipeline_parallel=2, engine="payload", draft=SMALL)
    first, last = rank_plans(plan(asked))
    without = rank_plans(plan(replace(asked, draft=None)))
    assert first == replace(without[0], is_fullest=False)
    assert last.weight_bytes - without[1].weight_bytes == 2 * 1_235_814_400  # Llama-3.2-1B at 16 bits
    assert last.cache_bytes - without[1].cache_bytes == 4 * 32_768 * 16 * 2 * 8 * 64 * 2
    assert last.is_fullest


def test_a_head_brings_an_embedding_of_its_own_into_a_pipeline():
    eagle = Draft(method="eagle", model=read_config(HEAD))
    shared, own = draft_weights(eagle, TARGET), draft_weights(eagle, TARGET, own_embedding=True)
    assert own.parameters - shared.parameters == 128_256 * 4_096
    assert draft_weights(SMALL, TARGET, own_embedding=True) == draft_weights(SMALL, TARGET)
    with pytest.raises(SizingError, match="on which stage sglang lays its layers is not stated here"):
        job(num_accelerators=2, pipeline_parallel=2, engine="sglang", draft=SMALL)
