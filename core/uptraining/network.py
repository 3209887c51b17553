"""A decoder-only transformer of a few thousand weights whose attention has G key/value heads, and its recall task.

Rotary positions, RMS norms and a plain feed-forward block, as the models on the other pages have; only small. The
same state dict fits every G apart from the key and value projections, which is what conversion replaces.
"""

import math

import torch  # noqa: TID251  this file is loaded by core.uptraining.worker, a process of its own

from core.uptraining.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
KV_SUFFIXES = ("attention.keys.weight", "attention.values.weight")


class Attention(torch.nn.Module):  # type: ignore[misc]
    """H query heads over G key/value heads; consecutive query heads share one."""

    def __init__(self, recipe: Recipe, num_kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = recipe.num_query_heads, num_kv_heads, recipe.head_dim
        hidden = recipe.hidden_size
        self.queries = torch.nn.Linear(hidden, hidden, bias=False)
        self.keys = torch.nn.Linear(hidden, num_kv_heads * recipe.head_dim, bias=False)
        self.values = torch.nn.Linear(hidden, num_kv_heads * recipe.head_dim, bias=False)
        self.out = torch.nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """x: (batch, tokens, hidden)."""
        queries = _rotate(self._split(self.queries(x), self.heads), cos, sin)
        keys = _rotate(self._split(self.keys(x), self.kv_heads), cos, sin)
        values = self._split(self.values(x), self.kv_heads)
        group_size = self.heads // self.kv_heads
        mixed = torch.nn.functional.scaled_dot_product_attention(
            queries, keys.repeat_interleave(group_size, 1), values.repeat_interleave(group_size, 1), is_causal=True
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.head_dim).transpose(1, 2)


class Block(torch.nn.Module):  # type: ignore[misc]
    """Attention, then a feed-forward layer, each on a normalised input and added to the stream."""

    def __init__(self, recipe: Recipe, num_kv_heads: int) -> None:
        super().__init__()
        hidden = recipe.hidden_size
        self.attention = Attention(recipe, num_kv_heads)
        self.before_attention, self.before_feed_forward = torch.nn.RMSNorm(hidden), torch.nn.RMSNorm(hidden)
        self.up = torch.nn.Linear(hidden, 2 * hidden, bias=False)
        self.down = torch.nn.Linear(2 * hidden, hidden, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.before_attention(x), cos, sin)
        return x + self.down(torch.nn.functional.gelu(self.up(self.before_feed_forward(x))))


class RecallNetwork(torch.nn.Module):  # type: ignore[misc]
    """Records and questions in, a score for each possible value out."""

    def __init__(self, recipe: Recipe, num_kv_heads: int) -> None:
        super().__init__()
        self.recipe, hidden = recipe, recipe.hidden_size
        self.key_embedding = torch.nn.Embedding(recipe.num_keys, hidden)
        self.value_embedding = torch.nn.Embedding(recipe.num_attributes * recipe.num_values, hidden)
        self.attribute_embedding = torch.nn.Embedding(recipe.num_attributes, hidden)
        self.blocks = torch.nn.ModuleList(Block(recipe, num_kv_heads) for _ in range(recipe.num_layers))
        self.last_norm = torch.nn.RMSNorm(hidden)
        self.head = torch.nn.Linear(hidden, recipe.num_values, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                torch.nn.init.normal_(weight, 0, 0.3 if "embedding" in name else 1 / math.sqrt(weight.shape[1]))

    def forward(
        self, keys: torch.Tensor, values: torch.Tensor, asked_keys: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """keys and asked_keys, asked: (batch, pairs); values: (batch, pairs, attributes). Scores of the questions."""
        offsets = torch.arange(self.recipe.num_attributes) * self.recipe.num_values
        records = self.key_embedding(keys) + self.value_embedding(values + offsets).sum(2)
        questions = self.key_embedding(asked_keys) + self.attribute_embedding(asked)
        x = torch.cat([records, questions], 1)
        cos, sin = _rotary(x.shape[1], self.recipe.head_dim)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.last_norm(x[:, keys.shape[1] :]))


def make_batch(recipe: Recipe, batch_size: int, generator: torch.Generator) -> Batch:
    """Fresh records and questions: keys, values, asked keys, asked attributes, and the answers."""
    pairs = recipe.num_pairs
    keys = torch.rand(batch_size, recipe.num_keys, generator=generator).argsort(1)[:, :pairs]
    shape = (batch_size, pairs, recipe.num_attributes)
    values = torch.randint(0, recipe.num_values, shape, generator=generator)
    order = torch.rand(batch_size, pairs, generator=generator).argsort(1)
    asked = torch.randint(0, recipe.num_attributes, (batch_size, pairs), generator=generator)
    asked_records = values.gather(1, order[:, :, None].expand(shape))
    answers = asked_records.gather(2, asked[:, :, None])[:, :, 0]
    return keys, values, keys.gather(1, order), asked, answers


def _rotary(tokens: int, head_dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    frequencies = 10_000 ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.arange(tokens)[:, None] * frequencies
    return angles.cos(), angles.sin()


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
