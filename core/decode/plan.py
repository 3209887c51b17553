"""What a decode measurement will do, before it does it: its bytes, its FLOPs, and how it is made to fit memory.

The two numbers of one layer's decode attention, with T the tokens that all sequences hold together:
KV bytes read = 2 x G x head_dim x bytes per element x T, FLOPs = 4 x H x head_dim x T. The larger of bytes over
bandwidth and FLOPs over rate bounds the step from below.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from core.serving.step_reads import expected_distinct

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8_e4m3fn": 1, "int8": 1, "int4": 1}  # a code's own
# Of 32 elements, with their scales.
BYTES_OF_32 = {"float32": 128, "bfloat16": 64, "float16": 64, "float8_e4m3fn": 32, "int8": 34, "int4": 18}
# The most caches held while one is laid out for the compiled kernel: codes of 8 and 4 bits are taken apart.
LAYING_OUT = {"float8_e4m3fn": 1.6, "int8": 2.0, "int4": 4.1}
SCALED = ("int8", "int4")  # a float16 scale for 32 elements, as llama.cpp's q8_0 and q4_0
ERROR_LIMITS = {name: 1e-5 if name == "float32" else 1e-2 for name in ELEMENT_BYTES}
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
ACCELERATORS = ("mps", "xpu")  # by torch.accelerator alone; no figure of ours was ever taken on one
# Caches of several copies are rotated until this much is read: no step finds its own data cached.
COLD_BYTES = 256 * 2**20
MOST_COPIES = 128
# What a GPU's bandwidth is read on, beside the cache; a third of the memory that a run may take where that is less.
GPU_READ_BYTES = 4 * 2**30
MAX_SECONDS = 86_400
MAX_HEADS, MAX_HEAD_DIM, MAX_CONTEXT, MAX_BATCH = 1024, 1024, 16 * 2**20, 65_536
MAX_EXPERTS = 4096
SEEDS = 2**63  # that a generator of torch takes, with room for the streams beside it


class InvalidJob(ValueError):
    """The measurement asked for cannot be run: the message says what, which value and what to do."""


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """The rest of the model, for the whole decode step: widths in elements.

    With experts each layer has num_experts FFNs of intermediate_size, of which a token takes experts_per_token.
    """

    num_layers: int
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_experts: int = 0
    experts_per_token: int = 0

    def __post_init__(self) -> None:
        for name in ("num_layers", "hidden_size", "intermediate_size", "vocab_size"):
            if getattr(self, name) < 1:
                raise InvalidJob(f"{name} of the whole step is {getattr(self, name):,}: give at least 1.")
        experts, taken = self.num_experts, self.experts_per_token
        if (experts or taken) and not 1 <= taken <= experts <= MAX_EXPERTS:
            raise InvalidJob(
                f"{taken:,} of {experts:,} experts a token: give 1 to {MAX_EXPERTS:,} experts and at most as many a "
                "token, or 0 of both."
            )

    def experts_read(self, batch_size: int) -> float:
        """Distinct experts of a layer that a step of batch_size sequences is expected to read, under even routing."""
        if not self.num_experts:
            return 0.0
        return expected_distinct(self.num_experts, self.experts_per_token, batch_size)


@dataclass(frozen=True, kw_only=True)
class DecodeJob:
    """One layer's decode attention at several G; lengths, when given, are the sequences' own contexts (ragged)."""

    num_query_heads: int
    kv_heads: tuple[int, ...]
    head_dim: int
    context_length: int
    batch_size: int
    dtype: str = "bfloat16"
    device: str = "auto"
    lengths: tuple[int, ...] = ()
    kernels: tuple[str, ...] = ()  # empty: every kernel of the host
    step: StepShape | None = None
    seconds_limit: float = 300.0
    quick: bool = False  # fewer samples, and no kernel that is compiled for every shape
    seed: int | None = None  # None draws one; it is recorded

    def __post_init__(self) -> None:
        _check_heads(self)
        _check_sizes(self)
        if self.dtype not in ELEMENT_BYTES:
            raise InvalidJob(f"dtype is {self.dtype!r}: choose one of {', '.join(ELEMENT_BYTES)}.")
        if self.dtype in SCALED and self.head_dim % 32:
            raise InvalidJob(
                f"head_dim is {self.head_dim}, and {self.dtype} has a scale for 32 elements: give a multiple of 32."
            )
        if self.device not in DEVICES:
            raise InvalidJob(f"device is {self.device!r}: choose one of {', '.join(DEVICES)}.")

    @property
    def sequence_lengths(self) -> tuple[int, ...]:
        return self.lengths or (self.context_length,) * self.batch_size

    @property
    def tokens(self) -> int:
        """Tokens that all sequences hold together."""
        return sum(self.sequence_lengths)

    def kv_read_bytes(self, num_kv_heads: int) -> int:
        """Bytes of keys and values that one layer's step must read."""
        return self.token_bytes(num_kv_heads) * self.tokens

    def token_bytes(self, num_kv_heads: int) -> int:
        """Bytes of one token's key and value in a layer, scales included."""
        return 2 * num_kv_heads * self.head_dim * BYTES_OF_32[self.dtype] // 32

    @property
    def attention_flops(self) -> int:
        """4 x H x head_dim x tokens: two matrix products of two FLOPs a pair."""
        return 4 * self.num_query_heads * self.head_dim * self.tokens

    @property
    def exponentials(self) -> int:
        return self.num_query_heads * self.tokens

    def stored_bytes(self, num_kv_heads: int) -> int:
        """Bytes of one copy of the cache as it lies in memory: ragged sequences are padded to the longest."""
        capacity = padded(max(self.sequence_lengths))
        return self.token_bytes(num_kv_heads) * capacity * len(self.sequence_lengths)


