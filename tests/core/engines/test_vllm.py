"""What vLLM's own planner said, kept as data, and what holds for any job."""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines import vllm
from core.engines.face import plan_cache
from core.engines.plan import EngineError, EnginePlan
from core.models.attention import GroupedAttention
from core.models.spec import ModelSpec, read_config

DATA = Path(__file__).parents[2] / "data" / "engines"
# 57 published shapes; 405 shapes of 152 model types, with more settings; classes with caches of their own kinds
FILES = ("vllm_cases", "vllm_more_cases", "vllm_own_cases")
GIB = 2**30
LLAMA_3_8B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


@lru_cache(maxsize=3)
def cases(name: str = "vllm_cases") -> tuple[dict[str, Any], ...]:
    with gzip.open(DATA / f"{name}.json.gz", "rt") as file:
        return tuple(json.load(file))


def config_of(case_id: str) -> dict[str, Any]:
    """The config of a case whose id begins so."""
    return next(case["config"] for name in FILES for case in cases(name) if case["id"].startswith(case_id))


@lru_cache(maxsize=1024)
def spec_of(text: str) -> ModelSpec:
    return read_config(json.loads(text))


def planned(config: dict[str, Any], **job: Any) -> EnginePlan:
    return plan_cache(spec_of(json.dumps(config)), engine="vllm", **job)


@pytest.mark.parametrize(("name", "number"), [("vllm_cases", 496), ("vllm_more_cases", 1968), ("vllm_own_cases", 300)])
def test_every_case_of_the_planner_is_met_to_the_byte(name: str, number: int) -> None:
    """Jobs that vLLM 0.33.0's own planner answered, asked as on one H100."""
    wrong = []
    for case in cases(name):
        plan, truth = planned(case["config"], **case["job"]), case["truth"]
        said = {key: getattr(plan, key) for key in truth}
        exact = all(said[key] == true for key, true in truth.items() if key != "max_concurrency")
        if not exact or abs((said.get("max_concurrency") or 0) - truth.get("max_concurrency", 0)) > 1e-3:
            wrong.append((case["id"], said, truth))
        if "capacity_tokens" not in truth:
            assert plan.fits is False, case["id"]
    assert wrong == []
    assert len(cases(name)) == number


@pytest.mark.parametrize("name", FILES)
def test_groups_have_the_planners_layers_and_blocks(name: str) -> None:
    for case in cases(name):
        plan = planned(case["config"], **case["job"])
        said = [(group.num_layers, group.block_size) for group in plan.groups if group.kind != "state"]
        true = [(layers, block) for kind, layers, block, _ in case["groups"] if kind != "MambaSpec"]
        assert sorted(said) == sorted(true), case["id"]
        assert len(plan.groups) == len(case["groups"]), case["id"]


def test_a_plain_model_by_hand() -> None:
    """Llama-3 8B: a block of 16 tokens is 16 x 8 heads x 2 x 128 x 2 bytes = 65,536 bytes a layer, 2 MiB in all."""
    plan = planned(LLAMA_3_8B, context_length=32_768, available_bytes=40 * GIB)
    assert plan.block_size == 16
    assert plan.request_bytes == 2048 * 2 * 2**20
    assert plan.max_concurrency == 10.0
    assert plan.capacity_tokens == 327_680
    assert plan.fits is True


def test_the_null_block_decides_whether_a_request_fits() -> None:
    """Room for 2,048 blocks of 2 MiB holds one request and no null block; one block more holds both."""
    request = 2048 * 2 * 2**20
    assert planned(LLAMA_3_8B, context_length=32_768, available_bytes=request).fits is False
    assert planned(LLAMA_3_8B, context_length=32_768, available_bytes=request + 2 * 2**20).fits is True


def test_requests_at_once_decide_fits_where_a_batch_is_asked() -> None:
    job = {"context_length": 32_768, "available_bytes": 40 * GIB}
    assert planned(LLAMA_3_8B, **job, batch_size=10).fits is True
    assert planned(LLAMA_3_8B, **job, batch_size=11).fits is False


def test_without_memory_there_is_no_capacity() -> None:
    plan = planned(LLAMA_3_8B, context_length=1)
    assert (plan.fits, plan.capacity_tokens, plan.max_concurrency) == (None, None, None)
    assert plan.request_bytes == 2 * 2**20


@pytest.mark.parametrize(("bits", "bytes_"), [(16, 65_536), (8, 32_768)])
def test_common_cache_bits_are_translated(bits: int, bytes_: int) -> None:
    plan = planned(LLAMA_3_8B, context_length=16, cache_bits=bits)
    assert plan.request_bytes == 32 * bytes_


