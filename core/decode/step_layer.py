"""What a whole decode step multiplies: one layer's weights, and the ends (embedding, last norm and head)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

from core.decode.caches import arithmetic_dtype
from core.decode.experts import Experts
from core.decode.inputs import Inputs
from core.decode.kernel import Call
from core.decode.plan import DecodeJob, StepShape, layer_read_bytes
from core.decode.products import Product

DRAWN = 2**20  # of a matrix: 2 MB of bfloat16


@dataclass(frozen=True, kw_only=True)
class Work:
    """One part of a step: the bytes that it reads and the FLOPs that it takes."""

    read_bytes: float
    flops: float

    def seconds(self, bytes_per_second: float, flops_per_second: float) -> tuple[float, bool]:
        """The larger of both times, and whether it is the arithmetic's."""
        reading, multiplying = self.read_bytes / bytes_per_second, self.flops / flops_per_second
        return max(reading, multiplying), multiplying > reading


class Layer:
    """One layer's weights, random, and its decode of one token per sequence over a given attention call.

    product multiplies its weights: F.linear, or what core.decode.products found to be faster. seed: of the experts
    that are drawn, where the shape has some.
    """

    def __init__(
        self, job: DecodeJob, shape: StepShape, num_kv_heads: int, device: torch.device, product: Product = F.linear,
        seed: int = 0,
    ) -> None:  # fmt: skip
        wide = job.num_query_heads * job.head_dim
        kv = num_kv_heads * job.head_dim
        self.dtype, self.product = arithmetic_dtype(job.dtype), product
        self.head_dim, self.num_kv_heads, self.num_query_heads = job.head_dim, num_kv_heads, job.num_query_heads
        hidden, ffn = shape.hidden_size, shape.intermediate_size
        self.norms = torch.ones(2, hidden, device=device, dtype=self.dtype)
        sizes: dict[str, tuple[int, ...]]
        sizes = {"q": (wide, hidden), "k": (kv, hidden), "v": (kv, hidden), "o": (hidden, wide)}
        each = (shape.num_experts,) if shape.num_experts else ()
        sizes |= {"gate": (*each, ffn, hidden), "up": (*each, ffn, hidden), "down": (*each, hidden, ffn)}
        if shape.num_experts:
            sizes["router"] = (shape.num_experts, hidden)
        self.weights = {name: matrix(size, device, self.dtype) for name, size in sizes.items()}
        self.experts: Experts | None = None
        if shape.num_experts:
            draws = torch.Generator().manual_seed(seed)
            self.experts = Experts(self.weights, shape, job.batch_size, draws, product)
        self.job, self.shape = job, shape
        angles = torch.rand(job.batch_size, 1, job.head_dim, device=device)
        self.cos, self.sin = angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def with_kv_heads(self, num_kv_heads: int) -> "Layer":
        """The same weights, of which the first num_kv_heads heads' keys and values are projected."""
        narrow = object.__new__(Layer)
        narrow.__dict__ = {**self.__dict__, "num_kv_heads": num_kv_heads}
        rows = num_kv_heads * self.head_dim
        narrow.weights = {name: w[:rows] if name in "kv" else w for name, w in self.weights.items()}
        return narrow

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a step reads; with experts, of the expected number of distinct ones."""
        return layer_read_bytes(self.job, self.shape, self.num_kv_heads)

    def matmul_flops(self, batch_size: int) -> int:
        """Two FLOPs a weight and sequence; of the experts a sequence goes through its own."""
        shape, elements = self.shape, {name: w.numel() for name, w in self.weights.items()}
        experts = sum(elements[name] for name in ("gate", "up", "down"))
        taken = experts * shape.experts_per_token // shape.num_experts if shape.num_experts else experts
        count: int = sum(elements.values()) - experts + taken
        return 2 * batch_size * count

    def works(self) -> tuple[Work, ...]:
        """Projections (and the router), FFN or experts, and attention over the cache, one after the other."""
        job, batch = self.job, self.job.batch_size
        ffn = sum(self.weights[name].numel() for name in ("gate", "up", "down"))
        others = sum(weight.numel() for weight in self.weights.values()) - ffn
        read = self.weight_bytes - others * self.dtype.itemsize
        return (
            Work(read_bytes=others * self.dtype.itemsize, flops=2 * batch * others),
            Work(read_bytes=read, flops=self.matmul_flops(batch) - 2 * batch * others),
            Work(read_bytes=job.kv_read_bytes(self.num_kv_heads), flops=job.attention_flops),
        )

    def decode(self, x: Tensor, cache: Inputs, attend: Call) -> Tensor:
        """x [B, hidden] -> [B, hidden]; the new token's key and value are written into the cache's last place."""
        w, batch, product = self.weights, x.shape[0], self.product
        normed = F.rms_norm(x, x.shape[-1:], self.norms[0])
        query = self._rotated(product(normed, w["q"]).view(batch, self.num_query_heads, self.head_dim))
        key = self._rotated(product(normed, w["k"]).view(batch, self.num_kv_heads, self.head_dim))
        cache.append(key, product(normed, w["v"]).view_as(key))
        cache.query.copy_(query)
        attended = attend().reshape(batch, -1).to(self.dtype)
        x = x + product(attended, w["o"])
        normed = F.rms_norm(x, x.shape[-1:], self.norms[1])
        if self.experts is not None:
            return x + self.experts.decode(normed)
        return x + product(F.silu(product(normed, w["gate"])) * product(normed, w["up"]), w["down"])

    def _rotated(self, x: Tensor) -> Tensor:
        """Rotary embedding as in transformers' apply_rotary_pos_emb: the halves swapped, one negated."""
        half = x.shape[-1] // 2
        return x * self.cos + torch.cat((-x[..., half:], x[..., :half]), -1) * self.sin


class Ends:
    """Embedding, last norm and head."""

    def __init__(
        self, shape: StepShape, batch_size: int, dtype: torch.dtype, device: torch.device, product: Product = F.linear
    ) -> None:
        self.product = product
        self.embedding = matrix((shape.vocab_size, shape.hidden_size), device, dtype)
        self.head = matrix((shape.vocab_size, shape.hidden_size), device, dtype)
        self.norm = torch.ones(shape.hidden_size, device=device, dtype=dtype)
        self.tokens = torch.randint(shape.vocab_size, (batch_size,), device=device)

    @property
    def read_bytes(self) -> int:
        """The head, and of the embedding one row per sequence."""
        (vocabulary, hidden), width = self.head.shape, self.head.dtype.itemsize
        count: int = (vocabulary + self.tokens.numel()) * hidden * width
        return count

    def decode(self) -> Tensor:
        x = F.embedding(self.tokens, self.embedding)
        return self.product(F.rms_norm(x, x.shape[-1:], self.norm), self.head).argmax(-1)


def matrix(size: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Random weights; drawn in their own dtype, so that no wider draft of them is held."""
    return drawn_into(torch.empty(size, device=device, dtype=dtype))


def drawn_into(weights: Tensor) -> Tensor:
    """The same tensor, contiguous, full of normal numbers: the first DRAWN of them drawn, and those again and again.

    What a product takes does not depend on that, and to draw all of a step takes longer than to measure it.
    """
    flat = weights.view(-1)
    flat[:DRAWN].normal_(0, 0.02)
    for start in range(DRAWN, flat.numel(), DRAWN):
        part = flat[start : start + DRAWN]
        part.copy_(flat[: part.numel()])
    return weights
