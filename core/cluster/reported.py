"""What a Ray cluster reports, as kinds of device to measure on.

Each node tells its resources: CPUs, GPUs, memory in bytes, and the type of its accelerator as a resource of its own
('accelerator_type:H100', ray/_private/accelerators of Ray 2.60). A kind is an accelerator type, GPU where a node does
not name its own, or CPU for the nodes without any; nodes with accelerators that torch does not reach as CUDA (TPU,
HPU, ...) are no kind here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.cluster.points import CPU

UNNAMED = "GPU"
TYPE = "accelerator_type:"
NOT_CUDA = ("TPU", "HPU", "NPU", "neuron_cores", "RBLN", "FURIOSA")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive: its id, host name, CPUs, GPUs and the memory in bytes that it offers."""

    id: str
    host: str
    cpus: float
    gpus: int
    memory_bytes: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device and the nodes that have it."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def devices(self) -> int:
        """A GPU each, or a whole node of CPUs: one run at a time on it."""
        return sum(max(1, node.gpus) for node in self.nodes)

    @property
    def memory_bytes(self) -> int:
        """What every node of the kind offers."""
        return min(node.memory_bytes for node in self.nodes)

    @property
    def sentence(self) -> str:
        hosts = sorted({node.host for node in self.nodes})
        many = "device" if self.devices == 1 else "devices"
        return f"{self.name}: {self.devices} {many} on {', '.join(hosts)}"


def kinds(reported: Iterable[Mapping[str, Any]]) -> dict[str, Kind]:
    """ray.nodes() -> kinds by name, accelerators first, as they are spelled there."""
    nodes = [node for node in map(_node, reported) if node is not None]
    names = sorted({node.kind for node in nodes}, key=lambda name: (name == CPU, name))
    return {name: Kind(name=name, nodes=tuple(n for n in nodes if n.kind == name)) for name in names}


def _node(reported: Mapping[str, Any]) -> Node | None:
    """None for a node that is gone, that offers nothing to compute on, or whose accelerator is not reached as CUDA."""
    resources: Mapping[str, float] = reported.get("Resources") or {}
    gpus, cpus = int(resources.get("GPU", 0)), resources.get("CPU", 0.0)
    if not reported.get("Alive") or any(resources.get(name) for name in NOT_CUDA) or not (gpus or cpus >= 1):
        return None
    types = sorted(name.removeprefix(TYPE) for name in resources if name.startswith(TYPE))
    kind = (types[0] if types else UNNAMED) if gpus else CPU
    return Node(
        id=str(reported["NodeID"]), host=str(reported.get("NodeManagerHostname") or reported["NodeID"]), cpus=cpus,
        gpus=gpus, memory_bytes=int(resources.get("memory", 0)), kind=kind,
    )  # fmt: skip