def _check_heads(job: DecodeJob) -> None:
    if not 1 <= job.num_query_heads <= MAX_HEADS:
        raise InvalidJob(f"query heads is {job.num_query_heads}: give 1 to {MAX_HEADS:,}.")
    if not job.kv_heads:
        raise InvalidJob("no G given: give at least one number of KV heads, such as 40,8,1.")
    for g in job.kv_heads:
        if g < 1 or job.num_query_heads % g:
            raise InvalidJob(f"G = {g} does not divide {job.num_query_heads} query heads: choose a divisor.")
    if len(set(job.kv_heads)) != len(job.kv_heads):
        raise InvalidJob(f"G is given twice in {', '.join(map(str, job.kv_heads))}: give each once.")


def _check_sizes(job: DecodeJob) -> None:
    if job.head_dim % 16 or not 16 <= job.head_dim <= MAX_HEAD_DIM:
        raise InvalidJob(f"head_dim is {job.head_dim}: give a multiple of 16 up to {MAX_HEAD_DIM:,}.")
    if not 1 <= job.context_length <= MAX_CONTEXT:
        raise InvalidJob(f"context is {job.context_length:,} tokens: give 1 to {MAX_CONTEXT:,}.")
    if not 1 <= job.batch_size <= MAX_BATCH:
        raise InvalidJob(f"batch is {job.batch_size:,}: give 1 to {MAX_BATCH:,}.")
    if job.lengths and (len(job.lengths) != job.batch_size or not all(1 <= n <= MAX_CONTEXT for n in job.lengths)):
        raise InvalidJob(
            f"{len(job.lengths)} lengths for a batch of {job.batch_size}: give one length of 1 to {MAX_CONTEXT:,} each."
        )
    if job.seed is not None and not 0 <= job.seed < SEEDS:
        raise InvalidJob(f"seed is {job.seed}: give 0 to {SEEDS - 1:,}.")
    if not 0 < job.seconds_limit <= MAX_SECONDS:
        raise InvalidJob(f"time limit is {job.seconds_limit:,} s: give more than 0 and at most {MAX_SECONDS:,}.")


