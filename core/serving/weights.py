"""How many parameters a model has, and how that changes with G.

An analytic count adds up the matrices of architectures whose shapes are known here, term by term; anything else is
refused rather than guessed, and takes an exact count instead: the Hub's safetensors metadata, or the architecture
built on torch's meta device (core.serving.weights_worker, in its own process). Every count says where it came from.

Changing G changes the K and V projections alone: hidden x G x (head_dim + value_dim) per layer. The freed parameters
are either dropped, or spent on a wider FFN so that the total stays (Llama 2, arXiv 2307.09288, appendix A.2.1, does
that).
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import SubprocessError, TimeoutExpired, run
from typing import Any

from core.errors import SizingError
from core.models.attention import GroupedAttention, ParallelLayer
from core.models.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """How many parameters, and where the number came from.

    source is a label for people: 'analytic', 'safetensors metadata', 'meta device', 'typed in'.
    """

    parameters: int
    source: str
    sentence: str

    def __post_init__(self) -> None:
        whole = isinstance(self.parameters, int) and not isinstance(self.parameters, bool)
        if not whole or not 0 < self.parameters <= 10**15:
            raise SizingError(f"parameters is {self.parameters!r}: give a whole number from 1 to 10^15")


@dataclass(frozen=True, kw_only=True)
class ParameterTerm:
    """One addend of an analytic count: what, the arithmetic with its numbers, and the result."""

    name: str
    arithmetic: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an architecture adds to embeddings, attention and FFN matrices. Norms count vectors of hidden width."""

    norms_per_layer: int
    qkv_bias: bool | None = None  # None: the config's attention_bias decides
    output_bias: bool | None = None  # None: the config's attention_bias decides
    query_key_norm: bool = False  # one vector of head_dim each for Q and K


# Checked term by term against the architectures that transformers 5.23 builds on the meta device
# (tests/core/serving/test_weights.py).
RECIPES: Mapping[str, Recipe] = {
    "llama": Recipe(norms_per_layer=2),
    "mistral": Recipe(norms_per_layer=2, qkv_bias=False, output_bias=False),
    "qwen2": Recipe(norms_per_layer=2, qkv_bias=True, output_bias=False),
    "qwen3": Recipe(norms_per_layer=2, query_key_norm=True),
    "gemma": Recipe(norms_per_layer=2),
    "gemma2": Recipe(norms_per_layer=4),
    "gemma3_text": Recipe(norms_per_layer=4, query_key_norm=True),
    "granite": Recipe(norms_per_layer=2),
    "phi3": Recipe(norms_per_layer=2, qkv_bias=False, output_bias=False),
}


def analytic_count(model: ModelSpec) -> ParameterCount:
    """The sum of analytic_terms. Raises SizingError where the architecture or a dimension is not known."""
    terms = analytic_terms(model)
    sentence = "Added up from the shapes of the language model: " + " + ".join(term.name for term in terms) + "."
    return ParameterCount(parameters=sum(term.parameters for term in terms), source="analytic", sentence=sentence)


def analytic_terms(model: ModelSpec) -> tuple[ParameterTerm, ...]:
    """Embeddings, attention, FFN, norms and biases with their arithmetic. Raises SizingError rather than guess."""
    recipe = _recipe(model)
    hidden, vocab = model.dimensions.hidden_size, _dimension(model, "vocab_size")
    layers = len(model.layers)
    copies = 1 if model.dimensions.tied_embeddings else 2
    matrices = 3 if model.dimensions.gated_ffn else 2
    ffn = _dimension(model, "intermediate_size")
    norms = recipe.norms_per_layer * layers + 1  # one more after the last layer
    terms = [
        _term("embeddings" if copies == 1 else "input and output embeddings", copies, vocab, hidden),
        *_attention_terms(model),
        _term("FFN matrices", layers, matrices, hidden, ffn),
        _term("norms", norms, hidden),
        *_bias_terms(model, recipe),
    ]
    return tuple(term for term in terms if term.parameters)


def kv_projection_parameters(model: ModelSpec) -> int:
    """Parameters of the K and V projections, the part that G sets: sum of G x (head_dim + value_dim) x (hidden +
    bias)."""
    recipe = RECIPES.get(model.model_type)
    bias = model.dimensions.attention_bias if recipe is None or recipe.qkv_bias is None else recipe.qkv_bias
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
    count = replace(own_count, parameters=own_count.parameters - freed, sentence=sentence)
    return ResizedWeights(model=changed, count=count, unspent_parameters=0)


def _spend(own: ModelSpec, changed: ModelSpec, own_count: ParameterCount, freed: int) -> ResizedWeights:
    """FFN widened to the largest whole width that keeps the total at or below the model's own."""
    _recipe(own)  # refuses architectures whose FFN is not known here
    width = _dimension(own, "intermediate_size")
    matrices = 3 if own.dimensions.gated_ffn else 2
    per_column = len(own.layers) * matrices * own.dimensions.hidden_size
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
    count = replace(own_count, parameters=own_count.parameters - unspent, sentence=sentence)
    return ResizedWeights(model=replace(changed, dimensions=dimensions), count=count, unspent_parameters=unspent)


