"""The compiled kernel on the CPU: a cache laid out as it streams it, and the call whose time counts."""

import ctypes
import math

import torch
from torch import Tensor

from core.decode.caches import GROUP, paired_nibbles, signed_nibbles
from core.decode.host_library import KINDS, DecodeStep, host_library, instruction_set, threads_of_torch
from core.decode.inputs import Inputs
from core.decode.kernel import Call, Kernel, Unavailable, scratch_bytes
from core.decode.plan import laying_out_bytes

BLOCK = 16  # tokens
PACKED = (
    "blocks of 16 tokens: keys [batch, KV head, token / 16, head_dim, 16], values as usual; bf16 and 4 bits in pairs: "
    "keys [.., token / 16, head_dim / 2, 16, 2], values [.., token / 2, head_dim, 2]; int8 and int4 behind the "
    "block's scales [head_dim / 32, 16]; what VNNI takes in fours: keys [.., head_dim / 4, 16, 4], values "
    "[.., token / 4, head_dim, 4]; fp8 where GFNI widens it: keys [.., head_dim, 16], values "
    "[.., token / 4, head_dim / 16, 4, 16], and a byte for each 16 tokens of 16 elements"
)


# What a step has the addresses of, as prepare() holds it.
HELD = ("query", "keys", "values", "small_keys", "small_values", "lengths", "key_scales", "value_scales", "result")


