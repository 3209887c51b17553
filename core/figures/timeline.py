"""Every model of the registry as a dot: when it came out, and what a token of a long sequence costs it.

The height is a token's share of all that one sequence of CONTEXT tokens keeps at 16 bits, constant states included, so
a window, a latent and a recurrent layer are told on one scale. Dates are the registry's, by month.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.figures.comparison import colour_kind, kept_bytes, kind_word, layers_text
from core.figures.drawing import alt
from core.figures.palette import Palette
from core.models.attention import GroupedAttention, LatentAttention, ParallelLayer
from core.models.registry import RegisteredModel
from core.models.spec import ModelSpec, UnsupportedConfig, read_config

CONTEXT = 32_768
HEIGHT = 470
SHAPES = {"MHA": "circle", "GQA": "diamond", "MQA": "square", "MLA": "triangle-up", "recurrent": "cross"}
WORDS = {"MHA": "MHA", "GQA": "GQA", "MQA": "MQA", "MLA": "MLA", "recurrent": "recurrent"}
# Where the eye rests: the first of a kind, the largest, the smallest, the new. Align, and px to the side and down.
NAMED: dict[str, tuple[Literal["left", "center", "right"], int, int]] = {
    "GPT-2": ("left", 9, 0), "GPT-J 6B": ("left", 9, 0), "BLOOM": ("right", -9, 0), "Llama-2 7B": ("center", 0, -13),
    "Falcon-7B": ("right", -9, 3), "DeepSeek-V2": ("right", -9, 0), "Mamba-Codestral 7B": ("center", 0, 15),
    "Llama-3.1 405B": ("center", 0, -14), "Gemma-3 4B": ("center", -3, -14),
    "GLM-4.5": ("left", 9, -6), "GLM-5": ("left", 9, 8), "Qwen3.5 35B-A3B": ("center", 0, 15),
    "Kimi-K3": ("left", 9, 0),
}  # fmt: skip
NARROW_PX = 520  # a phone's and a paper's column: there these would lie in dots or over others
LEFT_OUT = ("Llama-3.1 405B", "Gemma-3 4B", "Mamba-Codestral 7B", "Kimi-K3", "Qwen3.5 35B-A3B")
KEY_STEP = "max(50, min(92, (width - 100) / 4))"  # px from a word of the key to the next
BESIDE_DAYS = 22  # some 5 px on a desk
NEAR = 1.12  # heights closer than this factor would hide each other

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One model of the timeline; bytes are a token's share at CONTEXT tokens."""

    name: str
    released: str
    release_source: str
    kind: str
    bytes_per_token: float
    kv_heads: str
    caching: str
    widths: str
    layers: str


def dots(models: Sequence[RegisteredModel]) -> tuple[Dot, ...]:
    """A dot for each model that is dated and can be read, oldest first."""
    found = [dot for model in models if (dot := _dot(model)) is not None]
    return tuple(sorted(found, key=lambda dot: (dot.released, dot.name)))


def _dot(model: RegisteredModel) -> Dot | None:
    try:
        spec = read_config(model.config)
    except UnsupportedConfig:
        return None
    if model.released is None or model.release_source is None:
        return None
    return Dot(
        name=model.name,
        released=model.released,
        release_source=model.release_source,
        kind=colour_kind(spec),
        bytes_per_token=share_of_a_token(spec),
        kv_heads=_kv_heads(spec),
        caching=f"{len(_attention(spec))} of {len(spec.layers)}, {kind_word(spec)}",
        widths=_widths(spec),
        layers=layers_text(spec),
    )


def share_of_a_token(spec: ModelSpec, context_length: int = CONTEXT) -> float:
    """Bytes that one sequence keeps at 16 bits over its tokens: cache, index keys and constant states."""
    return kept_bytes(spec, context_length) / context_length


def _attention(spec: ModelSpec) -> list[Any]:
    layers = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in spec.layers]
    return [layer for layer in layers if layer.cached_elements(1)]


def _kv_heads(spec: ModelSpec) -> str:
    heads = dict.fromkeys(layer.num_kv_heads for layer in _attention(spec) if hasattr(layer, "num_kv_heads"))
    return " and ".join(str(count) for count in heads) or "none: no heads are cached"


def _widths(spec: ModelSpec) -> str:
    said: dict[str, None] = {}
    for layer in _attention(spec):
        if isinstance(layer, GroupedAttention):
            same = layer.head_dim == layer.value_dim
            said[f"{layer.head_dim}" if same else f"{layer.head_dim} and {layer.value_dim}"] = None
        elif isinstance(layer, LatentAttention):
            said[f"latent {layer.latent_dim} + {layer.rope_dim}"] = None
        else:
            said[f"{layer.head_dim}"] = None
    return ", ".join(said) or "a state"


def rows(found: Sequence[Dot]) -> list[Row]:
    """The marks, one a dot; those that share month and height stand beside each other, not on top."""
    made: list[Row] = []
    for dot in found:
        kib = dot.bytes_per_token / 1024
        near = [row for row in made if row["released"] == dot.released and 1 / NEAR < row["kib"] / kib < NEAR]
        day = datetime.date.fromisoformat(f"{dot.released}-01") + datetime.timedelta(days=BESIDE_DAYS * len(near))
        made.append(
            {
                "model": dot.name, "released": dot.released, "date": day.isoformat(),
                "kind": dot.kind, "kib": kib, "said": f"{kib:,.1f} KiB",
                "G": dot.kv_heads, "caching": dot.caching, "widths": dot.widths, "layers": dot.layers,
                "source": dot.release_source,
            }
        )  # fmt: skip
    return made


