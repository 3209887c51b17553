"""A timed call recorded once as a CUDA graph and replayed, so that a small shape is not timed by how fast Python asks.

A decode kernel of a small shape runs for microseconds, and one call of it may launch a dozen kernels: an engine replays
them as a graph, and so does the measurement. A call that cannot be recorded is timed as it is, and its result says why.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
WARM_UP_CALLS = 3  # as torch's notes on CUDA graphs ask for: lazy set-up must be over before recording


def recorded(device: torch.device, call: Callable[[], Result]) -> tuple[Callable[[], Result], str]:
    """On CUDA a replay of `call` that returns its output, and ""; else, or where recording fails, `call` and why not.

    The reason is empty on a device that has no graphs.
    """
    if device.type != "cuda":
        return call, ""
    try:
        return _recorded(call), ""
    except Exception as e:  # noqa: BLE001  kernels come from torch, compilers and extras: any may refuse to be recorded
        first = (str(e).strip().splitlines() or [type(e).__name__])[0]
        return call, f"timed launch by launch, not as a CUDA graph: {first[:120]}"


def _recorded(call: Callable[[], Result]) -> Callable[[], Result]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_CALLS):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = call()

    def replay() -> Result:
        graph.replay()
        return output

    return replay
