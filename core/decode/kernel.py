"""What a kernel is: it prepares what an engine would keep prepared, and returns the call whose time counts.

Preparing raises Unavailable where the host, the dtype or the shape does not have it; a call that raises or returns
wrong numbers is shown and refused by core.decode.run, and never ends the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.decode.inputs import Inputs

Call = Callable[[], Tensor]
NATURAL = "keys and values [batch, KV head, token, head_dim]"


class Unavailable(RuntimeError):
    """This host, dtype or shape does not have the kernel: the message says why."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """prepare(inputs) -> the timed call, returning [B, H, D] or a view of it in any float dtype."""

    name: str
    summary: str
    prepare: Callable[[Inputs], Call]
    devices: tuple[str, ...] = ("cpu", "cuda")
    layout: str = NATURAL
    slow_to_build: bool = False  # compiled for each shape, in seconds: left out of a quick run
    describe: Callable[[Inputs], str] = lambda _inputs: ""


def reference(inputs: Inputs) -> Tensor:
    """The answer in float32, one sequence at a time: softmax(q k^T / sqrt(D)) v over the live keys. [B, H, D]."""
    batch, kv_heads, rows, _, dim = inputs.sizes
    grouped, outputs = inputs.grouped_query(), []
    for b in range(batch):
        live = int(inputs.lengths[b])
        scores = grouped[b].float() @ inputs.keys[b, :, :live].float().transpose(1, 2) * inputs.scale
        outputs.append(torch.softmax(scores, -1) @ inputs.values[b, :, :live].float())
    return torch.stack(outputs).view(batch, kv_heads * rows, dim)


def relative_error(output: Tensor, expected: Tensor) -> float:
    """The worst over sequences and query heads of |output - expected| / |expected|, Euclidean; inf when not finite."""
    difference = (output.reshape(expected.shape).float() - expected).norm(dim=-1)
    worst = float((difference / expected.norm(dim=-1)).max())
    return worst if math.isfinite(worst) else math.inf


def needs_16_or_32_bits(inputs: Inputs) -> None:
    if inputs.keys.dtype.itemsize == 1:
        raise Unavailable("does not read an 8-bit cache")


def sdpa_backend(inputs: Inputs, query: Tensor, keys: Tensor, values: Tensor, *, gqa: bool) -> str:
    """The backend that scaled_dot_product_attention chooses: flash, efficient, cudnn or math."""
    from torch.nn.attention import SDPBackend

    chosen = torch._fused_sdp_choice(query, keys, values, attn_mask=inputs.mask(), enable_gqa=gqa)
    return f"SDPA backend: {SDPBackend(chosen).name.removesuffix('_ATTENTION').lower()}"


def split_context(inputs: Inputs, flash: Callable[..., tuple[Tensor, ...]], wanted: int) -> Call:
    """The context cut into at most `wanted` equal spans that count as heads, so that one KV head keeps every processor
    busy: flash(query, keys, values, scale=) on all of them, its outputs [B, heads, rows, D] merged by their log-sum-exp
    [B, heads, rows]. Raises Unavailable for sequences that do not fill the cache."""
    if not inputs.full:
        raise Unavailable("only for sequences that fill the cache")
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    spans = next(n for n in range(max(1, min(wanted, capacity)), 0, -1) if capacity % n == 0)
    shape = (batch, kv_heads * spans, capacity // spans, dim)
    keys, values = inputs.keys.view(shape), inputs.values.view(shape)

    def call() -> Tensor:
        grouped = inputs.grouped_query()[:, :, None].expand(-1, -1, spans, -1, -1)
        found = flash(grouped.reshape(batch, kv_heads * spans, rows, dim), keys, values, scale=inputs.scale)
        out = found[0].reshape(batch, kv_heads, spans, rows, dim).float()
        weights = torch.softmax(found[1].reshape(batch, kv_heads, spans, rows).float(), 2)
        return (out * weights[..., None]).sum(2)

    return call


def compiled_for_these_shapes(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch.compile for these shapes alone, without the graphs of the shapes before."""
    torch._dynamo.reset()
    compiled: Callable[..., Tensor] = torch.compile(function, dynamic=False)
    return compiled


def softmax_to(scores: Tensor, inputs: Inputs, mask: Tensor | None) -> Tensor:
    """Scores scaled, masked and normalised in float32, then in the query's dtype."""
    scores = scores.float() * inputs.scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1).to(inputs.query.dtype)
