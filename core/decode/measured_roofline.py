"""What this host can do at most, measured in the same run: sustained reads, matrix products, exponentials.

Bandwidth is read on a buffer far beyond any cache by several operations that read every byte once; the fastest is the
figure, since a slower one only shows its own overhead. The fastest read and the fastest matrix product are repeated in
the rounds of core.decode.rounds; a run's rate is the median over the samples at its start and in its rounds together.
"""

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch

from core.decode.caches import arithmetic_dtype
from core.decode.device import time_calls, time_once
from core.decode.plan import GPU_READ_BYTES
from core.decode.records import Roofline

READ_BYTES = {"cpu": 2**29, "cuda": GPU_READ_BYTES}


def measure_roofline(device: torch.device, dtype: str, limit_bytes: int) -> Roofline:
    """Rates per second. fp8 products are not formed by any path here: the rate is bfloat16's."""
    reads, read_by = _fastest(device, _readers(device, limit_bytes))
    compute = arithmetic_dtype(dtype)
    products, size = _matmul_rates(device, compute)
    exps, exp_by = _fastest(device, _exponentials(device))
    name = str(compute).removeprefix("torch.")
    return Roofline(
        bytes_per_second=median(reads), flops_per_second=median(products), exp_per_second=median(exps),
        detail=f"reads by {read_by}; {size} × {size} matrix products in {name}; exp by {exp_by}",
        read_by=read_by, product_size=size, start_reads=reads, start_products=products,
    )  # fmt: skip


def read_turn(device: torch.device, limit_bytes: int, read_by: str) -> Callable[[], float]:
    """One read of a fresh buffer by the operation that was fastest at the start; it returns bytes per second."""
    _, amount, call = next(work for work in _readers(device, limit_bytes) if work[0] == read_by)
    call()  # the buffer's pages are there before the first figure
    return lambda: amount / time_once(device, call)


def product_turn(device: torch.device, dtype: torch.dtype, size: int) -> Callable[[], float]:
    """One product of the size that was fastest at the start, warmed up first; it returns FLOPs per second."""
    call = _product(device, dtype, size)
    return lambda: 2 * size**3 / time_calls(device, [call], least=1, most=1, seconds=0.02)[0]


def with_rounds(start: Roofline, reads: tuple[float, ...], products: tuple[float, ...]) -> Roofline:
    """The rates of a run: medians over the samples of the start and of the rounds together."""
    all_reads, all_products = (*start.start_reads, *reads), (*start.start_products, *products)
    return replace(
        start, round_reads=reads, round_products=products,
        bytes_per_second=median(all_reads) if reads else start.bytes_per_second,
        flops_per_second=median(all_products) if products else start.flops_per_second,
    )  # fmt: skip


Work = tuple[str, float, Callable[[], object]]


def _readers(device: torch.device, limit_bytes: int) -> list[Work]:
    size = max(2**26, min(READ_BYTES[device.type], limit_bytes // 3)) // 16384 * 16384
    data = torch.ones(size // 4, device=device)
    words = data.view(torch.int64)
    rows, vector = data.view(-1, 4096), torch.ones(4096, device=device)
    return [
        ("sum", size, lambda: data.sum()),
        ("maximum", size, lambda: data.amax()),
        ("integer sum", size, lambda: words.sum()),
        ("dot product", size, lambda: torch.dot(data, data)),
        ("matrix-vector product", size, lambda: torch.mv(rows, vector)),
    ]


def _exponentials(device: torch.device) -> list[Work]:
    count = 2**26 if device.type == "cuda" else 2**20
    x, out = -torch.rand(count, device=device), torch.empty(count, device=device)
    rows = x.view(16, -1)
    return [
        ("exp", count, lambda: torch.exp(x, out=out)),
        ("softmax", count, lambda: torch.softmax(rows, -1)),
    ]


def _product(device: torch.device, dtype: torch.dtype, size: int) -> Callable[[], object]:
    a = torch.randn(size, size, device=device).to(dtype)
    return lambda: a @ a


def _matmul_rates(device: torch.device, dtype: torch.dtype) -> tuple[tuple[float, ...], int]:
    """FLOP/s of each sample at the best of the sizes tried; small ones first, so that a slow dtype ends early."""
    found: list[tuple[float, tuple[float, ...], int]] = []
    for size in (4096, 8192) if device.type == "cuda" else (256, 1024, 2048):
        samples = time_calls(device, [_product(device, dtype, size)], least=3, most=15, seconds=0.5)
        rates = tuple(2 * size**3 / seconds for seconds in samples)
        found.append((median(rates), rates, size))
        if median(samples) > 0.5:
            break
    _, rates, size = max(found)
    return rates, size


def _fastest(device: torch.device, works: list[Work]) -> tuple[tuple[float, ...], str]:
    """The rates of every sample of the operation with the highest median, and its name."""
    rates = [
        (tuple(amount / s for s in time_calls(device, [call], least=5, most=25, seconds=0.4)), name)
        for name, amount, call in works
    ]
    return max(rates, key=lambda found: median(found[0]))
