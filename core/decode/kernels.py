"""Every way this host can compute decode attention, behind one shape: inputs in, a call that returns the output.

A Kernel prepares what an engine would keep prepared (the layout of its cache) and returns a call whose time counts.
Preparing raises Unavailable where the host, the dtype or the shape does not have it; a call that raises or returns
wrong numbers is shown and refused by core.decode.run, and never ends the run.
"""

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

from core.decode.caches import numbers
from core.decode.inputs import Inputs
from core.decode.kernel import (
    Call,
    Kernel,
    Unavailable,
    compiled_for_these_shapes,
    copied_bytes,
    needs_16_or_32_bits,
    scales_outside,
    scratch_bytes,
    sdpa_backend,
    softmax_to,
)
from core.decode.kernels_cpu import CPU_KERNELS
from core.decode.kernels_cuda import CUDA_KERNELS
from core.decode.plan import ACCELERATORS


def _sdpa_gqa(inputs: Inputs) -> Call:
    needs_16_or_32_bits(inputs)
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


def _repeated_bytes(inputs: Inputs) -> int:
    """Keys and values of every query head, and scratch."""
    rows = inputs.sizes[2]
    return (inputs.cache_bytes * rows if rows > 1 else 0) + scratch_bytes(inputs)


def _repeat_kv(inputs: Inputs) -> Call:
    needs_16_or_32_bits(inputs)
    query, mask, rows = inputs.query[:, :, None, :], inputs.mask(), inputs.sizes[2]
    return lambda: F.scaled_dot_product_attention(
        query, _repeated(inputs.keys, rows), _repeated(inputs.values, rows), attn_mask=mask, scale=inputs.scale
    )


def _packed_sdpa(inputs: Inputs) -> Call:
    needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    return lambda: F.scaled_dot_product_attention(query, inputs.keys, inputs.values, attn_mask=mask, scale=inputs.scale)


def _packed_matmul(inputs: Inputs) -> Call:
    needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    return lambda: softmax_to(query @ inputs.keys.transpose(2, 3), inputs, mask) @ inputs.values


def _packed_matmul_transposed(inputs: Inputs) -> Call:
    needs_16_or_32_bits(inputs)
    query, mask = inputs.grouped_query(), inputs.mask()
    keys = inputs.keys.transpose(2, 3).contiguous()
    values = inputs.values.transpose(2, 3).contiguous()
    return lambda: softmax_to(query @ keys, inputs, mask) @ values.transpose(2, 3)


def _sequence_by_sequence(inputs: Inputs) -> Call:
    """Packed rows over each sequence's own length: a ragged batch reads no padding."""
    needs_16_or_32_bits(inputs)
    if inputs.full:
        raise Unavailable("only for sequences of different lengths")
    query, live = inputs.grouped_query(), [int(n) for n in inputs.lengths]

    def call() -> Tensor:
        out = torch.empty_like(query)
        for b, n in enumerate(live):
            scores = query[b] @ inputs.keys[b, :, :n].transpose(1, 2)
            out[b] = softmax_to(scores, inputs, None) @ inputs.values[b, :, :n]
        return out

    return call


def _cast_then_matmul(inputs: Inputs) -> Call:
    """A cache of 8 or 4 bits widened, then packed rows: fp8 codes to the query's dtype, which holds each of them;
    codes with scales to float32, since their products would be rounded once more in 16 bits."""
    if inputs.keys.dtype.itemsize != 1:
        raise Unavailable("only for a cache of 8 or 4 bits")
    wide = inputs.query.dtype if inputs.key_scales is None else torch.float32
    query, mask = inputs.grouped_query(), inputs.mask()

    def widened(codes: Tensor, scales: Tensor | None) -> Tensor:
        return codes.to(wide) if scales is None else numbers(codes, scales)

    def call() -> Tensor:
        keys, values = widened(inputs.keys, inputs.key_scales), widened(inputs.values, inputs.value_scales)
        weights = softmax_to(query.to(wide) @ keys.transpose(2, 3), inputs, mask).to(wide)
        return (weights @ values).to(inputs.query.dtype)

    return call


