"""CUDA's own paths: each SDPA backend by name, the context split over the GPU, Triton, FlashInfer and flash-attn.

FlashInfer and flash-attn are optional extras, used where they are installed. Every path is checked like any other: one
that a host does not have raises, and is shown with its reason.
"""

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

from core.decode.inputs import Inputs
from core.decode.kernel import (
    Call,
    Kernel,
    Unavailable,
    compiled_for_these_shapes,
    copied_bytes,
    needs_16_or_32_bits,
    scales_outside,
    split_context,
)

BACKENDS = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH")


def _forced_sdpa(backend: str) -> Kernel:
    """Packed rows through one named SDPA backend; torch raises where the backend does not take the shape."""
    short = backend.removesuffix("_ATTENTION").lower()

    def prepare(inputs: Inputs) -> Call:
        needs_16_or_32_bits(inputs)
        from torch.nn.attention import SDPBackend, sdpa_kernel

        query, mask, chosen = inputs.grouped_query(), inputs.mask(), getattr(SDPBackend, backend)

        def call() -> Tensor:
            with sdpa_kernel(chosen):
                return F.scaled_dot_product_attention(
                    query, inputs.keys, inputs.values, attn_mask=mask, scale=inputs.scale
                )

        return call

    return Kernel(
        name=f"packed_rows_{short}",
        summary=f"packed rows, SDPA held to its {short} backend",
        prepare=prepare,
        devices=("cuda",),
        describe=lambda _inputs: f"SDPA backend: {short}",
    )


def _split_k_sdpa(inputs: Inputs) -> Call:
    """Spans enough to fill the GPU four times over, by flash attention."""
    needs_16_or_32_bits(inputs)
    if inputs.keys.dtype == torch.float32:
        raise Unavailable("for 16-bit caches")
    batch, kv_heads = inputs.sizes[:2]
    processors = torch.cuda.get_device_properties(inputs.query.device).multi_processor_count
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    return split_context(inputs, flash, 4 * processors // (batch * kv_heads))


def _triton(inputs: Inputs) -> Call:
    try:
        from core.decode.kernels_triton import prepare_split_kv
    except ImportError as e:
        raise Unavailable("triton is not installed") from e
    if inputs.scaled_by_token:
        raise Unavailable("does not read a cache with a scale for 32 elements")
    return prepare_split_kv(inputs)


def _flash_attn(inputs: Inputs) -> Call:
    """flash_attn_with_kvcache: its split-KV decoding, caches as [batch, token, KV head, head_dim]."""
    try:
        from flash_attn import flash_attn_with_kvcache
    except ImportError as e:
        raise Unavailable("flash-attn is not installed") from e
    if inputs.keys.dtype not in (torch.bfloat16, torch.float16):
        raise Unavailable("reads 16-bit caches")
    query = inputs.query[:, None]
    keys, values = (x.transpose(1, 2).contiguous() for x in (inputs.keys, inputs.values))
    lengths = inputs.lengths.to(inputs.query.device, torch.int32)
    return lambda: flash_attn_with_kvcache(
        query, keys, values, cache_seqlens=lengths, softmax_scale=inputs.scale, num_splits=0
    )


def _flashinfer(inputs: Inputs) -> Call:
    """FlashInfer's paged batch decode, one page of 16 tokens; ragged lengths are its normal case."""
    try:
        import flashinfer
    except ImportError as e:
        raise Unavailable("FlashInfer is not installed") from e
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    if capacity % 16 or inputs.keys.dtype == torch.float32 or inputs.scaled_by_token:
        raise Unavailable("for fp8 and 16-bit caches of whole pages of 16 tokens")
    device, pages = inputs.query.device, capacity // 16
    keys, values = (
        x.view(batch, kv_heads, pages, 16, dim).transpose(1, 2).contiguous().view(-1, kv_heads, 16, dim)
        for x in (inputs.keys, inputs.values)
    )
    used = (inputs.lengths + 15) // 16
    first = torch.zeros(batch + 1, dtype=torch.int32)
    first[1:] = used.cumsum(0)
    table = torch.cat([torch.arange(int(n), dtype=torch.int32) + b * pages for b, n in enumerate(used)])
    last = (inputs.lengths - 1) % 16 + 1
    space = torch.empty(256 * 2**20, dtype=torch.uint8, device=device)
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(space, "HND", use_tensor_cores=rows >= 4)
    wrapper.plan(
        first.to(device), table.to(device), last.to(torch.int32).to(device), kv_heads * rows, kv_heads, dim, 16,
        q_data_type=inputs.query.dtype, kv_data_type=inputs.keys.dtype, sm_scale=inputs.scale,
    )  # fmt: skip
    return lambda: wrapper.run(inputs.query, (keys, values))


def _fp8_native(inputs: Inputs) -> Call:
    """An 8-bit cache scaled by one, cast per tile inside the compiler's fused loops rather than as a whole."""
    if inputs.keys.dtype != torch.float8_e4m3fn or not inputs.full:
        raise Unavailable("only for an fp8 cache whose sequences fill it")
    query, scale = inputs.grouped_query(), inputs.scale

    def rows(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        weights = torch.softmax((query @ keys.to(query.dtype).transpose(2, 3)).float() * scale, -1)
        return weights.to(query.dtype) @ values.to(query.dtype)

    compiled = compiled_for_these_shapes(rows)
    return lambda: compiled(query, inputs.keys, inputs.values)


CUDA_KERNELS = (
    *(_forced_sdpa(backend) for backend in BACKENDS),
    Kernel(
        name="split_k_flash",
        summary="packed rows, the context split over the GPU, flash attention on each span, merged",
        prepare=_split_k_sdpa,
        devices=("cuda",),
    ),
    Kernel(
        name="triton_split_kv",
        summary="our Triton kernel: the context split over the GPU, all rows of a group per tile",
        prepare=scales_outside(_triton),
        devices=("cuda",),
    ),
    Kernel(
        name="flash_attn",
        summary="flash-attn's decode over a KV cache",
        prepare=_flash_attn,
        extra_bytes=copied_bytes,
        devices=("cuda",),
        layout="keys and values [batch, token, KV head, head_dim]",
    ),
    Kernel(
        name="flashinfer",
        summary="FlashInfer's batch decode over pages of 16 tokens",
        prepare=scales_outside(_flashinfer),
        extra_bytes=copied_bytes,
        devices=("cuda",),
        layout="pages [page, KV head, 16, head_dim]",
    ),
    Kernel(
        name="compiled_cast_rows",
        summary="an 8-bit cache, cast and multiplied by compiled code",
        prepare=scales_outside(_fp8_native),
        slow_to_build=True,
        devices=("cuda",),
    ),
)
