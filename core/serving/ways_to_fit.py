"""Ways to make a wished-for G fit: single and paired changes, ranked, each with its cost in quality and in speed.

Two sorts of change. Widths and windows have few values (KV bits 8 and 4, weight bits 8 and 4, two published window
patterns) and are tried one by one; batch, context, accelerators and the accelerator are solved for: the least change
that fits. Listed are one change alone, one width or window with one solved change, and up to three widths and windows
together. Pairs of two solved changes trade continuously (batch against context is the frontier chart) and are not
listed.

A way is left out where another needs no more of any of its changes, or where its second change spares less than a
quarter of a doubling of the first. The quality cost is a topic that published evidence is looked up by, never a
number made here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import log2

from core.errors import SizingError
from core.hardware.accelerators import Accelerator, catalogue
from core.serving.budget import budget_bytes
from core.serving.footprint import own_count
from core.serving.inverse import (
    fewest_accelerators,
    fewest_accelerators_with_copies,
    headroom_bytes,
    is_offered,
    job_fits,
    largest_batch,
    longest_context,
    one_copy,
    parallel_choices,
    serves,
    with_kv_bits,
)
from core.serving.job import ServingJob
from core.serving.kv_ledger import kv_ledger
from core.serving.memory_plan import total_bytes
from core.serving.options import option_of
from core.serving.roofline import decode_bound
from core.serving.stored import average_bits
from core.serving.what_if import WindowPattern

LOWER_BITS = (8, 4)
# one global layer in four with a window of 4,096 (Command R7B), one in six with 1,024 (Gemma 3)
WINDOW_PATTERNS = ((4, 4096), (6, 1024))
SPARED_DOUBLINGS = 0.25
WIDTHS_AND_WINDOWS = ("kv_bits", "weight_bits", "window")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field changed. axis is what changes; topic names the evidence on its cost in quality ('none' where it has
    none).

    doublings is how large the change is: log2 of the factor by which bits, KV payload, batch or context shrink, or by
    which accelerators or memory grow.
    """

    axis: str  # 'kv_bits', 'weight_bits', 'window', or solved: 'batch_size', 'context_length', 'split', ...
    label: str
    before: str
    after: str
    topic: str  # 'kv_quantisation', 'weight_quantisation', 'window', 'none'
    doublings: float


@dataclass(frozen=True, kw_only=True)
class WayToFit:
    """Changes that together make the job fit, and the job after them.

    Step seconds are bounds (core.serving.roofline), before as if the job had fitted; None where the bandwidth is
    unknown. tokens_per_second_after is over all users.
    """

    changes: tuple[Change, ...]
    job: ServingJob
    headroom_bytes: int
    step_seconds_before: float | None
    step_seconds_after: float | None
    tokens_per_second_after: float | None

    @property
    def topics(self) -> tuple[str, ...]:
        """Evidence topics of the changes that can cost quality; empty where none can."""
        return tuple(change.topic for change in self.changes if change.topic != "none")

    @property
    def quality_cost(self) -> str:
        """'none', or the topics joined by ' + '."""
        return " + ".join(self.topics) or "none"

    @property
    def doublings(self) -> float:
        return sum(change.doublings for change in self.changes)

    @property
    def label(self) -> str:
        return " + ".join(change.label for change in self.changes)


def ways_to_fit(job: ServingJob, *, scale_overhead_bits: int | None = None) -> tuple[WayToFit, ...]:
    """Every way, best first; empty where the job fits as it is, or where none of the changes helps. A cache below 16
    bits has scales of scale_overhead_bits, the job's own where None.

    Order: fewest changes, then fewest that can cost quality, then the smallest changes (sum of doublings). A job that
    its engine does not take is counted as payload, as option_of does. Measured memory stays what that server keeps
    beside weights and cache.
    """
    job = option_of(job).plan.job
    if job_fits(job):
        return ()
    ways = [_way(job, changes, changed) for changes, changed in _candidates(job, scale_overhead_bits)]
    ways = [way for way in ways if not any(_makes_needless(other, way) for other in ways)]
    return tuple(sorted(ways, key=lambda way: (len(way.changes), len(way.topics), way.doublings)))


def _candidates(job: ServingJob, scale_overhead_bits: int | None) -> Iterator[tuple[tuple[Change, ...], ServingJob]]:
    for changes, changed in _discrete(job, scale_overhead_bits):
        if not is_offered(changed):
            continue
        if changes and serves(changed):
            yield changes, changed
        elif len(changes) < 2:
            for change, solved in _solved(changed):
                yield (*changes, change), solved


