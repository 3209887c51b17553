"""A GGUF file's tensor table: counted and weighed to the byte by hand; odd and cut tables are none."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models.gguf.header import metadata_of, read_gguf_file
from core.models.gguf.metadata import read_metadata
from core.models.gguf.tensors import TYPES, FileKeys, read_tensors
from core.parameters.gguf_table import count_tensors, part_of, table_storage
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.weights import analytic_count
from tests.core.models.gguf.files import LLAMA, U32, header, text, tokens

F32, Q8_0, Q4_K, Q6_K = 0, 8, 12, 14
HIDDEN, WIDTH, VOCABULARY = 64, 128, 100
PLAIN = {**LLAMA, "llama.attention.head_count_kv": (U32, 2), "llama.attention.head_count": (U32, 4)}


def entry(name: str, dimensions: tuple[int, ...], kind: int) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + shape + struct.pack("<IQ", kind, 0)


def layer(il: int) -> list[tuple[str, tuple[int, ...], int]]:
    block = f"blk.{il}."
    return [
        (f"{block}attn_norm.weight", (HIDDEN,), F32), (f"{block}attn_q.weight", (HIDDEN, 64), Q8_0),
        (f"{block}attn_k.weight", (HIDDEN, 32), Q8_0), (f"{block}attn_v.weight", (HIDDEN, 32), Q8_0),
        (f"{block}attn_output.weight", (64, HIDDEN), Q8_0), (f"{block}ffn_norm.weight", (HIDDEN,), F32),
        (f"{block}ffn_gate.weight", (HIDDEN, WIDTH), Q8_0), (f"{block}ffn_up.weight", (HIDDEN, WIDTH), Q8_0),
        (f"{block}ffn_down.weight", (WIDTH, HIDDEN), Q8_0),
    ]  # fmt: skip


TENSORS = [
    ("token_embd.weight", (HIDDEN, VOCABULARY), Q8_0), ("output_norm.weight", (HIDDEN,), F32),
    ("rope_freqs.weight", (8,), F32), *layer(0), *layer(1),
]  # fmt: skip


def file(tensors: list[tuple[str, tuple[int, ...], int]], keys: dict[str, Any] = PLAIN) -> bytes:
    start = bytearray(header({**keys, **tokens(VOCABULARY)}))
    start[8:16] = struct.pack("<Q", len(tensors))
    return bytes(start) + b"".join(entry(*tensor) for tensor in tensors)


def test_a_file_is_counted_and_weighed_by_its_table(tmp_path):
    path = tmp_path / "small.gguf"
    path.write_bytes(file(TENSORS))
    spec = read_metadata(read_gguf_file(path))
    count = analytic_count(spec)
    # table 64 x 100; a layer: q and output 64 x 64, k and v 64 x 32, three of 64 x 128, two norms; the last norm
    a_layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64
    assert (count.total, count.source) == (6_400 + 2 * a_layer + 64, "gguf")
    assert dict(count.parts) == {
        "embedding": 6_400, "norms": 5 * 64, "attention": 2 * 8_192, "kv_projections": 2 * 4_096,
        "dense_ffn": 2 * 24_576,
    }  # fmt: skip
    assert (count.tied, count.head, count.embedding) == (True, 0, 6_400)
    job = ServingJob(model=spec, batch_size=1, context_length=16, weight_format="published")
    # Q8_0 holds 32 in 34 bytes; norms and eight rope factors of 4 bytes
    assert plan(job).weight_bytes == (6_400 + 2 * (a_layer - 128)) * 34 // 32 + 4 * (5 * 64 + 8)


def test_experts_of_a_table_are_groups():
    block = "blk.0.ffn_"
    tensors = [
        (f"{block}gate_inp.weight", (64, 8), F32), (f"{block}gate_exps.weight", (64, 32, 8), Q8_0),
        (f"{block}up_exps.weight", (64, 32, 8), Q8_0), (f"{block}down_exps.weight", (32, 64, 8), Q8_0),
        ("output.weight", (64, 100), Q8_0), ("token_embd.weight", (64, 100), Q8_0),
    ]  # fmt: skip
    table = read_tensors(b"".join(entry(*one) for one in tensors), 0, 6)
    count = count_tensors(table, {"general.architecture": "llama", "llama.expert_used_count": 2})
    (group,) = count.expert_groups
    assert (group.layers, group.num_experts, group.experts_per_token, group.parameters_each) == (1, 8, 2, 6_144)
    assert count.active == count.total - 6 * 6_144
    assert not count.tied
    assert count_tensors(table, {"general.architecture": "llama"}).active is None


@pytest.mark.parametrize(
    ("name", "part"),
    [("blk.3.attn_kv_b.weight", "attention"), ("blk.3.attn_k_norm.weight", "norms"), ("blk.1.attn_k.bias",
     "kv_projections"), ("blk.1.attn_qkv.weight", "attention"), ("blk.2.ssm_in.weight", "recurrent"),
     ("blk.2.ffn_up_shexp.weight", "shared_experts"), ("blk.0.exp_probs_b.bias", "routers"),
     ("output_norm.weight", "norms"), ("output.weight", "head"), ("mm.0.weight", "other")],
)  # fmt: skip
def test_names_are_parts(name, part):
    assert part_of(name) == part


def test_bits_of_a_part_are_those_of_its_tensors():
    table = read_tensors(entry("blk.0.ffn_up.weight", (256, 4), Q4_K) + entry("blk.0.ffn_down.weight", (256, 4), Q6_K),
                         0, 2)  # fmt: skip
    how = table_storage(table)
    assert how.bits_of("dense_ffn") == (4.5 + 6.5625) / 2
    assert how.sentence == "As the file's tensor table says, by bytes: Q6_K 59%, Q4_K 41%."


def test_a_cut_table_leaves_the_count_to_the_config():
    whole = file(TENSORS)
    keys = metadata_of(lambda count: whole[: min(count, len(whole) - 1)], file_bytes=10**9)
    assert isinstance(keys, FileKeys)
    assert keys.tensors == ()
    count = analytic_count(read_metadata(keys))
    assert count.source == "rule"


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400), count=st.integers(-1, 2**64 - 1))
def test_any_bytes_are_a_table_or_none(data, count):
    assert isinstance(read_tensors(data, 0, count), tuple)


@pytest.mark.parametrize(
    "odd",
    [entry("a", (2**40, 2**40), F32), entry("a", (0,), F32), entry("a", (33,), Q8_0), entry("a", (32,), 99),
     entry("a", (1, 1, 1, 1, 1), F32), entry("", (32,), F32), entry("a" * 300, (32,), F32)],
)  # fmt: skip
def test_an_odd_entry_is_no_table(odd):
    assert read_tensors(odd, 0, 1) == ()


def test_block_sizes_are_those_of_the_cache_types():
    from core.engines.llama_cpp.cache_types import BLOCKS

    by_name = {name.lower(): (block, size) for name, block, size in TYPES.values()}
    assert {name: by_name[name] for name in BLOCKS if name in by_name} == {
        name: held for name, held in BLOCKS.items() if name in by_name
    }
