"""A config.json in, a ModelSpec out; every figure remembers where it came from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.models.attention import PART_NAMES, Layer, cache_part_bytes, recurrent_state, token_part_bytes
from core.models.formats.cache_width import CacheWidth, cache_width_of
from core.models.notebook import html_table
from core.models.rules.dimensions import dimensions_of
from core.models.rules.facts import DeclaredHeads, ModelDimensions, Provenance, UnsupportedConfig, shown
from core.models.rules.file_bytes import load_config
from core.models.rules.lines import deciding_lines
from core.models.rules.misplaced_fields import all_defaulted
from core.models.rules.other_code import uncounted_code
from core.models.rules.own_keys import OwnKeys, own_keys_of
from core.models.rules.reader import read

if TYPE_CHECKING:
    from core.models.gguf.tensors import GgufTensor

__all__ = [
    "DeclaredHeads",
    "ModelDimensions",
    "ModelSpec",
    "Provenance",
    "UnsupportedConfig",
    "deciding_lines",
    "load_config",
    "read_config",
]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model as its layers; the KV cache is a sum over them."""

    model_type: str
    layers: tuple[Layer, ...]
    dimensions: ModelDimensions
    provenance: tuple[Provenance, ...] = ()
    declared_kv_heads: DeclaredHeads = field(default_factory=lambda: DeclaredHeads(key=None))
    config: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # the config.json that it means
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # or the GGUF header
    tensors: "tuple[GgufTensor, ...]" = field(default=(), compare=False, repr=False)  # and the table behind it
    all_defaulted: bool = False  # no key of the file decided a figure of the shape: every one is the class's own
    own_keys: OwnKeys | None = None  # what the reading of an unknown class rests on; None for a known one
    cache_width: CacheWidth | None = None  # what the file says of the cache's own width; None where it says nothing
    uncounted: str = field(default="", compare=False)  # why its parameters are not added up; empty where they may be
    kept_because: str = field(default="", compare=False)  # why an older copy of its file stands in; else empty

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Reckoned once: a sweep looks a model up thousands of times, and it has up to hundreds of layers."""
        return hash((self.model_type, self.layers, self.dimensions))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}  # another process hashes anew

    @cached_property
    def shape(self) -> "ModelSpec":
        """The layers and dimensions without the record of where they were read: the same object each time."""
        return ModelSpec(model_type=self.model_type, layers=self.layers, dimensions=self.dimensions)

    @cached_property
    def layer_counts(self) -> Mapping[Layer, int]:
        """Each different layer and how many there are of it, in the order of the first: a sum needs no more."""
        return Counter(self.layers)

    @property
    def cache_bits(self) -> float | None:
        """Stored bits an element of the cache, scales included, as the file states them; None where it is silent."""
        return None if self.cache_width is None else self.cache_width.bits

    @property
    def cache_note(self) -> Provenance | None:
        """Where cache_bits came from."""
        return None if self.cache_width is None else self.cache_width.note

    @property
    def caution(self) -> str | None:
        """What has to stand above every figure of this model; None where a known class says how the file is meant."""
        if self.own_keys is not None:
            return f"{self.own_keys.label} {self.own_keys.sentence}"
        if not self.all_defaulted:
            return None
        return (
            f"The file gives no number of its own for this shape: layers, heads and widths are the defaults of "
            f"{shown(self.model_type)[1:-1]} in transformers, which builds the same from it."
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What goes with a figure of this model wherever it is shown or saved: the caution, short, why an older copy of
        the file stands in, and the cache's width where the file states one. Empty for most files."""
        said = [self.own_keys.label] if self.own_keys is not None else [self.caution] if self.caution else []
        said += [self.kept_because] if self.kept_because else []
        return (*said, *([] if self.cache_note is None else [f"Cache width: {self.cache_note.sentence}"]))

    def kv_cache_bytes(self, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """Payload bytes of the KV cache: sum of min(context, window) x heads x widths over the layers, x batch."""
        elements = sum(count * layer.cached_elements(context_length) for layer, count in self.layer_counts.items())
        return int(elements * batch_size * bytes_per_element)

    def _repr_html_(self) -> str:
        rows = [
            ("layers", len(self.layers)), ("attention", self.kind),
            ("cache bytes of a token", self.cache_bytes_per_token()),
            ("state bytes of a sequence", self.state_bytes()),
        ]  # fmt: skip
        return html_table(self.model_type, rows)

    def cache_bytes(self, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """All that the model caches and that grows with the context: keys, values and latents, and beside them index
        keys, compressed entries and compressor buffers. Constant states stay apart (state_bytes)."""
        kept = sum(
            count * sum(cache_part_bytes(layer, context_length, bytes_per_element).values())
            for layer, count in self.layer_counts.items()
        )
        return int(kept * batch_size)

    def cache_parts(self, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> dict[str, int]:
        """The bytes of cache_bytes by part name, in the order of attention.PART_NAMES; a part that the model
        does not have is left out."""
        totals: dict[str, float] = {}
        for layer, count in self.layer_counts.items():
            for name, part_bytes in cache_part_bytes(layer, context_length, bytes_per_element).items():
                totals[name] = totals.get(name, 0) + count * part_bytes
        return {name: int(totals[name] * batch_size) for name in PART_NAMES if name in totals}

    def cache_read_bytes(self, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """Bytes of the cache that one decode step reads: less than cache_bytes where an index chooses tokens.

        A layer that reads another layer's cache reads it again; that second read is not in this count.
        """
        read = (
            count * layer.read_bytes(context_length, bytes_per_element) for layer, count in self.layer_counts.items()
        )
        return int(sum(read) * batch_size)

    def state_bytes(self, *, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """Bytes of constant recurrent and convolution state; they do not grow with the context.

        bytes_per_element holds for what is kept in the model's own type, most often the convolutions; what a class
        keeps in float32 all the same counts 4 bytes, token ids and counters 8.
        """
        states = ((recurrent_state(layer), count) for layer, count in self.layer_counts.items())
        kept = (
            count * state.state_bytes(batch_size, bytes_per_element) for state, count in states if state is not None
        )
        return int(sum(kept))

    def kv_bytes_per_token(self, bytes_per_element: float = 2) -> int:
        """Bytes that one more token adds while no window is full."""
        return self.kv_cache_bytes(context_length=1, bytes_per_element=bytes_per_element)

    def cache_bytes_per_token(self, bytes_per_element: float = 2) -> int:
        """Bytes that one more token adds to cache_bytes while no window is full, rounded: a compressed entry counts
        as its share of each token that it stands for, and what waits to be compressed not at all."""
        return round(sum(self.cache_parts_per_token(bytes_per_element).values()))

    def cache_parts_per_token(self, bytes_per_element: float = 2) -> dict[str, float]:
        """The same by part, in the order of attention.PART_NAMES; parts that the model does not have are left out."""
        totals: dict[str, float] = {}
        for layer, count in self.layer_counts.items():
            for name, part_bytes in token_part_bytes(layer, bytes_per_element).items():
                totals[name] = totals.get(name, 0) + count * part_bytes
        return {name: totals[name] for name in PART_NAMES if name in totals}

    @property
    def kind(self) -> str:
        """MHA, GQA, MQA, MLA, 'mixed' where attention layers differ, 'none' without attention."""
        kinds = {layer.kind for layer in self.layer_counts} - {"recurrent", "none", "shared"}
        return kinds.pop() if len(kinds) == 1 else ("mixed" if kinds else "none")


def read_config(config: Mapping[str, Any]) -> ModelSpec:
    """Reads a config.json (already parsed) without network, transformers or anybody's code.

    Raises UnsupportedConfig, and nothing else, for whatever it does not understand: the message names the field, its
    value and what to do.
    """
    part, reading = read(config)
    width = cache_width_of(config)
    return ModelSpec(
        model_type=part.model_type,
        layers=reading.layers,
        dimensions=dimensions_of(part),
        provenance=(*part.notes, *([] if width is None else [width.note])),
        declared_kv_heads=reading.declared,
        config=config,
        all_defaulted=all_defaulted(part.notes),
        own_keys=own_keys_of(part, part.notes),
        cache_width=width,
        uncounted=uncounted_code(part),
    )
