"""The CPU's own arrangements: split contexts over threads, and the kernel compiled for this very host."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from core.decode.host_kernel import HOST_KERNEL
from core.decode.inputs import Inputs
from core.decode.kernel import NATURAL, Call, Kernel, Unavailable, needs_16_or_32_bits, softmax_to, split_context


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
    threads = usual_threads()
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
def usual_threads() -> int:
    """torch's threads as they were when first asked: a run asks before any kernel."""
    return int(torch.get_num_threads())


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))


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
        torch_threads=1,
        describe=lambda _inputs: f"{usual_threads()} threads of its own, torch on 1 in each",
    ),
    HOST_KERNEL,
)
