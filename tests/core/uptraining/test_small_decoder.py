"""The small text model in numpy: its cache counted by hand, its scores held to torch's where torch is there."""

import numpy as np
import pytest

from core.models.attention import GroupedAttention
from core.uptraining.small_decoder import FILE, MOST_TOKENS, Decoder, PromptError, Watched, weights
from core.uptraining.small_text import CHARACTERS, KV_HEADS, SHAPE, UNKNOWN, decode, encode

PROMPT = "The KV cache"  # 12 characters


def test_a_token_is_a_character_and_what_is_unknown_a_question_mark() -> None:
    assert decode(encode("H / G\n")) == "H / G\n"
    assert encode("€") == [UNKNOWN]
    assert len(CHARACTERS) == 96


def test_the_weights_take_less_than_two_megabytes() -> None:
    assert FILE.stat().st_size < 2_000_000


@pytest.mark.parametrize(("num_kv_heads", "per_token"), [(8, 1024), (2, 256), (1, 128)])
def test_rows_and_bytes_are_those_of_the_arrays(num_kv_heads: int, per_token: int) -> None:
    # keys and values x 4 layers x G heads x head_dim 8 x 2 bytes
    decoder = Decoder(num_kv_heads)
    first = decoder.prefill(PROMPT)
    second = decoder.step()
    assert second is not None
    assert (first.new_tokens, first.written_bytes, first.read_bytes) == (12, 12 * per_token, 12 * per_token)
    assert (second.new_tokens, second.written_bytes, second.read_bytes) == (1, per_token, 13 * per_token)
    kept = decoder.cache
    assert kept.nbytes == kept.keys[:, :, :13].nbytes + kept.values[:, :, :13].nbytes == second.cache_bytes
    assert np.all(np.any(kept.keys[:, :, :13] != 0, axis=-1))  # each row of each head is written
    assert not kept.keys[:, :, 13:].any()
    layer = GroupedAttention(
        num_query_heads=8, num_kv_heads=num_kv_heads, head_dim=SHAPE.head_dim, value_dim=SHAPE.head_dim
    )
    assert SHAPE.num_layers * layer.cached_elements(13) * 2 == second.cache_bytes


def test_decoding_reads_h_over_g_flops_a_byte_of_cache_and_prefill_more() -> None:
    watched = Watched(PROMPT)
    assert {g: step.attention_intensity for g, step in watched.at(1).items()} == {8: 1.0, 2: 4.0, 1: 8.0}
    # 12 tokens see 1 + 2 + ... + 12 = 78 rows between them, and 12 rows are read once: 78 / 12 = 6.5 times as much
    assert {g: step.attention_intensity for g, step in watched.at(0).items()} == {8: 6.5, 2: 26.0, 1: 52.0}


def test_a_step_at_a_time_is_the_same_as_all_at_once() -> None:
    whole, parts = Decoder(2), Decoder(2)
    tokens = encode("reads its weights")
    at_once = whole.forward(tokens)
    one_by_one = np.concatenate([parts.forward([token]) for token in tokens])
    assert np.allclose(at_once, one_by_one, atol=2e-3)


def test_the_cache_fills_and_then_nothing_more_is_decoded() -> None:
    watched = Watched("a" * 40)
    assert watched.last == MOST_TOKENS - 40
    assert {step.tokens for step in watched.at(999).values()} == {64}
    assert watched.decoders[8].step() is None


@pytest.mark.parametrize("prompt", ["", "x" * 41])
def test_a_prompt_that_cannot_be_decoded_is_refused(prompt: str) -> None:
    with pytest.raises(PromptError, match="type 1 to 40"):
        Watched(prompt)


@pytest.mark.parametrize("num_kv_heads", KV_HEADS)
def test_the_scores_are_those_of_the_network_in_torch(num_kv_heads: int) -> None:
    torch = pytest.importorskip("torch")
    from core.uptraining.train_small_text import TextNetwork

    network = TextNetwork(num_kv_heads)
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights(num_kv_heads).items()})
    tokens = encode("A decoder writes one token at a time.")
    with torch.no_grad():
        expected = network(torch.tensor([tokens]))[0].numpy()
    assert np.allclose(Decoder(num_kv_heads).forward(tokens), expected, atol=0.02)  # the cache rounds to 16 bits
