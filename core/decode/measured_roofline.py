"""What this host can do at most, measured in the same run: sustained reads, matrix products, exponentials.

Each rate is the fastest of torch's own operations and, on a CPU, of probes in the kernels' own instructions
(core/decode/cpp/probes.h): a limit that some kernel beats is none. A sample lasts 5 ms or longer, so that starting the
threads is no part of it. The fastest of each of the three is repeated in the rounds of core.decode.rounds; a run's rate
is the median over the samples at its start and in its rounds together.
"""

import ctypes
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import torch

from core.decode.caches import arithmetic_dtype, stored_dtype
from core.decode.device import time_calls, time_once
from core.decode.host_library import KINDS, host_library, instruction_set, threads_of_torch
from core.decode.kernel import Unavailable
from core.decode.plan import GPU_READ_BYTES
from core.decode.records import Roofline
from core.decode.sampling import TRIAL_READ_BYTES, is_trial, times_as_long
from core.host.busy import cache_bytes

SAMPLE_SECONDS = 0.005  # least of a sample
IN_ONE_CALL = 4096  # of a probe's turns, so that its threads start and meet once in milliseconds
SECONDS = 0.15  # of all samples of one operation at the start
SLOW_SECONDS = 0.015  # of a product: the next size takes eight times as long
# What headroom_products multiplies; every other format is widened to float32.
BF16, FLOAT32, TILES, BYTES = 1, 0, 2, 3
SIZES, GPU_SIZES = (256, 1024, 2048), (4096, 8192)
OURS = "our probe"


def measure_roofline(device: torch.device, dtype: str, limit_bytes: int) -> Roofline:
    """Rates per second. A GPU's rate for a cache of 8 bits and fewer is bfloat16's: no path here multiplies fp8."""
    reads, read_by = _fastest(device, _readers(device, limit_bytes))
    products, product_by = _fastest(device, list(_products(device, dtype).values()))
    exps, exp_by = _fastest(device, _exponentials(device))
    return Roofline(
        bytes_per_second=median(reads), flops_per_second=median(products), exp_per_second=median(exps),
        detail=f"reads by {read_by}; products by {product_by}; exp by {exp_by}",
        read_by=read_by, product_by=product_by, exp_by=exp_by,
        start_reads=reads, start_products=products, start_exps=exps,
    )  # fmt: skip


def read_turn(device: torch.device, limit_bytes: int, read_by: str) -> Callable[[], float]:
    """One read of a fresh buffer by the operation that was fastest at the start; it returns bytes per second."""
    _, amount, call = next(work for work in _readers(device, limit_bytes) if work[0] == read_by)
    call()  # the buffer's pages are there before the first figure
    return lambda: amount / time_once(device, call)


def product_turn(device: torch.device, dtype: str, product_by: str) -> Callable[[], float]:
    """The product that was fastest at the start, warmed up first; it returns FLOPs per second."""
    (_, amount, call), _ = _long_enough(device, _products(device, dtype)[product_by])
    return lambda: amount / time_calls(device, [call], least=1, most=1, seconds=0.02)[0]


def exponential_turn(device: torch.device, exp_by: str) -> Callable[[], float]:
    """The exponentials that were fastest at the start; it returns how many a second."""
    found = next(work for work in _exponentials(device) if work[0] == exp_by)
    (_, amount, call), _ = _long_enough(device, found)
    return lambda: amount / time_once(device, call)


def with_rounds(
    start: Roofline, reads: tuple[float, ...], products: tuple[float, ...], exps: tuple[float, ...] = (), *,
    disturbed: bool = False,
) -> Roofline:  # fmt: skip
    """The rates of a run: medians over the samples of the start and of the rounds together.

    Of a disturbed run the highest samples: what else runs can only lower a rate, for some samples and not for others,
    and a median of them is below what a kernel in a free moment reaches.
    """
    of = max if disturbed else median
    return replace(
        start, round_reads=reads, round_products=products, round_exps=exps,
        bytes_per_second=of((*start.start_reads, *reads)) if reads else start.bytes_per_second,
        flops_per_second=of((*start.start_products, *products)) if products else start.flops_per_second,
        exp_per_second=of((*start.start_exps, *exps)) if exps else start.exp_per_second,
    )  # fmt: skip


Work = tuple[str, float, Callable[[], object]]  # a name, what one call does, the call


def most_read(device: torch.device) -> int:
    """Bytes of the buffer that the bandwidth is read on, where memory allows."""
    if device.type != "cpu":
        return GPU_READ_BYTES
    return TRIAL_READ_BYTES if is_trial() else max(2**29, 4 * (cache_bytes() or 0))


