"""How many parameters a job's model has, and how that changes with G.

A count comes from the model's config by rule (core.parameters), or was made before: on the meta device, from
the Hub's safetensors metadata, or typed in. Every count says where it came from.

Changing G changes the K and V projections alone: hidden x G x (head_dim + value_dim) per layer. The freed parameters
are either dropped, or spent on a wider FFN so that the total stays (Llama 2, arXiv 2307.09288, appendix A.2.1, does
that).
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import SizingError
from core.models.attention import GroupedAttention, ParallelLayer
from core.models.spec import ModelSpec
from core.parameters import (
    NotByRule,
    ParameterCount,
    count_by_rule,
    count_if_kept,
    count_on_meta_device,
    typed_count,
)

if TYPE_CHECKING:
    from core.models.registry import RegisteredModel

__all__ = [
    "ParameterCount",
    "ResizedWeights",
    "analytic_count",
    "beside_config",
    "count_from_safetensors",
    "count_of",
    "counts_alone",
    "kv_projection_parameters",
    "resize",
    "typed_count",
]
# Biases of K and V where a class has them whatever the file says, and where it has none
ALWAYS_BIASED = frozenset({"qwen2", "phi"})
NEVER_BIASED = frozenset({"mistral", "phi3", "mixtral", "ministral", "ministral3"})
# Types whose whole shape a header's sizes give
PLAIN_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite", "phi3"})
_COUNTED: OrderedDict[int, tuple[object, ParameterCount]] = OrderedDict()
_KEPT_COUNTS = 256


def analytic_count(model: ModelSpec) -> ParameterCount:
    """The count of the config that the model was read from: by rule, or kept from the meta device; a GGUF file's is
    that of its tensor table where the header holds it.

    Raises SizingError where there is none and UnsupportedConfig for sizes beyond any model: nothing is built here.
    """
    if model.uncounted:
        raise SizingError(model.uncounted)
    read_from = model.tensors or model.config
    known = _COUNTED.get(id(read_from))
    if known is not None and known[0] is read_from:
        return known[1]
    if model.tensors:
        from core.parameters.gguf_table import count_tensors  # noqa: PLC0415  a config.json has no such table

        counted = count_tensors(model.tensors, model.metadata)
        _remember(model, counted)
        return counted
    config = model.config or config_of_shape(model)
    if not config:
        raise SizingError(
            f"model_type is {model.model_type!r}, read from no config.json: its parameters are not known. Give an "
            "exact count (parameter_count of a job; on Size it is among More inputs)"
        )
    try:
        count = count_by_rule(config)
    except NotByRule as error:
        kept = count_if_kept(config)
        if kept is None:
            raise SizingError(
                f"The parameters of this {model.model_type} model are not added up by rule ({error}). Give an exact "
                "count, or let count_parameters(config) build the architecture on the meta device"
            ) from error
        count = kept
    fewer = 0 if model.config else kv_projection_parameters(model) - count.parts.get("kv_projections", 0)
    if fewer:
        count = count.changed(count.sentence, kv_projections=fewer)
    _remember(model, count)
    return count


def config_of_shape(model: ModelSpec) -> dict[str, Any]:
    """The config.json that a model read from a GGUF header means, where its type is plain; {} where it is not.

    Plain: every layer the same grouped attention, an FFN without experts, and sizes that the header states.
    """
    layers, dimensions = set(model.layers), model.dimensions
    layer = next(iter(layers), None)
    known = model.model_type in PLAIN_TYPES and dimensions.num_experts is None
    if not known or any(not isinstance(one, GroupedAttention) for one in layers) or layer is None:
        return {}
    shapes = {(one.num_query_heads, one.head_dim, one.value_dim) for one in _grouped(model)}
    kv_heads = max(one.num_kv_heads for one in _grouped(model))  # analytic_count takes off what others have less
    if len(shapes) != 1 or dimensions.vocab_size is None or dimensions.intermediate_size is None:
        return {}
    if dimensions.tied_embeddings is None:  # a GGUF header says nothing of it: the table of its tensors does
        return {}
    query_heads, head_dim, value_dim = shapes.pop()
    if head_dim != value_dim:
        return {}
    return {
        "model_type": model.model_type,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": query_heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_size": dimensions.hidden_size,
        "intermediate_size": dimensions.intermediate_size,
        "vocab_size": dimensions.vocab_size,
        "tie_word_embeddings": bool(dimensions.tied_embeddings),
    }


def count_of(model: ModelSpec) -> ParameterCount:
    """The count of the model's config: analytic_count, else its class is built on the meta device (seconds, once).

    Raises SizingError where there is no config or transformers cannot build it. A page that draws asks
    analytic_count and leaves the building to the background.
    """
    try:
        return analytic_count(model)
    except SizingError:
        if not model.config or model.uncounted:
            raise
    count = count_on_meta_device(model.config)
    _remember(model, count)
    return count


def counts_alone(registered: "RegisteredModel", model: ModelSpec) -> bool:
    """Whether the facts recorded of a registered model say its size at once: a rule covers them and none is missing.

    Where none is missing and no rule covers the type, its class is built of them (count_of); where leaves_out names
    some, nothing is: what they leave out would be the class's defaults.
    """
    if registered.leaves_out:
        return False
    try:
        return analytic_count(model).source == "rule"
    except SizingError:
        return False


def _remember(model: ModelSpec, count: ParameterCount) -> None:
    read_from = model.tensors or model.config
    if not read_from:
        return
    _COUNTED[id(read_from)] = (read_from, count)
    if len(_COUNTED) > _KEPT_COUNTS:
        _COUNTED.popitem(last=False)


def kv_projection_parameters(model: ModelSpec) -> int:
    """Parameters of the K and V projections, the part that G sets: sum of G x (head_dim + value_dim) x (hidden +
    bias)."""
    bias = model.dimensions.attention_bias
    if model.model_type in ALWAYS_BIASED or model.model_type in NEVER_BIASED:
        bias = model.model_type in ALWAYS_BIASED
    inputs = model.dimensions.hidden_size + (1 if bias else 0)
    return sum(grouped.num_kv_heads * (grouped.head_dim + grouped.value_dim) * inputs for grouped in _grouped(model))


@dataclass(frozen=True, kw_only=True)
class ResizedWeights:
    """Weights after G was changed.

    model carries the FFN width that results; unspent_parameters is what the integer width leaves over (0 when dropped).
    """

    model: ModelSpec
    count: ParameterCount
    unspent_parameters: int


def resize(own: ModelSpec, changed: ModelSpec, own_count: ParameterCount, freed_parameters: str) -> ResizedWeights:
    """Weights of `changed`, which is `own` with another G: freed parameters 'dropped', or 'spent' on a wider FFN.

    own_count belongs to `own`; an exact count stays exact, since only K and V projections (and FFN columns) differ.
    Raises SizingError where the FFN is needed and not known.
    """
    freed = kv_projection_parameters(own) - kv_projection_parameters(changed)
    if freed == 0:
        return ResizedWeights(model=changed, count=own_count, unspent_parameters=0)
    if freed_parameters == "spent":
        return _spend(own, changed, own_count, freed)
    sentence = f"{own_count.sentence} Less {freed:,} in K and V projections (dropped)."
    if freed < 0:
        sentence = f"{own_count.sentence} Plus {-freed:,} in K and V projections."
    count = own_count.changed(sentence, kv_projections=-freed)
    return ResizedWeights(model=changed, count=count, unspent_parameters=0)


def _spend(own: ModelSpec, changed: ModelSpec, own_count: ParameterCount, freed: int) -> ResizedWeights:
    """FFN widened to the largest whole width that keeps the total at or below the model's own."""
    width, per_column = _ffn(own, own_count.parts or analytic_count(own).parts)
    extra, unspent = divmod(freed, per_column)
    if width + extra < 1:
        raise SizingError(
            f"freed_parameters is 'spent', but at this G the K and V projections need {-freed:,} more parameters than "
            f"an FFN {width:,} wide can give up: use freed_parameters='dropped'"
        )
    sentence = (
        f"{own_count.sentence} FFN {width:,} -> {width + extra:,} wide keeps the total; {unspent:,} parameters are "
        f"left over, since the width is a whole number."
    )
    dimensions = replace(changed.dimensions, intermediate_size=width + extra)
    count = own_count.changed(sentence, kv_projections=-freed, dense_ffn=extra * per_column)
    return ResizedWeights(model=replace(changed, dimensions=dimensions), count=count, unspent_parameters=unspent)


