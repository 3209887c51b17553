"""CUDA's arrangements on a CPU, with each library's own part played by plain arithmetic written from its documentation.

What is held here is what this project adds: layouts, page tables, spans and their merging. Speed and the libraries
themselves need a GPU.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from core.decode import cuda_graph, kernels_cuda
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Unavailable, reference, relative_error
from core.decode.plan import DecodeJob
from core.decode.run import Run

pytestmark = pytest.mark.torch


def inputs_of(g: int, **changes: object) -> Inputs:
    fields = {
        "num_query_heads": 8, "kv_heads": (g,), "head_dim": 64, "context_length": 320, "batch_size": 3,
        "dtype": "float16", "device": "cpu", "seed": 7,
    }  # fmt: skip
    return make_inputs(DecodeJob(**{**fields, **changes}), g, torch.device("cpu"), torch.Generator().manual_seed(g))


def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
    """softmax(q k^T scale) v in float32: query [H, D]; keys and values [tokens, G, D]."""
    repeat = query.shape[0] // keys.shape[1]
    keys, values = (x.float().repeat_interleave(repeat, 1) for x in (keys, values))
    weights = torch.softmax(torch.einsum("hd,thd->ht", query.float(), keys) * scale, -1)
    return torch.einsum("ht,thd->hd", weights, values)


@pytest.mark.parametrize("g", [8, 2, 1])
def test_spans_of_the_context_are_merged_by_their_log_sum_exp(monkeypatch, g):
    # the CUDA operator and the CPU's have the same contract: output [B, heads, rows, D], log-sum-exp [B, heads, rows]
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    spans = []

    def planted(query, keys, values, *, scale):
        spans.append(keys.shape[1] // g)
        return flash(query, keys, values, scale=scale)

    monkeypatch.setattr(torch.ops.aten, "_scaled_dot_product_flash_attention", planted)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(multi_processor_count=12))
    inputs = inputs_of(g)
    assert relative_error(kernels_cuda._split_k_sdpa(inputs)(), reference(inputs)) < 1e-3
    assert spans == [{8: 2, 2: 8, 1: 16}[g]]  # the largest divisor of 320 up to 4 x 12 processors / (3 x G)


def test_flash_attn_gets_its_own_layout_and_the_lengths(monkeypatch):
    # flash_attn_with_kvcache(q [B, 1, H, D], k_cache and v_cache [B, S, G, D], cache_seqlens [B] int32)
    def with_kvcache(q, k_cache, v_cache, *, cache_seqlens, softmax_scale, num_splits):
        assert (cache_seqlens.dtype, num_splits) == (torch.int32, 0)
        rows = [
            attend(q[b, 0], k_cache[b, :n], v_cache[b, :n], softmax_scale) for b, n in enumerate(cache_seqlens.tolist())
        ]
        return torch.stack(rows)[:, None]

    library = ModuleType("flash_attn")
    library.flash_attn_with_kvcache = with_kvcache
    monkeypatch.setitem(sys.modules, "flash_attn", library)
    inputs = inputs_of(2, lengths=(320, 1, 77))
    assert relative_error(kernels_cuda._flash_attn(inputs)(), reference(inputs)) < 1e-3


class Pages:
    """FlashInfer's BatchDecodeWithPagedKVCacheWrapper, layout HND: pages [page, KV head, 16, D], tables as planned."""

    def __init__(self, workspace, layout, *, use_tensor_cores):
        assert (workspace.dtype, layout, use_tensor_cores) == (torch.uint8, "HND", True)

    def plan(self, indptr, indices, last_page_len, heads, kv_heads, dim, page_size, **options):
        assert (heads, kv_heads, dim, page_size, options["q_data_type"]) == (8, 2, 64, 16, torch.float16)
        assert {x.dtype for x in (indptr, indices, last_page_len)} == {torch.int32}
        self.indptr, self.indices, self.last, self.scale = indptr, indices, last_page_len, options["sm_scale"]

    def run(self, query, cache):
        return torch.stack([attend(query[b], *(self._tokens(x, b) for x in cache), self.scale) for b in range(3)])

    def _tokens(self, pages, b):
        mine = pages[self.indices[self.indptr[b] : self.indptr[b + 1]].long()].transpose(1, 2).reshape(-1, 2, 64)
        return mine[: len(mine) - 16 + int(self.last[b])]


@pytest.mark.parametrize("lengths", [(), (320, 1, 77), (16, 320, 32)], ids=["equal", "ragged", "whole pages"])
def test_flashinfer_gets_pages_and_tables(monkeypatch, lengths):
    library = ModuleType("flashinfer")
    library.BatchDecodeWithPagedKVCacheWrapper = Pages
    monkeypatch.setitem(sys.modules, "flashinfer", library)
    inputs = inputs_of(2, lengths=lengths)
    assert relative_error(kernels_cuda._flashinfer(inputs)(), reference(inputs)) < 1e-3


@pytest.mark.parametrize("name", ["flash_attn", "flashinfer", "triton"])
def test_a_missing_extra_is_said(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "core.decode.kernels_triton", raising=False)
    with pytest.raises(Unavailable, match="is not installed"):
        getattr(kernels_cuda, f"_{name}")(inputs_of(2))


def test_a_cpu_call_is_timed_as_it_is():
    assert cuda_graph.recorded(torch.device("cpu"), len) == (len, "")


def test_a_call_that_cannot_be_recorded_is_timed_launch_by_launch_and_says_so(monkeypatch):
    def refuse():
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    call, note = cuda_graph.recorded(torch.device("cuda"), len)
    assert call is len
    assert note == ("timed launch by launch, not as a CUDA graph: operation not permitted when stream is capturing")


def test_a_recorded_call_is_replayed_and_returns_what_was_recorded(monkeypatch):
    class Context:
        def __init__(self, *_of):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            return None

        def wait_stream(self, _other):
            pass

    replays = []
    for name in ("Stream", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, Context)
    monkeypatch.setattr(torch.cuda, "current_stream", Context)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: replays.append(1)))
    calls = []
    replay, note = cuda_graph.recorded(torch.device("cuda"), lambda: calls.append(0) or len(calls))
    assert (note, len(calls)) == ("", cuda_graph.WARM_UP_CALLS + 1)
    assert [replay(), replay()] == [4, 4]  # the output of the recorded call; nothing is called again
    assert (len(replays), len(calls)) == (2, 4)


def test_the_headline_is_measured_as_asked_on_an_h100(monkeypatch):
    # 65,536 tokens x 32 at G = 40 are 42.9 GB of cache; an H100 has 81,559 MiB, of which a run may take nine tenths
    monkeypatch.setattr("core.decode.run.devices.resolve", lambda _asked: torch.device("cuda", 0))
    monkeypatch.setattr("core.decode.run.devices.free_bytes", lambda _device: 77 * 10**9)
    monkeypatch.setattr("core.decode.run.devices.cache_bytes_of", lambda _device: 50 * 2**20)
    shape = {"num_query_heads": 40, "kv_heads": (40, 8, 1), "head_dim": 128}
    run = Run(DecodeJob(**shape, context_length=65_536, batch_size=32))
    assert (run.fitted.scale, run.fitted.sentence) == (1, "")