def _discrete(job: ServingJob, scale_overhead_bits: int | None) -> Iterator[tuple[tuple[Change, ...], ServingJob]]:
    """Every combination of KV bits, weight bits and window pattern, the unchanged job included."""
    widths = _kv_changes(job, scale_overhead_bits)
    options = [(None, *widths), (None, *_weight_changes(job)), (None, *_window_changes(job))]
    for chosen in product(*options):
        steps = [step for step in chosen if step is not None]
        fields: dict[str, object] = {}
        for _, changed in steps:
            fields |= changed
        yield tuple(change for change, _ in steps), job.where(**fields)


_Step = tuple[Change, dict[str, object]]


def _kv_changes(job: ServingJob, scale_overhead_bits: int | None) -> list[_Step]:
    named = job.stored_type is not None  # by the engine's settings, which a way leaves as they are
    lower = [] if named else [bits for bits in LOWER_BITS if bits < job.kv_bits]
    changed = [with_kv_bits(job, bits, scale_overhead_bits) for bits in lower]
    return [
        (
            _change("kv_bits", f"KV cache at {at.kv_bits} bits", job.kv_bits, at.kv_bits, "kv_quantisation"),
            {"kv_bits": at.kv_bits, "kv_scale_overhead_bits": at.kv_scale_overhead_bits},
        )
        for at in changed
    ]


def _weight_changes(job: ServingJob) -> list[_Step]:
    now = job.weight_bits if job.weight_format is None else round(average_bits(job, own_count(job)), 2)
    now = int(now) if now == int(now) else now
    return [
        (
            _change("weight_bits", f"weights at {bits} bits", now, bits, "weight_quantisation"),
            {"weight_bits": bits, "weight_format": None},
        )
        for bits in LOWER_BITS
        if bits < now
    ]


