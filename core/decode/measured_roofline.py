"""What this host can do at most, measured in the same run: sustained reads, matrix products, exponentials.

Bandwidth is read on a buffer far beyond any cache by several operations that read every byte once; the fastest is the
figure, since a slower one only shows its own overhead. Medians throughout.
"""

from collections.abc import Callable
from statistics import median

import torch

from core.decode.device import time_calls
from core.decode.records import Roofline


def measure_roofline(device: torch.device, dtype: torch.dtype, limit_bytes: int) -> Roofline:
    """Rates per second. fp8 products are not formed by any path here: the rate is bfloat16's."""
    reads, read_by = _fastest(device, _readers(device, limit_bytes))
    compute = torch.bfloat16 if dtype.itemsize == 1 else dtype
    products, size = _matmul_rate(device, compute)
    exps, exp_by = _fastest(device, _exponentials(device))
    detail = f"reads by {read_by}; {size} matrix products in {str(compute).removeprefix('torch.')}; exp by {exp_by}"
    return Roofline(bytes_per_second=reads, flops_per_second=products, exp_per_second=exps, detail=detail)


def measure_bandwidth(device: torch.device, limit_bytes: int) -> float:
    """Bytes read per second, alone: taken again at the end of a run to see whether the host kept its pace."""
    return _fastest(device, _readers(device, limit_bytes))[0]


Work = tuple[str, float, Callable[[], object]]


def _readers(device: torch.device, limit_bytes: int) -> list[Work]:
    wanted = 4 * 2**30 if device.type == "cuda" else 2**29
    size = max(2**26, min(wanted, limit_bytes // 3)) // 16384 * 16384
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


def _matmul_rate(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    """FLOP/s at the best of the sizes tried; small ones first, so that a slow dtype ends early."""
    best, best_size = 0.0, 0
    for size in (4096, 8192) if device.type == "cuda" else (256, 1024, 2048):
        a = torch.randn(size, size, device=device).to(dtype)
        samples = time_calls(device, [lambda a=a: a @ a], least=3, most=15, seconds=0.5)  # type: ignore[misc]
        rate = 2 * size**3 / median(samples)
        if rate > best:
            best, best_size = rate, size
        if median(samples) > 0.5:
            break
    return best, f"{best_size} x {best_size}"


def _fastest(device: torch.device, works: list[Work]) -> tuple[float, str]:
    rates = [
        (amount / median(time_calls(device, [call], least=5, most=25, seconds=0.4)), name)
        for name, amount, call in works
    ]
    return max(rates)
