"""Models by shape for the sizing tests; the shapes are the published config.json's."""

from hypothesis import HealthCheck, settings

from core.models.attention import GroupedAttention, LatentAttention, ParallelLayer, RecurrentState, SharedCache
from core.models.spec import ModelDimensions, ModelSpec
from core.serving.model_shapes import LLAMA_2_13B, llama_shape

__all__ = [
    "FALCON_7B",
    "HYBRID",
    "LLAMA_2_7B",
    "LLAMA_2_13B",
    "LLAMA_2_70B",
    "LLAMA_3_8B",
    "MISTRAL_7B",
    "MLA",
    "SHARED",
    "UNHURRIED",
]  # fmt: skip

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure

LLAMA_2_7B = llama_shape(
    num_layers=32, num_query_heads=32, num_kv_heads=32, head_dim=128,
    hidden_size=4096, intermediate_size=11008, vocab_size=32000,
)  # fmt: skip
LLAMA_2_70B = llama_shape(
    num_layers=80, num_query_heads=64, num_kv_heads=8, head_dim=128,
    hidden_size=8192, intermediate_size=28672, vocab_size=32000,
)  # fmt: skip
MISTRAL_7B = llama_shape(
    num_layers=32, num_query_heads=32, num_kv_heads=8, head_dim=128,
    hidden_size=4096, intermediate_size=14336, vocab_size=32000, window=4096,
)  # fmt: skip
LLAMA_3_8B = llama_shape(
    num_layers=32, num_query_heads=32, num_kv_heads=8, head_dim=128,
    hidden_size=4096, intermediate_size=14336, vocab_size=128256,
)  # fmt: skip
FALCON_7B = ModelSpec(
    model_type="falcon",
    layers=(GroupedAttention(num_query_heads=71, num_kv_heads=1, head_dim=64, value_dim=64),) * 32,
    dimensions=ModelDimensions(
        hidden_size=4544, vocab_size=65024, intermediate_size=18176, gated_ffn=False, tied_embeddings=True
    ),
)
MLA = ModelSpec(
    model_type="deepseek_v3",
    layers=(LatentAttention(num_query_heads=128, latent_dim=512, rope_dim=64),) * 61,
    dimensions=ModelDimensions(hidden_size=7168, vocab_size=129280, intermediate_size=18432, num_experts=256),
)
_ATTENTION = GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=64, value_dim=64)
_MIXER = RecurrentState(mechanism="Mamba-2", state_elements=4096)
HYBRID = ModelSpec(
    model_type="falcon_h1",
    layers=(_MIXER, ParallelLayer(attention=_ATTENTION, recurrent=_MIXER), _MIXER),
    dimensions=ModelDimensions(hidden_size=512, vocab_size=1000, intermediate_size=1024),
)
SHARED = ModelSpec(
    model_type="shared",
    layers=(_ATTENTION, _ATTENTION, SharedCache(source_layer=1, num_query_heads=8, num_kv_heads=2)),
    dimensions=ModelDimensions(hidden_size=512, vocab_size=1000, intermediate_size=1024),
)
