"""The three layouts as one integer: H query heads, G key/value heads, H / G query heads to each.

MHA is G = H (Vaswani et al. 2017), MQA is G = 1 (Shazeer 2019), GQA is anything between (Ainslie et al. 2023). What a
layer keeps per token is 2 x G x head_dim elements, so the picture, the formula and the bytes all follow from G.
"""

from dataclasses import dataclass

from core.models.attention import GroupedAttention, kind_of

MAX_QUERY_HEADS = 512
MAX_LAYERS = 1_000
MAX_HEAD_DIM = 4_096


class LayoutError(ValueError):
    """A layout that cannot be built: the message says what, which value and what to do."""


def _whole(name: str, value: object, largest: int) -> None:
    """LayoutError unless value is a whole number from 1 to largest."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise LayoutError(f"{name} is {value!r}: give a whole number from 1 to {largest:,}.")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One model's attention: num_layers equal layers with H query heads that share G KV heads of head_dim."""

    num_query_heads: int
    num_kv_heads: int
    head_dim: int = 128
    num_layers: int = 1
    bytes_per_element: int = 2

    def __post_init__(self) -> None:
        _whole("query heads H", self.num_query_heads, MAX_QUERY_HEADS)
        _whole("KV heads G", self.num_kv_heads, self.num_query_heads)
        _whole("head_dim", self.head_dim, MAX_HEAD_DIM)
        _whole("layers L", self.num_layers, MAX_LAYERS)
        _whole("bytes per element", self.bytes_per_element, 8)
        if self.num_query_heads % self.num_kv_heads:
            choices = ", ".join(map(str, divisors(self.num_query_heads)))
            raise LayoutError(
                f"G = {self.num_kv_heads} does not divide H = {self.num_query_heads}: choose one of {choices}."
            )

    @property
    def kind(self) -> str:
        """MHA, GQA or MQA."""
        return kind_of(self.num_query_heads, self.num_kv_heads)

    @property
    def group_size(self) -> int:
        """H / G: the query heads that share one KV head."""
        return self.num_query_heads // self.num_kv_heads

    @property
    def kv_bytes_per_token_and_layer(self) -> int:
        """2 x G x head_dim x bytes per element (keys and values)."""
        attention = GroupedAttention(
            num_query_heads=self.num_query_heads,
            num_kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            value_dim=self.head_dim,
        )
        return attention.cached_elements(1) * self.bytes_per_element

    @property
    def kv_bytes_per_token(self) -> int:
        """The same, over all layers: 2 x L x G x head_dim x bytes per element."""
        return self.kv_bytes_per_token_and_layer * self.num_layers

    @property
    def share_of_mha(self) -> float:
        """G / H: the part of MHA's cache that this layout keeps."""
        return self.num_kv_heads / self.num_query_heads

    def with_kv_heads(self, num_kv_heads: int) -> "Layout":
        """The same model with another G."""
        return Layout(
            num_query_heads=self.num_query_heads,
            num_kv_heads=num_kv_heads,
            head_dim=self.head_dim,
            num_layers=self.num_layers,
            bytes_per_element=self.bytes_per_element,
        )

    def kv_head_of(self, query_head: int) -> int:
        """Which KV head a query head reads (both from 0): consecutive query heads share, as repeat_kv lays them out."""
        return query_head // self.group_size


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A real model's shape and the key of its config.json that declared G."""

    name: str
    layout: Layout
    declared: str


def _preset(name: str, heads: int, kv_heads: int, head_dim: int, layers: int, declared: str) -> Preset:
    layout = Layout(num_query_heads=heads, num_kv_heads=kv_heads, head_dim=head_dim, num_layers=layers)
    return Preset(name=name, layout=layout, declared=declared)


# Shapes as their config.json files on the Hub state them; tests hold them against model_registry.yaml.
PRESETS = (
    _preset("Llama-2 70B", 64, 8, 128, 80, '"num_key_value_heads": 8'),
    _preset("Mistral 7B", 32, 8, 128, 32, '"num_key_value_heads": 8'),
    _preset("Falcon 7B", 71, 1, 64, 32, '"multi_query": true'),
    _preset("Falcon 40B", 128, 8, 64, 60, '"num_kv_heads": 8'),
    _preset("Llama-2 13B", 40, 40, 128, 40, '"num_key_value_heads": 40'),
)


def divisors(count: int) -> list[int]:
    """Every G that H = count allows, ascending: G must divide H so that each KV head serves equally many."""
    return [d for d in range(1, count + 1) if count % d == 0]


def sentence(layout: Layout) -> str:
    """What the picture shows, in one sentence."""
    h, g, size = layout.num_query_heads, layout.num_kv_heads, layout.group_size
    if layout.kind == "MHA":
        return f"MHA: each of the {h} query heads keeps a key and value head of its own."
    if layout.kind == "MQA":
        return f"MQA: all {h} query heads read one key and value head. The cache is {h} times smaller than MHA's."
    shares = f"GQA: {h} query heads share {g} key and value heads, {size} to each."
    return f"{shares} The cache is {size} times smaller than MHA's."


def alt_text(layout: Layout) -> str:
    """The picture in words, for people who do not see it."""
    h, g, size = layout.num_query_heads, layout.num_kv_heads, layout.group_size
    reads = "each has a line to its own KV head" if size == 1 else f"each run of {size} has lines to one KV head"
    return (
        f"{layout.kind} diagram: a row of {h} query heads; {reads}; {g} KV head{'s' if g > 1 else ''} in a second row. "
        f"Below, a strip of {h} cells to scale, {g} filled: {layout.kv_bytes_per_token_and_layer:,} bytes per token "
        f"and layer, {layout.share_of_mha:.1%} of MHA's."
    )


def outline(layout: Layout) -> str:
    """What stays true of the picture at every G: a browser that holds the picture is told this once."""
    h = layout.num_query_heads
    return (
        f"Diagram of an attention layer: a row of {h} query heads, lines to the KV heads that they read, and below a "
        f"strip of {h} cells to scale, filled as far as the cache is kept. The line under the strip says what it shows."
    )


def formula(layout: Layout) -> str:
    """Bytes per token with the numbers put in, as LaTeX: 2 L G d b."""
    factors = (
        (2, "K,V"),
        (layout.num_layers, "L"),
        (layout.num_kv_heads, "G"),
        (layout.head_dim, r"\text{head\_dim}"),
        (layout.bytes_per_element, r"\text{bytes}"),
    )
    product = r" \cdot ".join(rf"\underbrace{{{value}}}_{{{name}}}" for value, name in factors)
    result = f"{layout.kv_bytes_per_token:,}".replace(",", "{,}")
    return rf"{product} = {result}\ \text{{bytes per token}}"
