"""What a plan's lines say of a copy that is split: which rank it is, what of the weights it holds, who shares what."""

from core.parameters.count import ParameterCount
from core.serving.job import ServingJob
from core.serving.rank_weights import weight_share_sentence
from core.serving.stages import Stage, local_experts, stages_of


def split_of(job: ServingJob) -> str:
    """'tensor parallel 8', and what splits a copy beside it."""
    said = [f"tensor parallel {job.tensor_parallel}"]
    said += [f"pipeline parallel {job.pipeline_parallel}"] if job.pipeline_parallel > 1 else []
    said += [f"data parallel {job.data_parallel}"] if job.data_parallel > 1 else []
    return ", ".join([*said, *(["experts whole"] if job.expert_parallel else [])])


def weights_formula(job: ServingJob, total: int, weight_bytes: int, *, uniform: bool) -> tuple[str, str]:
    """How the bytes of so many weights are found: in words, and with the numbers."""
    if not job.split.goes_further:
        bits = job.weight_bits if uniform else weight_bytes * 8 * job.tensor_parallel / total
        words = f"parameters × {'weight bits' if uniform else 'mean bits as stored'} / 8 / tensor parallel"
        return words, f"{total:,} × {bits:.6g} / 8 / {job.tensor_parallel}"
    words = "parameters of this rank's layers × bits / 8 / tensor parallel"
    words += ", experts over the ranks that share them" if job.num_experts else ""
    share = weight_bytes * 8 / total
    return words, f"{total:,} × {share:.6g} bits on this rank / 8"


def split_sentences(job: ServingJob, stage: Stage | None, count: ParameterCount) -> list[str]:
    """Which layers, and which experts, lie on this rank; nothing where every layer is here and no expert is shared."""
    said = []
    if stage is not None:
        ends = [name for name, holds in (("the embedding", stage.leads), ("the head", stage.ends)) if holds]
        said.append(f"Here are {stage.words}{f' with {ends[0]}' if ends else ''}.")
        stages = stages_of(len(job.model.layers), job.pipeline_parallel, job.engine)
        said += filter(None, [weight_share_sentence(count, job.model, stages)])
    ranks, experts = job.tensor_parallel * job.data_parallel, job.num_experts
    if experts and job.expert_parallel:
        said.append(f"The fullest rank holds {local_experts(experts, ranks)} of a layer's {experts} experts.")
    elif experts and job.data_parallel > 1:
        said.append(f"Each expert is cut over {ranks} ranks.")
    return said


def replica_sentence(job: ServingJob, at: Stage | None) -> str:
    """Whose total it is, and how the batch is shared out."""
    if job.num_accelerators == 1:
        return "One accelerator holds everything."
    each = job.tensor_parallel * job.pipeline_parallel
    taken = "one accelerator" if each == 1 else f"{each} accelerators"
    stage = "" if at is None else f" The fullest stage is {at.index + 1} of {at.stages}."
    if job.data_parallel > 1:
        copies = f"{job.replicas} ranks of requests, {taken} each, {job.data_parallel} to a set of experts"
        fullest = "rank"
    else:
        copies, fullest = f"{job.replicas} copies of the model, {taken} each", "copy"
    held = f"{job.batch_per_replica:,} of {job.batch_size:,} sequences"
    return f"{copies}; the fullest {fullest} decodes {held}.{stage}"
