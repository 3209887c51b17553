"""The config.json that another tool's file means, and its reading with every figure under the file's own key.

A format's reader hands over a Shape (figures of the file) or a Translation (a config and where its keys came from);
read_config then reads the config as it reads any other. No figure is left to a class default of transformers: heads,
widths, windows and kinds of layers are written out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.models.formats.cache_width import CacheWidth
from core.models.formats.section import Figure
from core.models.rules.facts import DeclaredHeads, Provenance, UnsupportedConfig, shown
from core.models.spec import ModelSpec, read_config

# The class that carries a plain decoder: it reads heads, width, window and the list of kinds from its keys alone. Its
# parameters are not added up: what these files leave out (experts, biases, ties, a vocabulary) would be the carrier's.
CARRIER = "ministral"
LATENT_CARRIER = "deepseek_v3"
_UNCOUNTED = (
    "The file says how {name} attends, and too little to add up its parameters. Give an exact count: Parameters "
    "among More inputs of Size, --parameters in a shell, parameter_count of a job"
)


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A config.json, the figure of the file behind each of its keys, and what the file says beside them."""

    config: Mapping[str, Any]
    origins: Mapping[str, Figure] = field(default_factory=dict)
    prefix: str = ""  # where the config stands in the file, for keys without an origin of their own
    path: str = ""  # where the language model stands in the config: 'text_config.'
    model_type: str | None = None  # what the file calls the model; None keeps the config's own
    cache: CacheWidth | None = None
    is_shape: bool = False  # of figures alone, carried by a class that is not the model's own


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder as its figures. kinds: one kind per layer, None where all are alike (sliding where a window is)."""

    name: str
    layers: Figure
    query_heads: Figure
    kv_heads: Figure
    head_dim: Figure
    hidden: Figure
    window: Figure | None = None
    kinds: Figure | None = None
    vocabulary: Figure | None = None
    feed_forward: Figure | None = None
    context: Figure | None = None
    carrier: str = CARRIER
    others: Mapping[str, Figure] = field(default_factory=dict)  # by the carrier's own key
    cache: CacheWidth | None = None


def translated(shape: Shape) -> Translation:
    """The config.json of a shape."""
    found: dict[str, Figure | None] = {
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_size": shape.hidden,
        "sliding_window": shape.window,
        "layer_types": shape.kinds,
        "vocab_size": shape.vocabulary,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.context,
        **shape.others,
    }
    origins = {key: figure for key, figure in found.items() if figure is not None}
    config = {"model_type": shape.carrier, "sliding_window": None}
    config |= {key: figure.value for key, figure in origins.items()}
    return Translation(config=config, origins=origins, model_type=shape.name, cache=shape.cache, is_shape=True)


def latent(shape: Shape, *, rank: Figure, rotary: Figure, key: Figure | None, value: Figure | None) -> Translation:
    """The config.json of a shape with multi-head latent attention: one latent and one rotary key a token."""
    widths = {"kv_lora_rank": rank, "qk_rope_head_dim": rotary, "qk_nope_head_dim": key, "v_head_dim": value}
    given = {name: figure for name, figure in widths.items() if figure is not None}
    carrier = LATENT_CARRIER if shape.carrier == CARRIER else shape.carrier
    return translated(replace(shape, carrier=carrier, others={**given, **shape.others}))


def meaning(translation: Translation) -> ModelSpec:
    """Reads the config and says every figure under the file's own keys. Raises UnsupportedConfig."""
    try:
        spec = read_config(translation.config)
    except UnsupportedConfig as error:
        raise UnsupportedConfig(_named(str(error), translation)) from None
    notes = [_said(note, translation) for note in spec.provenance]
    cache = spec.cache_width and replace(spec.cache_width, note=_said(spec.cache_width.note, translation))
    named = replace(
        spec,
        model_type=translation.model_type or spec.model_type,
        provenance=tuple(notes),
        declared_kv_heads=_declared(spec.declared_kv_heads, translation),
        cache_width=cache,
        uncounted=_UNCOUNTED.format(name=translation.model_type or spec.model_type) if translation.is_shape else "",
    )
    return named if translation.cache is None else with_cache_width(named, translation.cache)


def with_cache_width(spec: ModelSpec, width: CacheWidth) -> ModelSpec:
    """The model with what a file says of its cache, among its figures too."""
    others = tuple(note for note in spec.provenance if note.figure != width.note.figure)
    return replace(spec, cache_width=width, provenance=(*others, width.note))


def _said(note: Provenance, translation: Translation) -> Provenance:
    """The note with the file's keys, its sentence and its source."""
    origins = [_origin(key, translation) for key in note.keys]
    keys = tuple(dict.fromkeys(key for origin in origins for key in origin.keys))
    if len(origins) == 1 and origins[0].sentence:
        return replace(note, keys=keys, sentence=origins[0].sentence, source=origins[0].source)
    if note.source == "config" and len(keys) == 1:
        return replace(note, keys=keys, sentence=f"{keys[0]} in the file says {shown(origins[0].value)}.")
    return replace(note, keys=keys)


def _origin(key: str, translation: Translation) -> Figure:
    inner = key.removeprefix(translation.path)
    origin = translation.origins.get(inner) or translation.origins.get(inner.split(".")[0])
    if origin is not None:
        return origin
    return Figure(value=_at(translation.config, key), keys=(translation.prefix + key,))


def _at(config: Mapping[str, Any], dotted: str) -> Any:
    value: Any = config
    for step in dotted.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _declared(declared: DeclaredHeads, translation: Translation) -> DeclaredHeads:
    if declared.key is None:
        return declared
    origin = _origin(declared.key, translation)
    if origin.source == "rule" or not origin.keys:
        return DeclaredHeads(key=None)
    return DeclaredHeads(key=origin.keys[0], value=declared.value)


def _named(message: str, translation: Translation) -> str:
    """The refusal under the file's own key, where it opens with one of the config's."""
    key, space, rest = message.partition(" ")
    inner = key.removeprefix(translation.path)
    if inner in translation.origins and translation.origins[inner].keys:
        return f"{translation.origins[inner].keys[0]}{space}{rest}"
    return f"{translation.prefix}{message}" if _at(translation.config, key) is not None else message
