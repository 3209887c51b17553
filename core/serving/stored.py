"""The bytes of a job's weights: every one at weight_bits, or in a format by name, or as the model's file says.

'published' is what a repository holds: the bytes that its files were found to have, else its quantization_config, else
weight_bits. A change of G takes away or adds K and V projections at the width that they are stored in.
"""

from collections import OrderedDict
from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from core.engines.class_names import Keyed
from core.errors import SizingError
from core.models.attention import GroupedAttention, ParallelLayer
from core.models.spec import ModelSpec
from core.parameters.count import ParameterCount
from core.parameters.formats import PUBLISHED, named_storage
from core.parameters.gguf_mix import Build
from core.parameters.storage import Storage, every_weight_at
from core.serving.job import ServingJob
from core.serving.layer_experts import layer_experts
from core.serving.rank_weights import REST, ExpertSplit, experts_told_apart, rank_bits, stage_shares
from core.serving.stages import Stage, stages_of

KEPT_READINGS = 256
_READ: OrderedDict[int, tuple[object, Storage | None]] = OrderedDict()
# Types whose Q, K and V are one matrix in a GGUF file
FUSED_QKV = frozenset({"bloom", "chatglm", "codegen", "dbrx", "falcon", "gpt2", "gpt_neox", "mpt", "phi3"})


def storage(job: ServingJob) -> Storage:
    """How each part of the job's weights is stored. Raises SizingError for a quantization_config not known here."""
    if job.weight_format is None:
        return every_weight_at(job.weight_bits)
    if job.weight_format != PUBLISHED:
        return named_storage(job.weight_format, build_of(job.model, job.num_experts))
    return published(job.model) or every_weight_at(job.weight_bits)


def published(model: ModelSpec) -> Storage | None:
    """published_storage, kept by the config itself: a sweep asks thousands of times. A GGUF file's own table first."""
    read_from = model.tensors or model.config
    known = _READ.get(id(read_from))
    if known is None or known[0] is not read_from:
        known = (read_from, _storage_read(model))
        _READ[id(read_from)] = known
        if len(_READ) > KEPT_READINGS:
            _READ.popitem(last=False)
    return known[1]


def _storage_read(model: ModelSpec) -> Storage | None:
    """Of the file itself; the readers are imported where there is something to read."""
    if model.tensors:
        from core.parameters.gguf_table import table_storage  # noqa: PLC0415

        return table_storage(model.tensors)
    from core.parameters.quantization import published_storage  # noqa: PLC0415

    return published_storage(model.config, len(model.layers))


def average_bits(job: ServingJob, count: ParameterCount) -> float:
    """Bits of a weight on average, as the job stores them."""
    return float(stored_bits(job, count, count) / count.total)


def stored_bits(job: ServingJob, count: ParameterCount, own: ParameterCount) -> Fraction:
    """Bits of all weights of one copy; `own` is the published model's count, `count` what is left at the job's G."""
    how = storage(job)
    bits = how.bits_stored(count)
    if job.weight_format == PUBLISHED and job.weight_file_bytes is not None:
        return 8 * job.weight_file_bytes + bits - how.bits_stored(own)
    return bits


def weight_bytes(
    job: ServingJob, count: ParameterCount, own: ParameterCount, stage: Stage | None = None, rank: int = 0
) -> int:
    """Bytes on one accelerator, rounded up: of every layer, or of a pipeline's stage alone. rank is the number of the
    accelerator among those that share the experts; the first holds the most. Raises SizingError where the experts
    cannot be told apart."""
    stored = stored_bits(job, count, own)
    experts = expert_split(job, count)
    if stage is None and experts.share(rank) == Fraction(1, job.tensor_parallel):
        return ceil(stored / 8 / job.tensor_parallel)
    shares: Mapping[str, Fraction] = {REST: Fraction(1)}
    if stage is not None:
        stages = stages_of(len(job.model.layers), job.pipeline_parallel, job.engine)
        shares = stage_shares(Keyed(job.model), count, stages)[stage.index]
    held = rank_bits(
        count, storage(job), stored, shares, tensor_parallel=job.tensor_parallel, experts=experts, rank=rank
    )
    return ceil(held / 8)


def expert_split(job: ServingJob, count: ParameterCount) -> ExpertSplit:
    """How the job's experts lie on its accelerators. Raises SizingError where the count does not tell them apart."""
    ranks = job.tensor_parallel * job.data_parallel
    shared = job.expert_parallel or job.data_parallel > 1
    if shared and job.num_experts and not experts_told_apart(count):
        raise SizingError(
            "The experts are not told apart in this count of parameters, so what a rank holds of them is not known: "
            "leave data_parallel at 1 and expert_parallel off, or the typed count out"
        )
    return ExpertSplit(ranks=ranks, whole=job.expert_parallel, num_experts=max(job.num_experts, 1))


def build_of(model: ModelSpec, num_experts: int | None = None) -> Build:
    """What llama.cpp's mixes look at, from a model's layers and dimensions; num_experts of a layer are the config's own
    where None."""
    grouped = [
        part
        for layer in model.layers
        if isinstance(part := layer.attention if isinstance(layer, ParallelLayer) else layer, GroupedAttention)
    ]
    dimensions = model.dimensions
    return Build(
        layers=len(model.layers),
        query_heads=grouped[0].num_query_heads if grouped else 1,
        kv_heads=grouped[0].num_kv_heads if grouped else 1,
        hidden_size=dimensions.hidden_size,
        ffn_width=dimensions.intermediate_size or dimensions.hidden_size,
        expert_width=_expert_width(model),
        num_experts=layer_experts(model, None) if num_experts is None else num_experts,
        gated=dimensions.gated_ffn,
        tied=bool(dimensions.tied_embeddings),
        falcon=model.model_type in ("falcon", "RefinedWeb", "RefinedWebModel"),
        fused_qkv=model.model_type in FUSED_QKV,
    )


def _expert_width(model: ModelSpec) -> int:
    config = model.config.get("text_config") or model.config
    width = config.get("moe_intermediate_size") if hasattr(config, "get") else None
    return width if type(width) is int and width > 0 else model.dimensions.intermediate_size or 0
