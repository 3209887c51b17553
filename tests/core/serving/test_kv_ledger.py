"""The ledger of a model: all that it caches, what one accelerator reserves of it, and what one decode step reads.

Totals equal ModelSpec.cache_bytes, which measured caches hold (tests/core/models); widths and counts here are by hand.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.serving.job import ServingJob
from core.serving.kv_ledger import kv_ledger
from core.serving.memory_plan import plan, plan_lines
from core.serving.roofline import decode_bound
from core.serving.sweep import sweep
from core.serving.weights import typed_count
from tests.core.measured_cases import measured_cases

V32 = read_config(
    {
        "model_type": "deepseek_v32", "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8,
        "kv_lora_rank": 40, "q_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 24,
        "index_head_dim": 16, "index_n_heads": 4, "index_topk": 8, "vocab_size": 128,
    }
)  # fmt: skip
V4 = read_config(
    {
        "model_type": "deepseek_v4", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "head_dim": 32, "q_lora_rank": 16, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4,
        "sliding_window": 8, "compress_ratios": [0, 4, 128, 4],
    }
)  # fmt: skip


def dots3() -> ModelSpec:
    return read_config({"model_type": "dots3_note_text", "num_hidden_layers": 4})


def readable() -> list[tuple[str, ModelSpec]]:
    found = []
    for case in measured_cases():
        try:
            found.append((case["case"], read_config(case["config"])))
        except UnsupportedConfig:
            continue
    return found


def test_the_payload_is_all_that_each_measured_model_caches() -> None:
    compared = 0
    for name, spec in [*readable(), ("V4", V4), ("dots3", dots3())]:
        for bits in (16, 8):
            ledger = kv_ledger(spec, 1, Fraction(bits))
            for context in (1, 41, 300):
                counted = ledger.payload_elements(context) * bits // 8
                assert counted == spec.cache_bytes(context_length=context, bytes_per_element=bits / 8), name
        compared += 1
    assert compared > 1_500


def test_the_parts_are_those_of_the_model() -> None:
    for spec in (V32, V4, dots3()):
        parts = kv_ledger(spec, 1).payload_parts(300)
        assert {name: 2 * count for name, count in parts.items() if count} == {
            name: count for name, count in spec.cache_parts(context_length=300).items() if count
        }


def test_a_step_reads_every_index_key_and_the_chosen_latents() -> None:
    # 6 layers: 40 tokens x 16 of the index, 8 tokens of 40 + 8
    assert kv_ledger(V32, 1).read_elements(40) == 6 * (40 * 16 + 8 * 48)
    assert kv_ledger(V32, 1).read_elements(40) * 2 == V32.cache_read_bytes(context_length=40)
    assert kv_ledger(V4, 1).read_elements(300) * 2 == V4.cache_read_bytes(context_length=300)
    # 8 heads: scores over 48 and sums over 40 of 8 tokens, 2 FLOPs each; the index's own are left out
    assert kv_ledger(V32, 1).attention_flops(40) == 6 * 8 * 2 * 8 * (48 + 40)


def test_index_keys_are_whole_on_every_accelerator() -> None:
    # blocks of 16: 48 tokens for 40
    assert kv_ledger(V32, 4).reserved_elements(40, 16) == kv_ledger(V32, 1).reserved_elements(40, 16) == 6 * 48 * 64


def test_compressed_entries_take_blocks_and_buffers_their_longest() -> None:
    # 300 tokens, blocks of 16. Windows of 8 touch at most 2 blocks: 4 layers x 32 x 32, the first with keys and values
    # apart (5 widths of 32). Entries of 4 tokens: 75 in 80; of 128: 2 in 16. Buffers: 3 x 3 + 1 vectors and gates.
    windows = 5 * 32 * 32
    fine = 2 * (80 * (32 + 16) + 10 * 2 * (32 + 16))
    coarse = 16 * 32 + 127 * 2 * 32
    assert kv_ledger(V4, 1).reserved_elements(300, 16) == windows + fine + coarse
    held = [kv_ledger(V4, 1).reserved_elements(tokens, 1) for tokens in range(1, 400)]
    assert held == sorted(held)
    assert all(kv_ledger(V4, 1).payload_elements(tokens) <= held[tokens - 1] for tokens in range(1, 400))


def test_many_contexts_at_once_are_the_same_counts() -> None:
    contexts = np.arange(1, 400)
    for spec in (V32, V4):
        for group in kv_ledger(spec, 1).groups:
            assert group.entries(contexts).tolist() == [group.entries(int(tokens)) for tokens in contexts]
            assert group.block_entries(contexts, 16).tolist() == [group.block_entries(int(at), 16) for at in contexts]
            assert group.read_entries(contexts).tolist() == [group.read_entries(int(tokens)) for tokens in contexts]


def job(spec: ModelSpec, **changes: Any) -> ServingJob:
    asked: dict[str, Any] = {
        "model": spec, "parameter_count": typed_count(1_000_000), "accelerator": "a100-80-sxm", "context_length": 300,
        "batch_size": 10,
    }  # fmt: skip
    return ServingJob(**(asked | changes))


@pytest.mark.parametrize("spec", [V32, V4], ids=["V3.2", "V4"])
def test_plans_sweeps_and_bounds_use_all_of_it(spec: ModelSpec) -> None:
    planned = plan(job(spec))
    assert planned.kv_payload_bytes == spec.cache_bytes(context_length=300, batch_size=10)
    row = sweep(job(spec), batch_size=[10], context_length=[300]).iloc[0]
    assert (row["kv_payload_bytes"], row["kv_reserved_bytes"]) == (planned.kv_payload_bytes, planned.kv_reserved_bytes)
    assert decode_bound(job(spec)).kv_read_bytes == spec.cache_read_bytes(context_length=300, batch_size=10)


def test_the_plan_names_the_parts() -> None:
    line = next(line for line in plan_lines(plan(job(V32, batch_size=1))) if line.key == "kv_payload")
    # 6 layers x 300 tokens x 48 and x 16 elements of 2 bytes
    assert "By part: latents 172.8 kB, index keys 57.6 kB." in line.provenance
    two = next(line for line in plan_lines(plan(job(V32, tensor_parallel=2, num_accelerators=2))) if line.counted)
    assert two.key == "weights"
    reserved = {line.key: line.provenance for line in plan_lines(plan(job(V32, tensor_parallel=2, num_accelerators=2)))}
    assert "Index keys have no heads to split: whole on each accelerator." in reserved["kv_reserved"]
