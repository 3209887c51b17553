"""The Triton kernel compiled ahead of time, without a GPU: `make test-triton` runs this, `make test` has no triton.

The call that a GPU would launch is prepared over tensors of the CPU, and its launch goes to
triton's own launcher with a driver that names the processor asked for: pointers and numbers are marked as they are on a
GPU, ptxas assembles, and cuobjdump says what a thread and a program take. Nothing runs; in triton's interpreter
(TRITON_INTERPRET=1) the numbers are held instead, on tensors of the CPU.
"""

import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import reference, relative_error
from core.decode.kernels_cuda import CUDA_KERNELS
from core.decode.plan import DecodeJob
from core.models.attention import GroupedAttention
from core.models.registry import load_registry
from core.models.spec import read_config

triton = pytest.importorskip("triton", reason="triton is not installed here: make test-triton")
pytestmark = pytest.mark.torch
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

# CUDA C++ Programming Guide, technical specifications per compute capability: shared memory of a block, KB less the
# one that the system keeps. sm_120's 99 KB are the least.
SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024, 120: 99 * 1024}
REGISTERS = 65_536  # of a multiprocessor, on each of them
KERNEL = next(k for k in CUDA_KERNELS if k.name == "triton_split_kv")


def registry_shapes() -> list[tuple[int, int]]:
    """(query heads a KV head, head_dim) of every attention layer whose keys and values are kept by head."""
    found = set()
    for model in load_registry():
        for layer in set(read_config(model.config).layers):
            part = getattr(layer, "attention", layer)
            if isinstance(part, GroupedAttention):
                found.add((part.num_query_heads // part.num_kv_heads, part.head_dim))
    return sorted(found)


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """registers of a thread; stack_bytes: spilled or indexed; shared_bytes of a program; copies: asynchronous ones."""

    registers: int
    stack_bytes: int
    shared_bytes: int
    copies: int
    threads: int


def assembled(monkeypatch: pytest.MonkeyPatch, rows: int, dim: int, dtype: str, arch: int) -> Assembled:
    """What the launch of this shape comes to on a processor."""
    kernels_triton: Any = pytest.importorskip("core.decode.kernels_triton")
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    kept: list[Any] = []
    real = kernels_triton._span

    class Launcher:
        def __getitem__(self, grid: tuple[int, int, int]) -> Any:
            def launch(*given: Any, **constants: Any) -> None:
                marked = [x.dtype if isinstance(x, torch.Tensor) else x for x in given]  # a pointer divisible by 16
                kept.append(real.warmup(*marked, grid=grid, **constants))

            return launch

    monkeypatch.setattr(kernels_triton, "_span", Launcher())
    driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: arch, get_current_stream=lambda _device: 0,
            get_current_target=lambda: GPUTarget("cuda", arch, 32),
        )
    )  # fmt: skip
    job = DecodeJob(
        num_query_heads=2 * rows, kv_heads=(2,), head_dim=dim, context_length=512, batch_size=3, dtype=dtype,
        device="cpu",
    )  # fmt: skip
    assert KERNEL.prepare(make_inputs(job, 2, torch.device("cpu"), torch.Generator()))().numel() == 3 * 2 * rows * dim
    return _said(kept[-1])


def _said(kernel: Any) -> Assembled:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(kernel.asm["cubin"])
        said = subprocess.run([tool, "-res-usage", binary], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", said)
    assert found is not None, said
    return Assembled(
        registers=int(found[1]), stack_bytes=int(found[2]), shared_bytes=kernel.metadata.shared,
        copies=len(re.findall(r"cp\.async\.c[ag]\.", kernel.asm["ptx"])), threads=32 * kernel.metadata.num_warps,
    )  # fmt: skip


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float16", "float32"])
@pytest.mark.parametrize("arch", sorted(SHARED_BYTES))
def test_no_shape_of_the_registry_spills_or_outgrows_its_processor(monkeypatch, arch, dtype):
    shapes = [(rows, dim) for rows, dim in registry_shapes() if dtype != "float32" or dim <= 128]
    assert (71, 64) in shapes  # Falcon-7B
    for rows, dim in shapes:
        with monkeypatch.context() as patched:
            took = assembled(patched, rows, dim, dtype, arch)
        print(f"sm_{arch} {dtype} {rows} x {dim}: {took}")
        assert took.stack_bytes == 0, (rows, dim, took)
        assert took.shared_bytes <= SHARED_BYTES[arch], (rows, dim, took)
        assert took.registers * took.threads <= REGISTERS, (rows, dim, took)
        assert took.copies >= 12, (rows, dim, took)  # keys and values arrive while others are multiplied


@pytest.mark.skipif(not INTERPRETED, reason="numbers are the interpreter's: TRITON_INTERPRET=1")
@pytest.mark.parametrize("lengths", [(), (130, 1, 77)], ids=["equal", "ragged"])
@pytest.mark.parametrize(("rows", "dim"), [(1, 64), (4, 80), (71, 64), (40, 128), (40, 192)])
def test_the_numbers_are_right_in_the_interpreter(rows, dim, lengths):
    dtype = "float32" if dim <= 128 else "float16"
    job = DecodeJob(
        num_query_heads=2 * rows, kv_heads=(2,), head_dim=dim, context_length=130, batch_size=3, dtype=dtype,
        device="cpu", lengths=lengths,
    )  # fmt: skip
    inputs: Inputs = make_inputs(job, 2, torch.device("cpu"), torch.Generator().manual_seed(7))
    error = relative_error(KERNEL.prepare(inputs)(), reference(inputs))
    assert math.isfinite(error)
    assert error < (2e-6 if dtype == "float32" else 1e-3)
