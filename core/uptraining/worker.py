"""The process that runs one experiment: `python -m core.uptraining.worker`, a recipe in, JSON lines out.

The first line of standard input is the recipe. Each line of standard output is an event: 'progress' (phase, steps
done, loss), 'point' (one result), 'done' (the whole), 'failed' (a sentence). It ends when its input closes, so a
server that dies takes its experiment along.
"""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import torch  # noqa: TID251  a process of its own: the dashboard never imports this file

from core.host.guard import end_with_parent
from core.uptraining.conversion import head_similarity, merge_heads
from core.uptraining.network import KV_SUFFIXES, RecallNetwork, make_batch
from core.uptraining.recipe import SCRATCH, Recipe, RecipeError, from_dict

LEARNING_RATE = 4e-3
EVALUATION_SEED, EVALUATION_SEQUENCES = 999, 1_024
WARM_UP, REPORT_EVERY = 30, 20


class Experiment:
    """Trains the checkpoint, converts it to every G by every method, trains each on, and says so as it goes."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.steps_done = recipe, 0
        generator = torch.Generator().manual_seed(EVALUATION_SEED)
        self.held_out = make_batch(recipe, EVALUATION_SEQUENCES, generator)

    def events(self) -> Iterator[dict[str, Any]]:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        checkpoint = RecallNetwork(recipe, recipe.num_query_heads)
        yield from self._train(checkpoint, recipe.train_steps, LEARNING_RATE, recipe.seed + 1, "training the MHA model")
        yield {"event": "checkpoint", **self._score(checkpoint), "similarity": _similarity(checkpoint, recipe)}
        yield from self._uptrain(checkpoint, "none", recipe.num_query_heads)
        for method in recipe.methods:
            for num_kv_heads in recipe.kv_head_choices:
                yield from self._try(checkpoint, method, num_kv_heads)
        yield {"event": "done"}

    def _try(self, checkpoint: RecallNetwork, method: str, num_kv_heads: int) -> Iterator[dict[str, Any]]:
        if method != SCRATCH:
            yield from self._uptrain(convert(checkpoint, method, num_kv_heads), method, num_kv_heads)
            return
        torch.manual_seed(self.recipe.seed)
        network = RecallNetwork(self.recipe, num_kv_heads)
        before, steps = self._score(network), self.recipe.train_steps + self.recipe.uptrain_steps
        yield from self._train(
            network, steps, LEARNING_RATE, self.recipe.seed + 1, f"G = {num_kv_heads} from the start"
        )
        yield self._point(network, method, num_kv_heads, before)

    def _uptrain(self, network: RecallNetwork, method: str, num_kv_heads: int) -> Iterator[dict[str, Any]]:
        """On a copy: the checkpoint is converted again after it."""
        copy = RecallNetwork(self.recipe, num_kv_heads)
        copy.load_state_dict(network.state_dict())
        before = self._score(copy)
        phase = f"uptraining G = {num_kv_heads}, {method}" if method != "none" else "training the MHA model on"
        yield from self._train(copy, self.recipe.uptrain_steps, LEARNING_RATE / 2, self.recipe.seed + 2, phase)
        yield self._point(copy, method, num_kv_heads, before)

    def _point(
        self, network: RecallNetwork, method: str, num_kv_heads: int, before: dict[str, float]
    ) -> dict[str, Any]:
        after = self._score(network)
        return {
            "event": "point",
            "method": method,
            "num_kv_heads": num_kv_heads,
            "loss_before": before["loss"],
            "accuracy_before": before["accuracy"],
            "loss_after": after["loss"],
            "accuracy_after": after["accuracy"],
        }

    def _train(
        self, network: RecallNetwork, steps: int, rate: float, seed: int, phase: str
    ) -> Iterator[dict[str, Any]]:
        """AdamW, a short warm-up and a cosine to a tenth of the rate; the same fresh data for every variant."""
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
        warm_up = min(WARM_UP, max(1, steps // 10))
        for step in range(steps):
            cosine = 0.1 + 0.45 * (1 + math.cos(math.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / warm_up) * cosine
            loss, _ = _loss(network, make_batch(self.recipe, self.recipe.batch_size, generator))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            self.steps_done += 1
            if step % REPORT_EVERY == 0 or step == steps - 1:
                yield {"event": "progress", "phase": phase, "steps_done": self.steps_done, "loss": loss.item()}

    def _score(self, network: RecallNetwork) -> dict[str, float]:
        """Loss in nats and share of right answers on sequences that no training step sees."""
        with torch.no_grad():
            loss, accuracy = _loss(network, self.held_out)
        return {"loss": loss.item(), "accuracy": accuracy.item()}


def convert(checkpoint: RecallNetwork, method: str, num_kv_heads: int) -> RecallNetwork:
    """The checkpoint with its key and value heads merged to G; every other weight is copied."""
    recipe, state = checkpoint.recipe, dict(checkpoint.state_dict())
    for position, name in enumerate(sorted(name for name in state if name.endswith(KV_SUFFIXES))):
        merged = merge_heads(
            state[name].numpy(),
            num_query_heads=recipe.num_query_heads,
            num_kv_heads=num_kv_heads,
            method=method,
            seed=recipe.seed + 100 + position,
        )
        state[name] = torch.from_numpy(merged)
    network = RecallNetwork(recipe, num_kv_heads)
    network.load_state_dict(state)
    return network


def _similarity(checkpoint: RecallNetwork, recipe: Recipe) -> float:
    """Mean |cosine| between two different heads' key or value weights, over all layers."""
    found = []
    for name, weight in checkpoint.state_dict().items():
        if name.endswith(KV_SUFFIXES):
            cosines = head_similarity(weight.numpy(), num_query_heads=recipe.num_query_heads)
            off_diagonal = abs(cosines).sum() - recipe.num_query_heads
            found.append(off_diagonal / (recipe.num_query_heads * (recipe.num_query_heads - 1)))
    return float(sum(found) / len(found))


def _loss(network: RecallNetwork, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    scores, answers = network(*batch[:4]), batch[4]
    loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), answers.flatten())
    return loss, (scores.argmax(-1) == answers).float().mean()


def main() -> int:
    """Exit status 0 after 'done', 1 after 'failed'."""
    torch.set_num_threads(1)  # matrices this small gain nothing from a second core, and one thread is reproducible
    try:
        recipe = from_dict(json.loads(sys.stdin.readline()))
    except (RecipeError, ValueError) as error:
        print(json.dumps({"event": "failed", "message": str(error)}), flush=True)
        return 1
    end_with_parent(holds_stdin=True, waited_for=False)
    for event in Experiment(recipe).events():
        print(json.dumps(event), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
