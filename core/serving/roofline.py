"""The least time that a decode step can take: bytes over bandwidth against FLOPs over rate.

    memory seconds  = (weight bytes + KV bytes read) / bandwidth
    compute seconds = (2 x a token's parameters x batch + attention FLOPs) / dense BF16 rate
    step seconds   >= the larger of the two

KV bytes read are the payload with windows capped; where an index chooses tokens, all of its keys and the chosen
tokens alone. Under tensor parallelism each rank reads the copies that it holds. Batching shares the weights among
users and nothing of the cache: the tokens in flight at which the two weigh the same are N*. The stages of a pipeline
work one after the other on a token, so that a step takes as long as with all layers on one. The arithmetic intensity
of decode attention is 2 (H / G) / b FLOPs per byte for elements of b bytes, whatever batch and context (arXiv
2505.21487, section 3.1). Of the weights a step reads what step_reads.py says: rows of the embedding, and the experts
that a batch wakes under even routing. No launch overhead, communication or sampling is in the bound.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, isfinite

from core.errors import SizingError
from core.parameters.count import ExpertGroup, ParameterCount
from core.serving.footprint import Footprint, footprint, own_count
from core.serving.job import ServingJob
from core.serving.step_reads import WeightReads, expected_distinct, is_read_in_part, rounded_bytes, weight_reads
from core.serving.stored import average_bits, storage, stored_bits

NARROW_BITS = 12  # on average: matrices of 8 bits beside an embedding and norms of 16
NARROW = (
    "an engine that multiplies weights of 8 bits or fewer as they are (FP8, INT8) has a higher rate, and can be faster "
    "than this."
)


@dataclass(frozen=True, kw_only=True)
class StepBound:
    """One decode step of the fullest copy, per accelerator; seconds are None where the accelerator's figure is unknown.

    weight_read_bytes is the expected figure where a layer has experts, least_ and most_weight_read_bytes its range.
    binds is 'memory' or 'compute', or None where one side is unknown. crossover_tokens is N*, the tokens in flight at
    which KV traffic equals weight traffic while no window is full and an index chooses every token; None for a model
    without a cache.
    """

    batch_per_replica: int
    batch_size: int
    weight_read_bytes: int
    least_weight_read_bytes: int
    most_weight_read_bytes: int
    kv_read_bytes: int
    state_read_bytes: int
    weight_flops: int
    attention_flops: int
    bandwidth_bytes_per_s: float | None
    flops_per_s: float | None
    crossover_tokens: float | None
    caveats: tuple[str, ...]
    batches_in_flight: int = 1  # of a pipeline: one for each stage, at best
    emptier: "StepBound | None" = None  # of a copy with a sequence less, where copies share a batch unevenly
    emptier_copies: int = 0

    @property
    def read_bytes(self) -> int:
        return self.weight_read_bytes + self.kv_read_bytes + self.state_read_bytes

    @property
    def memory_seconds(self) -> float | None:
        return _over(self.read_bytes, self.bandwidth_bytes_per_s)

    @property
    def compute_seconds(self) -> float | None:
        return _over(self.weight_flops + self.attention_flops, self.flops_per_s)

    @property
    def kv_seconds(self) -> float | None:
        """Seconds for the KV bytes alone."""
        return _over(self.kv_read_bytes, self.bandwidth_bytes_per_s)

    @property
    def attention_seconds(self) -> float | None:
        """Seconds for the attention FLOPs alone."""
        return _over(self.attention_flops, self.flops_per_s)

    @property
    def step_seconds(self) -> float | None:
        """The larger side; the memory side alone where the rate is unknown; None where the bandwidth is."""
        if self.memory_seconds is None:
            return None
        return max(self.memory_seconds, self.compute_seconds or 0.0)

    @property
    def binds(self) -> str | None:
        if self.memory_seconds is None or self.compute_seconds is None:
            return None
        return "memory" if self.memory_seconds >= self.compute_seconds else "compute"

    @property
    def tokens_per_second_per_user(self) -> float | None:
        return None if self.step_seconds is None else 1 / self.step_seconds

    @property
    def tokens_per_second(self) -> float | None:
        """Over all users and all copies of the model; a pipeline's stages work on batches of their own at best."""
        return self.rate(self.step_seconds, None if self.emptier is None else self.emptier.tokens_per_second)

    def rate(self, seconds: float | None, emptier: float | None) -> float | None:
        """Sequences a second, where the fullest copies step in so many seconds; emptier is one of the other copies'."""
        if seconds is None:
            return None
        fullest = self.batch_size - self.emptier_copies * (self.batch_per_replica - 1)
        return fullest * self.batches_in_flight / seconds + self.emptier_copies * (emptier or 0.0)

    @property
    def attention_intensity(self) -> float | None:
        """FLOPs per KV byte read on one rank; 2 (H / G) / b where no head is copied. None without a cache."""
        return self.attention_flops / self.kv_read_bytes if self.kv_read_bytes else None

    @property
    def ridge_flops_per_byte(self) -> float | None:
        """The accelerator's FLOPs per byte: below it, memory binds."""
        return _over(self.flops_per_s, self.bandwidth_bytes_per_s)


