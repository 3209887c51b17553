"""Every way this host can compute decode attention, behind one shape: inputs in, a call that returns the output.

A Kernel prepares what an engine would keep prepared (the layout of its cache) and returns a call whose time counts.
Preparing raises Unavailable where the host, the dtype or the shape does not have it; a call that raises or returns
wrong numbers is shown and refused by core.decode.run, and never ends the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

Call = Callable[[], Tensor]
NATURAL = "keys and values [batch, KV head, token, head_dim]"


class Unavailable(RuntimeError):
    """This host, dtype or shape does not have the kernel: the message says why."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One layer's decode step. query [B, H, D]; keys, values [B, G, S, D]; lengths [B] on the CPU, at most S.

    Query head h reads KV head h // (H / G), as in transformers.
    """

    query: Tensor
    keys: Tensor
    values: Tensor
    lengths: Tensor

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """B, G, rows of one group (H / G), S, D."""
        batch, heads, dim = self.query.shape
        kv_heads, capacity = self.keys.shape[1:3]
        return batch, kv_heads, heads // kv_heads, capacity, dim

    @property
    def scale(self) -> float:
        return 1 / math.sqrt(self.query.shape[-1])

    @property
    def full(self) -> bool:
        """Every sequence fills the whole capacity: no mask is needed."""
        return bool((self.lengths == self.keys.shape[2]).all())

    def mask(self) -> Tensor | None:
        """[B, 1, 1, S], true where a key is live; None when all are."""
        if self.full:
            return None
        positions = torch.arange(self.keys.shape[2], device=self.query.device)
        return (positions < self.lengths.to(self.query.device)[:, None])[:, None, None, :]

    def grouped_query(self) -> Tensor:
        """[B, G, rows, D]: a group's query heads as the rows of one matrix."""
        batch, kv_heads, rows, _, dim = self.sizes
        return self.query.view(batch, kv_heads, rows, dim)


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


def _needs_16_or_32_bits(inputs: Inputs) -> None:
    if inputs.keys.dtype.itemsize == 1:
        raise Unavailable("does not read an 8-bit cache")


def sdpa_backend(inputs: Inputs, query: Tensor, keys: Tensor, values: Tensor, *, gqa: bool) -> str:
    """The backend that scaled_dot_product_attention chooses: flash, efficient, cudnn or math."""
    from torch.nn.attention import SDPBackend

    chosen = torch._fused_sdp_choice(query, keys, values, attn_mask=inputs.mask(), enable_gqa=gqa)
    return f"SDPA backend: {SDPBackend(chosen).name.removesuffix('_ATTENTION').lower()}"


def _sdpa_gqa(inputs: Inputs) -> Call:
    _needs_16_or_32_bits(inputs)
    query, mask = inputs.query[:, :, None, :], inputs.mask()
    return lambda: F.scaled_dot_product_attention(
        query, inputs.keys, inputs.values, attn_mask=mask, scale=inputs.scale, enable_gqa=True
    )


def _repeated(x: Tensor, times: int) -> Tensor:
    """transformers' repeat_kv (modeling_llama.py): every KV head copied once per query head of its group."""
    if times == 1:
        return x
    batch, kv_heads, tokens, dim = x.shape
    return x[:, :, None].expand(batch, kv_heads, times, tokens, dim).reshape(batch, kv_heads * times, tokens, dim)


def _repeat_kv(inputs: Inputs) -> Call:
    _needs_16_or_32_bits(inputs)
    query, mask, rows = inputs.query[:, :, None, :], inputs.mask(), inputs.sizes[2]
    return lambda: F.scaled_dot_product_attention(
        query, _repeated(inputs.keys, rows), _repeated(inputs.values, rows), attn_mask=mask, scale=inputs.scale
    )


def _packed_sdpa(inputs: Inputs) -> Call:
    _needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    return lambda: F.scaled_dot_product_attention(query, inputs.keys, inputs.values, attn_mask=mask, scale=inputs.scale)


def _softmax_to(scores: Tensor, inputs: Inputs, mask: Tensor | None) -> Tensor:
    scores = scores.float() * inputs.scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1).to(inputs.query.dtype)


def _packed_matmul(inputs: Inputs) -> Call:
    _needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    return lambda: _softmax_to(query @ inputs.keys.transpose(2, 3), inputs, mask) @ inputs.values


def _packed_matmul_transposed(inputs: Inputs) -> Call:
    _needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    keys = inputs.keys.transpose(2, 3).contiguous()
    values = inputs.values.transpose(2, 3).contiguous()
    return lambda: _softmax_to(query @ keys, inputs, mask) @ values.transpose(2, 3)


def _sequence_by_sequence(inputs: Inputs) -> Call:
    """Packed rows over each sequence's own length: a ragged batch reads no padding."""
    _needs_16_or_32_bits(inputs)
    if inputs.full:
        raise Unavailable("only for sequences of different lengths")
    query, live = inputs.grouped_query(), [int(n) for n in inputs.lengths]

    def call() -> Tensor:
        out = torch.empty_like(query)
        for b, n in enumerate(live):
            scores = query[b] @ inputs.keys[b, :, :n].transpose(1, 2)
            out[b] = _softmax_to(scores, inputs, None) @ inputs.values[b, :, :n]
        return out

    return call


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


