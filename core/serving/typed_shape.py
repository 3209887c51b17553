"""A model typed in by its shape: checked, then built like Llama (gated FFN, two norms a layer, no biases)."""

from core.errors import SizingError
from core.models.spec import ModelSpec
from core.serving.model_shapes import llama_shape

LIMITS = {
    "layers": 1_000,
    "query heads H": 1_024,
    "head_dim": 4_096,
    "hidden size": 2**17,
    "FFN width": 2**20,
    "vocabulary": 2**22,
}


def typed_shape(
    *,
    num_layers: int,
    num_query_heads: int,
    head_dim: int,
    hidden_size: int,
    intermediate_size: int,
    vocab_size: int,
    tied_embeddings: bool = False,
) -> ModelSpec:
    """An MHA model of that shape (another G is the job's to ask for). Raises SizingError naming the field."""
    values = (num_layers, num_query_heads, head_dim, hidden_size, intermediate_size, vocab_size)
    for (name, largest), value in zip(LIMITS.items(), values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise SizingError(f"{name} is {value!r}: give a whole number from 1 to {largest:,}")
    return llama_shape(
        num_layers=num_layers,
        num_query_heads=num_query_heads,
        num_kv_heads=num_query_heads,
        head_dim=head_dim,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        vocab_size=vocab_size,
        tied_embeddings=tied_embeddings,
    )