def typed_count(parameters: int) -> ParameterCount:
    """A count that a person typed in. Raises SizingError for anything but a whole number from 1 to 10^15."""
    return ParameterCount(parameters=parameters, source="typed in", sentence="Typed in.")


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
    total = sum(parameters_by_dtype.values())
    return ParameterCount(parameters=total, source="safetensors metadata", sentence=sentence)


def count_on_meta_device(config: Mapping[str, Any], timeout_seconds: float = 120) -> ParameterCount:
    """A config.json -> exact count, by building its architecture without memory in another process (about 5 seconds).

    Raises SizingError where transformers does not know the architecture, the build fails, or the time is over.
    Callers that draw run it in the background; the count of a config never changes, so its result can be kept.
    """
    command = [sys.executable, "-m", "core.serving.weights_worker"]
    root = Path(__file__).parents[2]
    advice = "give an exact parameter count instead"
    try:
        text = json.dumps(dict(config))
        answer = run(
            command, input=text, capture_output=True, text=True, timeout=timeout_seconds, cwd=root, check=False
        )
    except TimeoutExpired as error:
        raise SizingError(f"building the architecture took more than {timeout_seconds:g} s: {advice}") from error
    except (OSError, SubprocessError, TypeError, ValueError) as error:
        raise SizingError(f"the architecture could not be built ({error}): {advice}") from error
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
        raise SizingError(f"the architecture could not be built ({reason}): {advice}")
    built = json.loads(answer.stdout.strip().splitlines()[-1])
    sentence = f"{built['architecture']} of transformers {built['transformers']}, built on the meta device."
    return ParameterCount(parameters=built["parameters"], source="meta device", sentence=sentence)


def _recipe(model: ModelSpec) -> Recipe:
    plain = all(isinstance(layer, GroupedAttention) for layer in model.layers)
    if model.model_type in RECIPES and plain and model.dimensions.num_experts is None:
        return RECIPES[model.model_type]
    reason = f"model_type is {model.model_type!r}"
    if model.dimensions.num_experts is not None:
        reason += f" with {model.dimensions.num_experts} experts"
    raise SizingError(
        f"{reason}: its parameters are not added up here. Give an exact count "
        f"(safetensors metadata, or the architecture built on the meta device). Added up: {', '.join(RECIPES)}"
    )


def _dimension(model: ModelSpec, name: str) -> int:
    value = getattr(model.dimensions, name)
    if not isinstance(value, int):
        raise SizingError(
            f"{name} is {value!r} for this {model.model_type} model: give it, or an exact parameter count"
        )
    return value


def _grouped(model: ModelSpec) -> list[GroupedAttention]:
    parts = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in model.layers]
    return [part for part in parts if isinstance(part, GroupedAttention)]


def _attention_terms(model: ModelSpec) -> list[ParameterTerm]:
    """Q and output projections, then K and V; layers of one shape are one term."""
    hidden, terms = model.dimensions.hidden_size, []
    shapes: dict[tuple[int, int, int, int], int] = {}
    for layer in _grouped(model):
        shape = (layer.num_query_heads, layer.num_kv_heads, layer.head_dim, layer.value_dim)
        shapes[shape] = shapes.get(shape, 0) + 1
    for (query_heads, kv_heads, head_dim, value_dim), layers in shapes.items():
        terms.append(_term("Q and output projections", layers, hidden, query_heads, head_dim + value_dim))
        terms.append(_term("K and V projections", layers, hidden, kv_heads, head_dim + value_dim))
    return terms


def _bias_terms(model: ModelSpec, recipe: Recipe) -> list[ParameterTerm]:
    hidden, by_config = model.dimensions.hidden_size, model.dimensions.attention_bias
    terms = []
    if by_config if recipe.qkv_bias is None else recipe.qkv_bias:
        widths = sum(
            layer.num_query_heads * layer.head_dim + layer.num_kv_heads * (layer.head_dim + layer.value_dim)
            for layer in _grouped(model)
        )
        terms.append(_term("Q, K and V biases", widths))
    if by_config if recipe.output_bias is None else recipe.output_bias:
        terms.append(_term("output biases", len(model.layers), hidden))
    if recipe.query_key_norm:
        terms.append(_term("Q and K norms", 2, sum(layer.head_dim for layer in _grouped(model))))
    return terms


def _term(name: str, *factors: int) -> ParameterTerm:
    product = 1
    for factor in factors:
        product *= factor
    return ParameterTerm(name=name, arithmetic=" × ".join(f"{factor:,}" for factor in factors), parameters=product)
