"""A whole decode step: one transformer layer of the job's shape, timed as it would decode, times L, plus both ends.

The layer is Llama's: RMSNorm, QKV projections, rotary, cache append, attention by the fastest correct kernel of this
run, output projection, RMSNorm, gated FFN. The token is appended to the natural layout; a kernel with a layout of its
own would scatter the same few bytes. The ends are embedding, last norm and head. Every G reads the same weights, of
which a smaller G takes fewer key and value rows, and all of them are timed in interleaved rounds beside a read of a
buffer far beyond the cache, so that drift of the machine cannot turn their order over. core.decode.model_check sets
the same arithmetic beside transformers' own model. A shape with experts draws them anew for every token of every call
(core.decode.experts); its prediction counts the expected number of distinct ones, and the number drawn stands beside.
Beside the bound stands a forecast: the same parts, their weights multiplied at the rate that the product in use reaches
alone in the same rounds, on one matrix and the few rows that it serves.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from statistics import median

import torch
from torch import Tensor

from core.decode import device as devices
from core.decode.caches import arithmetic_dtype
from core.decode.cuda_graph import recorded
from core.decode.inputs import offsets, part_of
from core.decode.kernel import NATURAL, Call, Kernel
from core.decode.measured_roofline import read_turn
from core.decode.plan import DecodeJob, StepShape, step_copies, step_memory_bytes
from core.decode.products import Product, fastest_product
from core.decode.records import Roofline, RunRecord, StepResult
from core.decode.rounds import Interleaved, Turn, interleave
from core.decode.running import Running
from core.decode.sampling import times_as_long
from core.decode.step_layer import Ends, Layer, Work, matrix

ROUNDS = (5, 60)  # least and most
SECONDS, QUICK_SECONDS = 20.0, 6.0
READ, ENDS, PRODUCT = "read", "ends", "product"
ATTENTION = 2  # its place among a layer's works


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the step measurement has found so far."""

    message: str
    record: RunRecord


def measure_steps(run: Running, record: RunRecord) -> Iterator[Part]:
    """A StepResult for each G whose attention has a correct kernel, then the check against transformers."""
    assert run.job.step is not None  # the caller asks only then
    yield Part(message="A whole layer of every G, in interleaved rounds", record=record)
    run.done_parts += len(run.job.kv_heads)
    try:
        record = replace(record, steps=_measured(run, run.job.step, record))
    except RuntimeError as e:  # memory or a device failure: there is no step, the rest stands
        record = _with_message(record, f"No whole step: {_line(e)}")
    run.free()
    from core.decode.model_check import check_against_transformers

    yield Part(message="The same arithmetic beside transformers' own model", record=record)
    run.done_parts += 1
    try:
        check = check_against_transformers(run.device, run.job.dtype, quick=run.job.quick, deadline=run.deadline)
        record = replace(record, model_check=check)
        message = "Compared with transformers' own model"
    except Exception as e:  # noqa: BLE001  of another transformers, or of memory: the step that was measured stands
        message = f"Not compared with transformers: {_line(e)}"
        record = _with_message(record, message)
    yield Part(message=message, record=record)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _with_message(record: RunRecord, message: str) -> RunRecord:
    return replace(record, message=f"{record.message} {message}".strip())


def _measured(run: Running, shape: StepShape, record: RunRecord) -> tuple[StepResult, ...]:
    """Every G in the same rounds. Raises RuntimeError where they do not fit into free memory."""
    kernels = {g: next(k for k in run.kernels if k.name == best.kernel) for g, best in record.best().items()}
    if not kernels:
        return ()
    copies = step_copies(run.job, shape)
    own_layouts = [g for g, kernel in kernels.items() if kernel.layout != NATURAL]
    needed, free = step_memory_bytes(run.job, shape, own_layouts, copies), devices.free_bytes(run.device)
    if needed > free:
        raise RuntimeError(
            f"a layer, its caches and the head need {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} are free"
        )
    with torch.inference_mode():
        name, product = _product(run, shape)
        stacks = [_Stack(run, shape, kernels, offset, product) for offset in range(copies)]
        ends = Ends(shape, run.job.batch_size, arithmetic_dtype(run.job.dtype), run.device, product)
        found = _rounds(run, record.roofline, stacks, ends, tuple(kernels))
    layer = stacks[0].layer
    names = {g: (kernel.name, name) for g, kernel in kernels.items()}
    woken = [number for stack in stacks for number in stack.woken]
    drawn = sum(woken) / len(woken) if woken else 0.0
    return tuple(
        replace(_result(run, record.roofline, layer.with_kv_heads(g), ends, names[g], found), experts_drawn=drawn)
        for g in kernels
    )


