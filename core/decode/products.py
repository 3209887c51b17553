"""The products of a step's weights with one token of each sequence: torch's, or ours, whichever this host does faster.

A decode step multiplies every weight once: with few sequences that is a read of the weights, and torch's bfloat16
product on a CPU reads them at less than half of the bandwidth (benchmarks/decode.md).
"""

from collections.abc import Callable
from functools import partial
from itertools import cycle

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from numpy.typing import NDArray
from torch import Tensor

from core.decode import device as devices
from core.decode.host_library import KINDS, host_library, threads_of_torch
from core.decode.kernel import Unavailable, relative_error
from core.decode.plan import ERROR_LIMITS

Product = Callable[[Tensor, Tensor], Tensor]
TORCH, HOST = "F.linear", "host_product"
MULTIPLIED = (torch.float32, torch.bfloat16, torch.float16)
TURNS, TRY_SECONDS = (7, 100), 1.0  # least and most of each, and what both may take together beyond the least


def host_product(x: Tensor, weights: Tensor) -> Tensor:
    """x [B, K] times weights [N, K], as F.linear -> [B, N]; sums in float32. Raises Unavailable for other shapes."""
    return _multiplied(x, weights[None], np.zeros(1, np.int64), np.array([0, x.shape[0]], np.int64))


def grouped_product(x: Tensor, weights: Tensor, which: NDArray[np.int64], first: NDArray[np.int64]) -> Tensor:
    """Rows first[g] to first[g + 1] of x [R, K] times weights[which[g]] of [E, N, K] -> [R, N]; each matrix read once.

    which [groups] and first [groups + 1]. Raises Unavailable for other shapes, ValueError for other groups.
    """
    if first[0] != 0 or first[-1] != x.shape[0] or (np.diff(first) < 0).any():
        raise ValueError(f"the groups end at row {first[-1]} of {x.shape[0]}, or not one behind the other")
    if len(first) != len(which) + 1 or (which < 0).any() or (which >= weights.shape[0]).any():
        raise ValueError(f"the groups name matrices beyond the {weights.shape[0]} given")
    return _multiplied(x, weights, which.astype(np.int64), first.astype(np.int64))


def _multiplied(x: Tensor, weights: Tensor, which: NDArray[np.int64], first: NDArray[np.int64]) -> Tensor:
    """The library's product, its sums in float32, in x's dtype."""
    (tokens, columns), rows = x.shape, weights.shape[1]
    width = 32 if x.dtype == torch.bfloat16 else 16
    if x.device.type != "cpu" or x.dtype not in MULTIPLIED or not weights.is_contiguous():
        raise Unavailable("multiplies float32, bfloat16 and float16 on a CPU")
    if columns % width:
        raise Unavailable(f"multiplies widths that are multiples of {width}")
    library = host_library()
    x, out = x.contiguous(), torch.empty(tokens, rows)
    library.headroom_multiply(
        KINDS[x.dtype], weights.data_ptr(), x.data_ptr(), len(which), which.ctypes.data, first.ctypes.data, rows,
        columns, torch.get_num_threads(), out.data_ptr(), threads_of_torch(),
    )  # fmt: skip
    return out.to(x.dtype)


def fastest_product(x: Tensor, weights: list[Tensor]) -> tuple[str, Product]:
    """The faster of the two on these matrices, by name; torch's where ours is not to be had or its numbers are wrong.

    The matrices are read in turn, so that none is found in cache. Each counts by the best of many short calls: on a
    machine that others use most calls wait for a processor, forty times as long as they multiply, and a median says
    how long that wait was (benchmarks/decode.md).
    """
    known: dict[str, Product] = {TORCH: F.linear, HOST: host_product}
    if x.device.type != "cpu" or not _agrees(x, weights[0]):
        return TORCH, F.linear
    following, best = cycle(weights), dict.fromkeys(known, float("inf"))
    turns, used = 0, 0.0
    while turns < TURNS[0] or (turns < TURNS[1] and used < TRY_SECONDS):
        for name, product in known.items():
            seconds = devices.time_once(x.device, partial(product, x, next(following)))
            best[name], used = min(best[name], seconds), used + seconds
        turns += 1
    fastest = min(known, key=lambda name: best[name])
    return fastest, known[fastest]


def _agrees(x: Tensor, weights: Tensor) -> bool:
    try:
        found = host_product(x, weights)
    except Unavailable:
        return False
    return relative_error(found, x.float() @ weights.float().T) < ERROR_LIMITS[str(x.dtype).removeprefix("torch.")]
