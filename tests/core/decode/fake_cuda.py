"""A GPU that has shapes, dtypes and names but no numbers: torch's FakeTensorMode, and stand-ins for what it leaves out.

FakeTensorMode runs the rules of every CUDA operator on a build without CUDA. Events, streams and graphs are objects of
the driver that it does not know: those here say of each other what the driver would refuse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch.nn.attention import SDPBackend
from torch.overrides import TorchFunctionMode

from core.decode import device as devices

DEVICE = torch.device("cuda", 0)
MILLISECONDS = 0.5  # that every call takes


class Event:
    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.recorded = self.waited = False

    def record(self) -> None:
        self.recorded = True

    def synchronize(self) -> None:
        assert self.recorded
        self.waited = True

    def elapsed_time(self, end: "Event") -> float:
        assert self.recorded
        assert end.waited
        return MILLISECONDS


class Stream:
    def wait_stream(self, other: "Stream") -> None:
        assert other is not self


class Graph:
    def __init__(self) -> None:
        self.captured = False

    def replay(self) -> None:
        assert self.captured


class Mode(fake_tensor.FakeTensorMode):
    avoid_device_init = True  # type: ignore[assignment]  # whatever torch.cuda.is_available has been made to say


OPERATORS: dict[Any, Any] = {
    Tensor.copy_: torch.ops.aten.copy_,
    Tensor.contiguous: torch.ops.aten.contiguous,
    Tensor.__invert__: torch.ops.aten.bitwise_not,
}


class ByOperator(TorchFunctionMode):
    """x[...], x[...] = y, ~x and the like by the operators that they stand for: methods ask the driver first."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], Tensor) and args[0].device.type != "cpu":
            if func is Tensor.__getitem__:
                return part(*args)
            if func in OPERATORS:
                return OPERATORS[func](*args, **(kwargs or {}))
            if func is Tensor.__setitem__:
                where, put = part(args[0], args[1]), torch.ops.aten
                return put.copy_(where, args[2]) if isinstance(args[2], Tensor) else put.fill_(where, args[2])
        return func(*args, **(kwargs or {}))


def part(tensor: Tensor, index: Any) -> Tensor:
    """tensor[index], for whole numbers, slices, None, ... and tensors of whole numbers."""
    wanted = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [each for each in wanted if not isinstance(each, Tensor)]:
        place = next(i for i, each in enumerate(wanted) if each is Ellipsis)
        named = sum(each is not None and each is not Ellipsis for each in wanted)
        wanted[place : place + 1] = [slice(None)] * (tensor.ndim - named)
    dim, chosen = 0, {}
    for each in wanted:
        if each is None:
            tensor = tensor.unsqueeze(dim)
        elif isinstance(each, slice):
            tensor = torch.ops.aten.slice.Tensor(tensor, dim, each.start, each.stop, each.step or 1)
        elif isinstance(each, Tensor):
            chosen[dim] = each
        else:
            tensor = tensor.select(dim, int(each))
            continue
        dim += 1
    return torch.ops.aten.index.Tensor(tensor, [chosen.get(i) for i in range(dim)]) if chosen else tensor


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it tensors of DEVICE can be made and multiplied; few numbers on the CPU stay numbers."""
    with Mode():
        torch.zeros(2) + 1  # what torch loads for this mode is loaded before anything stands in
    usual = Stream()

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        assert isinstance(stream, Stream)
        yield

    @contextmanager
    def capturing(graph: Graph) -> Iterator[None]:
        yield
        graph.captured = True

    stand_ins: dict[str, Any] = {
        "Event": Event, "Stream": Stream, "stream": on, "current_stream": lambda *_device: usual, "CUDAGraph": Graph,
        "graph": capturing, "synchronize": lambda _device: None, "empty_cache": lambda: None,
        "mem_get_info": lambda _device: (80 * 10**9, 85 * 10**9), "get_device_name": lambda _device: "A stand-in",
        "get_device_capability": lambda _device: (9, 0), "is_available": lambda: True, "current_device": lambda: 0,
        "get_device_properties": lambda _device: SimpleNamespace(
            multi_processor_count=132, L2_cache_size=50 * 2**20, total_memory=85 * 10**9
        ),
    }  # fmt: skip
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch, "_fused_sdp_choice", lambda *_, **__: int(SDPBackend.FLASH_ATTENTION))
    monkeypatch.setattr(devices, "generator", lambda _device, seed: torch.Generator().manual_seed(seed))
    monkeypatch.setattr(fake_tensor, "CONSTANT_NUMEL_LIMIT", 1024)  # lengths of sequences are looked at
    with Mode(), ByOperator():
        yield