def _product(run: Running, shape: StepShape) -> tuple[str, Product]:
    """What multiplies the weights fastest here, by name: tried on two matrices of the FFN."""
    dtype, sizes = arithmetic_dtype(run.job.dtype), (shape.intermediate_size, shape.hidden_size)
    x = torch.randn(_rows(run.job, shape), shape.hidden_size, device=run.device).to(dtype)
    return fastest_product(x, [matrix(sizes, run.device, dtype) for _ in range(2)])


def _rows(job: DecodeJob, shape: StepShape) -> int:
    """Rows that one matrix of the FFN multiplies: the batch, or the part of it that an expert is expected to serve."""
    if not shape.num_experts:
        return job.batch_size
    return max(1, round(job.batch_size * shape.experts_per_token / shape.experts_read(job.batch_size)))


class _Stack:
    """One layer's weights and one cache for the largest G; each smaller G takes the beginning of both."""

    def __init__(
        self, run: Running, shape: StepShape, kernels: dict[int, Kernel], offset: int, product: Product
    ) -> None:
        from core.decode.inputs import make_inputs

        most = max(kernels)
        self.layer = Layer(run.job, shape, most, run.device, product, seed=(run.job.seed or 0) + offset)
        pool = make_inputs(run.job, most, run.device, run.generator(offset))
        self.x = torch.randn(run.job.batch_size, shape.hidden_size, device=run.device).to(self.layer.dtype)
        places = offsets(list(kernels))  # apart, so that none finds its own data in cache
        self.caches = {g: part_of(pool, g, places[g]) for g in kernels}
        attends = {g: kernel.prepare(self.caches[g]) for g, kernel in kernels.items()}
        self.attends = {g: recorded(run.device, attend)[0] for g, attend in attends.items()}
        wholes = {g: self._whole(g, attend) for g, attend in attends.items()}
        # a graph would read the experts of the step that was recorded again and again
        self.wholes = wholes if shape.num_experts else {g: recorded(run.device, w)[0] for g, w in wholes.items()}

    def _whole(self, g: int, attend: Call) -> Call:
        layer = self.layer.with_kv_heads(g)
        return lambda: layer.decode(self.x, self.caches[g], attend)

    @property
    def woken(self) -> list[int]:
        """Distinct experts of each layer that was called."""
        return self.layer.experts.woken if self.layer.experts is not None else []

    def forget_woken(self) -> None:
        self.woken.clear()

    def attention(self, *, kv_heads: int) -> Tensor:
        return self.attends[kv_heads]()

    def whole(self, *, kv_heads: int) -> Tensor:
        return self.wholes[kv_heads]()


def _rounds(
    run: Running, roofline: Roofline | None, stacks: list[_Stack], ends: Ends, kv_heads: tuple[int, ...]
) -> Interleaved:
    """Rounds of one read, every G's attention alone, every G's layer, and the ends; each turn takes the next copy."""
    following = cycle(stacks)

    def timed(work: Callable[[_Stack], object]) -> Turn:
        def turn() -> float:
            stack = next(following)
            return devices.time_once(run.device, lambda: work(stack))

        return turn

    read_by = roofline.read_by if roofline else ""
    turns: dict[Hashable, Turn] = {}
    if read_by:
        turns[READ] = read_turn(run.device, run.limit_bytes, read_by)
    turns |= {("attention", g): timed(partial(_Stack.attention, kv_heads=g)) for g in kv_heads}
    turns |= {("layer", g): timed(partial(_Stack.whole, kv_heads=g)) for g in kv_heads}
    turns[PRODUCT] = _product_turn(run, [stack.layer for stack in stacks])
    both_ends = recorded(run.device, ends.decode)[0]
    turns[ENDS] = lambda: devices.time_once(run.device, both_ends)
    for _ in stacks:  # every copy's pages, and what a kernel compiles
        interleave(turns, least=1, most=1, seconds=0, deadline=run.deadline)
    for stack in stacks:
        stack.forget_woken()
    seconds = times_as_long() * (QUICK_SECONDS if run.job.quick else SECONDS)
    found = interleave(turns, least=ROUNDS[0], most=ROUNDS[1], seconds=seconds, deadline=run.deadline)
    if found.failures:
        raise RuntimeError(_line(next(iter(found.failures.values()))))
    if not found.rounds:
        raise RuntimeError("the time limit left no time for it")
    return found