def decode_bound(job: ServingJob) -> StepBound:
    """The bound on one decode step of a job, whether or not it fits. Raises SizingError as plan(job) does."""
    needs, device, emptier = footprint(job), job.device, emptier_copy(job)
    sequences, ranks = job.batch_per_replica, job.tensor_parallel
    read = needs.ledger.read_elements(job.context_length) * sequences
    if job.shared_prefix:
        read -= needs.ledger.shared_read_elements(job.context_length, job.shared_prefix) * (sequences - 1)
    count = needs.weights.count
    weights = reads_of(job, count, sequences)
    flops = needs.ledger.attention_flops(job.context_length) * sequences
    bound = StepBound(
        batch_per_replica=sequences,
        batch_size=job.batch_size,
        weight_read_bytes=rounded_bytes(weights.expected_bits, ranks),
        least_weight_read_bytes=rounded_bytes(weights.least_bits, ranks),
        most_weight_read_bytes=rounded_bytes(weights.most_bits, ranks),
        kv_read_bytes=ceil(read * job.kv_bits_per_element / 8),
        state_read_bytes=ceil(Fraction(needs.ledger.state_bytes * sequences, ranks)),
        weight_flops=ceil(Fraction(weights.flops_per_sequence * sequences, ranks)),
        attention_flops=ceil(Fraction(flops, ranks)),
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s,
        flops_per_s=device.bf16_dense_flops,
        crossover_tokens=_crossover(needs, rounded_bytes(weights.expected_bits, ranks)),
        caveats=_caveats(job, count, sequences),
        batches_in_flight=job.pipeline_parallel,
        emptier=None if emptier is None else decode_bound(emptier),
        emptier_copies=0 if emptier is None else job.replicas - job.batch_size % job.replicas,
    )
    if bound.binds == "compute" and multiplies_narrow(job, count):
        return replace(bound, caveats=(*bound.caveats, f"Arithmetic at the dense BF16 rate binds: {NARROW}"))
    return bound


def reads_of(job: ServingJob, count: ParameterCount, tokens: int, *, awake: int | None = None) -> WeightReads:
    """Of the weights, what a step of one copy reads for so many tokens, one of a sequence or several; awake are those
    that choose experts, where not each rank that shares them has as many."""
    return weight_reads(
        count,
        storage(job),
        batch=tokens,
        vocab_size=job.model.dimensions.vocab_size,
        stored_bits=stored_bits(job, count, own_count(job)),
        expert_copies=job.data_parallel,
        awake=awake,
    )