@pytest.mark.parametrize(
    ("cache_type", "bytes_a_head"),
    [
        ("auto", 512),
        ("fp8", 256),
        ("fp8_e5m2", 256),
        ("fp8_per_token_head", 264),  # 256 elements and two float32 scales
        ("int4_per_token_head", 136),
        ("nvfp4", 144),  # half a byte an element and a scale for every 16
    ],
)
def test_bytes_of_cache_types(cache_type: str, bytes_a_head: int) -> None:
    plan = planned(LLAMA_3_8B, context_length=16, cache_type=cache_type)
    assert plan.request_bytes == 32 * 16 * 8 * bytes_a_head


def test_turboquant_keeps_the_outer_layers_in_sixteen_bits_and_doubles_the_block() -> None:
    """4-bit keys with a norm and 4-bit values with scale and zero: 64 + 2 + 64 + 4 = 134 bytes a head of 128."""
    plan = planned(LLAMA_3_8B, context_length=32, cache_type="turboquant_4bit_nc")
    assert plan.block_size == 32
    assert plan.request_bytes == 32 * 8 * (4 * 512 + 28 * 134)


def test_few_kv_heads_are_repeated_over_many_ranks() -> None:
    on_8 = planned(LLAMA_3_8B, context_length=16, tensor_parallel=8)
    on_16 = planned(LLAMA_3_8B, context_length=16, tensor_parallel=16)
    assert on_8.request_bytes == on_16.request_bytes == 32 * 16 * 512


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"context_length": 0}, "context_length is 0"),
        ({"context_length": True}, "context_length is True"),
        ({}, "context_length is None"),
        ({"context_length": 8, "cache_bits": 4}, "cache_bits is 4"),
        ({"context_length": 8, "cache_type": "q8_0"}, "cache_type is 'q8_0'"),
        ({"context_length": 8, "block_size": 24}, "block_size is 24"),
        ({"context_length": 8, "tensor_parallel": 3}, "tensor_parallel is 3"),
        ({"context_length": 8, "tensor_parallel": 16, "decode_context_parallel": 4}, "decode_context_parallel is 4"),
        ({"context_length": 8, "available_bytes": -1}, "available_bytes is -1"),
        ({"context_length": 8, "n_ctx": 8}, "no setting 'n_ctx'"),
        ({"context_length": 8, "prefix_caching": "yes"}, "prefix_caching is 'yes'"),
    ],
)
def test_bad_jobs_are_refused_by_name(job: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        planned(LLAMA_3_8B, **job)


def test_a_dropped_class_names_its_last_version() -> None:
    mpt = {"model_type": "mpt", "architectures": ["MptForCausalLM"], "d_model": 4096, "n_heads": 32, "n_layers": 32}
    with pytest.raises(EngineError, match=r"MptForCausalLM.*until 0\.28\.0"):
        planned(mpt, context_length=512)


SHARED_OUT = {"tensor_parallel": 16, "decode_context_parallel": 2}


@pytest.mark.parametrize(
    ("case_id", "job", "words"),
    [
        ("gemma3__real_gemma-3-4b", {"cache_type": "turboquant_4bit_nc"}, "sliding windows"),
        ("gemma3__real_gemma-3-4b", {"tensor_parallel": 8, "decode_context_parallel": 2}, "does not share out"),
        ("deepseek_v3__real_deepseek-v3", {"cache_type": "fp8_per_token_head"}, "no latent attention"),
        ("deepseek_v3__real_deepseek-v3", {"cache_type": "nvfp4"}, "no latent attention"),
        ("llama__real_llama-3-8b", {"cache_type": "fp8_ds_mla"}, "latent attention with an indexer"),
        ("BLOOM|", {"cache_type": "fp8"}, "FlashAttention 2"),
        ("zamba2__real_zamba2-1.2b", {"cache_type": "turboquant_k8v4"}, "no attention layers"),
        ("nemotron-3-nano|", {"tensor_parallel": 16}, "8 Mamba-2 groups"),
        ("deepseek_v32__real_deepseek-v3.2", {"block_size": 16}, "multiples of 64"),
        ("gemma4-26b|", {"block_size": 16, "cache_type": "fp8"}, "multiples of 64"),
        ("mamba__real_mamba-2.8b", {"tensor_parallel": 2, "decode_context_parallel": 2}, "nothing to share out"),
        ("Phi-2|", {"cache_type": "nvfp4"}, "head widths 128, 256, 512, not for 80"),
        ("llama__real_tinyllama-1.1b", {"cache_type": "nvfp4"}, "not for 64"),  # its kernel misreads it on an H100
        # of the backends only FlashAttention and FlashInfer share a context out, and FlashInfer no nvfp4 there
        ("llama__real_llama-3-8b", {**SHARED_OUT, "cache_type": "int8_per_token_head"}, "cannot share a context out"),
        ("llama__real_llama-3-8b", {**SHARED_OUT, "cache_type": "turboquant_4bit_nc"}, "cannot share a context out"),
        ("llama__real_llama-3-8b", {**SHARED_OUT, "cache_type": "nvfp4"}, "cannot read its scales"),
        ("deepseek_v3__real_deepseek-v3", {"cache_type": "fp8_ds_mla"}, "with an indexer only"),
        ("paligemma__real_paligemma-3b", {"cache_type": "turboquant_k8v4"}, "image tokens attend both ways"),
        ("gpt_oss__real_gpt-oss-20b", {"cache_type": "nvfp4"}, "attention sinks"),
        ("muse-spark|", {"tensor_parallel": 8}, "repeats no KV head"),
    ],
)
def test_what_the_planner_refuses_is_refused_by_name(case_id: str, job: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        planned(config_of(case_id), context_length=512, **job)


@pytest.mark.parametrize(("cache_type", "element_bytes"), [("auto", 2), ("fp8", 1), ("fp8_e5m2", 1)])
def test_a_shared_out_context_bears_the_plain_types(cache_type: str, element_bytes: int) -> None:
    """One KV head of 128 on each of 16 ranks, half of 512 tokens: 256 x 32 layers x 2 x 128 elements."""
    plan = planned(config_of("llama__real_llama-3-8b"), context_length=512, cache_type=cache_type, **SHARED_OUT)
    assert plan.request_bytes == 256 * 32 * 2 * 128 * element_bytes


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("BambaForCausalLM", "attention interface"),
        ("GPTNeoForCausalLM", "neither"),
        ("WhisperForConditionalGeneration", "not stated here"),
        ("MllamaForConditionalGeneration", r"until 0\.10\.2"),
    ],
)
def test_a_class_that_is_not_served_is_named(architecture: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        planned({**LLAMA_3_8B, "architectures": [architecture]}, context_length=512)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("param_sink_number", 128),
        ("interleaved_sliding_window", [4096, 0]),
        ("kv_lora_rank", 512),
        ("is_causal", False),
    ],
)
def test_an_openpangu_with_other_layers_is_refused_by_its_key(key: str, value: Any) -> None:
    """openpangu.py: sinks before the context, windows by layer, a latent, attention both ways."""
    with pytest.raises(EngineError, match=rf"^{key} is .*PanguEmbeddedForCausalLM"):
        planned({**config_of("pangu-embedded-as-llama|"), key: value}, context_length=512)


