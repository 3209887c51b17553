"""The CPU's own arrangements: split contexts over threads, and a kernel compiled for this very host.

The compiled kernel (host_kernel.cpp) is an extra: where no C++ compiler is found it is shown as unavailable, and the
torch arrangements carry the figure.
"""

import ctypes
import math
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from core.decode.inputs import Inputs
from core.decode.kernel import NATURAL, Call, Kernel, Unavailable, needs_16_or_32_bits, softmax_to, split_context
from core.host.compiler import cxx_compiler, flags_for_this_cpu, what_to_install
from core.host.processor import said_by

SOURCE = Path(__file__).with_name("host_kernel.cpp")
# Sums may be reordered. Not -ffast-math: its start-up code would flush small numbers to zero in the whole process.
ARITHMETIC = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math")
FLAGS = ("-O3", *ARITHMETIC, "-std=c++17", "-shared", "-fPIC", "-pthread", "-w")
KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
PACKED = (
    "keys [batch, KV head, token / 16, head_dim, 16], values as usual; bf16 in pairs: "
    "keys [.., token / 16, head_dim / 2, 16, 2], values [.., token / 2, head_dim, 2]"
)


def _split_k_flash(inputs: Inputs) -> Call:
    """Four spans a thread, by the flash attention that SDPA takes on a CPU."""
    needs_16_or_32_bits(inputs)
    batch, kv_heads = inputs.sizes[:2]
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return split_context(inputs, flash, 4 * torch.get_num_threads() // (batch * kv_heads))


def _heads_per_thread(inputs: Inputs) -> Call:
    """Each thread owns some of the (sequence, KV head) pairs and runs single-threaded products over them."""
    needs_16_or_32_bits(inputs)
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    threads = torch.get_num_threads()
    if batch * kv_heads < threads or not inputs.full:
        raise Unavailable("needs a KV head for every thread, and whole contexts")
    query = inputs.grouped_query().reshape(-1, rows, dim)
    keys = inputs.keys.view(-1, capacity, dim)
    values = inputs.values.view(-1, capacity, dim)
    parts = [range(t, batch * kv_heads, threads) for t in range(threads)]
    pool = _threads(threads)

    def call() -> Tensor:
        out = torch.empty_like(query)

        def work(part: range) -> None:
            for i in part:
                out[i] = softmax_to(query[i] @ keys[i].T, inputs, None) @ values[i]

        list(pool.map(work, parts))
        return out

    return call


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))


@cache
def compiler_version() -> str | None:
    """The first line that the compiler says of itself, such as 'g++ (Debian 14.2.0) 14.2.0'; None without one."""
    compiler = cxx_compiler()
    if not compiler:
        return None
    said = said_by(compiler, "--version")
    return said.splitlines()[0].strip() if said.strip() else None


def host_library(dtype: torch.dtype) -> ctypes.CDLL:
    """host_kernel.cpp built for this host. Raises Unavailable with what the compiler said, or for halves it lacks."""
    built = _built()
    if isinstance(built, str):
        raise Unavailable(built)
    if dtype == torch.float16 and not built.headroom_has_halves():
        raise Unavailable("this compiler has no 16-bit floats (GCC has them from 12 on, on Arm from 13 on)")
    return built


@cache
def _built() -> ctypes.CDLL | str:
    """The library, compiled once a process; or why there is none, which is not tried again for every G."""
    compiler = cxx_compiler()
    if not compiler:
        return what_to_install()
    with tempfile.TemporaryDirectory(prefix="headroom-kernel-") as folder:
        target = Path(folder) / "host_kernel.so"
        command = [compiler, *flags_for_this_cpu(), *FLAGS, str(SOURCE), "-o", str(target)]
        try:
            built = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=300, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            return f"{compiler} did not build it: {e}"
        if built.returncode:
            said = built.stderr.strip().splitlines() or [f"exit code {built.returncode}"]
            return f"{compiler} did not build it: {said[0][:200]}"
        return ctypes.CDLL(str(target))  # stays mapped after the file is gone


def threads_of_torch() -> ctypes.c_void_p:
    """Entry of the OpenMP pool that torch itself computes on, null where torch has another.

    Threads of our own would share the cores with that pool's, which spin for milliseconds after each torch operation.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows knows no library of the whole program
        return ctypes.c_void_p(None)


def pack(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Keys and values in the layout of host_kernel.cpp, the context padded to blocks of 16 with zeros."""
    batch, kv_heads, _, capacity, dim = inputs.sizes
    short = -capacity % 16
    keys, values = (torch.nn.functional.pad(x, (0, 0, 0, short)) if short else x for x in (inputs.keys, inputs.values))
    blocks = (capacity + short) // 16
    if inputs.keys.dtype == torch.bfloat16:
        keys = keys.view(batch, kv_heads, blocks, 16, dim // 2, 2).transpose(3, 4)
        values = values.view(batch, kv_heads, blocks * 8, 2, dim).transpose(3, 4)
    else:
        keys = keys.view(batch, kv_heads, blocks, 16, dim).transpose(3, 4)
    return keys.contiguous(), values.contiguous()


def _host_kernel(inputs: Inputs) -> Call:
    if inputs.keys.dtype not in KINDS:
        raise Unavailable("reads float32, bfloat16 and float16")
    library = host_library(inputs.keys.dtype)
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    threads = torch.get_num_threads()
    tiles = math.ceil(capacity / 256)
    spans = max(1, min(tiles, math.ceil(4 * threads / (batch * kv_heads))))
    pool = threads_of_torch()
    keys, values = pack(inputs)
    lengths = inputs.lengths.to(torch.int64).contiguous()

    def call() -> Tensor:
        query = inputs.grouped_query().float().contiguous()
        out = torch.empty(batch, kv_heads, rows, dim)
        addresses = (ctypes.c_void_p(t.data_ptr()) for t in (query, keys, values, lengths))
        sizes = (batch, kv_heads, rows, dim, keys.shape[2] * 16, spans, threads)
        library.headroom_decode(
            KINDS[inputs.keys.dtype], *addresses, *sizes, ctypes.c_float(inputs.scale), ctypes.c_void_p(out.data_ptr()),
            pool,
        )  # fmt: skip
        return out

    return call


CPU_KERNELS = (
    Kernel(
        name="split_k_flash",
        summary="packed rows, the context split over threads, flash attention on each span, merged",
        prepare=_split_k_flash,
        devices=("cpu",),
    ),
    Kernel(
        name="heads_per_thread",
        summary="each thread owns some KV heads and runs its own products",
        prepare=_heads_per_thread,
        devices=("cpu",),
        layout=NATURAL,
    ),
    Kernel(
        name="host_kernel",
        summary="compiled for this CPU: streams keys and values once, all rows of a group per tile",
        prepare=_host_kernel,
        devices=("cpu",),
        layout=PACKED,
    ),
)
