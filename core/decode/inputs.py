"""One layer's decode step as tensors: random data for a job, and a smaller G's part of a larger cache."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.decode.caches import GROUP, arithmetic_dtype, quantised, scaled_fp8, stored_dtype
from core.decode.plan import DecodeJob


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One layer's decode step. query [B, H, D]; keys, values [B, G, S, D]; lengths [B] on the CPU, at most S.

    Query head h reads KV head h // (H / G), as in transformers. Caches of 8 and 4 bits are codes with scales, as
    core.decode.caches stores them: fp8 with one a head [G], int8 and int4 with [B, G, S, D / 32].
    """

    query: Tensor
    keys: Tensor
    values: Tensor
    lengths: Tensor
    key_scales: Tensor | None = None
    value_scales: Tensor | None = None

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """B, G, rows of one group (H / G), S, D."""
        batch, heads, dim = self.query.shape
        kv_heads, capacity = self.keys.shape[1:3]
        return batch, kv_heads, heads // kv_heads, capacity, dim

    @property
    def cache_bytes(self) -> int:
        """Bytes of codes and scales."""
        held = (self.keys, self.values, self.key_scales, self.value_scales)
        return sum(int(x.nbytes) for x in held if x is not None)

    @property
    def scale(self) -> float:
        return 1 / math.sqrt(self.query.shape[-1])

    @property
    def full(self) -> bool:
        """Every sequence fills the whole capacity: no mask is needed."""
        return bool((self.lengths == self.keys.shape[2]).all())

    @property
    def scaled_by_token(self) -> bool:
        """The codes need a scale for every 32 elements to be read."""
        return self.keys.dtype in (torch.int8, torch.uint8)

    def append(self, key: Tensor, value: Tensor) -> None:
        """Writes a new token's key and value [B, G, D] into the cache's last place."""
        for cache, scales, new in ((self.keys, self.key_scales, key), (self.values, self.value_scales, value)):
            if scales is None:
                cache[:, :, -1] = new.to(cache.dtype)
            elif self.scaled_by_token:
                cache[:, :, -1], scales[:, :, -1] = quantised(new, cache.dtype)
            else:
                cache[:, :, -1] = scaled_fp8(new[:, :, None], scales, cache.dtype)[:, :, 0]

    def mask(self) -> Tensor | None:
        """[B, 1, 1, S], true where a key is live; None when all are."""
        if self.full:
            return None
        positions = torch.arange(self.keys.shape[2], device=self.query.device)
        return (positions < self.lengths.to(self.query.device)[:, None])[:, None, None, :]

    def copied(self) -> "Inputs":
        """The same numbers elsewhere in memory: to copy them takes a fraction of drawing them anew."""
        held = {name: value.clone() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **held)

    def grouped_query(self) -> Tensor:
        """[B, G, rows, D]: a group's query heads as the rows of one matrix."""
        batch, kv_heads, rows, _, dim = self.sizes
        return self.query.view(batch, kv_heads, rows, dim)


def make_inputs(job: DecodeJob, num_kv_heads: int, device: torch.device, generator: torch.Generator) -> Inputs:
    """Fresh random data of one layer; a cache of 8 or 4 bits has a bfloat16 query."""
    lengths = torch.tensor(job.sequence_lengths, dtype=torch.int64)
    shape = (job.batch_size, num_kv_heads, int(lengths.max()), job.head_dim)
    query = torch.randn(job.batch_size, job.num_query_heads, job.head_dim, device=device, generator=generator)
    (keys, key_scales), (values, value_scales) = (_drawn(job.dtype, shape, device, generator) for _ in range(2))
    return Inputs(
        query=query.to(arithmetic_dtype(job.dtype)), keys=keys, values=values, lengths=lengths,
        key_scales=key_scales, value_scales=value_scales,
    )  # fmt: skip


def _drawn(
    name: str, shape: tuple[int, int, int, int], device: torch.device, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Keys or values, one sequence at a time: a float32 draft of all would double the memory."""
    stored = stored_dtype(name)
    batch, kv_heads, _, dim = shape
    per_token = stored in (torch.int8, torch.uint8)
    out = torch.empty((*shape[:3], dim // 2 if stored == torch.uint8 else dim), dtype=stored, device=device)
    scales: Tensor | None = None
    if per_token:
        scales = torch.empty((*shape[:3], dim // GROUP), dtype=torch.float16, device=device)
    elif stored.itemsize == 1:  # neighbours differ; a power of two multiplies a query without rounding it again
        scales = 2.0 ** (torch.arange(kv_heads, device=device) % 2 - 6)
    for b in range(batch):
        drawn = torch.randn(shape[1:], device=device, generator=generator)
        if per_token and scales is not None:
            out[b], scales[b] = quantised(drawn, stored)
        else:
            out[b] = drawn if scales is None else scaled_fp8(drawn, scales, stored)
    return out, scales


def offsets(widths: list[int]) -> dict[int, int]:
    """For each G the KV heads of the pool before its part: small parts lie apart, as far as the pool reaches."""
    found, used = {}, 0
    for g in sorted(widths):
        found[g] = used if used + g <= max(widths) else 0
        used += g
    return found


def part_of(pool: Inputs, num_kv_heads: int, heads_before: int = 0) -> Inputs:
    """The same query over a cache of fewer KV heads that lies in the pool's, behind that of heads_before heads."""
    batch, _, _, capacity, _ = pool.sizes
    keys, values = (_part(x, batch, num_kv_heads, capacity, heads_before) for x in (pool.keys, pool.values))
    scales = (pool.key_scales, pool.value_scales)
    key_scales, value_scales = (
        _part(x, batch, num_kv_heads, capacity, heads_before) if x is not None and x.dim() > 1
        else None if x is None else x[:num_kv_heads]
        for x in scales
    )  # fmt: skip
    return replace(pool, keys=keys, values=values, key_scales=key_scales, value_scales=value_scales)


def _part(x: Tensor, batch: int, num_kv_heads: int, capacity: int, heads_before: int) -> Tensor:
    shape = (batch, num_kv_heads, capacity, x.shape[-1])
    begin, count = (batch * heads * capacity * x.shape[-1] for heads in (heads_before, num_kv_heads))
    return x.view(-1)[begin : begin + count].view(shape)
