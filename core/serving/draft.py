"""A draft that speculates tokens for the model to check: what it weighs and what it caches beside the model.

A plain draft is a model of its own. An EAGLE head (arXiv 2401.15077) is a decoder layer behind a matrix that joins the
model's hidden state to the embedding; EAGLE-3 (arXiv 2503.01840) joins three hidden states and has a head for its own
vocabulary. Both use the model's embedding, EAGLE its head too. MTP is layers that the model's own file announces, with
the model's embedding and head. As vLLM 0.33 builds them (llama_eagle.py, llama_eagle3.py, deepseek_mtp.py).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from core.engines.class_names import Keyed
from core.engines.plan import EngineError
from core.errors import SizingError, require_whole
from core.models.attention import GroupedAttention
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.parameters import NotByRule, ParameterCount, count_by_rule
from core.parameters.count import ExpertGroup
from core.serving.weights import count_of, typed_count

METHODS = ("draft_model", "eagle", "eagle3", "mtp")
NAMED = {"draft_model": "a plain draft", "eagle": "EAGLE", "eagle3": "EAGLE-3", "mtp": "MTP"}
MOST_SPECULATED = 64
DENSE_LAYERS = ("ernie4_5_moe",)  # whose MTP layer is a dense one (ernie_mtp.py: Llama's), with a norm more
MOST_LAYERS_TRIED = 8  # patterns of layers repeat sooner


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Who drafts, and how many tokens a step. model is the draft's own; None for MTP, whose layers are the model's.

    parameter_count: an exact count of what it adds, where none can be had. Raises SizingError.
    """

    method: str
    tokens: int = 3
    model: ModelSpec | None = None
    parameter_count: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SizingError(f"draft method is {self.method!r}: use one of {', '.join(METHODS)}")
        require_whole("draft tokens", self.tokens, 1, MOST_SPECULATED)
        if (self.model is None) != (self.method == "mtp"):
            raise SizingError(
                "mtp drafts with layers of the model itself: leave the draft's model out"
                if self.method == "mtp"
                else f"{self.method} drafts with a model of its own: give its config.json"
            )
        if self.parameter_count is not None:
            require_whole("draft parameters", self.parameter_count, 1, 10**13)


@dataclass(frozen=True, kw_only=True)
class DraftWeights:
    """Parameters that the draft adds on top of what it shares with the model, and how they were counted.

    count tells its parts apart where they are known: a model of its own, and the layers of MTP.
    """

    count: ParameterCount
    formula: str
    numbers: str

    @property
    def parameters(self) -> int:
        return self.count.total


def draft_weights(draft: Draft, target: ModelSpec, *, own_embedding: bool = False) -> DraftWeights:
    """What the draft adds. own_embedding: in a pipeline the model's table lies on the first stage and the draft on the
    last, so a head that else uses it brings a table of its own. Raises SizingError where it cannot be counted."""
    if draft.parameter_count is not None:
        typed = typed_count(draft.parameter_count)
        return DraftWeights(count=typed, formula="typed in", numbers=f"{draft.parameter_count:,}")
    if own_embedding and draft.method != "draft_model":
        return _with_embedding(draft_weights(draft, target), target)
    if draft.method == "mtp":
        return _mtp(target)
    assert draft.model is not None
    count = count_of(draft.model)
    if draft.method == "draft_model":
        return DraftWeights(
            count=count, formula="all parameters of the draft", numbers=f"{count.total:,}: {count.sentence}"
        )
    return _head(draft, draft.model, count)


def _with_embedding(counted: DraftWeights, target: ModelSpec) -> DraftWeights:
    width, vocabulary = target.dimensions.hidden_size, target.dimensions.vocab_size
    if vocabulary is None:
        raise SizingError("The model's vocabulary is not known, so a draft's own embedding is not: give its parameters")
    with_table = counted.count.changed(counted.count.sentence, embedding=vocabulary * width)
    return DraftWeights(
        count=replace(with_table, embedding=vocabulary * width),
        formula=f"{counted.formula}, but in a pipeline the embedding is its own: + vocabulary x h",
        numbers=f"{counted.numbers} + {vocabulary:,} x {width:,}",
    )