def _window_changes(job: ServingJob) -> list[_Step]:
    """Published patterns that shrink this model's cache; none where its layers take no window."""
    payload = _payload_elements(job)
    steps: list[_Step] = []
    layers = kv_ledger(job.served_model, 1).cache_layers
    for one_in, window in WINDOW_PATTERNS:
        local = layers - -(-layers // one_in)
        pattern = WindowPattern(global_layers=layers - local, local_layers=local, window=window)
        try:
            smaller = _payload_elements(job.where(window_pattern=pattern))
        except SizingError:
            return []
        if smaller < payload:
            after = f"{layers - local} global + {local} local layers, window {window:,}"
            change = _change("window", after, "the model's own windows", after, "window", payload / smaller)
            steps.append((change, {"window_pattern": pattern}))
    return steps


def _solved(job: ServingJob) -> Iterator[tuple[Change, ServingJob]]:
    """The least change of batch, of context, of the number of accelerators and of the accelerator that fits."""
    batch = largest_batch(job)
    if batch.job is not None:
        label = f"batch of {int(batch):,}"
        factor = job.batch_size / batch
        yield _change("batch_size", label, job.batch_size, int(batch), "none", factor), batch.job
    if option_of(job).engine_refusal:  # of so large a batch: nothing else changes that
        return
    context = longest_context(job)
    if context.job is not None:
        label = f"context of {int(context):,}"
        factor = job.context_length / context
        yield _change("context_length", label, job.context_length, int(context), "none", factor), context.job
    split = _split_over_the_same(job)
    if split is not None:
        yield _split_change(job, split), split
    for other in _more_accelerators(job) if split is not None else _other_accelerators(job):
        yield _accelerators_change(job, other), other
    for device in _larger_accelerators(job):
        yield _device_change(job, device), job.where(accelerator=device.id)


def _split_over_the_same(job: ServingJob) -> ServingJob | None:
    """As many accelerators, each copy of the model split by tensor parallel alone: over as many or the fewest more that
    fit, else the most fewer, where copies of KV heads took the room; None where no such split does."""
    held = job.tensor_parallel * job.pipeline_parallel
    dividing = [ranks for ranks in parallel_choices(job) if job.num_accelerators % ranks == 0]
    fewer, more = [ranks for ranks in dividing if ranks < held], [ranks for ranks in dividing if ranks >= held]
    for ranks in (*more, *reversed(fewer)):
        at = job.where(**one_copy(ranks) | {"num_accelerators": job.num_accelerators})
        if at.split != job.split and serves(at):
            return at
    return None


def _split_change(job: ServingJob, split: ServingJob) -> Change:
    label = f"the same {job.num_accelerators} accelerators, tensor parallel {split.tensor_parallel}"
    return _change("split", label, job.tensor_parallel, split.tensor_parallel, "none", 1)


def _more_accelerators(job: ServingJob) -> list[ServingJob]:
    """One copy over more accelerators; several copies too where they need fewer in all."""
    one, shared = fewest_accelerators(job).job, fewest_accelerators_with_copies(job).job
    found = [at for at in (one, shared) if at is not None and at.num_accelerators > job.num_accelerators]
    return found[:1] if len(found) == 2 and found[0].num_accelerators <= found[1].num_accelerators else found


def _other_accelerators(job: ServingJob) -> list[ServingJob]:
    """Where no split of as many fits: some of them alone, which their number kept from dividing, else more."""
    some = [
        at
        for at in (fewest_accelerators(job).job, fewest_accelerators_with_copies(job).job)
        if at is not None and at.num_accelerators < job.num_accelerators
    ]
    return some[:1] or _more_accelerators(job)


def _accelerators_change(job: ServingJob, other: ServingJob) -> Change:
    axis, label = "tensor_parallel", f"{other.num_accelerators} accelerators, tensor parallel {other.tensor_parallel}"
    if other.replicas > 1:
        axis, label = "copies", f"{label}, {other.replicas} copies"
    factor = max(other.num_accelerators / job.num_accelerators, 1.0)  # fewer of them are no change that costs
    return _change(axis, label, job.num_accelerators, other.num_accelerators, "none", factor)


def _larger_accelerators(job: ServingJob) -> list[Accelerator]:
    """The smallest that fits of the same vendor, and of any other where that one is smaller still.

    Devices that read memory more slowly than the job's own are left out: fitting there would trade memory for time.
    """
    own = job.device.bandwidth_bytes_per_s or 0
    known = [at for at in catalogue().values() if at.memory_bytes and (at.bandwidth_bytes_per_s or 0) >= own]
    needed = total_bytes(job)
    holding = [device for device in known if needed <= budget_bytes(job.where(accelerator=device.id))]
    holding.sort(key=lambda device: (device.memory_bytes or 0, -(device.bandwidth_bytes_per_s or 0)))
    # bytes may be there where an engine's own limits are not met: it is asked, in order, until one serves the job
    same = [device for device in holding if device.vendor == job.device.vendor]
    first = [next((at for at in them if serves(job.where(accelerator=at.id))), None) for them in (same, holding)]
    return list(dict.fromkeys(device for device in first if device is not None))


def _device_change(job: ServingJob, device: Accelerator) -> Change:
    factor = (device.memory_bytes or 1) / (job.device.memory_bytes or 1)
    return _change("accelerator", device.name, job.device.name, device.name, "none", factor)


def _change(axis: str, label: str, before: object, after: object, topic: str, factor: float | None = None) -> Change:
    if factor is None:
        factor = float(str(before)) / float(str(after))
    shown = [f"{value:,}" if isinstance(value, int) else str(value) for value in (before, after)]
    return Change(axis=axis, label=label, before=shown[0], after=shown[1], topic=topic, doublings=log2(factor))


def _payload_elements(job: ServingJob) -> int:
    ledger = kv_ledger(job.served_model, job.tensor_parallel, job.kv_bits_per_element)
    return ledger.payload_elements(job.context_length)


def _way(job: ServingJob, changes: tuple[Change, ...], changed: ServingJob) -> WayToFit:
    after = decode_bound(changed)
    return WayToFit(
        changes=changes,
        job=changed,
        headroom_bytes=headroom_bytes(changed),
        step_seconds_before=decode_bound(job).step_seconds,
        step_seconds_after=after.step_seconds,
        tokens_per_second_after=after.tokens_per_second,
    )


def _makes_needless(other: WayToFit, way: WayToFit) -> bool:
    """Whether `other` asks no more on each of its axes, or hardly more with fewer changes."""
    needed, asked = _asked(other), _asked(way)
    if needed == asked or not needed.keys() <= asked.keys():
        return False
    spared = SPARED_DOUBLINGS if len(needed) < len(asked) else 0.0
    return all(needed[axis] <= asked[axis] + (0.0 if axis in WIDTHS_AND_WINDOWS else spared) for axis in needed)


def _asked(way: WayToFit) -> dict[str, float]:
    """Doublings by axis; accelerators of different vendors are different axes."""
    vendor = way.job.device.vendor
    return {
        f"{change.axis} of {vendor}" if change.axis == "accelerator" else change.axis: change.doublings
        for change in way.changes
    }
