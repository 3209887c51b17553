"""What llama.cpp allocated or logged, kept as data, and what holds for any job."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.face import plan_cache
from core.engines.llama_cpp import compute_buffer
from core.engines.plan import EngineError
from core.models.gguf.metadata import read_metadata
from core.models.rules.facts import UnsupportedConfig

DATA = Path(__file__).parents[2] / "data" / "engines"
LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 4,
    "llama.context_length": 8192,
    "llama.embedding_length": 256,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.attention.key_length": 64,
    "llama.attention.value_length": 64,
}
GEMMA = {
    "general.architecture": "gemma3",
    "gemma3.block_count": 6,
    "gemma3.context_length": 131_072,
    "gemma3.embedding_length": 256,
    "gemma3.attention.head_count": 4,
    "gemma3.attention.head_count_kv": 1,
    "gemma3.attention.key_length": 64,
    "gemma3.attention.value_length": 64,
    "gemma3.attention.sliding_window": 512,
}


def cases() -> list[dict[str, Any]]:
    with gzip.open(DATA / "llama_cpp_cases.json.gz", "rt") as file:
        return list(json.load(file))


def planned(metadata: dict[str, Any], **job: Any) -> Any:
    return plan_cache(read_metadata(metadata), engine="llama.cpp", **job)


def of(architecture: str, **keys: Any) -> dict[str, Any]:
    named = {f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
    return {"general.architecture": architecture, **named}


def test_every_layer_that_llama_cpp_allocated_is_met_to_the_byte() -> None:
    """68 headers of 37 architectures: cache tensors seen while decoding, or the totals of its log."""
    wrong = []
    for case in cases():
        plan = planned(case["metadata"], **case["job"])
        if [plan.request_bytes, list(plan.layer_bytes)] != list(case["truth"].values()):
            wrong.append((case["id"], plan.request_bytes, case["truth"]))
    assert wrong == []


@pytest.mark.parametrize(
    ("job", "cells"),
    [
        ({"n_ctx": 1000}, 1024),
        ({"n_ctx": 1000, "n_seq_max": 3}, 512),  # 1024 / 3 = 341, to 512, three times
        ({"n_ctx": 4096, "n_seq_max": 64}, 256),  # a slot's share is 64: 256 each, 16,384 in all
        ({"n_ctx": 1000, "n_seq_max": 3, "kv_unified": True}, 1024),
        ({"n_ctx": 0}, 8192),  # the file's own context_length
    ],
)
def test_the_context_is_the_total_of_all_slots_in_steps_of_256(job: dict[str, Any], cells: int) -> None:
    """4 layers x cells x slots x 2 heads x (64 + 64) x 2 bytes."""
    streams = 1 if job.get("kv_unified") else job.get("n_seq_max", 1)
    assert planned(LLAMA, **job).request_bytes == 4 * cells * streams * 2 * 128 * 2


def test_a_window_layer_holds_its_window_and_one_micro_batch() -> None:
    """Five layers of 512 + 512 = 1024 cells and one of 32,768; four slots that share a pool keep four windows."""
    row = 64 * 2 * 2
    assert planned(GEMMA, n_ctx=32_768).layer_bytes == (1024 * row,) * 5 + (32_768 * row,)
    shared = planned(GEMMA, n_ctx=32_768, n_seq_max=4, kv_unified=True)
    assert shared.layer_bytes == ((4 * 512 + 512) * row,) * 5 + (32_768 * row,)
    assert planned(GEMMA, n_ctx=32_768, n_ubatch=513).layer_bytes[0] == 1280 * row
    assert planned(GEMMA, n_ctx=32_768, swa_full=True).layer_bytes == (32_768 * row,) * 6


def test_a_micro_batch_is_never_longer_than_the_batch_or_the_context() -> None:
    """n_batch is 2,048 unless given, and a context of 100 tokens takes batches of 100."""
    row = 64 * 2 * 2
    assert planned(GEMMA, n_ctx=32_768, n_ubatch=8192).layer_bytes[0] == (512 + 2048) * row
    assert planned(GEMMA, n_ctx=32_768, n_ubatch=8192, n_batch=8192).layer_bytes[0] == 8704 * row
    narrow = {**GEMMA, "gemma3.attention.sliding_window": 128}
    assert planned(narrow, n_ctx=600, n_ubatch=512).layer_bytes[0] == 768 * row
    assert planned(narrow, n_ctx=300, n_ubatch=512).layer_bytes[0] == 512 * row


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("f32", 32), ("bf16", 16), ("q8_0", 8.5), ("q5_1", 6), ("q5_0", 5.5), ("q4_1", 5), ("q4_0", 4.5), ("iq4_nl", 4.5)],
)
def test_a_cache_type_is_its_block(kind: str, bits: float) -> None:
    assert planned(LLAMA, n_ctx=4096, type_k=kind, type_v=kind).request_bytes == 4 * 4096 * 2 * 128 * bits / 8


def test_without_flash_attention_values_are_as_wide_as_the_widest() -> None:
    keys = {"attention__key_length_swa": 32, "attention__value_length_swa": 32, "embedding_length": 256}
    gemma4 = of(
        "gemma4", block_count=2, attention__head_count=4, attention__head_count_kv=1, attention__key_length=64,
        attention__value_length=64, attention__sliding_window=512, context_length=8192,
        attention__sliding_window_pattern=[True, False], **keys,
    )  # fmt: skip
    assert planned(gemma4, n_ctx=1024).layer_bytes == (1024 * 64 * 2, 1024 * 128 * 2)
    assert planned(gemma4, n_ctx=1024, flash_attn="off").layer_bytes == (1024 * (32 + 64) * 2, 1024 * 128 * 2)


def test_states_stand_beside_the_cache_in_float32_for_every_slot() -> None:
    """3 x (512 + 2 x 1 x 32) + 512 x 32 elements on each of 4 layers, x 4 bytes x 5 slots."""
    mamba = of(
        "mamba2", block_count=4, context_length=4096, embedding_length=256, attention__head_count=0, ssm__conv_kernel=4,
        ssm__inner_size=512, ssm__state_size=32, ssm__group_count=1,
    )  # fmt: skip
    plan = planned(mamba, n_ctx=4096, n_seq_max=5)
    assert (plan.request_bytes, plan.layer_bytes, plan.state_slots) == (0, (), 5)
    held = (3 * (512 + 64) + 512 * 32) * 4 * 4 * 5
    assert [group.filled_bytes for group in plan.groups] == [held]
    assert planned(mamba, n_ctx=4096, n_seq_max=5, available_bytes=held).fits is True
    assert planned(mamba, n_ctx=4096, n_seq_max=5, available_bytes=held - 1).fits is False


def test_a_common_job_is_a_slot_for_each_sequence() -> None:
    plan = planned(LLAMA, context_length=1000, batch_size=3, cache_bits=8, available_bytes=10**9, tensor_parallel=1)
    assert plan.request_bytes == planned(LLAMA, n_ctx=3000, n_seq_max=3, type_k="q8_0", type_v="q8_0").request_bytes
    assert plan.fits is True
    assert plan.capacity_tokens == 3 * 1024


def test_more_devices_share_the_layers_and_never_the_heads() -> None:
    """4 layers and the output over 2 devices: layers 0 to 2 on the first."""
    one = planned(LLAMA, n_ctx=4096)
    two = planned(LLAMA, n_ctx=4096, tensor_parallel=2)
    assert two.request_bytes == one.request_bytes * 3 // 4
    assert two.layer_bytes == one.layer_bytes
    assert "devices" in [note.name for note in two.notes]


def test_another_number_of_kv_heads_counts_though_the_header_stays() -> None:
    spec = read_metadata(LLAMA)
    other = replace(spec, layers=tuple(replace(layer, num_kv_heads=8) for layer in spec.layers))
    assert (
        plan_cache(other, engine="llama.cpp", n_ctx=4096).request_bytes == 4 * planned(LLAMA, n_ctx=4096).request_bytes
    )


def test_the_notes_say_what_llama_cpp_does_not_use() -> None:
    phi = of(
        "phi3", block_count=2, context_length=4096, embedding_length=64, attention__head_count=2,
        attention__head_count_kv=2, attention__sliding_window=2047,
    )  # fmt: skip
    assert "window not used" in [note.name for note in planned(phi, n_ctx=4096).notes]
    old = of(
        "deepseek2", block_count=2, context_length=4096, embedding_length=256, attention__head_count=16,
        attention__head_count_kv=16, attention__key_length=192, attention__value_length=128,
        attention__kv_lora_rank=512, rope__dimension_count=64,
    )  # fmt: skip
    note = next(note for note in planned(old, n_ctx=4096).notes if note.name == "latent multiplied out")
    assert note.result == "5,120 elements a token and layer"


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"n_ctx": -1}, "n_ctx is -1"),
        ({"n_ctx": 4096, "n_seq_max": 257}, "n_seq_max is 257"),
        ({"n_ctx": 4096, "type_k": "fp8"}, "'fp8'"),
        ({"n_ctx": 4096, "flash_attn": "maybe"}, "'maybe'"),
        ({"n_ctx": 4096, "flash_attn": "off", "type_v": "q8_0"}, "needs flash attention"),
        ({"n_ctx": 4096, "block_size": 16}, "no setting 'block_size'"),
        ({"n_ctx": 4096, "kv_unified": "yes"}, "kv_unified"),
        ({"context_length": 0}, "context_length is 0"),
        ({"context_length": 4096, "cache_bits": 3}, "cache_bits is 3"),
        ({"n_ctx": 4096, "type_k": "q6_k"}, "blocks of 256"),
    ],
)
def test_a_job_that_cannot_be_is_refused_by_name(job: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineError, match=says):
        planned(LLAMA, **job)


@pytest.mark.parametrize(
    ("job", "live"),
    [
        ({"n_seq_max": 16, "n_batch": 16}, 16),
        ({"n_seq_max": 17, "n_batch": 16}, None),
        ({"n_seq_max": 17, "n_batch": 16, "kv_unified": True}, None),
        ({"n_seq_max": 2, "n_batch": 1}, None),
        ({"n_seq_max": 33, "n_ubatch": 16}, 33),
        ({"n_ctx": 100, "n_seq_max": 128}, 128),
    ],
)
def test_more_slots_than_a_batch_are_refused(job: dict[str, Any], live: int | None) -> None:
    """llama.cpp build 11549, a Llama of 8 layers of 2 heads of 32: the slots whose caches of 256 cells it made, 0.5 MiB
    each; None where it ended with GGML_ASSERT(n_outputs_max <= cparams.n_outputs_max)."""
    small = {
        "llama.block_count": 8, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "llama.attention.key_length": 32, "llama.attention.value_length": 32,
    }  # fmt: skip
    job = {"n_ctx": 4096, **job}
    if live is not None:
        assert planned({**LLAMA, **small}, **job).request_bytes == live * 2**19
        return
    says = f"n_seq_max is {job['n_seq_max']} and n_batch {job['n_batch']}.*Give n_batch {job['n_seq_max']} or more"
    with pytest.raises(EngineError, match=says):
        planned({**LLAMA, **small}, **job)


def test_a_file_at_which_llama_cpp_stops_is_refused() -> None:
    with pytest.raises(EngineError, match="no layer that slides"):
        planned({**GEMMA, "gemma3.attention.sliding_window_pattern": 1}, n_ctx=4096)
    latent = next(case for case in cases() if case["model_type"] == "deepseek2" and case["id"].startswith("tiny"))
    with pytest.raises(EngineError, match="takes one cache type"):
        planned(latent["metadata"], n_ctx=4096, type_k="q8_0", type_v="f16")


@settings(max_examples=150)
@given(
    case=st.sampled_from(cases()),
    context=st.integers(1, 200_000),
    more=st.integers(0, 5_000),
    slots=st.integers(1, 8),
    shared=st.booleans(),
    ubatch=st.integers(1, 4096),
)
def test_the_cache_never_shrinks_as_a_slot_grows(
    case: dict[str, Any], context: int, more: int, slots: int, shared: bool, ubatch: int
) -> None:
    job = {"n_seq_max": slots, "kv_unified": shared, "n_ubatch": ubatch}
    less = planned(case["metadata"], n_ctx=context * slots, **job)
    longer = planned(case["metadata"], n_ctx=(context + more) * slots, **job)
    assert longer.request_bytes >= less.request_bytes
    assert less.request_bytes == sum(less.layer_bytes)
    assert less.capacity_tokens is None or less.capacity_tokens >= context * slots


ANYTHING = st.integers() | st.sampled_from(
    [None, True, False, 0.5, float("nan"), "", "llama", b"x", [], [[1]], [0, -1], [1] * 600, {}, {"a": 1}, 2**70]
)


@settings(max_examples=200)
@given(
    case=st.sampled_from(cases()),
    broken=st.dictionaries(st.integers(0, 30), ANYTHING, max_size=3),
    job=st.dictionaries(
        st.sampled_from(["n_ctx", "n_seq_max", "n_ubatch", "type_k", "flash_attn", "swa_full", "tensor_parallel", "x"]),
        ANYTHING,
    ),
)
def test_no_header_and_no_job_raises_anything_else(
    case: dict[str, Any], broken: dict[int, Any], job: dict[str, Any]
) -> None:
    keys = list(case["metadata"])
    header = {**case["metadata"], **{keys[at % len(keys)]: value for at, value in broken.items()}}
    try:
        plan = planned(header, **{"n_ctx": 512, **job})
    except (EngineError, UnsupportedConfig):
        return
    assert plan.request_bytes >= 0


def test_a_layer_without_kv_heads_is_padded_too_without_flash_attention() -> None:
    """A Jamba whose draft layer, behind the trunk, has no KV heads (seen in build 11549: 7 layers, 416 MiB)."""
    heads = [4, 0, 4, 4, 0, 4, 4, 0, 0]
    jamba = of(
        "jamba", block_count=9, nextn_predict_layers=2, context_length=65_536, embedding_length=256,
        attention__head_count=heads, attention__head_count_kv=heads, ssm__conv_kernel=4, ssm__inner_size=512,
        ssm__state_size=64,
    )  # fmt: skip
    assert planned(jamba, n_ctx=65_536).layer_bytes.count(0) == 2
    padded = planned(jamba, n_ctx=65_536, flash_attn="off").layer_bytes
    assert padded == tuple(65_536 * (256 + own) * 2 for own in (256, 256, 256, 256, 256, 0, 0))


def test_every_line_of_llama_cpp_s_log_is_met() -> None:
    """Header-only loads (no_alloc) of every architecture of build 11549 that its own test fixture makes."""
    with gzip.open(DATA / "llama_cpp_logs.json.gz", "rt") as file:
        models = json.load(file)["models"]
    wrong = []
    for model in models:
        spec = read_metadata(model["metadata"])
        for case in model["cases"]:
            plan = plan_cache(spec, engine="llama.cpp", **case["job"])
            said = sorted(
                (group.num_layers, group.pages_per_request * 256, group.page_bytes * group.pages_per_request / 2**20)
                for group in plan.groups
                if group.kind != "state"
            )
            true = sorted((layers, cells * streams, mib) for layers, cells, streams, mib in case["caches"])
            same = len(said) == len(true) and all(
                a[:2] == b[:2] and abs(a[2] - b[2]) < 0.01 for a, b in zip(said, true, strict=True)
            )
            states = sum(group.filled_bytes for group in plan.groups if group.kind == "state") / 2**20
            if not same or (abs(states - case["state_mib"]) > 0.01 and spec.model_type != "deepseek4"):
                wrong.append((model["id"], case["job"], said, true))
    assert wrong == []
    assert len({model["metadata"]["general.architecture"] for model in models}) >= 120


def dense(hidden: int, heads: int, kv_heads: int, ffn: int) -> dict[str, Any]:
    return of(
        "llama", block_count=32, context_length=32_768, embedding_length=hidden, feed_forward_length=ffn,
        attention__head_count=heads, attention__head_count_kv=kv_heads,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "job", "mib"),
    [
        ((4096, 32, 8, 14336), {"n_ctx": 2048, "flash_attn": "off"}, 184.02),
        ((4096, 32, 8, 14336), {"n_ctx": 32_768, "flash_attn": "off"}, 2164.02),
        ((4096, 32, 8, 14336), {"n_ctx": 8192, "flash_attn": "off", "n_ubatch": 128}, 145.00),
        ((4096, 32, 32, 11008), {"n_ctx": 32_768, "flash_attn": "off"}, 2176.02),
        ((2048, 16, 4, 8192), {"n_ctx": 8192, "flash_attn": "off"}, 298.02),
        ((4096, 32, 8, 14336), {"n_ctx": 32_768}, 156.02),
        ((2048, 16, 4, 8192), {"n_ctx": 8192}, 76.02),
        ((4096, 32, 32, 11008), {"n_ctx": 2048}, 106.52),
    ],
)
def test_the_compute_buffer_is_what_build_11549_logs(shape: Any, job: dict[str, Any], mib: float) -> None:
    assert abs(compute_buffer(read_metadata(dense(*shape)), **job) / 2**20 - mib) < 0.1


@pytest.mark.parametrize(("context", "mib"), [(2048, 164), (32_768, 2144)])
def test_the_compute_buffer_is_near_what_was_logged_in_2025(context: int, mib: int) -> None:
    """Mistral 7B's shape without flash attention, llama.cpp of January 2025."""
    spec = read_metadata(dense(4096, 32, 8, 14336))
    assert abs(compute_buffer(spec, n_ctx=context, flash_attn="off") / 2**20 - mib) == 20


def test_a_compute_buffer_that_was_not_measured_is_refused() -> None:
    mixture = {**dense(4096, 32, 8, 14336), "llama.expert_count": 8}
    with pytest.raises(EngineError, match="was not measured"):
        compute_buffer(read_metadata(mixture), n_ctx=4096)