def _head(draft: Draft, model: ModelSpec, count: ParameterCount) -> DraftWeights:
    """EAGLE: the layers less the norm before the first and the one at the end, and a matrix of 2 h x h. EAGLE-3: first
    layers whose Q, K and V read two vectors, a matrix of 3 h x h, a norm more, and a head of its own."""
    width = model.dimensions.hidden_size
    layers = count.total - (count.embedding or 0) - (count.head or 0)
    if count.embedding is None:
        raise SizingError("The draft's embedding is not told apart from its layers: give its exact count (parameters)")
    if draft.method == "eagle":
        added = layers - 2 * width + 2 * width * width
        return DraftWeights(
            count=_whole_count(added),
            formula="layers - 2 norms x h + 2 x h x h; embedding and head are the model's",
            numbers=f"{layers:,} - 2 x {width:,} + 2 x {width:,}^2",
        )
    first = model.layers[0]
    if not isinstance(first, GroupedAttention):
        raise SizingError("An EAGLE-3 head without grouped attention is not counted here: give its parameters")
    read = (first.num_query_heads + first.num_kv_heads) * first.head_dim + first.num_kv_heads * first.value_dim
    vocabulary = _whole(model.config, "draft_vocab_size") or model.dimensions.vocab_size or 0
    stated = _whole(model.config, "target_hidden_size") or width
    added = layers + read * width + 3 * stated * width + width + vocabulary * width
    joined = f"3 x {stated:,} x {width:,} + {width:,}"
    return DraftWeights(
        count=_whole_count(added),
        formula="layers + QKV x h + 3 x h' x h + norm + draft vocabulary x h; the embedding is the model's",
        numbers=f"{layers:,} + {read:,} x {width:,} + {joined} + {vocabulary:,} x {width:,}",
    )


def _mtp(target: ModelSpec) -> DraftWeights:
    """Each layer: one more of the model's own that attends to every token, a matrix of 2 h x h and three norms."""
    number, width = announced_layers(target), target.dimensions.hidden_size
    if target.model_type in DENSE_LAYERS:
        return _dense_mtp(target, number, width)
    one = _one_more_layer(target)
    layer = one.changed("", mtp_projection=2 * width * width, norms=3 * width)
    return DraftWeights(
        count=_times(layer, number),
        formula="MTP layers x (one layer + 2 x h x h + 3 norms x h); embedding and head are the model's",
        numbers=f"{number} x ({one.total:,} + 2 x {width:,}^2 + 3 x {width:,})",
    )


def _dense_mtp(target: ModelSpec, number: int, width: int) -> DraftWeights:
    """Each layer: attention as the model's, a gated FFN of intermediate_size without experts, a matrix of 2 h x h, and
    a norm each for the embedding and the hidden state beside the layer's two."""
    layer, ffn = target.layers[-1], target.dimensions.intermediate_size
    if not isinstance(layer, GroupedAttention) or ffn is None:
        raise SizingError(f"The MTP layer of this {target.model_type} is not known here: give its parameters")
    heads = (layer.num_query_heads + layer.num_kv_heads) * (layer.head_dim + layer.value_dim)
    one = heads * width + 3 * ffn * width + 2 * width
    return DraftWeights(
        count=_whole_count(number * (one + 2 * width * width + 2 * width)),
        formula="MTP layers x (one dense layer + 2 x h x h + 2 norms x h); embedding and head are the model's",
        numbers=f"{number} x ({one:,} + 2 x {width:,}^2 + 2 x {width:,})",
    )


def announced_layers(target: ModelSpec) -> int:
    """Layers that the model's file announces for MTP. Raises SizingError where there is none."""
    from core.engines.vllm.drafts import mtp_layers  # noqa: PLC0415  the payload asks for no engine
    from core.engines.vllm.model import model_of  # noqa: PLC0415

    if not target.config:
        raise SizingError("The model is a shape without a config, so no MTP layer is announced: give a config.json")
    try:
        return mtp_layers(model_of(target))
    except EngineError as refused:
        raise SizingError(str(refused)) from refused


