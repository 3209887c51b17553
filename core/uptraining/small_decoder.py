"""The small text model decoding in numpy, its KV cache an array that one can count: what *Watch it decode* shows.

Each layer keeps one array of keys and one of values, (G, MOST_TOKENS, head_dim) in 16 bits, of which the first
`tokens` rows are written. A step writes a row a head for every new token and reads all rows written so far; the sums
are in 32 bits. The network is that of core.uptraining.network, and a test holds the scores to it.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.uptraining.small_text import KV_HEADS, SHAPE, decode, encode

FILE = Path(__file__).parents[1] / "data" / "small_text_model.npz"
MOST_TOKENS = 64
MOST_PROMPT = 40
EPSILON = float(np.finfo(np.float32).eps)  # torch.nn.RMSNorm's own
Array = NDArray[np.float32]
_erf = np.vectorize(math.erf, otypes=[np.float32])


class PromptError(ValueError):
    """A prompt that cannot be decoded: the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step did in each layer and KV head, and what it chose. The first step is the prompt's (prefill)."""

    number: int
    new_tokens: int
    tokens: int  # rows held by each head of each layer after it
    chosen: str  # the character that the step's scores put first
    cache_bytes: int  # of all rows written so far, keys and values
    written_bytes: int
    read_bytes: int
    weight_bytes: int
    flops: int
    attention_flops: int  # of these, the part that reads the cache

    @property
    def is_prefill(self) -> bool:
        return self.number == 0

    @property
    def intensity(self) -> float:
        """FLOPs for each byte read, weights and cache together."""
        return self.flops / (self.weight_bytes + self.read_bytes)

    @property
    def attention_intensity(self) -> float:
        """FLOPs for each byte of cache: H / G for one new token at 16 bits, more where several read together."""
        return self.attention_flops / self.read_bytes


class Cache:
    """Keys and values of every layer: arrays of MOST_TOKENS rows, the first `tokens` of them written."""

    def __init__(self, num_kv_heads: int) -> None:
        shape = (SHAPE.num_layers, num_kv_heads, MOST_TOKENS, SHAPE.head_dim)
        self.keys, self.values = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
        self.tokens = 0

    @property
    def nbytes(self) -> int:
        """Of the rows written."""
        return int(self.keys[:, :, : self.tokens].nbytes + self.values[:, :, : self.tokens].nbytes)