def _widened_bytes(inputs: Inputs) -> int:
    """Keys and values of _cast_then_matmul: fp8 codes in the query's dtype; codes with scales in float32, and while the
    values are made what core.decode.caches.numbers holds of them: float32 before the scales, of int4 the int8 codes;
    and scratch.
    """
    batch, kv_heads, _, capacity, dim = inputs.sizes
    if not inputs.scaled_by_token:
        of_element = 2 * int(inputs.query.dtype.itemsize)
    else:
        of_element = 3 * 4 + (1 if inputs.keys.dtype == torch.uint8 else 0)
    return batch * kv_heads * capacity * dim * of_element + scratch_bytes(inputs)


def _flex(inputs: Inputs) -> Call:
    """Compiled flex_attention; on CUDA inductor chooses its split-KV decoding for one query token."""
    needs_16_or_32_bits(inputs)
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    batch, _, _, capacity, _ = inputs.sizes
    query, block_mask = inputs.query[:, :, None, :].contiguous(), None
    if not inputs.full:
        lengths = inputs.lengths.to(inputs.query.device)
        block_mask = create_block_mask(
            lambda b, _h, _q, k: k < lengths[b], batch, None, 1, capacity, device=inputs.query.device.type
        )
    compiled = compiled_for_these_shapes(flex_attention)
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
    compiled, query = compiled_for_these_shapes(_fused_rows), inputs.grouped_query()
    return lambda: compiled(query, inputs.keys, inputs.values, inputs.scale)


EVERYWHERE = ("cpu", "cuda", *ACCELERATORS)
SHARED = (
    Kernel(
        name="sdpa_enable_gqa",
        devices=EVERYWHERE,
        summary="scaled_dot_product_attention(enable_gqa=True), as most people call it",
        prepare=_sdpa_gqa,
        describe=lambda i: sdpa_backend(i, i.query[:, :, None, :], i.keys, i.values, gqa=True),
    ),
    Kernel(
        name="repeat_kv",
        devices=EVERYWHERE,
        summary="keys and values copied to every query head, then SDPA: repeat_kv of transformers",
        prepare=_repeat_kv,
        extra_bytes=_repeated_bytes,
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
        devices=EVERYWHERE,
        summary="a group's query heads as rows of one matrix, then SDPA",
        prepare=_packed_sdpa,
        describe=lambda i: sdpa_backend(i, i.grouped_query(), i.keys, i.values, gqa=False),
    ),
    Kernel(
        name="packed_rows_matmul",
        devices=EVERYWHERE,
        summary="packed rows through two matrix products, softmax in float32",
        prepare=_packed_matmul,
    ),
    Kernel(
        name="packed_rows_matmul_transposed",
        summary="the same over a cache that stores head_dim before tokens",
        prepare=_packed_matmul_transposed,
        extra_bytes=copied_bytes,
        layout="keys and values [batch, KV head, head_dim, token]",
    ),
    Kernel(
        name="sequence_by_sequence",
        summary="packed rows over each sequence's own length",
        prepare=_sequence_by_sequence,
    ),
    Kernel(
        name="cast_packed_rows",
        devices=EVERYWHERE,
        summary="a cache of 8 or 4 bits widened, then packed rows",
        prepare=scales_outside(_cast_then_matmul),
        extra_bytes=_widened_bytes,
    ),
    Kernel(
        name="flex_attention",
        summary="flex_attention, compiled",
        prepare=_flex,
        slow_to_build=True,
        extra_bytes=copied_bytes,  # of whole contexts on a CPU; with a mask far less
    ),
    Kernel(
        name="compiled_rows",
        summary="multiply and sum, fused by torch.compile",
        prepare=_compiled_rows,
        slow_to_build=True,
    ),
)


def all_kernels(device_type: str) -> tuple[Kernel, ...]:
    """Every kernel that a device of this type could have, plain ones first."""

    known = (*SHARED, *CPU_KERNELS, *CUDA_KERNELS)
    return tuple(k for k in known if device_type in k.devices)
