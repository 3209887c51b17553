"""A ModelSpec with what vLLM makes of its file: the class that serves it and the few facts that only the file has."""

from dataclasses import dataclass
from functools import cached_property

from core.engines.plan import EngineError
from core.engines.vllm.classes import INDEXED, LATENT_MULTIPLIED_OUT, Served, served
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.fields import ConfigPart
from core.models.rules.text_part import text_part
from core.models.spec import ModelSpec


@dataclass(frozen=True)
class Model:
    """A model as vLLM 0.33 serves it."""

    spec: ModelSpec
    part: ConfigPart | None  # the language model's own object; None where the spec has no file behind it
    served: Served

    @property
    def text_class(self) -> str:
        return self.served.text_class

    @property
    def native(self) -> bool:
        return self.served.native

    @property
    def chunked(self) -> bool:
        """Llama 4: its windows are chunks."""
        return self.spec.model_type == "llama4_text"

    @property
    def multiplies_latents_out(self) -> bool:
        """Whether a latent is cached as keys and values of every query head, as transformers' code does."""
        return self.text_class in LATENT_MULTIPLIED_OUT or not self.native

    @cached_property
    def index_width(self) -> int | None:
        """Width of the keys of a DeepSeek indexer; None where the class has none."""
        if self.part is None or self.text_class not in INDEXED:
            return None
        return int(self.part.integer("index_head_dim").value)

    def has_indexer(self, index: int) -> bool:
        """Whether this layer has an indexer of its own, or takes the tokens that an earlier layer's chose.

        DeepseekV32Attention: index_topk_pattern marks sharing layers "S"; without it, from index_skip_topk_offset
        on, one layer in index_topk_freq has one.
        """
        pattern = None if self.part is None else self.part.value("index_topk_pattern")
        if isinstance(pattern, str | list | tuple):
            return index >= len(pattern) or pattern[index] != "S"
        every, offset = self.number("index_topk_freq") or 1, self.number("index_skip_topk_offset") or 2
        return max(index - offset + 1, 0) % every == 0

    @cached_property
    def stray_window(self) -> int | None:
        """A sliding_window that the file states and transformers' class heeds nowhere: vLLM takes it all the same, as
        does Nemotron-H's attention (nemotron_h.py)."""
        if self.part is None or self.part.raw.get("layer_types"):
            return None
        if "sliding_window" in self.part.model_class.defaults and self.part.model_type != "nemotron_h":
            return None
        window = self.part.raw.get("sliding_window")
        return window if type(window) is int and window > 0 else None

    def number(self, name: str) -> int | None:
        """A whole number of the file or its class's default."""
        value = None if self.part is None else self.part.value(name)
        return value if type(value) is int and value > 0 else None


def model_of(spec: ModelSpec) -> Model:
    """Raises EngineError where vLLM 0.33 does not serve the model."""
    if not spec.config:
        return Model(spec=spec, part=None, served=Served(architecture="", text_class="", native=True))
    try:
        part = text_part(spec.config)
    except UnsupportedConfig as problem:
        raise EngineError(str(problem)) from problem
    return Model(spec=spec, part=part, served=served(spec.config, part.model_type))
