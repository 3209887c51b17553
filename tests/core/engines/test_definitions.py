"""Ways of counting one cache, against hand arithmetic. The measured ones: test_model_spec_measured."""

from core.engines.definitions import definitions, transformers_stored
from core.models.attention import GroupedAttention, LatentAttention, Layer
from core.models.spec import ModelDimensions, ModelSpec
from core.serving.model_shapes import LLAMA_2_13B, llama_shape


def spec_of(*layers: Layer) -> ModelSpec:
    return ModelSpec(model_type="x", layers=layers, dimensions=ModelDimensions(hidden_size=1))


def grouped(kv: int, window: int | None = None, *, broadcast: bool = False) -> GroupedAttention:
    return GroupedAttention(
        num_query_heads=32,
        num_kv_heads=kv,
        head_dim=128,
        value_dim=128,
        window=window,
        broadcast_when_stored=broadcast,
    )


LATENT = LatentAttention(num_query_heads=128, latent_dim=512, rope_dim=64, expanded_key_dim=192, expanded_value_dim=128)


def test_each_server_takes_its_own_blocks() -> None:
    """100 tokens of Llama-2 13B: vLLM 7 blocks of 16, SGLang 100 cells, llama.cpp and MLX room for 256."""
    a_token = 2 * 40 * 40 * 128 * 2
    counted = {item.name: item.total_bytes for item in definitions(LLAMA_2_13B, context_length=100)}
    assert counted == {
        "payload": 100 * a_token,
        "vLLM 0.33.0": 112 * a_token,
        "SGLang 0.5.23": 100 * a_token,
        "llama.cpp build 11434": 256 * a_token,
        "mlx-lm 0.32.2": 256 * a_token,
        "transformers 5.24": 100 * a_token,
    }


def test_kv_heads_repeat_when_ranks_outnumber_them() -> None:
    """2 KV heads over 8 ranks: each rank keeps one, so eight heads in all."""
    two = llama_shape(
        num_layers=4, num_query_heads=32, num_kv_heads=2, head_dim=128, hidden_size=4096, intermediate_size=11008,
        vocab_size=32000,
    )  # fmt: skip
    counted = {item.name: item.total_bytes for item in definitions(two, context_length=160, tensor_parallel=8)}
    assert counted["vLLM 0.33.0"] == 4 * counted["payload"]
    assert counted["payload"] == 4 * 2 * 2 * 128 * 160 * 2


def test_an_engine_that_refuses_says_why() -> None:
    found = {item.name: item for item in definitions(spec_of(grouped(8)), context_length=16)}
    assert found["vllm"].total_bytes is None
    assert found["vllm"].reason


def test_transformers_keeps_one_token_less_than_the_window() -> None:
    # 4,096 bytes a token: window 64 keeps 63 once it is full, everything before
    spec = spec_of(grouped(8, window=64), grouped(8))
    assert transformers_stored(spec, context_length=10).total_bytes == 2 * 10 * 4_096
    stored = transformers_stored(spec, context_length=1_000)
    assert stored.total_bytes == (63 + 1_000) * 4_096
    assert "window - 1 tokens" in stored.reason


def test_falcons_new_architecture_is_stored_per_query_head() -> None:
    stored = transformers_stored(spec_of(grouped(8, broadcast=True)), context_length=100)
    assert stored.total_bytes == 4 * 100 * 4_096  # 32 heads instead of 8
    assert "every query head" in stored.reason


def test_mla_is_stored_compressed_or_multiplied_out() -> None:
    # 576 values a token; expanded 128 heads x (192 + 128) = 40,960 (DeepSeek-V3: 71 times as much)
    assert transformers_stored(spec_of(LATENT), context_length=10).total_bytes == 576 * 10 * 2
    expanded = transformers_stored(spec_of(LATENT), context_length=10, expanded_latent=True)
    assert (expanded.total_bytes, expanded.name) == (40_960 * 10 * 2, "transformers 4.57")
