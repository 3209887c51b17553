"""What one accelerator needs for a job, as functions of batch and context: everything else is worked out once.

Searches and sweeps ask for many batches and contexts of one job; each call here is a handful of integer operations.
All bytes are exact whole numbers, shares rounded up.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

from core.engines.plan import EnginePlan
from core.models.attention import GroupedAttention, NoAttention, SharedCache
from core.models.spec import ModelSpec
from core.serving.draft import Draft, DraftWeights, draft_weights, mtp_shape
from core.serving.draft_stored import draft_bytes
from core.serving.engine_cache import EngineCache, draft_cache, engine_cache
from core.serving.job import PAYLOAD, ServingJob
from core.serving.kv_ledger import KvLedger, kv_ledger
from core.serving.stages import Stage, stage_model, stages_of
from core.serving.stored import weight_bytes
from core.serving.weights import ParameterCount, ResizedWeights, count_of, resize

ACTIVATION_BYTES = 2
LOGIT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Bytes of activations on one rank: per prefilled token inside a layer, and per sequence for a row of logits."""

    bytes_per_token: int
    logit_bytes_per_sequence: int


@dataclass(frozen=True, kw_only=True)
class DraftFootprint:
    """A draft on one rank: ledger where its cache is counted as payload, engine where the engine keeps it apart."""

    counted: DraftWeights
    weight_bytes: int
    kv_bits_per_element: Fraction
    ledger: KvLedger | None = None
    engine: EngineCache | None = None
    shared_prefix: int = 0  # of the ledger's cache: the draft reads the same tokens, and keeps them once too

    def cache_bytes(self, batch: int, context_length: int) -> int:
        """Bytes beside the model's own cache; 0 where the engine's pool has them."""
        if self.engine is not None:
            return self.engine.held_bytes(batch, context_length)
        if self.ledger is None:
            return 0
        elements = self.ledger.reserved_elements(context_length, 1) * batch
        if self.shared_prefix:
            elements -= self.ledger.shared_elements(context_length, self.shared_prefix, on_rank=True) * (batch - 1)
        return _bytes(elements, self.kv_bits_per_element, 8) + self.ledger.state_bytes * batch


def draft_footprint(job: ServingJob, draft: Draft) -> DraftFootprint:
    """Raises SizingError where its parameters cannot be counted."""
    counted = draft_weights(draft, job.model, own_embedding=job.pipeline_parallel > 1)
    ledger = None
    if job.engine == PAYLOAD:
        shape = mtp_shape(job.model) if draft.model is None else draft.model.shape
        ledger = kv_ledger(shape, job.tensor_parallel, job.kv_bits_per_element)
    return DraftFootprint(
        counted=counted,
        weight_bytes=draft_bytes(job, draft, counted),
        kv_bits_per_element=job.kv_bits_per_element,
        ledger=ledger,
        engine=draft_cache(job),
        shared_prefix=job.shared_prefix,
    )


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """A job without its batch and context; batch below means sequences of one copy of the model."""

    weights: ResizedWeights
    weight_bytes: int
    ledger: KvLedger
    kv_bits_per_element: Fraction
    tensor_parallel: int
    block_size: int
    prefill_chunk: int
    reserve_bytes: int
    workspace: Workspace | None  # None where the dimensions for it are not known, or a measurement has it
    engine: EngineCache | None = None  # None for the payload
    draft: "DraftFootprint | None" = None
    shared_prefix: int = 0
    stage: Stage | None = None  # of a pipeline: weights, ledger and engine are its layers' alone

    @property
    def draft_weight_bytes(self) -> int:
        """What the draft weighs on one rank; 0 without one."""
        return 0 if self.draft is None else self.draft.weight_bytes

    def draft_cache_bytes(self, batch: int, context_length: int) -> int:
        """What the draft caches on one rank beside the model's cache; 0 where the engine's own figure has it."""
        return 0 if self.draft is None else self.draft.cache_bytes(batch, context_length)

    def payload_bytes(self, batch: int, context_length: int) -> int:
        """The attention pattern's own need, each KV head once, over tensor_parallel; index keys and side caches too."""
        elements = self.ledger.payload_elements(context_length) * batch
        if self.shared_prefix:
            shared = self.ledger.shared_elements(context_length, self.shared_prefix, on_rank=False)
            elements -= shared * (batch - 1)
        return _bytes(elements, self.kv_bits_per_element, 8 * self.tensor_parallel)

    def reserved_bytes(self, batch: int, context_length: int) -> int:
        """What the engine allocates on one rank, its states included; for the payload, plain blocks."""
        if self.engine is not None:
            return self.engine.held_bytes(batch, context_length)
        elements = self.ledger.reserved_elements(context_length, self.block_size) * batch
        if self.shared_prefix:
            whole = self.shared_prefix // self.block_size * self.block_size
            elements -= self.ledger.shared_elements(context_length, whole, on_rank=True) * (batch - 1)
        return _bytes(elements, self.kv_bits_per_element, 8)

    def state_bytes(self, batch: int) -> int:
        """Recurrent state, in full on every rank; 0 where an engine's own figure has it."""
        return 0 if self.engine is not None else self.ledger.state_bytes * batch

    def workspace_bytes(self, batch: int, context_length: int) -> int | None:
        """Activations of one prefill chunk or the logits of one step, whichever is larger; None where not known."""
        if self.workspace is None:
            return None
        tokens = min(self.prefill_chunk, context_length * batch)
        return max(tokens * self.workspace.bytes_per_token, batch * self.workspace.logit_bytes_per_sequence)

    def runtime_bytes(self, batch: int, context_length: int) -> int:
        """The larger of the workspace and the runtime reserve."""
        return max(self.workspace_bytes(batch, context_length) or 0, self.reserve_bytes)

    def total_bytes(self, batch: int, context_length: int) -> int:
        """Weights + draft + KV reserved + recurrent state + runtime. Grows with batch and, from the shared prefix on,
        with context; never shrinks."""
        cache = self.reserved_bytes(batch, context_length) + self.state_bytes(batch)
        return self.beside_bytes(batch, context_length) + cache

    def beside_bytes(self, batch: int, context_length: int) -> int:
        """All but the model's cache and states: weights, a draft with its own cache, and the runtime."""
        draft = self.draft_weight_bytes + self.draft_cache_bytes(batch, context_length)
        return self.weight_bytes + draft + self.runtime_bytes(batch, context_length)

    def engine_plan(self, batch: int, context_length: int, budget_bytes: int) -> EnginePlan | None:
        """The engine's own plan for what the budget leaves to the cache; None for the payload."""
        if self.engine is None:
            return None
        return self.engine.plan(batch, context_length, budget_bytes - self.beside_bytes(batch, context_length))

    def fits(self, batch: int, context_length: int, budget_bytes: int) -> bool:
        """Whether the total is within the budget, or, with an engine, whether it serves the batch from what is left."""
        if self.engine is None:
            return self.total_bytes(batch, context_length) <= budget_bytes
        found = self.engine_plan(batch, context_length, budget_bytes)
        beside = self.beside_bytes(batch, context_length)
        return beside <= budget_bytes and found is not None and bool(found.fits)


