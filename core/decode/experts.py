"""A layer's experts: each token goes through a few of them, and a step reads those that some token of the batch drew.

Which ones is drawn at random for every token and every step, evenly and apart from the others, in place of a router's
choice: random weights choose neither evenly nor as a trained router does. The router is multiplied all the same, and
its scores weigh what the chosen experts give, as in Mixtral (transformers, models/mixtral/modeling_mixtral.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from numpy.typing import NDArray
from torch import Tensor

from core.decode.plan import StepShape
from core.decode.products import Product, grouped_product, host_product

DRAWS = 64  # routings to go round; drawn before anything is timed


@dataclass(frozen=True, kw_only=True)
class Routing:
    """One step's choice: chosen [B, k], and by expert the rows of the batch that it serves and their place in k.

    rows and places [B k] are the same of all experts, one after the other; experts and first say whose they are.
    """

    chosen: Tensor
    served: Mapping[int, tuple[Tensor, Tensor]]
    rows: Tensor
    places: Tensor
    experts: NDArray[np.int64]
    first: NDArray[np.int64]


def routing_of(chosen: Tensor) -> Routing:
    """chosen [B, k] on its device -> who serves whom; only experts that some token chose are in it."""
    served: dict[int, tuple[Tensor, Tensor]] = {}
    for expert in chosen.unique().tolist():
        rows, places = torch.where(chosen == expert)
        served[expert] = rows, places
    all_rows, all_places = (torch.cat(lists) for lists in zip(*served.values(), strict=True))
    counts = [len(rows) for rows, _ in served.values()]
    return Routing(
        chosen=chosen, served=served, rows=all_rows, places=all_places,
        experts=np.array(list(served), np.int64), first=np.cumsum([0, *counts], dtype=np.int64),
    )  # fmt: skip


def drawn_routing(shape: StepShape, batch_size: int, device: torch.device, generator: torch.Generator) -> Routing:
    """k different experts for each sequence, every choice as likely as any other."""
    scores = torch.rand(batch_size, shape.num_experts, generator=generator, device=generator.device)
    return routing_of(scores.topk(shape.experts_per_token).indices.to(device))


class Experts:
    """Router and E gated FFNs, random; each call takes the next of the routings drawn and notes how many it woke."""

    def __init__(
        self, weights: Mapping[str, Tensor], shape: StepShape, batch_size: int, generator: torch.Generator,
        product: Product = F.linear,
    ) -> None:  # fmt: skip
        self.router, self.gate, self.up, self.down = (weights[name] for name in ("router", "gate", "up", "down"))
        self.product = product
        device = self.router.device
        self.routings = cycle([drawn_routing(shape, batch_size, device, generator) for _ in range(DRAWS)])
        self.woken: list[int] = []

    def decode(self, x: Tensor) -> Tensor:
        """x [B, hidden] -> [B, hidden]."""
        routing = next(self.routings)
        self.woken.append(len(routing.served))
        return self.through(x, routing)

    def through(self, x: Tensor, routing: Routing) -> Tensor:
        """x [B, hidden] through the experts that the routing names."""
        logits = self.product(x, self.router).float()
        shares = logits.gather(-1, routing.chosen).softmax(-1).to(x.dtype)
        if self.product is host_product:
            return self._all_at_once(x, shares, routing)
        out = torch.zeros_like(x)
        for expert, (rows, places) in routing.served.items():
            one = x[rows]
            wide = F.silu(self.product(one, self.gate[expert])) * self.product(one, self.up[expert])
            out.index_add_(0, rows, self.product(wide, self.down[expert]) * shares[rows, places, None])
        return out

    def _all_at_once(self, x: Tensor, shares: Tensor, routing: Routing) -> Tensor:
        """Three products over all experts, their rows shared out among the threads; each woken expert is read once."""
        whose = routing.experts, routing.first
        mine = x[routing.rows]
        wide = F.silu(grouped_product(mine, self.gate, *whose)) * grouped_product(mine, self.up, *whose)
        given = grouped_product(wide, self.down, *whose) * shares[routing.rows, routing.places, None]
        return torch.zeros_like(x).index_add_(0, routing.rows, given)