def padded(tokens: int) -> int:
    """Tokens rounded up to the blocks of 16 that the packed layouts store."""
    return -(-tokens // 16) * 16


@dataclass(frozen=True, kw_only=True)
class FittedJob:
    """The job that will be measured, and how it was scaled down from the one asked for."""

    asked: DecodeJob
    measured: DecodeJob
    needed_bytes: int  # at the largest G, buffers of the measurement included
    limit_bytes: int

    @property
    def scale(self) -> float:
        """Tokens asked for over tokens measured: what measured times are multiplied by; 1 when nothing was scaled."""
        return self.asked.tokens / self.measured.tokens

    @property
    def sentence(self) -> str:
        """What was scaled, in words; empty when the job is measured as asked."""
        if self.scale == 1:
            return ""
        a, m = self.asked, self.measured
        return (
            f"Scaled down to fit: batch {m.batch_size:,} × {max(m.sequence_lengths):,} tokens instead of "
            f"{a.batch_size:,} × {max(a.sequence_lengths):,}; "
            f"times for the job itself are {self.scale:,.1f} times longer."
        )


def needed_bytes(job: DecodeJob, device_type: str = "cpu", read_bytes: int = COLD_BYTES) -> int:
    """Memory that a run needs: the cache at its largest G (rotated copies of it where it is small), a float32 working
    copy of one sequence and read_bytes for the roofline; on a CPU a second cache, laid out for the kernel under test,
    and what laying_out_bytes says beyond that.

    On a GPU (any other device_type) no second cache is asked for: memory is what limits the job there, and a kernel
    that finds no room for a layout of its own is an unavailable result beside the others.
    """
    stored = max(COLD_BYTES, *(job.stored_bytes(g) for g in job.kv_heads))
    capacity = padded(max(job.sequence_lengths))
    reference = 8 * job.head_dim * capacity * max(job.kv_heads)
    scores = 8 * job.num_query_heads * capacity * len(job.sequence_lengths)
    own = max(job.stored_bytes(g) for g in job.kv_heads)
    once_more = stored - own + laying_out_bytes(job.dtype, own, capacity=max(job.sequence_lengths))
    return stored + (once_more if device_type == "cpu" else 0) + reference + scores + read_bytes


def laying_out_bytes(dtype: str, cache_bytes: int, *, capacity: int) -> int:
    """The most that laying out a cache of cache_bytes for the compiled kernel holds beside it, in bytes: the layout and
    what it is made of (LAYING_OUT), and half a cache more where the context is filled up to blocks of 16 tokens."""
    return math.ceil(cache_bytes * (LAYING_OUT.get(dtype, 1.0) + (0.55 if capacity % 16 else 0)))


def fit_to_memory(job: DecodeJob, limit_bytes: int, device_type: str = "cpu") -> FittedJob:
    """The job itself when it fits limit_bytes, else the batch, then the contexts, halved until it does.

    Of a ragged batch the longest sequence stays, and of the others as many as there is room for, spread evenly over
    their lengths so that the mean context is as near to the asked one as such a choice comes; the order does not count.
    Raises InvalidJob when even one short sequence does not fit.
    """
    read_bytes = min(GPU_READ_BYTES, limit_bytes // 3) if device_type != "cpu" else COLD_BYTES
    measured, mean = job, job.tokens / job.batch_size
    while (needed := needed_bytes(measured, device_type, read_bytes)) > limit_bytes:
        smaller = _halved(measured, mean)
        if smaller is None:
            raise InvalidJob(
                f"{limit_bytes / 1e9:,.2f} GB of memory are free, and the smallest run needs "
                f"{needed / 1e9:,.2f} GB: free some memory, or measure a smaller G."
            )
        measured = smaller
    return FittedJob(asked=job, measured=measured, needed_bytes=needed, limit_bytes=limit_bytes)


def _halved(job: DecodeJob, mean: float) -> DecodeJob | None:
    if job.batch_size > 1:
        batch = job.batch_size // 2
        return replace(job, batch_size=batch, lengths=_kept_lengths(job.lengths, batch, mean) if job.lengths else ())
    if max(job.sequence_lengths) < 512:
        return None
    shorter = tuple(max(1, n // 2) for n in job.lengths)
    return replace(job, context_length=max(1, job.context_length // 2), lengths=shorter)


def _kept_lengths(lengths: tuple[int, ...], count: int, mean: float) -> tuple[int, ...]:
    """The longest and count - 1 others at even distances in order of length, begun where their mean is nearest."""
    longest, *others = sorted(lengths, reverse=True)
    if count == 1:
        return (longest,)
    apart = len(others) / (count - 1)
    begun = [[others[int((i + part / 16) * apart)] for i in range(count - 1)] for part in range(16)]
    return (longest, *min(begun, key=lambda some: abs(longest + sum(some) - count * mean)))


def copies_for_cold_reads(stored_bytes: int, cold_bytes: int = COLD_BYTES) -> int:
    """Copies of a cache to rotate through, so that `cold_bytes` are read before one returns; at most MOST_COPIES."""
    return max(1, min(MOST_COPIES, -(-cold_bytes // stored_bytes)))


def layer_weight_bytes(job: DecodeJob, shape: StepShape, num_kv_heads: int, experts: float | None = None) -> float:
    """Bytes of query, key, value and output projections and a gated FFN; 16-bit weights over an 8-bit cache.

    With experts there is a router, and as many FFNs as `experts` says: all of them unless a step's number is given.
    """
    width = max(2, ELEMENT_BYTES[job.dtype])
    projected = 2 * (job.num_query_heads + num_kv_heads) * job.head_dim
    ffns = (shape.num_experts if experts is None else experts) if shape.num_experts else 1
    return width * shape.hidden_size * (projected + shape.num_experts + ffns * 3 * shape.intermediate_size)


def layer_read_bytes(job: DecodeJob, shape: StepShape, num_kv_heads: int) -> int:
    """Bytes of a layer's weights that a step reads: with experts, the expected number of distinct ones."""
    return round(layer_weight_bytes(job, shape, num_kv_heads, shape.experts_read(job.batch_size)))


def step_read_bytes(job: DecodeJob, shape: StepShape, num_kv_heads: int) -> int:
    """What a whole decode step must read: every layer's weights and cache, the head, an embedding row per sequence."""
    width = max(2, ELEMENT_BYTES[job.dtype])
    layer = layer_read_bytes(job, shape, num_kv_heads) + job.kv_read_bytes(num_kv_heads)
    return shape.num_layers * layer + width * shape.hidden_size * (shape.vocab_size + job.batch_size)


def step_memory_bytes(job: DecodeJob, shape: StepShape, own_layouts: Collection[int] = (), copies: int = 1) -> int:
    """Memory that the step's rounds hold: a layer's weights and the cache that every G reads a part of, `copies` times;
    beside that the cache of each G in own_layouts, whose kernel stores it in a layout of its own; and both ends."""
    most, width = max(job.kv_heads), max(2, ELEMENT_BYTES[job.dtype])
    caches = job.stored_bytes(most) + sum(job.stored_bytes(g) for g in own_layouts)
    ends = 2 * width * shape.vocab_size * shape.hidden_size
    return copies * (round(layer_weight_bytes(job, shape, most)) + caches) + ends


def step_copies(job: DecodeJob, shape: StepShape) -> int:
    """Different layers to rotate through, so that a small one is not found in cache; never more than the model has."""
    least = min(job.kv_heads)
    layer = layer_read_bytes(job, shape, least) + job.stored_bytes(least)
    return max(1, min(shape.num_layers, -(-COLD_BYTES // layer)))


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The least time of one step in seconds, by each resource; the largest is the roofline."""

    memory_seconds: float
    matmul_seconds: float
    exponential_seconds: float

    @property
    def roofline_seconds(self) -> float:
        """Larger of bytes over bandwidth and FLOPs over rate."""
        return max(self.memory_seconds, self.matmul_seconds)

    @property
    def limit(self) -> str:
        return "memory" if self.memory_seconds >= self.matmul_seconds else "arithmetic"


def bound(
    job: DecodeJob, num_kv_heads: int, *, bytes_per_second: float, flops_per_second: float, exp_per_second: float
) -> Bound:
    """What the measured rates allow for one layer's step at this G."""
    return Bound(
        memory_seconds=job.kv_read_bytes(num_kv_heads) / bytes_per_second,
        matmul_seconds=job.attention_flops / flops_per_second,
        exponential_seconds=job.exponentials / exp_per_second,
    )
