"""What a kernel is: it prepares what an engine would keep prepared, and returns the call whose time counts.

Preparing raises Unavailable where the host, the dtype or the shape does not have it; a call that raises or returns
wrong numbers is shown and refused by core.decode.run, and never ends the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.decode.caches import numbers
from core.decode.inputs import Inputs

Call = Callable[[], Tensor]
REFERENCE_ELEMENTS = 2**23  # keys widened at once: 64 MB in float64
NATURAL = "keys and values [batch, KV head, token, head_dim]"


class Unavailable(RuntimeError):
    """This host, dtype or shape does not have the kernel: the message says why."""


def scratch_bytes(inputs: Inputs) -> int:
    """What any kernel may hold for a call, in bytes: scores three times in float32, outputs four times."""
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    return batch * kv_heads * rows * (3 * 4 * capacity + 4 * 4 * dim)


def copied_bytes(inputs: Inputs) -> int:
    """Another cache, in a layout of the kernel's own or as its library copies it, and scratch."""
    return inputs.cache_bytes + scratch_bytes(inputs)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """prepare(inputs) -> the timed call, returning [B, H, D] or a view of it in any float dtype.

    What it returns holds until the next call.
    extra_bytes(inputs) is the most that preparing or a call holds beside the inputs, in bytes.
    """

    name: str
    summary: str
    prepare: Callable[[Inputs], Call]
    devices: tuple[str, ...] = ("cpu", "cuda")
    layout: str = NATURAL
    torch_threads: int | None = None  # where its own threads compute, each with so many of torch's; else the run's
    leads: bool = False  # likely the fastest: tried first, so that no G goes without it where time is short
    slow_to_build: bool = False  # compiled for each shape, in seconds: left out of a quick run
    describe: Callable[[Inputs], str] = lambda _inputs: ""
    extra_bytes: Callable[[Inputs], int] = scratch_bytes


def reference(inputs: Inputs) -> Tensor:
    """The answer in float64 of the numbers as stored: softmax(q k^T / sqrt(D)) v over the live keys. [B, H, D].

    A few heads of one sequence at a time; on the CPU for a device that has no float64.
    """
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    grouped, outputs = inputs.grouped_query(), []
    at_once = max(1, REFERENCE_ELEMENTS // (capacity * dim))
    for b in range(batch):
        live = int(inputs.lengths[b])
        for g in range(0, kv_heads, at_once):
            part = slice(g, g + at_once)
            keys = _exact(inputs.keys, inputs.key_scales, b, part, live)
            values = _exact(inputs.values, inputs.value_scales, b, part, live)
            query = grouped[b, part].to(keys.device).double()  # moved, then widened: MPS has no float64
            outputs.append(torch.softmax(query @ keys.transpose(1, 2) * inputs.scale, -1) @ values)
    return torch.cat(outputs).view(batch, kv_heads * rows, dim).float().to(inputs.query.device)


def _exact(codes: Tensor, scales: Tensor | None, b: int, heads: slice, live: int) -> Tensor:
    """float64 of one sequence's stored numbers, [heads, live, D]."""
    if scales is not None:
        scales = scales[heads] if scales.dim() == 1 else scales[b, heads, :live]
    found = numbers(codes[b, heads, :live], scales)
    return (found if found.device.type in ("cpu", "cuda") else found.cpu()).double()


def relative_error(output: Tensor, expected: Tensor) -> float:
    """The worst over sequences and query heads of |output - expected| / |expected|, Euclidean; inf when not finite."""
    difference = (output.reshape(expected.shape).float() - expected).norm(dim=-1)
    worst = float((difference / expected.norm(dim=-1)).max())
    return worst if math.isfinite(worst) else math.inf


def needs_16_or_32_bits(inputs: Inputs) -> None:
    if inputs.keys.dtype.itemsize == 1:
        raise Unavailable("does not read an 8-bit cache")


def scales_outside(prepare: Callable[[Inputs], Call]) -> Callable[[Inputs], Call]:
    """For kernels that read fp8 codes as they are: the scale of a head's keys is multiplied into its queries, that of
    its values into its outputs. The query is read at each call, since a whole step writes a new one."""

    def prepared(inputs: Inputs) -> Call:
        keys, values = inputs.key_scales, inputs.value_scales
        if keys is None or values is None or inputs.scaled_by_token:
            return prepare(inputs)
        scaled = torch.empty_like(inputs.query)
        bare = prepare(replace(inputs, query=scaled, key_scales=None, value_scales=None))
        batch, kv_heads, rows, _, dim = inputs.sizes

        def call() -> Tensor:
            torch.mul(inputs.grouped_query(), keys[:, None, None], out=scaled.view(batch, kv_heads, rows, dim))
            return bare().reshape(batch, kv_heads, rows, dim) * values[:, None, None]

        return call

    return prepared


def sdpa_backend(inputs: Inputs, query: Tensor, keys: Tensor, values: Tensor, *, gqa: bool) -> str:
    """The backend that scaled_dot_product_attention chooses: flash, efficient, cudnn or math; "" elsewhere."""
    if query.device.type not in ("cpu", "cuda"):
        return ""
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