def _cast_then_matmul(inputs: Inputs) -> Call:
    """An 8-bit cache widened to the query's dtype, then packed rows."""
    if inputs.keys.dtype.itemsize != 1:
        raise Unavailable("only for an 8-bit cache")
    query, mask, wide = inputs.grouped_query(), inputs.mask(), inputs.query.dtype

    def call() -> Tensor:
        weights = _softmax_to(query @ inputs.keys.to(wide).transpose(2, 3), inputs, mask)
        return weights @ inputs.values.to(wide)

    return call


def _flex(inputs: Inputs) -> Call:
    """Compiled flex_attention; on CUDA inductor chooses its split-KV decoding for one query token."""
    _needs_16_or_32_bits(inputs)
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    batch, _, _, capacity, _ = inputs.sizes
    query, block_mask = inputs.query[:, :, None, :].contiguous(), None
    if not inputs.full:
        lengths = inputs.lengths.to(inputs.query.device)
        block_mask = create_block_mask(
            lambda b, _h, _q, k: k < lengths[b], batch, None, 1, capacity, device=inputs.query.device.type
        )
    compiled = _compiled(flex_attention)
    return lambda: compiled(
        query, inputs.keys, inputs.values, block_mask=block_mask, scale=inputs.scale, enable_gqa=True
    )


def _fused_rows(query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """Multiply and sum, written so that the compiler fuses it into one pass over the keys and one over the values."""
    scores = (keys.float()[:, :, None] * query.float()[:, :, :, None]).sum(-1) * scale
    weights = torch.softmax(scores, -1)
    return (weights[..., None] * values.float()[:, :, None]).sum(3)


def _compiled_rows(inputs: Inputs) -> Call:
    if not inputs.full or inputs.sizes[2] > 8 or inputs.keys.dtype.itemsize == 1:
        raise Unavailable("for at most 8 query heads a group, whole contexts and 16 or 32 bits")
    compiled, query = _compiled(_fused_rows), inputs.grouped_query()
    return lambda: compiled(query, inputs.keys, inputs.values, inputs.scale)


def _compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch.compile for these shapes alone, without the graphs of the shapes before."""
    torch._dynamo.reset()
    compiled: Callable[..., Tensor] = torch.compile(function, dynamic=False)
    return compiled


SHARED = (
    Kernel(
        name="sdpa_enable_gqa",
        summary="scaled_dot_product_attention(enable_gqa=True), as most people call it",
        prepare=_sdpa_gqa,
        describe=lambda i: sdpa_backend(i, i.query[:, :, None, :], i.keys, i.values, gqa=True),
    ),
    Kernel(
        name="repeat_kv",
        summary="keys and values copied to every query head, then SDPA: repeat_kv of transformers",
        prepare=_repeat_kv,
        describe=lambda i: sdpa_backend(
            i,
            i.query[:, :, None, :],
            i.keys[:, :1].expand(-1, i.query.shape[1], -1, -1),  # the shape that repeat_kv hands over, not copied
            i.values[:, :1].expand(-1, i.query.shape[1], -1, -1),
            gqa=False,
        ),
    ),
    Kernel(
        name="packed_rows_sdpa",
        summary="a group's query heads as rows of one matrix, then SDPA",
        prepare=_packed_sdpa,
        describe=lambda i: sdpa_backend(i, i.grouped_query(), i.keys, i.values, gqa=False),
    ),
    Kernel(
        name="packed_rows_matmul",
        summary="packed rows through two matrix products, softmax in float32",
        prepare=_packed_matmul,
    ),
    Kernel(
        name="packed_rows_matmul_transposed",
        summary="the same over a cache that stores head_dim before tokens",
        prepare=_packed_matmul_transposed,
        layout="keys and values [batch, KV head, head_dim, token]",
    ),
    Kernel(
        name="sequence_by_sequence",
        summary="packed rows over each sequence's own length",
        prepare=_sequence_by_sequence,
    ),
    Kernel(
        name="cast_packed_rows",
        summary="an 8-bit cache widened, then packed rows",
        prepare=_cast_then_matmul,
    ),
    Kernel(name="flex_attention", summary="flex_attention, compiled", prepare=_flex, slow_to_build=True),
    Kernel(
        name="compiled_rows",
        summary="multiply and sum, fused by torch.compile",
        prepare=_compiled_rows,
        slow_to_build=True,
    ),
)


def all_kernels(device_type: str) -> tuple[Kernel, ...]:
    """Every kernel that a device of this type could have, plain ones first."""
    from core.decode.kernels_cpu import CPU_KERNELS
    from core.decode.kernels_cuda import CUDA_KERNELS

    known = (*SHARED, *CPU_KERNELS, *CUDA_KERNELS)
    return tuple(k for k in known if device_type in k.devices)
