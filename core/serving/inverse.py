"""The questions behind a plan: how large a batch, how long a context, which G, how many accelerators, how few KV bits.

Each answer is exact: the total grows with batch and context, so bisection finds the last value that fits, with
windows, whole blocks and copied KV heads as the plan counts them; G, accelerators and bits are few enough to try. An
answer is an int that explains itself: 0 with `fits` False means that nothing fits, and the sentence says so.
"""

from collections.abc import Callable
from typing import Any

from core.engines.plan import EngineError
from core.errors import SizingError
from core.models.attention import NoAttention, RecurrentState
from core.models.notebook import html_table
from core.models.spec import ModelSpec
from core.serving.budget import budget_bytes
from core.serving.footprint import Footprint, footprints
from core.serving.job import MAX_ACCELERATORS, MAX_BATCH_SIZE, PAYLOAD, ServingJob
from core.serving.memory_plan import MemoryPlan, plan, total_bytes
from core.serving.tensor_parallel import divisors
from core.serving.what_if import MAX_CONTEXT_LENGTH, allowed_kv_heads, query_heads, require_own_heads
from core.units import in_gb

MOST_HALVINGS = 6  # of a model that has no heads to divide: 64 accelerators
KV_WIDTHS = (16, 8, 4, 2)  # bits that published KV caches use: bf16, fp8 or int8, 4-bit, and KIVI's 2


class Answer(int):
    """A whole number with its reason. job is the job at that number; None where nothing fits (the number is then 0).

    at_limit says that the largest number that Headroom accepts still fits, so memory is not what limits.
    """

    job: ServingJob | None
    sentence: str
    at_limit: bool

    def __new__(cls, value: int, *, job: ServingJob | None, sentence: str, at_limit: bool = False) -> "Answer":
        answer = super().__new__(cls, value)
        answer.job, answer.sentence, answer.at_limit = job, sentence, at_limit
        return answer

    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, Any]]:
        """So that a pickled answer (Streamlit's cache) keeps its reason."""
        return (int(self),), {"job": self.job, "sentence": self.sentence, "at_limit": self.at_limit}

    def _repr_html_(self) -> str:
        return html_table(f"{int(self):,}", [("", self.sentence)])

    @property
    def fits(self) -> bool:
        """Whether anything fits."""
        return self.job is not None

    @property
    def plan(self) -> MemoryPlan | None:
        """The memory plan at the answer; None where nothing fits."""
        return None if self.job is None else plan(self.job)


