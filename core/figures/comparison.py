"""Models side by side: one row each for the table, and plain rows for the charts.

Everything here is read from ModelSpec, layer by layer, so a hybrid needs no special case: where the layers of a model
differ, the columns show the value that most of its layers have and `layers` spells out the rest.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.models.attention import (
    KEYS_AND_VALUES,
    LATENTS,
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.formats.document import spec_of
from core.models.gguf.metadata import read_metadata
from core.models.spec import ModelSpec, UnsupportedConfig
from core.units import format_binary

MAX_COMPARED = 12
CONTEXTS = tuple(round(2 ** (step / 2)) for step in range(16, 41))  # 256 to 1,048,576 tokens
LONG_CONTEXT = 131_072

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One model of the page: its config as people see it, where that came from, and the reading or the refusal."""

    name: str
    status: str  # in two words: 'recorded', 'at 0123456', 'pull failed', 'pasted'
    facts: str  # in a sentence, with commit and date
    config: Mapping[str, Any]
    config_text: str
    spec: ModelSpec | None = None
    problem: str | None = None  # why the reader refuses the config


def compare(name: str, *, status: str, facts: str, config: Mapping[str, Any], config_text: str) -> ComparedModel:
    """Reads the parsed file, whatever tool wrote it; what cannot be read is kept with the reason.

    config_text is the file itself; the model's config is the config.json that it means.
    """
    try:
        spec, problem = spec_of(config), None
        config = spec.config
    except UnsupportedConfig as error:
        spec, problem = None, str(error)
    model = ComparedModel(name=name, status=status, facts=facts, config=config, config_text=config_text)
    return replace(model, spec=spec, problem=problem)


def compare_header(name: str, *, status: str, facts: str, metadata: Mapping[str, Any]) -> ComparedModel:
    """The same of a GGUF file's keys; config_text shows those that attention depends on, nested as their names are."""
    try:
        spec, problem = read_metadata(metadata), None
    except UnsupportedConfig as error:
        spec, problem = None, str(error)
    text = json.dumps(_nested(metadata), indent=2, default=str)
    return ComparedModel(name=name, status=status, facts=facts, config={}, config_text=text, spec=spec, problem=problem)


