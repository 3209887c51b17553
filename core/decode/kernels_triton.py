# mypy: ignore-errors
# ruff: noqa: N803
"""Split-KV decode attention in Triton: one program per sequence, KV head and span of the context.

A program loads its tile of keys once for all query rows of the group (padded to a power of two of at least 16; a group
whose sums no program can hold goes in blocks of rows), keeps a running maximum and sum in float32, and writes an
unnormalised output; torch merges the spans. Imported on CUDA alone: mypy has no triton to look at, and compile-time
constants are written in capitals.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from core.decode.inputs import Inputs
from core.decode.kernel import Call, Unavailable
from core.decode.triton_launch import TooWide, launch_of


@triton.jit
def _span(
    query, keys, values, lengths, outs, tops, totals,
    scale, rows, capacity, kv_heads, spans, tiles_per_span,
    DIM: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    group = tl.program_id(0)  # sequence x KV head
    span = tl.program_id(1)
    length = tl.load(lengths + group // kv_heads)
    r = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, WIDTH)
    live_rows = r < rows
    inside = d[None, :] < DIM  # WIDTH is the next power of two
    q = tl.load(query + (group * rows + r[:, None]) * DIM + d[None, :], mask=live_rows[:, None] & inside, other=0.0)
    top = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, WIDTH], tl.float32)
    base = group.to(tl.int64) * capacity * DIM
    first = span * tiles_per_span * TILE
    last = tl.minimum(first + tiles_per_span * TILE, length)
    for at in range(first, last, TILE):
        s = at + tl.arange(0, TILE)
        live = s < last
        where = base + s[:, None].to(tl.int64) * DIM + d[None, :]
        k = tl.load(keys + where, mask=live[:, None] & inside, other=0.0).to(q.dtype)
        scores = tl.dot(q, tl.trans(k), input_precision=WIDE) * scale
        scores = tl.where(live[None, :], scores, -float("inf"))
        peak = tl.maximum(top, tl.max(scores, 1))
        shrink = tl.exp(top - peak)
        p = tl.exp(scores - peak[:, None])
        total = total * shrink + tl.sum(p, 1)
        v = tl.load(values + where, mask=live[:, None] & inside, other=0.0).to(q.dtype)
        acc = acc * shrink[:, None] + tl.dot(p.to(q.dtype), v, input_precision=WIDE)
        top = peak
    at_row = (group * spans + span) * rows + r
    tl.store(tops + at_row, top, mask=live_rows)
    tl.store(totals + at_row, total, mask=live_rows)
    tl.store(outs + at_row[:, None].to(tl.int64) * DIM + d[None, :], acc, mask=live_rows[:, None] & inside)


def _processors(device: torch.device) -> int:
    """Programs that run at once; one on the CPU, where Triton's interpreter (TRITON_INTERPRET=1) takes them in turn."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def prepare_split_kv(inputs: Inputs) -> Call:
    """The timed call over contiguous inputs. Raises Unavailable for float32 heads that are too wide for it."""
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    device = inputs.query.device
    try:
        launch = launch_of(rows, dim, inputs.keys.element_size(), inputs.query.element_size())
    except TooWide as e:
        raise Unavailable(str(e)) from e
    processors = _processors(device)
    tiles = math.ceil(capacity / launch.tile)
    spans = max(1, min(tiles, math.ceil(8 * processors / (batch * kv_heads))))
    per_span = math.ceil(tiles / spans)
    spans = math.ceil(tiles / per_span)
    lengths = inputs.lengths.to(device, torch.int32)
    outs = torch.empty(batch * kv_heads, spans, rows, dim, device=device)
    tops = torch.empty(batch * kv_heads, spans, rows, device=device)
    totals = torch.empty_like(tops)

    def call() -> Tensor:
        _span[(batch * kv_heads, spans, math.ceil(rows / launch.rows))](
            inputs.query, inputs.keys, inputs.values, lengths, outs, tops, totals,
            inputs.scale, rows, capacity, kv_heads, spans, per_span,
            DIM=dim, WIDTH=launch.width, ROWS=launch.rows, TILE=launch.tile, WIDE=launch.precision,
            num_warps=launch.warps, num_stages=launch.stages,
        )  # fmt: skip
        weights = torch.exp(tops - tops.amax(1, keepdim=True))
        merged = (outs * weights[..., None]).sum(1) / (totals * weights).sum(1)[..., None]
        return merged.view(batch, kv_heads * rows, dim)

    return call