class Decoder:
    """One variant of the model with its cache. prefill() comes first, then step() for one character more."""

    def __init__(self, num_kv_heads: int) -> None:
        self.num_kv_heads = num_kv_heads
        self.weights = weights(num_kv_heads)
        self.cache = Cache(num_kv_heads)
        self.steps: list[Step] = []
        self._next: int | None = None

    def prefill(self, prompt: str) -> Step:
        """Reads the prompt in one step. Raises PromptError for an empty one or one of more than MOST_PROMPT."""
        if not prompt or len(prompt) > MOST_PROMPT:
            raise PromptError(f"the prompt has {len(prompt)} characters: type 1 to {MOST_PROMPT}.")
        return self._take(encode(prompt))

    def step(self) -> Step | None:
        """One character more; None where the cache is full."""
        if self._next is None or self.cache.tokens >= MOST_TOKENS:
            return None
        return self._take([self._next])

    def _take(self, tokens: list[int]) -> Step:
        before, held = self.cache.nbytes, self.cache.tokens
        scores = self.forward(tokens)
        self._next = int(scores[-1].argmax())
        self.steps.append(
            Step(
                number=len(self.steps),
                new_tokens=len(tokens),
                tokens=self.cache.tokens,
                chosen=decode([self._next]),
                cache_bytes=self.cache.nbytes,
                written_bytes=self.cache.nbytes - before,
                read_bytes=self.cache.nbytes,
                weight_bytes=2 * sum(weight.size for weight in self.weights.values()),
                flops=self._matrix_flops(len(tokens)) + self._attention_flops(len(tokens), held),
                attention_flops=self._attention_flops(len(tokens), held),
            )
        )
        return self.steps[-1]

    def _matrix_flops(self, new: int) -> int:
        """2 for each weight of a matrix and new token; the embedding is looked up, not multiplied."""
        matrices = sum(weight.size for name, weight in self.weights.items() if weight.ndim == 2 and "embed" not in name)
        return 2 * matrices * new

    @staticmethod
    def _attention_flops(new: int, held: int) -> int:
        """4 x L x H x head_dim for each pair of a new token and a row that it sees."""
        return 4 * SHAPE.num_layers * SHAPE.hidden_size * sum(held + position + 1 for position in range(new))

    def forward(self, tokens: list[int]) -> Array:
        """Scores of the next character after each of tokens; their keys and values go into the cache."""
        first, last = self.cache.tokens, self.cache.tokens + len(tokens)
        x = self.weights["embedding.weight"][tokens]
        for layer in range(SHAPE.num_layers):
            x = x + self._attend(layer, self._norm(x, f"blocks.{layer}.before_attention"), first, last)
            up = self._linear(self._norm(x, f"blocks.{layer}.before_feed_forward"), f"blocks.{layer}.up")
            gelu = 0.5 * up * (1 + _erf(up / math.sqrt(2)))
            x = x + self._linear(gelu, f"blocks.{layer}.down")
        self.cache.tokens = last
        return self._linear(self._norm(x, "last_norm"), "head")

    def _attend(self, layer: int, x: Array, first: int, last: int) -> Array:
        name = f"blocks.{layer}.attention"
        queries = _rotated(self._heads(x, f"{name}.queries", SHAPE.num_query_heads), first)
        keys = _rotated(self._heads(x, f"{name}.keys", self.num_kv_heads), first)
        self.cache.keys[layer, :, first:last] = keys
        self.cache.values[layer, :, first:last] = self._heads(x, f"{name}.values", self.num_kv_heads)
        group = SHAPE.num_query_heads // self.num_kv_heads
        keys = np.repeat(self.cache.keys[layer, :, :last].astype(np.float32), group, axis=0)
        values = np.repeat(self.cache.values[layer, :, :last].astype(np.float32), group, axis=0)
        scores = queries @ keys.transpose(0, 2, 1) / math.sqrt(SHAPE.head_dim)
        scores[:, np.arange(last)[None] > np.arange(first, last)[:, None]] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed: Array = (shares / shares.sum(axis=-1, keepdims=True) @ values).astype(np.float32, copy=False)
        return self._linear(mixed.transpose(1, 0, 2).reshape(last - first, -1), f"{name}.out")

    def _heads(self, x: Array, name: str, heads: int) -> Array:
        return self._linear(x, name).reshape(len(x), heads, SHAPE.head_dim).transpose(1, 0, 2)

    def _linear(self, x: Array, name: str) -> Array:
        product: Array = x @ self.weights[f"{name}.weight"].T
        return product

    def _norm(self, x: Array, name: str) -> Array:
        scale: Array = self.weights[f"{name}.weight"]
        root = np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
        normed: Array = (x / root * scale).astype(np.float32, copy=False)
        return normed


class Watched:
    """The same prompt decoded by every G side by side, as far as somebody has looked."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.decoders = {num_kv_heads: Decoder(num_kv_heads) for num_kv_heads in KV_HEADS}
        for decoder in self.decoders.values():
            decoder.prefill(prompt)

    @property
    def last(self) -> int:
        """The number of the last step that there can be."""
        return MOST_TOKENS - len(self.prompt)

    def at(self, number: int) -> dict[int, Step]:
        """Step `number` of each G; what nobody has looked at yet is decoded now."""
        number = max(0, min(number, self.last))
        for decoder in self.decoders.values():
            while len(decoder.steps) <= number and decoder.step() is not None:
                pass
        return {num_kv_heads: decoder.steps[number] for num_kv_heads, decoder in self.decoders.items()}

    def written(self, num_kv_heads: int, number: int) -> str:
        """What that G has written by then, the character just chosen included."""
        return "".join(step.chosen for step in self.decoders[num_kv_heads].steps[: number + 1])


@cache
def weights(num_kv_heads: int) -> dict[str, Array]:
    """The weights of one variant in 32 bits, by their names in the network."""
    with np.load(FILE) as file:
        prefix = f"{num_kv_heads}/"
        return {name.removeprefix(prefix): file[name].astype(np.float32) for name in file if name.startswith(prefix)}


def _rotated(x: Array, first: int) -> Array:
    """Rotary positions from `first` on, as core.uptraining.network turns them."""
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = (np.arange(first, first + x.shape[1])[:, None] * frequencies).astype(np.float32)
    cos, sin = np.cos(angles), np.sin(angles)
    turned: Array = np.concatenate(
        [x[..., :half] * cos - x[..., half:] * sin, x[..., half:] * cos + x[..., :half] * sin], -1
    )
    return turned