def pack(inputs: Inputs, *, in_fours: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Keys and values in the layout of host_kernel.cpp, the context padded to blocks of 16 with zeros; and for both
    which squares hold small numbers, where the kernel looks at that.

    in_fours: 8 and 4 bits lie in fours, as VNNI multiplies and GFNI widens them.
    """
    if in_fours and inputs.keys.dtype == torch.float8_e4m3fn:
        keys, small_keys = _packed_fp8_in_fours(_blocks(inputs.keys), keys=True)
        values, small_values = _packed_fp8_in_fours(_blocks(inputs.values), keys=False)
        return keys, values, small_keys, small_values
    scaled = inputs.keys.dtype in (torch.int8, torch.uint8)
    packed = (_packed_in_fours if in_fours else _packed_scaled) if scaled else _packed
    return (
        packed(_blocks(inputs.keys), inputs.key_scales, keys=True),
        packed(_blocks(inputs.values), inputs.value_scales, keys=False),
        None,
        None,
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


def _packed_fp8_in_fours(x: Tensor, *, keys: bool) -> tuple[Tensor, Tensor]:
    """Lines [4][16] of codes turned as fours.h reads them, [B, G, blocks, ..]; and whether a square of 16 tokens and 16
    elements holds a code without exponent, uint8 [B, G, blocks, n / 16]."""
    codes = x.view(torch.uint8)
    turned = (codes >> 3).bitwise_and_(15)  # the exponent
    small = (turned.unflatten(4, (-1, BLOCK)).amin((3, 5)) == 0).view(torch.uint8)
    turned.bitwise_left_shift_(4)
    part = (codes >> 4).bitwise_and_(8)  # the sign
    turned.bitwise_or_(part)
    turned.bitwise_or_(torch.bitwise_and(codes, 7, out=part).bitwise_xor_(4))
    del part
    if keys:  # [B, G, blocks, lane, n]
        return turned.transpose(3, 4).contiguous(), small
    # [B, G, blocks, (line, four), (columns / 16, lane)]
    return turned.unflatten(4, (-1, BLOCK)).unflatten(3, (4, 4)).permute(0, 1, 2, 3, 5, 4, 6).contiguous(), small


def _packed_scaled(codes: Tensor, scales: Tensor | None, *, keys: bool) -> Tensor:
    """Bytes [B, G, blocks, n]: each block's scales, then its codes."""
    assert scales is not None  # stored beside their codes
    if keys:
        codes = codes.transpose(3, 4)
    elif codes.dtype == torch.uint8:  # pairs of neighbouring elements become pairs of neighbouring tokens
        wide = signed_nibbles(codes)
        codes = paired_nibbles(wide[:, :, :, 0::2].contiguous(), wide[:, :, :, 1::2].contiguous())
    return _behind_scales(codes, scales)


def _packed_in_fours(codes: Tensor, scales: Tensor | None, *, keys: bool) -> Tensor:
    """Bytes [B, G, blocks, n]: each block's scales, then its codes plus their bias, which are never negative.

    Keys [element / 4, 16 keys, 4]; values [column / 16, token / 4, 16 columns, 4]. Of 4 bits, four lie in the low
    halves of bytes and the next four in the high halves; values with a negative scale are turned about (digits.h).
    """
    assert scales is not None  # stored beside their codes
    four_bits = codes.dtype == torch.uint8
    wide = (signed_nibbles(codes) + 8 if four_bits else codes.view(torch.uint8) ^ 128).view(torch.uint8)
    if keys:
        fours = wide.unflatten(-1, (-1, 4)).transpose(3, 4)
    else:
        if four_bits:
            turned = _blocks(scales).signbit().repeat_interleave(GROUP, -1)
            wide = torch.where(turned, 15 - wide, wide)
        fours = wide.unflatten(3, (4, 4)).unflatten(5, (-1, 16)).permute(0, 1, 2, 5, 3, 6, 4)
    if four_bits:
        pairs = fours.unflatten(3 if keys else 4, (-1, 2))
        low, high = pairs.unbind(4 if keys else 5)
        fours = low | (high << 4)
    return _behind_scales(fours, scales)


def _behind_scales(codes: Tensor, scales: Tensor) -> Tensor:
    lead = codes.shape[:3]
    before = _blocks(scales).transpose(3, 4).contiguous().view(torch.uint8).reshape(*lead, -1)
    return torch.cat([before, codes.contiguous().view(torch.uint8).reshape(*lead, -1)], -1)


def spans_of(groups: int, capacity: int, threads: int) -> int:
    """Parts of each context: enough that four items of work fall to a thread, none shorter than half a tile.

    Up to sixteen where they stay long: a thread that something else holds up leaves more of them to the others.
    """
    few = min(math.ceil(capacity / 256), math.ceil(4 * threads / groups))
    return max(1, few, min(capacity // 2048, math.ceil(16 * threads / groups)))


def prepare(inputs: Inputs, library: ctypes.CDLL | None = None) -> Call:
    """The timed call. Raises Unavailable without a compiler, or for a cache that it does not read; ValueError for a
    query that does not lie in one piece.

    Python has no part in it but to call: where the processor's caches are cold, as each layer of a step finds them, a
    new tensor and a dozen of arguments take as long as a tenth of reading 4 bits (benchmarks/decode.md).
    """
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    if inputs.keys.dtype not in KINDS:
        raise Unavailable("reads float32, bfloat16, float16, fp8 (e4m3), int8 and int4")
    if not inputs.query.is_contiguous():
        strides = inputs.query.stride()
        raise ValueError(f"the query lies in strides of {strides}: give it in one piece, as contiguous() does")
    library = library or host_library()
    threads, kind = torch.get_num_threads(), KINDS[inputs.keys.dtype]
    packed = pack(inputs, in_fours=bool(library.headroom_in_fours(kind)))
    lengths, out = inputs.lengths.to(torch.int64).contiguous(), torch.empty(batch, kv_heads, rows, dim)
    scales = (inputs.key_scales, inputs.value_scales) if inputs.keys.dtype == torch.float8_e4m3fn else (None, None)
    step = DecodeStep(
        kind=kind, query_kind=KINDS[inputs.query.dtype], sequences=batch, heads=kv_heads, rows=rows, dim=dim,
        capacity=math.ceil(capacity / BLOCK) * BLOCK, spans=spans_of(batch * kv_heads, capacity, threads),
        threads=threads, scale=inputs.scale, parallel=threads_of_torch(),
    )  # fmt: skip
    step.held = (inputs.query, *packed, lengths, *scales, out)  # for as long as it has their addresses
    for name, x in zip(HELD, step.held, strict=True):
        setattr(step, name, None if x is None else x.data_ptr())

    def call() -> Tensor:
        library.headroom_decode(step)
        return out

    return call


def extra_bytes(inputs: Inputs) -> int:
    """The layout of its own with what it is made of, and scratch."""
    names = {torch.float8_e4m3fn: "float8_e4m3fn", torch.int8: "int8", torch.uint8: "int4"}
    dtype, capacity = names.get(inputs.keys.dtype, ""), inputs.sizes[3]
    return laying_out_bytes(dtype, inputs.cache_bytes, capacity=capacity) + scratch_bytes(inputs)


def describe(inputs: Inputs, library: ctypes.CDLL | None = None) -> str:
    """Which instruction set carries it here, and whether AMX's tiles, VNNI or GFNI has a part in it."""
    library = library or host_library()
    _, _, rows, _, dim = inputs.sizes
    kind = KINDS[inputs.keys.dtype]
    tiles = "AMX tiles and " if library.headroom_by_tiles(kind, rows, dim) else ""
    fours = library.headroom_in_fours(kind).decode()
    return f"instructions: {tiles}{fours and f'{fours} and '}{instruction_set(library)}"


HOST_KERNEL = Kernel(
    name="host_kernel",
    summary="compiled for this CPU: streams keys and values once, all rows of a group per tile",
    prepare=prepare,
    devices=("cpu",),
    layout=PACKED,
    leads=True,
    describe=describe,
    extra_bytes=extra_bytes,
)