def largest_batch(job: ServingJob) -> Answer:
    """The largest batch_size that fits, everything else as in the job."""
    needs, budget, copies = footprints(job), budget_bytes(job), job.replicas
    best = _last_fitting(
        lambda value: _served(needs, -(-value // copies), job.context_length, budget),
        MAX_BATCH_SIZE,
        near=copies * min(_about(stage, job.context_length, budget) for stage in needs),
    )
    each = f"sequences of {job.context_length:,} tokens"
    if best == 0:
        return _nothing(f"No batch fits: {_shortfall(job.where(batch_size=1))} with a single sequence.")
    at = job.where(batch_size=best)
    if best == MAX_BATCH_SIZE:
        return Answer(best, job=at, at_limit=True, sentence=f"Memory sets no limit: {best:,} {each} fit.")
    fit = f"1 sequence of {job.context_length:,} tokens fits" if best == 1 else f"{best:,} {each} fit"
    return Answer(best, job=at, sentence=f"{fit}; {best + 1:,} do not.")


def longest_context(job: ServingJob) -> Answer:
    """The longest context_length that fits for every sequence of the batch; of a shared prefix, at least that."""
    needs, budget = footprints(job), budget_bytes(job)
    least = max(job.shared_prefix, 1)  # below it a longer context may take less: more blocks are whole and shared
    best = _last_fitting(
        lambda value: _served(needs, job.batch_per_replica, max(value, least), budget), MAX_CONTEXT_LENGTH
    )
    if best == 0:
        alone = "a single token" if least == 1 else f"the shared prefix of {least:,} tokens"
        return _nothing(f"No context fits: {_shortfall(job.where(context_length=least))} with {alone}.")
    at = job.where(context_length=best)
    trained = job.model.dimensions.max_context_length
    beyond = f" The config declares {trained:,} at most." if trained is not None and best > trained else ""
    if best == MAX_CONTEXT_LENGTH:
        return Answer(best, job=at, at_limit=True, sentence=f"Memory sets no limit: {best:,} tokens fit.{beyond}")
    of_each = "in one sequence" if job.batch_size == 1 else f"in each of {job.batch_size:,} sequences"
    fit = f"1 token {of_each} fits" if best == 1 else f"{best:,} tokens {of_each} fit"
    sentence = f"{fit}; {best + 1:,} do not.{beyond}"
    return Answer(best, job=at, sentence=sentence)


def largest_kv_heads(job: ServingJob) -> Answer:
    """The largest G, among those the model and tensor_parallel allow and the engine takes, that fits. Raises
    SizingError where G has no dial, and EngineError where the engine takes none."""
    require_own_heads(job.model)
    choices = allowed_kv_heads(job.model, job.tensor_parallel)
    taken = [kv_heads for kv_heads in choices if is_offered(job.where(num_kv_heads=kv_heads))]
    if not taken:
        raise EngineError(f"{_refusal(job.where(num_kv_heads=choices[-1]))}.")
    others = "" if taken == list(choices) else f" Of {len(choices)} values of G {job.engine} takes {len(taken)}."
    for place, kv_heads in reversed([*enumerate(taken)]):
        at = job.where(num_kv_heads=kv_heads)
        if serves(at):
            larger = f"; G = {taken[place + 1]} does not" if kv_heads < taken[-1] else ""
            sentence = f"G = {kv_heads} fits{larger}.{others}"
            return Answer(kv_heads, job=at, sentence=sentence, at_limit=kv_heads == choices[-1])
    return _nothing(f"No G fits: {_shortfall(job.where(num_kv_heads=taken[0]))} with G = {taken[0]}.{others}")


def fewest_kv_bits(job: ServingJob, *, scale_overhead_bits: int | None = None) -> Answer:
    """How few bits a KV element must come down to: the widest of 16, 8, 4 and 2 that fits (16 has no scales).

    scale_overhead_bits are those of a scale below 16 bits, the job's own where None. No answer where the engine's
    settings name how the cache is stored.
    """
    if job.stored_type is not None:
        return _nothing(f"The cache is in {job.stored_type.name}, whatever the bits.")
    for position, bits in enumerate(KV_WIDTHS):
        at = with_kv_bits(job, bits, scale_overhead_bits)
        if is_offered(at) and serves(at):
            wider = f"; {KV_WIDTHS[position - 1]} bits do not" if position else ""
            return Answer(bits, job=at, sentence=f"{bits} bits an element fit{wider}.", at_limit=not position)
    narrowest = [at for bits in KV_WIDTHS if is_offered(at := with_kv_bits(job, bits, scale_overhead_bits))][-1:]
    if not narrowest:
        raise EngineError(f"{job.engine} takes this model at none of {KV_WIDTHS} cache bits. Take another engine.")
    return _nothing(f"No width fits: {_shortfall(narrowest[0])} at {narrowest[0].kv_bits} bits.")


def is_offered(job: ServingJob) -> bool:
    """Whether the engine has a cache of the job's width for this model."""
    return not _refusal(job)


def _refusal(job: ServingJob) -> str:
    """Why the engine has no such cache, as a clause; empty where it has one."""
    try:
        for needs in footprints(job):
            needs.fits(1, 1, 0)
    except EngineError as refused:
        return str(refused).rstrip(".")
    return ""


def fewest_accelerators(job: ServingJob) -> Answer:
    """The fewest accelerators that hold one copy of the model with the whole batch, tensor_parallel being that number.

    The sentence also says where several copies that share the batch would do with fewer.
    """
    choices = parallel_choices(job)
    if not choices:
        return _nothing(_no_split(job))
    ranks = [count for count in choices if serves(job.where(**one_copy(count)))]
    if not ranks:
        largest = max(choices)
        reason = _shortfall(job.where(**one_copy(largest)))
        sentence = f"No number fits: {reason} at tensor_parallel {largest}, the largest that divides."
        return _nothing(sentence + _shared_by_copies(fewest_accelerators_with_copies(job)))
    best = ranks[0]
    copies = fewest_accelerators_with_copies(job)
    shared = _shared_by_copies(copies) if copies < best else ""
    held = "1 holds one copy" if best == 1 else f"{best} hold one copy"
    divided = "the heads" if _has_heads(job.served_model) else "the hidden size"
    fewer = "" if best == 1 else f"; no smaller number that divides {divided} does"
    sentence = f"{held} with the whole batch{fewer}.{shared}"
    return Answer(best, job=job.where(**one_copy(best)), sentence=sentence)


def _no_split(job: ServingJob) -> str:
    """Why no tensor_parallel is offered, by what the engine says of one accelerator."""
    return f"No number serves one copy by tensor parallel alone: {_refusal(job.where(**one_copy(1)))}."


def _shared_by_copies(copies: Answer) -> str:
    """Whose copies would hold the batch together; empty where none do."""
    if copies.job is None:
        return ""
    return f" {copies.job.replicas} copies that share the batch would do with {int(copies)} in all."


def fewest_accelerators_with_copies(job: ServingJob) -> Answer:
    """The fewest accelerators where copies of the model may share the batch; among equals the one with most
    headroom."""
    found: list[ServingJob] = []
    choices = parallel_choices(job)
    if not choices:
        return _nothing(_no_split(job))
    for ranks in choices:
        each = largest_batch(job.where(**one_copy(ranks)))
        copies = -(-job.batch_size // each) if each else 0
        if 0 < copies * ranks <= MAX_ACCELERATORS:
            found.append(job.where(**one_copy(ranks) | {"num_accelerators": copies * ranks}))
    if not found:
        return _nothing("No number of accelerators fits: one sequence is too large at every tensor_parallel.")
    best = min(found, key=lambda at: (at.num_accelerators, -headroom_bytes(at)))
    sentence = f"{best.num_accelerators} in all: {best.replicas} copies at tensor_parallel {best.tensor_parallel}."
    return Answer(best.num_accelerators, job=best, sentence=sentence)


def job_fits(job: ServingJob) -> bool:
    """plan(job).fits without the rest of the plan."""
    budget = budget_bytes(job)
    return all(needs.fits(job.batch_per_replica, job.context_length, budget) for needs in footprints(job))


def serves(job: ServingJob) -> bool:
    """Whether it fits; what its engine refuses, such as a batch beyond one at a narrow cache, does not."""
    try:
        return job_fits(job)
    except EngineError:
        return False


def headroom_bytes(job: ServingJob) -> int:
    """plan(job).headroom_bytes without the rest of the plan."""
    return budget_bytes(job) - total_bytes(job)


def with_kv_bits(job: ServingJob, bits: int, scale_overhead_bits: int | None = None) -> ServingJob:
    """The job at another KV width; 16 bits need no scales, fewer those of the job unless others are given."""
    below = job.kv_scale_overhead_bits if scale_overhead_bits is None else scale_overhead_bits
    overhead = 0 if bits >= 16 else below
    return job.where(kv_bits=bits, kv_scale_overhead_bits=overhead)


def parallel_choices(job: ServingJob) -> list[int]:
    """Every tensor_parallel, ascending, over which the served model's heads divide or repeat evenly and which the
    engine takes; empty where it takes the model split in another way alone. Powers of two where nothing attends."""
    choices = []
    for ranks in _even_splits(job.served_model):
        try:
            copy = job.where(**one_copy(ranks))
        except SizingError:
            continue
        if job.engine == PAYLOAD or is_offered(copy):  # an engine may not split a state over so many, or need a split
            choices.append(ranks)
    return choices


def _even_splits(model: ModelSpec) -> tuple[int, ...]:
    """What divides the query heads; without any, the powers of two that divide the hidden size."""
    if _has_heads(model):
        return divisors(query_heads(model))
    width = model.dimensions.hidden_size
    return tuple(2**power for power in range(MOST_HALVINGS + 1) if width % 2**power == 0)


def _has_heads(model: ModelSpec) -> bool:
    return not all(isinstance(layer, RecurrentState | NoAttention) for layer in model.layers)


def one_copy(ranks: int) -> dict[str, int | bool]:
    """One copy, split by tensor parallel alone."""
    split: dict[str, int | bool] = {"pipeline_parallel": 1, "data_parallel": 1, "expert_parallel": False}
    return {"num_accelerators": ranks, "tensor_parallel": ranks, **split}


def _served(needs: tuple[Footprint, ...], batch: int, context_length: int, budget: int) -> bool:
    """Whether it fits; a length or batch that is beyond what the engine takes does not. Raises EngineError for what the
    engine refuses at any size."""
    try:
        return all(stage.fits(batch, context_length, budget) for stage in needs)
    except EngineError:
        for stage in needs:
            stage.fits(1, 1, budget)
        return False


def _about(needs: Footprint, context_length: int, budget: int) -> int:
    """Sequences that fit if each next one takes what the second does: where to begin to search."""
    try:
        one, two = (needs.total_bytes(batch, context_length) for batch in (1, 2))
    except EngineError:
        return 1
    return 1 + (budget - one) // max(two - one, 1)


def _last_fitting(fits: Callable[[int], bool], largest: int, near: int | None = None) -> int:
    """The last value of 1..largest that fits, for a question that turns from yes to no once; 0 where 1 does not fit.

    Begins at `near`, in steps that double, and halves what they leave: a good guess needs few questions.
    """
    at, step = min(max(largest if near is None else near, 1), largest), 1
    upwards = fits(at)
    fitting, failing = (at, largest + 1) if upwards else (0, at)
    while near is not None and failing - fitting > 1:
        at = min(fitting + step, largest) if upwards else max(failing - step, 1)
        step *= 2
        fitting, failing = (at, failing) if (yes := fits(at)) else (fitting, at)
        if yes != upwards:
            break
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        fitting, failing = (middle, failing) if fits(middle) else (fitting, middle)
    return fitting


def _nothing(sentence: str) -> Answer:
    return Answer(0, job=None, sentence=sentence)


def _shortfall(job: ServingJob) -> str:
    try:
        missing = -headroom_bytes(job)
    except EngineError as refused:  # at this size, though it takes a smaller one
        return f"it is refused ({str(refused).rstrip('.')})"
    if missing <= 0:  # the bytes are there, and the engine's own limits are not met
        return f"{job.engine} does not serve it from what is left"
    return f"{in_gb(missing)} are missing"
