"""A GGUF file counted by its tensor table: every tensor's elements, and the bits that its part takes in this file.

Names as llama.cpp's gguf-py/gguf/constants.py gives them (TENSOR_NAMES): blk.0.attn_k.weight, ffn_down_exps and so on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from core.models.gguf.tensors import GgufTensor
from core.parameters.count import ExpertGroup, ParameterCount
from core.parameters.storage import Storage

NOT_WEIGHTS = ("rope_freqs", "rope_factors_long", "rope_factors_short")  # computed from the config in other formats
BY_WORD = (  # the first word that a name holds decides
    ("token_embd_norm", "norms"), ("token_embd", "embedding"), ("_exps", "routed_experts"),
    ("_chexps", "shared_experts"), ("ffn_gate_inp", "routers"), ("exp_probs_b", "routers"),
    ("_shexp", "shared_experts"), ("norm", "norms"), ("ffn_", "dense_ffn"), ("attn_k", "kv_projections"),
    ("attn_v", "kv_projections"), ("attn_", "attention"), ("ssm_", "recurrent"), ("time_mix", "recurrent"),
    ("shortconv", "recurrent"),
)  # fmt: skip
LATENT = ("attn_kv_a", "attn_kv_b", "attn_k_b", "attn_v_b")  # of MLA: no change of G touches them


def part_of(name: str) -> str:
    """The part of the model that a tensor belongs to."""
    if name.startswith("output."):
        return "head"
    if any(word in name for word in LATENT) and "norm" not in name:
        return "attention"
    return next((part for word, part in BY_WORD if word in name), "other")


def count_tensors(tensors: Sequence[GgufTensor], metadata: Mapping[str, Any]) -> ParameterCount:
    """The count of a file's table."""
    weights = [tensor for tensor in tensors if not tensor.name.startswith(NOT_WEIGHTS)]
    parts: Counter[str] = Counter()
    for tensor in weights:
        parts[part_of(tensor.name)] += tensor.elements
    num_bytes = sum(tensor.num_bytes for tensor in tensors)
    return ParameterCount(
        total=sum(parts.values()),
        source="gguf",
        sentence=f"Counted in the file's tensor table: {len(tensors):,} tensors of {num_bytes:,} bytes.",
        embedding=parts["embedding"],
        head=parts["head"],
        tied=not parts["head"],
        routed_experts=parts["routed_experts"],
        parts={part: elements for part, elements in parts.items() if elements},
        expert_groups=_groups(weights, metadata),
    )


def _groups(weights: Sequence[GgufTensor], metadata: Mapping[str, Any]) -> tuple[ExpertGroup, ...]:
    """Layers with experts that are alike: the last dimension of an expert matrix is their number."""
    taken = metadata.get(f"{metadata.get('general.architecture')}.expert_used_count")
    if type(taken) is not int or taken < 1:
        return ()
    layers: dict[str, list[GgufTensor]] = {}
    for tensor in weights:
        if "_exps.weight" in tensor.name and len(tensor.dimensions) == 3:
            layers.setdefault(tensor.name.rsplit(".", 2)[0], []).append(tensor)
    alike: Counter[tuple[int, int]] = Counter(
        (held[0].dimensions[2], sum(one.elements for one in held) // held[0].dimensions[2]) for held in layers.values()
    )
    return tuple(
        ExpertGroup(layers=times, num_experts=experts, experts_per_token=min(taken, experts), parameters_each=each)
        for (experts, each), times in alike.items()
    )


def table_storage(tensors: Sequence[GgufTensor]) -> Storage:
    """Bits of each part in this file, scales included; the types that hold most of it are named."""
    elements: Counter[str] = Counter()
    held: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for tensor in tensors:
        part = "norms" if tensor.name.startswith(NOT_WEIGHTS) else part_of(tensor.name)
        if not tensor.name.startswith(NOT_WEIGHTS):
            elements[part] += tensor.elements
        held[part] += tensor.num_bytes
        types[tensor.type_name] += tensor.num_bytes
    total = sum(held.values())
    said = ", ".join(f"{name} {size / total:.0%}" for name, size in types.most_common(3))
    average = Fraction(8 * total, sum(elements.values()))
    return Storage(
        name="As this GGUF file",
        sentence=f"As the file's tensor table says, by bytes: {said}.",
        bits={part: Fraction(8 * held[part], count) for part, count in elements.items() if count},
        usual_bits=average,
        kept_bits=average,  # of what a change of G takes out of a matrix that holds Q, K and V together
    )
