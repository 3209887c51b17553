"""The compiled kernel on the CPU: a cache laid out as it streams it, and the call whose time counts."""

import ctypes
import math

import torch
from torch import Tensor

from core.decode.caches import paired_nibbles, signed_nibbles
from core.decode.host_library import KINDS, host_library, instruction_set, threads_of_torch
from core.decode.inputs import Inputs
from core.decode.kernel import Call, Kernel, Unavailable

BLOCK = 16  # tokens
PACKED = (
    "blocks of 16 tokens: keys [batch, KV head, token / 16, head_dim, 16], values as usual; bf16 and 4 bits in pairs: "
    "keys [.., token / 16, head_dim / 2, 16, 2], values [.., token / 2, head_dim, 2]; int8 and int4 behind the "
    "block's scales [head_dim / 32, 16]"
)


def pack(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Keys and values in the layout of host_kernel.cpp, the context padded to blocks of 16 with zeros."""
    packed = _packed_scaled if inputs.keys.dtype in (torch.int8, torch.uint8) else _packed
    return (
        packed(_blocks(inputs.keys), inputs.key_scales, keys=True),
        packed(_blocks(inputs.values), inputs.value_scales, keys=False),
    )


def _blocks(x: Tensor) -> Tensor:
    """[B, G, S, n] -> [B, G, blocks, 16, n]."""
    short = -x.shape[2] % BLOCK
    return (torch.nn.functional.pad(x, (0, 0, 0, short)) if short else x).unflatten(2, (-1, BLOCK))


def _packed(x: Tensor, _scales: Tensor | None, *, keys: bool) -> Tensor:
    if x.dtype == torch.bfloat16:
        x = x.unflatten(-1, (-1, 2)).transpose(3, 4) if keys else x.unflatten(3, (-1, 2)).transpose(4, 5)
    elif keys:
        x = x.transpose(3, 4)
    return x.contiguous()


def _packed_scaled(codes: Tensor, scales: Tensor | None, *, keys: bool) -> Tensor:
    """Bytes [B, G, blocks, n]: each block's scales, then its codes."""
    assert scales is not None  # stored beside their codes
    lead = codes.shape[:3]
    if keys:
        codes = codes.transpose(3, 4)
    elif codes.dtype == torch.uint8:  # pairs of neighbouring elements become pairs of neighbouring tokens
        wide = signed_nibbles(codes)
        codes = paired_nibbles(wide[:, :, :, 0::2].contiguous(), wide[:, :, :, 1::2].contiguous())
    before = _blocks(scales).transpose(3, 4).contiguous().view(torch.uint8).reshape(*lead, -1)
    return torch.cat([before, codes.contiguous().view(torch.uint8).reshape(*lead, -1)], -1)


def spans_of(groups: int, capacity: int, threads: int) -> int:
    """Parts of each context: enough that four items of work fall to a thread, none shorter than half a tile."""
    return max(1, min(math.ceil(capacity / 256), math.ceil(4 * threads / groups)))


def prepare(inputs: Inputs, library: ctypes.CDLL | None = None) -> Call:
    """The timed call. Raises Unavailable without a compiler, or for a cache that it does not read."""
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    if inputs.keys.dtype not in KINDS:
        raise Unavailable("reads float32, bfloat16, float16, fp8 (e4m3), int8 and int4")
    library = library or host_library()
    threads, pool = torch.get_num_threads(), threads_of_torch()
    keys, values = pack(inputs)
    lengths = inputs.lengths.to(torch.int64).contiguous()
    whole_scales = inputs.keys.dtype == torch.float8_e4m3fn and inputs.key_scales is not None
    scales = (inputs.key_scales, inputs.value_scales) if whole_scales else (None, None)
    scale_at = [None if x is None else x.data_ptr() for x in scales]
    sizes = (batch, kv_heads, rows, dim, math.ceil(capacity / BLOCK) * BLOCK)
    spans = spans_of(batch * kv_heads, capacity, threads)

    def call() -> Tensor:
        query = inputs.grouped_query().float().contiguous()
        out = torch.empty(batch, kv_heads, rows, dim)
        addresses = (t.data_ptr() for t in (query, keys, values, lengths))
        library.headroom_decode(
            KINDS[inputs.keys.dtype], *addresses, *sizes, spans, threads, inputs.scale, *scale_at, out.data_ptr(), pool
        )
        return out

    return call


def describe(inputs: Inputs, library: ctypes.CDLL | None = None) -> str:
    """Which instruction set carries it here, and whether this shape's products are those of AMX's tiles."""
    library = library or host_library()
    _, _, rows, _, dim = inputs.sizes
    tiles = library.headroom_by_tiles(KINDS[inputs.keys.dtype], rows, dim)
    return f"instructions: {'AMX tiles and ' if tiles else ''}{instruction_set(library)}"


HOST_KERNEL = Kernel(
    name="host_kernel",
    summary="compiled for this CPU: streams keys and values once, all rows of a group per tile",
    prepare=prepare,
    devices=("cpu",),
    layout=PACKED,
    leads=True,
    describe=describe,
)