def _readers(device: torch.device, limit_bytes: int) -> list[Work]:
    size = max(2**26, min(most_read(device), limit_bytes // 3)) // 16384 * 16384
    data = torch.ones(size // 4, device=device)
    words = data.view(torch.int64)
    rows, vector = data.view(-1, 4096), torch.ones(4096, device=device)
    works: list[Work] = [
        ("sum", size, lambda: data.sum()),
        ("maximum", size, lambda: data.amax()),
        ("integer sum", size, lambda: words.sum()),
        ("dot product", size, lambda: torch.dot(data, data)),
        ("matrix-vector product", size, lambda: torch.mv(rows, vector)),
    ]
    if probe := _probe(device):
        library, name, pool = probe
        address, threads = data.data_ptr(), torch.get_num_threads()
        works += [
            (f"{OURS}, {name}", size, lambda: data is None or library.headroom_read(address, size, 0, threads, pool)),
            (f"{OURS} of two halves with fetches, {name}", size,
             lambda: data is None or library.headroom_read(address, size, 2, threads, pool)),
            (f"{OURS} with fetches, {name}", size,
             lambda: data is None or library.headroom_read(address, size, 1, threads, pool)),
        ]  # fmt: skip
    return works


def _exponentials(device: torch.device) -> list[Work]:
    count = 2**20 if device.type == "cpu" else 2**26
    x, out = -torch.rand(count, device=device), torch.empty(count, device=device)
    rows = x.view(16, -1)
    works: list[Work] = [
        ("exp", count, lambda: torch.exp(x, out=out)),
        ("softmax", count, lambda: torch.softmax(rows, -1)),
    ]
    if probe := _probe(device):
        library, name, pool = probe
        threads = torch.get_num_threads()
        amount = library.headroom_exponentials(1, threads, pool) * IN_ONE_CALL
        call = partial(library.headroom_exponentials, IN_ONE_CALL, threads, pool)
        works.append((f"{OURS}, {name}", amount, call))
    return works


def _products(device: torch.device, dtype: str) -> dict[str, Work]:
    """By name. On a CPU float32's too: what a kernel widens is multiplied so."""
    wide = arithmetic_dtype(dtype)
    works: list[Work] = []
    for kind in dict.fromkeys((wide, torch.float32) if device.type == "cpu" else (wide,)):
        for size in SIZES if device.type == "cpu" else GPU_SIZES:
            a = torch.randn(size, size, device=device).to(kind)
            name = f"{size} × {size} in {str(kind).removeprefix('torch.')}"
            works.append((name, 2 * size**3, partial(torch.matmul, a, a)))
    if probe := _probe(device):
        library, name, pool = probe
        threads = torch.get_num_threads()
        probes = {FLOAT32: f"{OURS} in float32, {name}"}
        if wide == torch.bfloat16:
            probes[BF16] = f"{OURS} in bfloat16, {name}"
            if library.headroom_by_tiles(BF16, 16, 32):
                probes[TILES] = f"{OURS} in bfloat16, AMX tiles"
        if library.headroom_in_fours(KINDS[stored_dtype(dtype)]) == b"VNNI":
            probes[BYTES] = f"{OURS} of bytes, VNNI"
        for kind, said in probes.items():
            amount = library.headroom_products(kind, 1, threads, pool) * IN_ONE_CALL
            call = partial(library.headroom_products, kind, IN_ONE_CALL, threads, pool)
            works.append((said, amount, call))
    return {work[0]: work for work in works}


def _probe(device: torch.device) -> tuple[ctypes.CDLL, str, ctypes.c_void_p] | None:
    """The compiled library, its instructions and torch's pool; None off the CPU and where there is no compiler."""
    if device.type != "cpu":
        return None
    try:
        library = host_library()
    except Unavailable:
        return None
    return library, instruction_set(library), threads_of_torch()


def _long_enough(device: torch.device, work: Work) -> tuple[Work, float]:
    """The same work so often that it takes SAMPLE_SECONDS, and the seconds of it done once."""
    name, amount, call = work
    call()
    seconds = max(1e-7, time_once(device, call))
    times = max(1, math.ceil(1.2 * SAMPLE_SECONDS / seconds))

    def repeated() -> None:
        for _ in range(times):
            call()

    return ((name, amount, call) if times == 1 else (name, amount * times, repeated)), seconds


def _fastest(device: torch.device, works: list[Work]) -> tuple[tuple[float, ...], str]:
    """The rates of every sample of the operation with the highest median, and its name.

    Where a small product is slow, the larger ones of that dtype are left out: torch's bfloat16 product takes seconds on
    processors without the instruction.
    """
    rates, slow = [], set()
    for work in works:
        kind = work[0].split(" in ")[-1]
        if kind in slow:
            continue
        (name, amount, call), seconds = _long_enough(device, work)
        if seconds > SLOW_SECONDS and " × " in name:
            slow.add(kind)
        samples = time_calls(device, [call], least=3, most=25, seconds=times_as_long() * SECONDS)
        rates.append((tuple(amount / s for s in samples), name))
    return max(rates, key=lambda found: median(found[0]))
