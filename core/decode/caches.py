"""What an 8- or 4-bit cache stores, and the numbers that it stands for.

fp8 (e4m3) has one float32 scale a KV head. int8 and int4 have a float16 scale for each 32 neighbouring elements of one
token, rounded as llama.cpp's q8_0 and q4_0 (quantize_row_q8_0_ref and quantize_row_q4_0_ref of ggml-quants.c): 34 and
18 bytes for 32 elements. An int4 byte holds two neighbours in two's complement, the first in its low half.
"""

import torch
from torch import Tensor

GROUP = 32  # elements that share a scale, in ggml-common.h QK8_0 and QK4_0
FP8_MOST, INT8_MOST, INT4_LEAST = 448.0, 127.0, -8.0
STORED = {"int8": torch.int8, "int4": torch.uint8}  # by a job's dtype; every other is a dtype of torch by its own name


def stored_dtype(name: str) -> torch.dtype:
    """What torch holds a cache of this job dtype in."""
    found: torch.dtype = STORED[name] if name in STORED else getattr(torch, name)
    return found


def arithmetic_dtype(name: str) -> torch.dtype:
    """What queries are in and layers are computed in: bfloat16 over a cache of 8 bits and fewer."""
    stored = stored_dtype(name)
    return torch.bfloat16 if stored.itemsize == 1 else stored


def numbers(codes: Tensor, scales: Tensor | None) -> Tensor:
    """float32 of stored codes [.., G, S, D] ([.., D / 2] for int4); scales [G] for fp8, [.., G, S, D / 32] else."""
    if codes.dtype == torch.uint8:
        codes = signed_nibbles(codes)
    elif codes.dtype != torch.int8:
        wide = codes.float()
        return wide if scales is None else wide * scales[:, None, None]
    assert scales is not None  # stored beside their codes
    wide = codes.float().unflatten(-1, (-1, GROUP)) * scales.float()[..., None]
    return wide.flatten(-2)


def signed_nibbles(codes: Tensor) -> Tensor:
    """int8 in -8 to 7 of bytes that hold two each: [.., n] -> [.., 2 n]."""
    pairs = torch.stack((codes & 15, codes >> 4), -1).to(torch.int8)
    return ((pairs ^ 8) - 8).flatten(-2)


def paired_nibbles(first: Tensor, second: Tensor) -> Tensor:
    """Bytes of two numbers each, both int8 in -8 to 7."""
    return (first.view(torch.uint8) & 15) | (second.view(torch.uint8) << 4)


def quantised(x: Tensor, stored: torch.dtype) -> tuple[Tensor, Tensor]:
    """Codes and float16 scales of x [.., D], for int8 and int4 (uint8)."""
    groups = x.float().unflatten(-1, (-1, GROUP))
    if stored == torch.int8:
        scales = groups.abs().amax(-1) / INT8_MOST
        codes = _away_from_zero(groups * _inverse(scales)[..., None])
        return codes.to(torch.int8).flatten(-2), scales.half()
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))[..., 0]
    scales = largest / INT4_LEAST
    codes = ((groups * _inverse(scales)[..., None] + 8.5).to(torch.int8).clamp(max=15) - 8).flatten(-2)
    return paired_nibbles(codes[..., 0::2].contiguous(), codes[..., 1::2].contiguous()), scales.half()


def scaled_fp8(x: Tensor, scales: Tensor, stored: torch.dtype) -> Tensor:
    """Codes of x [.., G, S, D] whose heads have these scales [G]."""
    return (x.float() / scales[:, None, None]).clamp(-FP8_MOST, FP8_MOST).to(stored)


def _inverse(scales: Tensor) -> Tensor:
    return torch.where(scales == 0, 0.0, 1 / scales)


def _away_from_zero(x: Tensor) -> Tensor:
    """C's roundf: halves away from zero, where torch rounds them to even."""
    return torch.trunc(x + torch.copysign(torch.tensor(0.5), x))
