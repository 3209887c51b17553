"""A layer's experts: each token goes through a few of them, and a step reads those that some token of the batch drew.

Which ones is drawn at random for every token and every step, evenly and apart from the others, in place of a router's
choice: random weights choose neither evenly nor as a trained router does. The router is multiplied all the same, and
its scores weigh what the chosen experts give, as in Mixtral (transformers, models/mixtral/modeling_mixtral.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

from core.decode.plan import StepShape
from core.decode.products import MOST_BATCH, Product

DRAWS = 64  # routings to go round; drawn before anything is timed


@dataclass(frozen=True, kw_only=True)
class Routing:
    """One step's choice: chosen [B, k], and by expert the rows of the batch that it serves and their place in k."""

    chosen: Tensor
    served: Mapping[int, tuple[Tensor, Tensor]]


def routing_of(chosen: Tensor) -> Routing:
    """chosen [B, k] on its device -> who serves whom; only experts that some token chose are in it."""
    served: dict[int, tuple[Tensor, Tensor]] = {}
    for expert in chosen.unique().tolist():
        rows, places = torch.where(chosen == expert)
        served[expert] = rows, places
    return Routing(chosen=chosen, served=served)


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
        out = torch.zeros_like(x)
        for expert, (rows, places) in routing.served.items():
            one = x[rows]
            wide = F.silu(self._times(one, self.gate[expert])) * self._times(one, self.up[expert])
            out.index_add_(0, rows, self._times(wide, self.down[expert]) * shares[rows, places, None])
        return out

    def _times(self, x: Tensor, weights: Tensor) -> Tensor:
        """An expert may serve more rows than the host's product takes."""
        return (self.product if x.shape[0] <= MOST_BATCH else F.linear)(x, weights)