def _ffn(model: ModelSpec, parts: Mapping[str, int]) -> tuple[int, int]:
    """Width of the FFN, and the parameters of one column in all layers. Raises SizingError where it is not plain."""
    width = model.dimensions.intermediate_size
    if not isinstance(width, int):
        raise SizingError(f"intermediate_size is {width!r} for this {model.model_type} model: use 'dropped'")
    if parts.get("routed_experts") or not parts.get("dense_ffn"):
        raise SizingError(
            f"model_type is {model.model_type!r}: its FFN is no plain one that freed parameters could widen. Use "
            "freed_parameters='dropped'"
        )
    matrices = 3 if model.dimensions.gated_ffn else 2
    return width, len(model.layers) * matrices * model.dimensions.hidden_size


def count_from_safetensors(parameters_by_dtype: Mapping[str, int], repository: str) -> ParameterCount:
    """The Hub's safetensors metadata ({'BF16': 7241732096}) -> an exact count.

    Raises SizingError where tensors are packed integers: their element count is not a parameter count.
    """
    packed = sorted(dtype for dtype in parameters_by_dtype if dtype.upper().startswith(("I", "U")))
    if packed or not parameters_by_dtype:
        raise SizingError(
            f"safetensors metadata of {repository} lists {packed or 'no dtype'}: quantised or empty, so it does not "
            f"say the parameters; give a count or use the unquantised repository"
        )
    dtypes = ", ".join(f"{count:,} in {dtype}" for dtype, count in parameters_by_dtype.items())
    sentence = f"From the safetensors metadata of {repository}: {dtypes}."
    return ParameterCount(total=sum(parameters_by_dtype.values()), source="safetensors", sentence=sentence)


def beside_config(files: ParameterCount, config: ParameterCount) -> ParameterCount:
    """The files' total, which wins, with the parts that the config gives and the difference said in words.

    What the files hold beyond the config (a layer for multi-token prediction, scales) counts under "other"; where they
    hold less than the parts known, no part is told apart.
    """
    more = files.total - config.total
    how = "by rule" if config.source == "rule" else "on the meta device"
    if more == 0:
        return replace(config, source="safetensors", sentence=f"{files.sentence} Its config gives the same {how}.")
    sentence = (
        f"{files.sentence} Its config gives {config.total:,} {how}: the files hold {abs(more):,} "
        f"{'more' if more > 0 else 'fewer'}."
    )
    if config.parts.get("other", 0) + more < 0:
        return replace(files, sentence=sentence)
    return replace(config.changed(sentence, other=more), source="safetensors")


def _grouped(model: ModelSpec) -> list[GroupedAttention]:
    parts = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in model.layers]
    return [part for part in parts if isinstance(part, GroupedAttention)]