def mtp_shape(target: ModelSpec) -> ModelSpec:
    """The MTP layers as a model of their own: what they cache. Raises SizingError."""
    last = next((layer for layer in reversed(target.layers) if _attends_to_all(layer)), None)
    if last is None:
        raise SizingError("No layer of the model attends to every token, so what its MTP layers keep is not known here")
    return replace(target.shape, layers=(last,) * announced_layers(target))


def _whole_count(parameters: int) -> ParameterCount:
    """A draft whose parts all lie and are read alike."""
    return ParameterCount(total=parameters, source="rule", sentence="")


def _times(layer: ParameterCount, number: int) -> ParameterCount:
    """So many layers that are all alike."""
    return replace(
        layer,
        total=number * layer.total,
        routed_experts=number * (layer.routed_experts or 0),
        parts={part: number * parameters for part, parameters in layer.parts.items()},
        biases={part: number * parameters for part, parameters in layer.biases.items()},
        expert_groups=tuple(replace(group, layers=number * group.layers) for group in layer.expert_groups),
    )


def _one_more_layer(target: ModelSpec) -> ParameterCount:
    """What a layer that attends to every token adds to the model, by parts."""
    return _one_more_of(Keyed(target))


@lru_cache(maxsize=64)
def _one_more_of(read: Keyed) -> ParameterCount:
    target = read.model
    config = {key: value for key, value in target.config.items() if key != "quantization_config"}
    before = None
    for more in range(MOST_LAYERS_TRIED + 1):
        grown = _with_layers(config, len(target.layers), more)
        try:
            now, spec = count_by_rule(grown), read_config(grown)
        except (NotByRule, UnsupportedConfig) as error:
            raise SizingError(f"The MTP layers are not added up by rule ({error}): give their parameters") from error
        if before is not None and _attends_to_all(spec.layers[-1]):
            return _difference(now, before)
        before = now
    raise SizingError("The model's pattern of layers has none that attends to every token: give the MTP's parameters")


def _difference(more: ParameterCount, less: ParameterCount) -> ParameterCount:
    """One layer, where `more` is the count of a model with a layer more than `less`."""
    parts = {part: parameters - less.parts.get(part, 0) for part, parameters in more.parts.items()}
    layers: Counter[ExpertGroup] = Counter()
    for sign, groups in ((1, more.expert_groups), (-1, less.expert_groups)):
        for group in groups:
            layers[replace(group, layers=1)] += sign * group.layers
    return ParameterCount(
        total=more.total - less.total,
        source="rule",
        sentence="",
        routed_experts=(more.routed_experts or 0) - (less.routed_experts or 0),
        parts={part: parameters for part, parameters in parts.items() if parameters},
        biases={part: parameters - less.biases.get(part, 0) for part, parameters in more.biases.items()},
        expert_groups=tuple(replace(group, layers=number) for group, number in layers.items() if number > 0),
    )


def _with_layers(config: Mapping[str, Any], layers: int, more: int) -> dict[str, Any]:
    """The config with so many layers more, also where the language model's part is nested."""
    made = dict(config)
    for name in ("text_config", "llm_config", "language_config"):
        if isinstance(made.get(name), Mapping):
            made[name] = _with_layers(made[name], layers, more)
            return made
    made["num_hidden_layers"] = layers + more
    for name in ("layer_types", "mlp_layer_types"):
        if isinstance(made.get(name), list) and made[name]:
            kind = "full_attention" if name == "layer_types" else made[name][-1]
            made[name] = [*made[name], *[kind] * more]
    return made


def _attends_to_all(layer: Any) -> bool:
    inner = getattr(layer, "attention", layer)
    return hasattr(inner, "window") and inner.window is None


def _whole(config: Mapping[str, Any], key: str) -> int | None:
    value = config.get(key)
    return value if type(value) is int and value > 0 else None