def footprint(job: ServingJob, stage: Stage | None = None) -> Footprint:
    """Everything of a job but its batch and context: of all layers, or of a pipeline's stage. Raises SizingError where
    the parameters cannot be counted."""
    weights, own = served_weights(job), own_count(job)
    served, sized = (job.served_model, weights.model) if stage is None else (
        stage_model(job.served_model, stage), stage_model(weights.model, stage),
    )  # fmt: skip
    return Footprint(
        weights=weights,
        weight_bytes=weight_bytes(job, weights.count, own, stage),
        ledger=kv_ledger(served, job.tensor_parallel, job.kv_bits_per_element),
        kv_bits_per_element=job.kv_bits_per_element,
        tensor_parallel=job.tensor_parallel,
        block_size=job.block_size,
        prefill_chunk=job.prefill_chunk,
        reserve_bytes=ceil(job.runtime_reserve_bytes) if job.measured is None else job.measured.beside_bytes,
        workspace=workspace(sized, job.tensor_parallel) if job.measured is None and not job.num_experts else None,
        engine=engine_cache(job, stage),
        draft=draft_footprint(job, job.draft) if job.draft is not None and (stage is None or stage.ends) else None,
        shared_prefix=job.shared_prefix,
        stage=stage,
    )


def footprints(job: ServingJob) -> tuple[Footprint, ...]:
    """One for each stage of a pipeline; of all layers where there is none. Raises SizingError as footprint does."""
    if job.pipeline_parallel == 1:
        return (footprint(job),)
    stages = stages_of(len(job.served_model.layers), job.pipeline_parallel, job.engine)
    return tuple(footprint(job, stage) for stage in stages)


def own_count(job: ServingJob) -> ParameterCount:
    """Parameters of the published model: the job's own figure, else counted from the config."""
    return job.parameter_count or count_of(job.model)


def served_weights(job: ServingJob) -> ResizedWeights:
    """Parameters of the served model, freed ones dropped or spent. Raises SizingError where they cannot be counted."""
    count = own_count(job)
    if not count.parts and job.freed_parameters == "spent":  # its FFN is asked of the config, which no key holds
        return resize(job.model, job.served_model, count, "spent")
    return _served_weights(job.published_shape, job.served_model, count, job.freed_parameters)


@lru_cache(maxsize=1024)
def _served_weights(
    model: ModelSpec, served: ModelSpec, count: ParameterCount, freed_parameters: str
) -> ResizedWeights:
    return resize(model, served, count, freed_parameters)


@lru_cache(maxsize=1024)
def workspace(model: ModelSpec, tensor_parallel: int) -> Workspace | None:
    """Activations at 2 bytes of a model without experts; None for latent or recurrent layers, or where a dimension is
    missing.

    Inside a layer the residual stream and its norm are alive with the wider of attention's intermediates (Q, K, V and
    the output) and the FFN's (gate, up and their product; or the one matrix and its activation). Engines reuse that
    memory from layer to layer. At the end, one row of logits per sequence at 4 bytes.
    """
    dimensions = model.dimensions
    plain = all(isinstance(layer, GroupedAttention | SharedCache | NoAttention) for layer in model.layers)
    if not plain:
        return None
    if dimensions.intermediate_size is None or dimensions.vocab_size is None:
        return None
    ffn = -(-dimensions.intermediate_size // tensor_parallel) * (3 if dimensions.gated_ffn else 2)
    widest = max(ffn, _attention_width(kv_ledger(model, tensor_parallel), tensor_parallel))
    return Workspace(
        bytes_per_token=(2 * dimensions.hidden_size + widest) * ACTIVATION_BYTES,
        logit_bytes_per_sequence=dimensions.vocab_size * LOGIT_BYTES,
    )


def _attention_width(ledger: KvLedger, tensor_parallel: int) -> int:
    """Elements per token of Q, K, V and the output on one rank; the widest layer's."""
    # attention_flops = 2 x H x (key + value width), and Q with the output are H x (key + value width)
    widths = (group.attention_flops // 2 // tensor_parallel + group.rank_width for group in ledger.groups)
    return max(widths, default=0)


def _bytes(elements: int, bits: Fraction, divisor: int) -> int:
    """elements x bits / divisor, rounded up, in whole numbers."""
    return -(-elements * bits.numerator // (bits.denominator * divisor))
