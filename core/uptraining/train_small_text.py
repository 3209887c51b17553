"""Trains the model that *Watch it decode* runs: `python -m core.uptraining.train_small_text`.

It writes core/data/small_text_model.npz. The model learns the next character from Headroom's own texts (lessons,
technique pages, questions, glossary): MHA first, then its key and value heads are merged by their mean to each smaller
G and trained on for a tenth as long, as the uptraining page does. Weights are kept in 16 bits.
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID251  a command of its own: the dashboard never imports this file

from core.uptraining.conversion import merge_heads
from core.uptraining.network import KV_SUFFIXES, Block, _rotary
from core.uptraining.small_text import CHARACTERS, KV_HEADS, SHAPE, encode

DATA = Path(__file__).parents[1] / "data"
STEPS, TOKENS, BATCH, RATE = 700, 80, 32, 5e-3
UPTRAIN = 10  # percent of STEPS


class TextNetwork(torch.nn.Module):  # type: ignore[misc]
    """Characters in, a score for each possible next character out."""

    def __init__(self, num_kv_heads: int) -> None:
        super().__init__()
        hidden = SHAPE.hidden_size
        self.embedding = torch.nn.Embedding(len(CHARACTERS), hidden)
        self.blocks = torch.nn.ModuleList(Block(SHAPE, num_kv_heads) for _ in range(SHAPE.num_layers))
        self.last_norm = torch.nn.RMSNorm(hidden)
        self.head = torch.nn.Linear(hidden, len(CHARACTERS), bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: (batch, length)."""
        x = self.embedding(tokens)
        cos, sin = _rotary(tokens.shape[1], SHAPE.head_dim)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.last_norm(x))


def corpus() -> torch.Tensor:
    """Every text of the tree that people read, as tokens."""
    files = [*sorted((DATA / "lessons").glob("*.md")), *sorted((DATA / "techniques").glob("*.md"))]
    files += [DATA / name for name in ("faq.yaml", "glossary.yaml", "quiz.yaml")]
    return torch.tensor(encode("\n".join(file.read_text(encoding="utf-8") for file in files)))


def train(network: TextNetwork, text: torch.Tensor, steps: int, rate: float, seed: int) -> float:
    """AdamW with a cosine to a tenth of the rate; returns the last loss in nats a character."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    loss = torch.zeros(())
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30) * (0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))
        starts = torch.randint(0, len(text) - TOKENS - 1, (BATCH,), generator=generator)
        batch = torch.stack([text[start : start + TOKENS + 1] for start in starts])
        loss = torch.nn.functional.cross_entropy(network(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step % 200 == 0:
            print(f"step {step}: {loss.item():.3f}", flush=True)
    return float(loss.item())


def merged(whole: TextNetwork, num_kv_heads: int) -> TextNetwork:
    """The same with key and value heads merged to G by their mean."""
    state = dict(whole.state_dict())
    for name in [name for name in state if name.endswith(KV_SUFFIXES)]:
        weight = merge_heads(
            state[name].numpy(),
            num_query_heads=SHAPE.num_query_heads,
            num_kv_heads=num_kv_heads,
            method="mean",
            seed=0,
        )
        state[name] = torch.from_numpy(weight)
    network = TextNetwork(num_kv_heads)
    network.load_state_dict(state)
    return network


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = corpus()
    whole = TextNetwork(SHAPE.num_query_heads)
    print(f"{len(text):,} characters, {sum(p.numel() for p in whole.parameters()):,} parameters")
    loss = train(whole, text, STEPS, RATE, 1)
    kept: dict[str, Any] = {}
    for num_kv_heads in KV_HEADS:
        network = merged(whole, num_kv_heads)
        if num_kv_heads != SHAPE.num_query_heads:
            loss = train(network, text, STEPS * UPTRAIN // 100, RATE / 2, 2)
        print(f"G = {num_kv_heads}: {loss:.3f} nats a character")
        for name, weight in network.state_dict().items():
            kept[f"{num_kv_heads}/{name}"] = weight.numpy().astype(np.float16)
    np.savez_compressed(DATA / "small_text_model.npz", **kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