def _product_turn(run: Running, layers: list[Layer]) -> Turn:
    """One product of one gate matrix, the next of all layers and experts each time; it returns FLOPs per second."""
    layer = layers[0]
    each = layer.weights["gate"].numel() // max(1, layer.shape.num_experts)
    x = torch.randn(_rows(run.job, layer.shape), layer.shape.hidden_size, device=run.device).to(layer.dtype)
    gates = [one.weights["gate"] for one in layers]
    matrices = cycle([m for gate in gates for m in (gate if gate.dim() == 3 else [gate])])

    def turn() -> float:
        weights = next(matrices)
        seconds = devices.time_once(run.device, lambda: layer.product(x, weights))
        return float(2 * x.shape[0] * each) / seconds

    return turn


def _result(
    run: Running, roofline: Roofline | None, layer: Layer, ends: Ends, names: tuple[str, str], found: Interleaved
) -> StepResult:
    g, job, shape = layer.num_kv_heads, run.job, run.job.step
    assert shape is not None  # measured for a job that has one
    samples, reads = found.samples["layer", g], found.samples.get(READ, ())
    read_bytes = shape.num_layers * (layer.weight_bytes + job.kv_read_bytes(g)) + ends.read_bytes
    rate = median(reads) if reads else roofline.bytes_per_second if roofline else 0.0
    works = [(shape.num_layers, work) for work in layer.works()]
    works.append((1, Work(read_bytes=ends.read_bytes, flops=2 * ends.head.numel() * job.batch_size)))
    peak = roofline.flops_per_second if roofline else 0.0
    bound, arithmetic = _bound(works, rate, peak) if peak and rate else (0.0, 0.0)
    own = median(found.samples[PRODUCT])
    return StepResult(
        kv_heads=g, kernel=names[0], products=names[1], attention_seconds=median(found.samples["attention", g]),
        layer_seconds=median(samples), ends_seconds=median(found.samples[ENDS]), num_layers=shape.num_layers,
        weight_bytes=layer.weight_bytes, batch_size=job.batch_size, read_bytes=read_bytes,
        roofline_seconds=bound, arithmetic_seconds=arithmetic, bytes_per_second=rate, layer_samples=samples,
        products_flops_per_second=own, own_rates_seconds=_forecast(works, rate, peak, own) if bound else 0.0,
        ends_samples=found.samples[ENDS],
        num_experts=shape.num_experts, experts_per_token=shape.experts_per_token,
        experts_expected=shape.experts_read(job.batch_size),
    )  # fmt: skip


def _bound(works: list[tuple[int, Work]], bytes_per_second: float, flops_per_second: float) -> tuple[float, float]:
    """The least seconds of parts done one after the other so many times, and those that arithmetic takes of them."""
    found = [(times, *work.seconds(bytes_per_second, flops_per_second)) for times, work in works]
    whole = sum(times * seconds for times, seconds, _ in found)
    return whole, sum(times * seconds for times, seconds, multiplies in found if multiplies)


def _forecast(works: list[tuple[int, Work]], bytes_per_second: float, peak: float, own: float) -> float:
    """Seconds of the same parts, weights multiplied at the product's own rate; attention, the third, at the peak."""
    rates = [peak if place == ATTENTION else min(peak, own) for place in range(len(works))]
    return sum(
        times * work.seconds(bytes_per_second, rate)[0] for (times, work), rate in zip(works, rates, strict=True)
    )