def test_windows_of_a_qwen2_that_mixes_them_are_refused() -> None:
    mixed = {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 14, "model_type": "qwen2"}
    with pytest.raises(EngineError, match="max_window_layers is 14"):
        planned({**LLAMA_3_8B, **mixed, "architectures": ["Qwen2ForCausalLM"]}, context_length=512)


def test_a_window_that_transformers_ignores_slides_in_vllm() -> None:
    """ceil(min(1023 + 2 x 2048, 32768) / 16) + 1 = 321 blocks of 2 MiB."""
    plan = planned({**LLAMA_3_8B, "sliding_window": 1024}, context_length=32_768)
    assert plan.request_bytes == 321 * 2 * 2**20


def test_deepseek_v4_packs_its_pages_by_hand() -> None:
    """43 windows, 23 heavily and 20 sparsely compressed layers. A row is 584 bytes, a page the next multiple of 576:
    64 rows 37,440 bytes (windows, and entries of 4 tokens), 2 rows 1,728 (entries of 128), 64 index keys of 132 bytes
    8,640. Twenty sparse layers make the widest group: 23 x 1,728 + 20 x (8,640 + 37,440) = 961,344 bytes. A request of
    512 tokens pins 2 x 9 blocks of windows, 2 of entries, 65 and 129 of states."""
    plan = planned(config_of("dsv4-flash|base"), context_length=512)
    assert plan.block_size == 256
    assert [group.num_layers for group in plan.groups] == [22, 21, 63, 23, 40]
    assert plan.request_bytes == (18 + 2 + 65 + 129) * 961_344


