"""The bytes of a draft's weights on one rank, and what one of its steps reads of them.

A draft of its own is stored as its own file says where the model's is (as published), else at 16 bits; MTP layers as
the model's file says, unless that leaves them out. One width for all weights is the draft's too. Experts lie as the
model's do.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil

from core.parameters.formats import PUBLISHED
from core.parameters.quantization import published_storage
from core.parameters.storage import SIXTEEN, Storage, every_weight_at
from core.serving.draft import Draft, DraftWeights, announced_layers, mtp_shape
from core.serving.job import ServingJob
from core.serving.kv_ledger import kv_ledger
from core.serving.rank_weights import REST, ExpertSplit, rank_bits
from core.serving.step_reads import rounded_bytes, weight_reads
from core.serving.stored import published


def draft_storage(job: ServingJob, draft: Draft) -> Storage:
    """How the draft's weights are stored. Raises SizingError for a quantization_config that is not known here."""
    if job.weight_format is None:
        return every_weight_at(job.weight_bits)
    found = None
    if job.weight_format == PUBLISHED and draft.parameter_count is None:
        if draft.model is not None:
            found = published(draft.model)
        else:
            found = published_storage(job.model.config, len(job.model.layers), mtp_layers=announced_layers(job.model))
    return found or every_weight_at(float(SIXTEEN))


def draft_bytes(job: ServingJob, draft: Draft, counted: DraftWeights, rank: int = 0) -> int:
    """Bytes on one rank, rounded up; rank is its number among those that share the experts: the first holds most."""
    how, count = draft_storage(job, draft), counted.count
    bits = how.bits_stored(count)
    if count.parts and count.routed_experts:
        number = max((group.num_experts for group in count.expert_groups), default=1)
        ranks = job.tensor_parallel * job.data_parallel
        experts = ExpertSplit(ranks=ranks, whole=job.expert_parallel, num_experts=number)
        bits = rank_bits(
            count, how, bits, {REST: Fraction(1)}, tensor_parallel=job.tensor_parallel, experts=experts, rank=rank
        )
        return ceil(bits / 8)
    return ceil(bits / 8 / job.tensor_parallel)


def draft_read_bytes(job: ServingJob, draft: Draft, counted: DraftWeights) -> int:
    """Bytes of its weights that one step of the draft reads on one rank: of experts those that a batch should wake, of
    a table of its own a row a sequence, of several MTP layers the one whose turn it is."""
    how, count = draft_storage(job, draft), counted.count
    if not count.parts and draft.method != "draft_model":  # of such a head the rows weigh nothing beside the rest
        bits = float((count.total - (count.embedding or 0)) * how.usual_bits)
        return rounded_bytes(bits / _layers_in_turn(job, draft), job.tensor_parallel)
    read = weight_reads(
        count if count.expert_groups else replace(count, routed_experts=None),
        how,
        batch=job.batch_per_replica,
        vocab_size=(draft.model or job.model).dimensions.vocab_size,
        stored_bits=how.bits_stored(count),
        expert_copies=job.data_parallel if count.expert_groups else 1,
    )
    return rounded_bytes(read.expected_bits / _layers_in_turn(job, draft), job.tensor_parallel)


def _layers_in_turn(job: ServingJob, draft: Draft) -> int:
    """MTP layers that draft one token each, one after the other; all layers of another draft work on each token."""
    return announced_layers(job.model) if draft.method == "mtp" else 1


def draft_cache_read_bytes(job: ServingJob, draft: Draft) -> int:
    """What one step of the draft reads of its cache on one rank, whichever engine keeps it."""
    shape = mtp_shape(job.model) if draft.model is None else draft.model.shape
    ledger = kv_ledger(shape, job.tensor_parallel, job.kv_bits_per_element)
    read = Fraction(ledger.read_elements(job.context_length) * job.batch_per_replica)
    if job.shared_prefix:
        read -= ledger.shared_read_elements(job.context_length, job.shared_prefix) * (job.batch_per_replica - 1)
    return ceil(read * job.kv_bits_per_element / 8 / _layers_in_turn(job, draft))