def _nested(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """{'llama': {'attention': {'head_count': 32}}}; the tokenizer's keys are left out."""
    tree: dict[str, Any] = {}
    for key, value in metadata.items():
        path = key.split(".")
        if path[0] == "tokenizer":
            continue
        place = tree
        for part in path[:-1]:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else place
        place[path[-1]] = value
    return tree


def table_row(model: ComparedModel) -> Row:
    """The model as one row; None where a column has no meaning for it."""
    if model.spec is None:
        unread = {"Kind": "not read", "Status": model.status, "Layers": model.problem, "Facts": model.facts}
        return {"Model": model.name, **unread}
    spec = model.spec
    attending = [attention_of(layer) for layer in spec.layers]
    grouped = [layer for layer in attending if isinstance(layer, GroupedAttention)]
    return {
        "Model": model.name,
        "Kind": kind_word(spec),
        "H": _most([layer.num_query_heads for layer in attending if hasattr(layer, "num_query_heads")]),
        "G": _most([layer.num_kv_heads for layer in grouped]),
        "head_dim": _most([layer.head_dim for layer in grouped]),
        "L": len(spec.layers),
        "Window": window_text(spec),
        "KiB/token": spec.cache_bytes_per_token() / 1024,
        "Declared by": str(spec.declared_kv_heads),
        "Status": model.status,
        "Layers": layers_text(spec),
        "Facts": ". ".join((model.facts, *([" ".join(spec.remarks)] if spec.remarks else []))),
        "Bytes per token": spec.cache_bytes_per_token(),
        **_window_columns(spec),
    }


def _window_columns(spec: ModelSpec) -> Row:
    """For a spreadsheet: the window that most layers have, and how many have it."""
    (window, count) = next(iter(_windows(spec)[0].most_common(1)), (None, 0))
    return {"Window (tokens)": window, "Layers with that window": count}


def kind_word(spec: ModelSpec) -> str:
    """MHA, GQA, MQA or MLA; 'GQA hybrid' where some layers keep no KV cache of their own; 'no KV cache' without any."""
    kind = {"none": "no KV cache", "mixed": "mixed"}.get(spec.kind, spec.kind)
    hybrid = any(isinstance(layer, RecurrentState | NoAttention | SharedCache | ParallelLayer) for layer in spec.layers)
    return f"{kind} hybrid" if hybrid and spec.kind not in ("none", "mixed") else kind


def attention_of(layer: Layer) -> Layer:
    """The attention part of a layer that has a recurrent mixer beside it, else the layer itself."""
    return layer.attention if isinstance(layer, ParallelLayer) else layer


def layer_words(layer: Layer) -> str:
    """One layer in words: 'G = 8 × 128, last 4,096 tokens', 'latent 576', 'Mamba-2 state'."""
    match layer:
        case GroupedAttention():
            widths = f"{layer.head_dim}" if layer.head_dim == layer.value_dim else f"{layer.head_dim}/{layer.value_dim}"
            return f"G = {layer.num_kv_heads} × {widths}{_last(layer.window)}{_index(layer.index_key_dim)}"
        case LatentAttention():
            return f"latent {layer.latent_dim} + {layer.rope_dim}{_last(layer.window)}{_index(layer.index_key_dim)}"
        case RecurrentState():
            return f"{layer.mechanism} state"
        case SharedCache():
            return f"reuses another layer's cache{_index(layer.index_key_dim)}"
        case NoAttention():
            return "no attention"
        case CompressedAttention():
            entry = f"1 entry for {layer.compress_rate} tokens{_index(layer.index_key_dim)}"
            return f"G = 1 × {layer.head_dim}{_last(layer.window)}, {entry}"
        case ParallelLayer():
            return f"{layer_words(layer.attention)} beside {layer_words(layer.recurrent)}"


def layers_text(spec: ModelSpec) -> str:
    """'32 × (G = 8 × 128)' or '25 × (G = 8 × 256, last 1,024 tokens) + 5 × (G = 2 × 512)'."""
    counts: dict[str, int] = {}
    for layer, count in spec.layer_counts.items():
        words = layer_words(layer)
        counts[words] = counts.get(words, 0) + count
    return " + ".join(f"{count} × ({words})" for words, count in counts.items())


def _windows(spec: ModelSpec) -> tuple[Counter[int], int]:
    """How many layers have which window, and how many keep a cache at all."""
    caching = [
        layer for layer in map(attention_of, spec.layers) if isinstance(layer, GroupedAttention | LatentAttention)
    ]
    return Counter(layer.window for layer in caching if layer.window is not None), len(caching)


def window_text(spec: ModelSpec) -> str:
    """'none', '4,096' on all layers that keep a cache, or '1,024 (25/30)' where only some do."""
    windows, caching = _windows(spec)
    if not windows:
        return "none"
    parts = [f"{window:,}" + ("" if count == caching else f" ({count}/{caching})") for window, count in windows.items()]
    return ", ".join(parts)


def short_label(spec: ModelSpec) -> str:
    """What stands beside a bar: '8 KiB · MQA, G = 1 of 71', '83.9 KiB · MLA, index keys 15.3 KiB'."""
    said = f"{kib(spec.cache_bytes_per_token())} · {kind_word(spec)}"
    grouped = [layer for layer in map(attention_of, spec.layers) if isinstance(layer, GroupedAttention)]
    if grouped:
        kv_heads = " and ".join(str(count) for count in dict.fromkeys(layer.num_kv_heads for layer in grouped))
        said += f", G = {kv_heads} of {_most([layer.num_query_heads for layer in grouped])}"
    return said + "".join(f", {name} {kib(count)}" for name, count in parts_beside(spec).items())


def parts_beside(spec: ModelSpec) -> dict[str, int]:
    """Bytes per token of what is kept beside keys and values, or latents, by part name; empty for most models."""
    parts = spec.cache_parts_per_token()
    return {name: round(count) for name, count in parts.items() if name not in (KEYS_AND_VALUES, LATENTS)}


def headline(models: Sequence[ComparedModel]) -> str:
    """The smallest against the largest, as Markdown with the names escaped; what is missing where there are not two."""
    read = [model for model in models if model.spec is not None and model.spec.cache_bytes_per_token() > 0]
    if not read:
        return "Nothing here keeps a KV cache that can be compared."
    sizes = {model.name: model.spec.cache_bytes_per_token() for model in read if model.spec is not None}
    least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if sizes[least] == sizes[most]:
        each = "keeps" if len(sizes) == 1 else "and the others keep"
        return f"**{plain(most)}** {each} {kib(sizes[most])} per token."
    ratio = sizes[most] / sizes[least]
    times = f"{ratio:,.0f}" if ratio >= 10 or ratio == round(ratio) else f"{ratio:.1f}"
    return (
        f"**{plain(least)}** keeps {kib(sizes[least])} per token, **{plain(most)}** {kib(sizes[most])}: "
        f"{times} times more."
    )


def bar_rows(models: Iterable[ComparedModel]) -> list[Row]:
    """One row a model that could be read, largest first; mha_bytes is what the same layers would keep with G = H.

    beside_bytes is the part of bytes that is neither keys and values nor latents, beside its parts in words.
    """
    rows = [
        {
            "model": model.name,
            "kind": colour_kind(model.spec),
            "bytes": model.spec.cache_bytes_per_token(),
            "beside_bytes": sum(parts_beside(model.spec).values()),
            "beside": ", ".join(f"{name} {kib(count)}" for name, count in parts_beside(model.spec).items()),
            "mha_bytes": mha_bytes_per_token(model.spec),
            "label": short_label(model.spec),
            "layers": layers_text(model.spec),
        }
        for model in models
        if model.spec is not None
    ]
    return sorted(rows, key=lambda row: (-row["bytes"], row["model"]))


def mha_bytes_per_token(spec: ModelSpec) -> int:
    """Bytes per token if each layer that groups its heads kept one KV head per query head, and all else were kept."""
    more = sum(
        (attention.num_query_heads - attention.num_kv_heads) * (attention.head_dim + attention.value_dim)
        for layer in spec.layers
        if isinstance(attention := attention_of(layer), GroupedAttention)
    )
    return spec.cache_bytes_per_token() + 2 * more


def context_rows(models: Iterable[ComparedModel]) -> list[Row]:
    """What one sequence keeps at each of CONTEXTS in 16 bit: all that it caches, and the constant states."""
    return [
        {
            "model": model.name,
            "kind": colour_kind(model.spec),
            "word": kind_word(model.spec),
            "context": context,
            "bytes": kept,
        }
        for model in models
        if model.spec is not None
        for context in CONTEXTS
        if (kept := kept_bytes(model.spec, context)) > 0
    ]


def kept_bytes(spec: ModelSpec, context_length: int) -> int:
    """All that one sequence caches, index keys and compressed entries too, and its constant state, 16 bit."""
    return spec.cache_bytes(context_length=context_length) + spec.state_bytes()


def context_sentence(models: Sequence[ComparedModel]) -> str:
    """Largest and smallest at LONG_CONTEXT, and who stopped growing there, as Markdown."""
    read = [(model.name, model.spec) for model in models if model.spec is not None and kept_bytes(model.spec, 1) > 0]
    if not read:
        return "None of these keeps anything that grows or stays with the context."
    at_long = {name: kept_bytes(spec, LONG_CONTEXT) for name, spec in read}
    least, most = min(at_long, key=at_long.__getitem__), max(at_long, key=at_long.__getitem__)
    said = f"At {LONG_CONTEXT:,} tokens **{plain(most)}** keeps {kib(at_long[most])} for one sequence"
    said += "." if least == most else f", **{plain(least)}** {kib(at_long[least])}."
    flat = [(name, spec) for name, spec in read if kept_bytes(spec, LONG_CONTEXT) == kept_bytes(spec, 2 * LONG_CONTEXT)]
    if full := [f"**{plain(name)}**" for name, spec in flat if spec.cache_bytes_per_token()]:
        has = "has" if len(full) == 1 else "have"
        said += f" {', '.join(full)} {has} stopped growing: nothing is kept beyond the window."
    if constant := [f"**{plain(name)}**" for name, spec in flat if not spec.cache_bytes_per_token()]:
        said += f" {', '.join(constant)}: a state, the same at any length."
    return said


def layer_rows(models: Iterable[ComparedModel]) -> list[Row]:
    """One row a layer, for the strips, and one more for a recurrent mixer beside attention.

    kept is 'all', 'window', 'state', 'shared', 'nothing' or, for that mixer, 'beside'.
    """
    rows: list[Row] = []
    for model in models:
        layers = model.spec.layers if model.spec is not None else ()
        for index, layer in enumerate(layers):
            place = {
                "model": model.name,
                "layer": index,
                "left": index / len(layers),
                "right": (index + 1) / len(layers),
            }
            words = {"words": layer_words(layer)}
            rows.append({**place, "kind": layer.kind, "kept": _kept(attention_of(layer)), **words})
            if isinstance(layer, ParallelLayer):
                rows.append({**place, "kind": "recurrent", "kept": "beside", **words})
    return rows


def run_rows(models: Iterable[ComparedModel]) -> list[Row]:
    """One row a run of equal layers, with the label that stands in it where it is wide enough."""
    rows: list[Row] = []
    for model in models:
        layers = model.spec.layers if model.spec is not None else ()
        first = 0
        for index in range(1, len(layers) + 1):
            if index == len(layers) or layers[index] != layers[first]:
                share = (index - first) / len(layers)
                rows.append(
                    {
                        "model": model.name,
                        "centre": (index + first) / 2 / len(layers),
                        "share": share,
                        "label": _run_label(layers[first], share),
                        "kept": _kept(attention_of(layers[first])),
                        "kind": layers[first].kind,
                    }
                )
                first = index
    return rows


def kib(count: int) -> str:
    """Binary bytes without a trailing '.0': '8 KiB', '1.5 MiB'."""
    return format_binary(count).replace(".0 ", " ")


def plain(text: str, *, links: bool = False) -> str:
    """Text that Markdown shows as it is: punctuation escaped, and no address made into a link unless links is set.

    What turns the direction of writing round (Unicode TR 9, 2) or shows nothing is seen as U+FFFD: a name that reads
    otherwise than it is spelled misleads.
    """
    text = _UNSEEN.sub("\ufffd", text)
    if not links:  # a word joiner, which has no width, keeps an address from being recognised
        text = text.replace("://", ":\u2060//").replace("www.", "www\u2060.").replace("@", "\u2060@")
    return "".join(f"\\{character}" if character in _MARKDOWN else character for character in text)


_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MARKDOWN = set("\\`*_{}[]()#.|<>$:~&^")


def _last(window: int | None) -> str:
    return "" if window is None else f", last {window:,} tokens"


def _index(key_dim: int | None) -> str:
    return "" if key_dim is None else f", index key {key_dim}"


def _most(values: list[int]) -> int | None:
    return Counter(values).most_common(1)[0][0] if values else None


def colour_kind(spec: ModelSpec) -> str:
    if spec.kind not in ("mixed", "none"):
        return spec.kind
    kinds = Counter(layer.kind for layer in spec.layers if layer.cached_elements(1))
    return kinds.most_common(1)[0][0] if kinds else "recurrent"


def _kept(layer: Layer) -> str:
    match layer:
        case GroupedAttention() | LatentAttention():
            return "all" if layer.window is None else "window"
        case RecurrentState():
            return "state"
        case CompressedAttention():
            return "window"
        case SharedCache():
            return "shared"
        case _:
            return "nothing"


def _run_label(layer: Layer, share: float) -> str:
    """Shorter words for narrower runs; nothing where not even a number fits."""
    attention = attention_of(layer)
    match attention:
        case GroupedAttention():
            long = f"{attention.kind}, G = {attention.num_kv_heads}"
            long += "" if attention.window is None else f", last {attention.window:,}"
            long += f" beside {layer.recurrent.mechanism}" if isinstance(layer, ParallelLayer) else ""
            short = str(attention.num_kv_heads)
        case LatentAttention():
            long, short = f"MLA, latent {attention.latent_dim + attention.rope_dim}", "c"
        case CompressedAttention():
            long, short = f"MQA, 1 entry for {attention.compress_rate} tokens", "1"
        case RecurrentState():
            long, short = attention.mechanism, "s"
        case SharedCache():
            long, short = "shared", "·"
        case _:
            long, short = "none", ""
    return long if share > 0.012 * len(long) else (short if share > 0.011 * len(short) + 0.004 else "")