def emptier_copy(job: ServingJob) -> ServingJob | None:
    """A copy that has a sequence less than the fullest, so that its step is shorter; None where there is none with any.

    Attention ranks that share experts step together.
    """
    each, over = divmod(job.batch_size, job.replicas)
    if not each or not over or job.data_parallel > 1:
        return None
    return job.where(num_accelerators=job.num_accelerators // job.replicas, batch_size=each)


def multiplies_narrow(job: ServingJob, count: ParameterCount) -> bool:
    """Whether the weights are stored so narrow that an engine may multiply them at a higher rate than BF16's."""
    return average_bits(job, count) < NARROW_BITS


def attention_intensity(num_query_heads: int, num_kv_heads: int, bytes_per_element: float) -> float:
    """FLOPs per KV byte of decode attention: 4 H d S over 2 G d S b = 2 (H / G) / b."""
    return 2 * num_query_heads / num_kv_heads / bytes_per_element


def cost_per_million_tokens(bound: StepBound, price_per_gpu_hour: float, num_accelerators: int) -> float | None:
    """Price of a million decoded tokens at the bound, in the currency typed: the least it can be.

    None where the step time is unknown. Raises SizingError for a price that is negative or no number.
    """
    is_number = isinstance(price_per_gpu_hour, int | float) and not isinstance(price_per_gpu_hour, bool)
    if not is_number or not isfinite(price_per_gpu_hour) or not 0 <= price_per_gpu_hour <= 1e9:
        raise SizingError(f"price per GPU-hour is {price_per_gpu_hour!r}: give a number from 0 to 1,000,000,000")
    if bound.tokens_per_second is None:
        return None
    return price_per_gpu_hour * num_accelerators / 3600 / bound.tokens_per_second * 1e6


def _over(amount: float | None, rate: float | None) -> float | None:
    return None if amount is None or rate is None else amount / rate


def _crossover(needs: Footprint, weight_read_bytes: int) -> float | None:
    """N* = weight bytes / KV bytes per token, both on one rank; of weights that a step reads in part, with experts,
    tables or towers, that part."""
    per_token = needs.ledger.elements_per_token() * needs.kv_bits_per_element / 8
    weights = weight_read_bytes if is_read_in_part(needs.weights.count) else needs.weight_bytes
    return float(weights / per_token) if per_token else None


def _caveats(job: ServingJob, count: ParameterCount, sequences: int) -> tuple[str, ...]:
    caveats = []
    if job.pipeline_parallel > 1:
        caveats.append(
            f"Tokens a second are {job.pipeline_parallel} times a batch's: as if all {job.pipeline_parallel} stages "
            "worked on batches of their own at once. Each user's rate has none of it."
        )
    if job.device.bandwidth_bytes_per_s is None:
        caveats.append(f"The bandwidth of {job.device.name} is unknown: no bound on the step.")
    if job.device.bf16_dense_flops is None:
        caveats.append(f"The BF16 rate of {job.device.name} is unknown: only the memory side is bounded.")
    if count.expert_groups:
        caveats.append(_experts_sentence(count.expert_groups, sequences))
    elif count.routed_experts or job.num_experts:
        caveats.append("Every expert counts as read and computed; a step that routes to fewer can be faster than this.")
    return tuple(caveats)


def _experts_sentence(groups: tuple[ExpertGroup, ...], sequences: int) -> str:
    """The experts of a layer that the step is expected to activate, with the range."""
    group = max(groups, key=lambda each: each.layers)
    expected = expected_distinct(group.num_experts, group.experts_per_token, sequences)
    most = min(group.num_experts, group.experts_per_token * sequences)
    who = "one sequence is" if sequences == 1 else f"each of {sequences:,} sequences is"
    return (
        f"Experts: {who} routed to {group.experts_per_token} of "
        f"{group.num_experts} in a layer, {expected:.1f} distinct ones expected under even routing, between "
        f"{group.experts_per_token} and {most}. Uneven routing activates fewer: such a step can be faster than this."
    )