def timeline_chart(found: Sequence[Dot], colours: Palette) -> alt.LayerChart | alt.FacetChart:
    """The dots on a log scale; the shape says the kind too, and a click on a dot is the selection `dot`."""
    values = rows(found)
    x_scale = alt.Scale(domain=["2018-11-01", "2027-04-01"], nice=False)
    x = alt.X("date:T", title=None, scale=x_scale, axis=alt.Axis(format="%Y", tickCount="year", grid=False))
    heights = [2**power for power in range(2, 13, 2)]
    y_axis = alt.Axis(
        values=heights, labelExpr="datum.value < 1024 ? datum.value + ' KiB' : datum.value / 1024 + ' MiB'"
    )
    y_scale = alt.Scale(type="log", base=2, domain=[4, 9_000], nice=False)
    y = alt.Y("kib:Q", title=f"bytes a token at {CONTEXT:,} tokens, 16 bits", scale=y_scale, axis=y_axis)
    kinds = [kind for kind in SHAPES if any(row["kind"] == kind for row in values)]
    hue = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[colours.kind(kind) for kind in kinds]), legend=None)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[SHAPES[kind] for kind in kinds]), legend=None)
    hover = [
        alt.Tooltip("model:N"), alt.Tooltip("released:N"), alt.Tooltip("said:N", title="a token"), alt.Tooltip("G:N"),
        alt.Tooltip("caching:N", title="layers that cache"), alt.Tooltip("widths:N"), alt.Tooltip("layers:N"),
        alt.Tooltip("source:N", title="date from"),
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=values))
    points = base.mark_point(filled=True, size=115, opacity=0.9, cursor="pointer", stroke=colours.background).encode(
        x=x, y=y, color=hue, shape=shape, tooltip=hover
    )
    chosen = alt.selection_point(name="dot", fields=["model"])
    names, key = _names(values, x, y, colours), _key(kinds, hue, shape, colours)
    return alt.layer(*names, points.add_params(chosen), *key).properties(height=HEIGHT)


def _names(values: Sequence[Row], x: alt.X, y: alt.Y, colours: Palette) -> list[alt.Chart]:
    """The landmarks' names over an edge of the page's colour: two layers, each name at its own place beside its dot."""
    named = []
    for row in values:
        if row["model"] in NAMED:
            align, dx, dy = NAMED[row["model"]]
            beside = {"align": align, "dx": dx, "dy": dy, "roomy": row["model"] in LEFT_OUT}
            named.append({**{key: row[key] for key in ("model", "date", "kib")}, **beside})
    base = alt.Chart(alt.Data(values=named)).transform_filter(f"width >= {NARROW_PX} || !datum.roomy")
    beside_it: dict[str, Any] = {key: alt.ExprRef(f"datum.{key}") for key in ("align", "dx", "dy")}
    edge = {"color": colours.background, "stroke": colours.background, "strokeWidth": 5, "strokeJoin": "round"}
    drawn = [base.mark_text(fontSize=12, **beside_it, **look) for look in (edge, {"color": colours.text})]
    return [names.encode(x=x, y=y, text="model:N") for names in drawn]


def _key(kinds: Sequence[str], hue: alt.Color, shape: alt.Shape, colours: Palette) -> list[alt.Chart]:
    """What colour and shape mean, in one line along the top."""
    words = [{"word": WORDS[kind], "kind": kind, "place": place} for place, kind in enumerate(kinds)]
    at = {"x": alt.value(alt.ExprRef(f"14 + datum.place * {KEY_STEP}")), "y": alt.value(12)}
    base = alt.Chart(alt.Data(values=words))
    marks = base.mark_point(filled=True, size=95, opacity=1, aria=False).encode(**at, color=hue, shape=shape)
    return [marks, base.mark_text(align="left", dx=10, fontSize=13, color=colours.text).encode(**at, text="word:N")]


def sentence(found: Sequence[Dot]) -> str:
    """The first Llama-2 7B against the middle of the newest year, as Markdown."""
    then = next(dot for dot in found if dot.name == "Llama-2 7B")
    newest = found[-1].released[:4]
    recent = sorted(dot.bytes_per_token for dot in found if dot.released[:4] == newest)
    middle = recent[len(recent) // 2]
    return (
        f"**Llama-2 7B kept {then.bytes_per_token / 1024:,.0f} KiB a token in {then.released[:4]}; the middle of the "
        f"{len(recent)} models of {newest} here keeps {middle / 1024:,.1f} KiB.** A click on a dot opens *Models*."
    )


def alt_text(found: Sequence[Dot]) -> str:
    """Every dot in words."""
    said = "; ".join(f"{dot.name}, {dot.released}, {dot.kind}, {dot.bytes_per_token / 1024:,.1f} KiB" for dot in found)
    return f"{len(found)} models by month of release and bytes a token at {CONTEXT:,} tokens: {said}."