@pytest.mark.parametrize(
    ("case_id", "job", "words"),
    [
        ("dsv4-flash|base", {"block_size": 64}, "128 or 256"),
        ("dsv4-flash|base", {"cache_type": "bfloat16"}, "cache_type is 'bfloat16'"),
        ("mimo-v2-flash|base", {"tensor_parallel": 8, "decode_context_parallel": 2}, "does not share out"),
        ("minimax-m3|base", {"cache_type": "nvfp4"}, "cache_type is 'nvfp4'"),
        ("inkling|base", {"tensor_parallel": 16}, "at most 8 ranks"),
    ],
)
def test_classes_with_caches_of_their_own_refuse_by_name(case_id: str, job: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        planned(config_of(case_id), context_length=512, **job)


def test_notes_explain_the_plan() -> None:
    plan = planned(config_of("nemotron_h__real_nemotron-h-8b"), context_length=512, available_bytes=40 * GIB)
    notes = {note.name: note for note in plan.notes}
    assert notes["block size"].result == "1,040 tokens"
    assert notes["groups"].numbers == "28 layers in 7 groups of 4"
    assert notes["request"].formula == "6 x states + 1 x ceil(context / block)"
    assert notes["request"].numbers == "6 x 3 + 1 x ceil(512 / 1,040)"
    assert "takes 3 whole pages" in notes["request"].reason
    assert notes["capacity"].result.startswith("Maximum concurrency for 512 tokens per request: 132.63x")


def test_a_latent_in_eight_bits_says_what_a_gpu_server_does() -> None:
    """The planner's machine cannot load FlashMLA and takes blocks of 16; a server that can takes 64."""
    config = config_of("deepseek_v3__real_deepseek-v3")
    block = {note.name: note for note in planned(config, context_length=512, cache_type="fp8").notes}["block size"]
    assert block.result == "16 tokens"
    assert "FlashMLA takes 64 here: name block_size 64" in block.reason
    plain = {note.name: note for note in planned(config, context_length=512).notes}["block size"]
    assert plain.reason == "A request takes whole blocks."


def test_a_compiled_layout_sweeps_arrays() -> None:
    layout = vllm.layout(spec_of(json.dumps(LLAMA_3_8B)))
    contexts = np.array([1, 16, 17, 32_768])
    swept = layout.sweep(contexts, 40 * GIB)
    for index, context in enumerate(contexts.tolist()):
        plan = planned(LLAMA_3_8B, context_length=context, available_bytes=40 * GIB)
        assert swept["request_bytes"][index] == plan.request_bytes
        assert swept["capacity_tokens"][index] == plan.capacity_tokens


def configs(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted({json.dumps(case["config"]) for name in names for case in cases(name)}))


models = configs(FILES)
plain_models = configs(FILES[:2])  # whose layers are stored as the reader counts them
jobs = st.fixed_dictionaries(
    {},
    optional={
        "tensor_parallel": st.sampled_from([1, 2, 3, 4, 8, 16]),
        "cache_type": st.sampled_from(["auto", "fp8", "fp8_e5m2", "fp8_per_token_head", "nvfp4", "turboquant_3bit_nc"]),
        "max_batched_tokens": st.integers(1, 32_768),
        "prefix_caching": st.booleans(),
        "block_size": st.sampled_from([16, 32, 48, 64, 128]),
    },
)


@given(config=models, job=jobs, context=st.integers(1, 262_144), memory=st.integers(0, 2**40))
@settings(max_examples=150, deadline=None)
def test_a_plan_holds_together(config: str, job: dict[str, Any], context: int, memory: int) -> None:
    """Bytes grow with the context, a capacity is concurrency x context, and nothing but EngineError is raised."""
    try:
        plan = plan_cache(spec_of(config), engine="vllm", context_length=context, available_bytes=memory, **job)
        longer = plan_cache(spec_of(config), engine="vllm", context_length=context + 1, available_bytes=memory, **job)
    except EngineError:
        return
    assert plan.request_bytes is not None
    assert longer.request_bytes is not None
    assert longer.request_bytes >= plan.request_bytes
    if plan.fits:
        assert plan.max_concurrency is not None
        assert plan.capacity_tokens == int(plan.max_concurrency * context)
        assert plan.request_bytes <= memory
    filled = [group.filled_bytes for group in plan.groups]
    assert all(isinstance(bytes_, int) for bytes_ in filled)
    assert sum(bytes_ or 0 for bytes_ in filled) <= plan.request_bytes


@given(config=plain_models, ranks=st.sampled_from([1, 2, 4, 8]), context=st.integers(1, 131_072))
@settings(max_examples=60, deadline=None)
def test_a_request_takes_at_least_what_one_rank_keeps(config: str, ranks: int, context: int) -> None:
    """Grouped layers: the tokens of their window x the rank's heads x both widths x 2 bytes."""
    spec = spec_of(config)
    try:
        plan = plan_cache(spec, engine="vllm", context_length=context, tensor_parallel=ranks)
    except EngineError:
        return
    kept = 0
    for layer in spec.layers:
        if isinstance(layer, GroupedAttention):
            heads = max(1, layer.num_kv_heads // ranks)
            tokens = context if layer.window is None else min(context, layer.window)
            kept += tokens * heads * (layer.head_dim + layer.value_dim) * 2
    assert plan.request_bytes is not None
    assert plan.request_bytes >= kept
