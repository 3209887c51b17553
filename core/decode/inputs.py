"""One layer's decode step as tensors: random data for a job, and a smaller G's part of a larger cache."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.decode.plan import DecodeJob


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


def make_inputs(job: DecodeJob, num_kv_heads: int, device: torch.device, generator: torch.Generator) -> Inputs:
    """Fresh random data of one layer; an 8-bit cache has a bfloat16 query."""
    stored = getattr(torch, job.dtype)
    wide = torch.bfloat16 if stored.itemsize == 1 else stored
    lengths = torch.tensor(job.sequence_lengths, dtype=torch.int64)
    shape = (job.batch_size, num_kv_heads, int(lengths.max()), job.head_dim)

    def drawn() -> torch.Tensor:
        out = torch.empty(shape, dtype=stored, device=device)
        for b in range(job.batch_size):  # one sequence at a time: a float32 draft of all would double the memory
            out[b] = torch.randn(shape[1:], device=device, generator=generator)
        return out

    query = torch.randn(job.batch_size, job.num_query_heads, job.head_dim, device=device, generator=generator)
    return Inputs(query=query.to(wide), keys=drawn(), values=drawn(), lengths=lengths)


def offsets(widths: list[int]) -> dict[int, int]:
    """For each G the KV heads of the pool before its part: small parts lie apart, as far as the pool reaches."""
    found, used = {}, 0
    for g in sorted(widths):
        found[g] = used if used + g <= max(widths) else 0
        used += g
    return found


def part_of(pool: Inputs, num_kv_heads: int, heads_before: int = 0) -> Inputs:
    """The same query over a cache of fewer KV heads that lies in the pool's, behind that of heads_before heads."""
    batch, _, _, capacity, dim = pool.sizes
    shape = (batch, num_kv_heads, capacity, dim)
    begin, count = (batch * heads * capacity * dim for heads in (heads_before, num_kv_heads))
    keys, values = (x.view(-1)[begin : begin + count].view(shape) for x in (pool.keys, pool.values))
    return replace(pool, keys=keys, values=values)
