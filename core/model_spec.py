"""A config.json in, a ModelSpec out; every figure remembers where it came from."""

from dataclasses import dataclass

from core.attention import Layer


class UnsupportedConfig(ValueError):
    """The config is not understood: the message names the field, its value and what to do."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where one figure came from."""

    figure: str  # 'num_kv_heads', 'head_dim', 'window', ...
    value: str  # as shown: '8', '4,096 on 16 of 32 layers'
    source: str  # 'config' (raw key), 'class default' (of transformers) or 'rule'
    keys: tuple[str, ...]  # dotted keys of config.json that decided, possibly none
    sentence: str  # one plain sentence for people


@dataclass(frozen=True, kw_only=True)
class ModelDimensions:
    """What a parameter count needs beside the attention layers; None where the config does not say."""

    hidden_size: int
    vocab_size: int | None = None
    intermediate_size: int | None = None
    gated_ffn: bool = True  # SwiGLU and kin have three FFN matrices, a plain MLP two
    tied_embeddings: bool = False
    max_context_length: int | None = None
    num_experts: int | None = None
    attention_bias: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model as its layers; the KV cache is a sum over them."""

    model_type: str
    layers: tuple[Layer, ...]
    dimensions: ModelDimensions
    provenance: tuple[Provenance, ...] = ()

    def kv_cache_bytes(self, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """Payload bytes of the KV cache: sum of min(context, window) x heads x widths over the layers, x batch."""
        elements = sum(layer.cached_elements(context_length) for layer in self.layers)
        return int(elements * batch_size * bytes_per_element)

    def state_bytes(self, *, batch_size: int = 1, bytes_per_element: float = 2) -> int:
        """Bytes of constant recurrent and convolution state; they do not grow with the context."""
        return int(sum(layer.state_elements for layer in self.layers) * batch_size * bytes_per_element)

    def kv_bytes_per_token(self, bytes_per_element: float = 2) -> int:
        """Bytes that one more token adds while no window is full."""
        return self.kv_cache_bytes(context_length=1, bytes_per_element=bytes_per_element)

    @property
    def kind(self) -> str:
        """MHA, GQA, MQA, MLA, 'mixed' where attention layers differ, 'none' without attention."""
        kinds = {layer.kind for layer in self.layers} - {"recurrent", "none", "shared"}
        return kinds.pop() if len(kinds) == 1 else ("mixed" if kinds else "none")
