"""A model given by its shape alone, without a config: what the sizing page opens on."""

from typing import Any

from core.models.attention import GroupedAttention
from core.models.spec import ModelDimensions, ModelSpec


def llama_shape(
    *,
    num_layers: int,
    num_query_heads: int,
    num_kv_heads: int,
    head_dim: int,
    hidden_size: int,
    intermediate_size: int,
    vocab_size: int,
    tied_embeddings: bool = False,
    window: int | None = None,
) -> ModelSpec:
    """A decoder of Llama's build: gated FFN, two norms a layer and one at the end, no biases."""
    layer = GroupedAttention(
        num_query_heads=num_query_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        value_dim=head_dim,
        window=window,
    )
    dimensions = ModelDimensions(
        hidden_size=hidden_size,
        vocab_size=vocab_size,
        intermediate_size=intermediate_size,
        tied_embeddings=tied_embeddings,
    )
    config: dict[str, Any] = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_query_heads,
        "num_key_value_heads": num_kv_heads,
        "head_dim": head_dim,
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "vocab_size": vocab_size,
        "tie_word_embeddings": tied_embeddings,
    }
    if window is not None:  # Llama's class has no window; Mistral's is of one build with it and has
        config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": window}
    return ModelSpec(model_type="llama", layers=(layer,) * num_layers, dimensions=dimensions, config=config)


LLAMA_2_13B = llama_shape(
    num_layers=40,
    num_query_heads=40,
    num_kv_heads=40,
    head_dim=128,
    hidden_size=5120,
    intermediate_size=13824,
    vocab_size=32000,
)
