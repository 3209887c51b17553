"""Engines side by side as a picture: a bar, a tick, requests and a reason each; a refusal is a row without a bar."""

from core.figures.engine_rows import engines_alt_text, engines_chart, engines_sentence, phrase
from core.figures.palette import LIGHT
from core.serving.engine_words import EngineRow

PAYLOAD = EngineRow(engine="payload", request_bytes=2_000_000, times_payload=1.0, requests=20, reason="what it needs")
VLLM = EngineRow(engine="vllm", request_bytes=4_000_000, times_payload=2.0, requests=10, reason="pages are not full")
MLX = EngineRow(engine="mlx", refusal="mlx: tensor_parallel is 4: one Mac holds the model here. Set it to 1.")


def drawn(rows):
    return [layer["data"]["values"] for layer in engines_chart(rows, LIGHT).to_dict()["layer"]]


def test_every_row_has_its_words_and_those_with_figures_a_bar():
    bars, own, ticks, names, figures, requests, reasons = drawn((VLLM, MLX, PAYLOAD))
    assert [row["text"] for row in names] == ["vLLM", "MLX", "Payload alone"]
    assert [row["text"] for row in figures] == ["4.0 MB, 2 × its keys and values", "2.0 MB"]
    assert [row["text"] for row in requests] == ["10 requests", "20 requests"]
    assert [row["text"] for row in reasons] == ["pages are not full", MLX.refusal, "what it needs"]
    assert (bars[0]["right"] - bars[0]["left"]) == 2 * (own[0]["right"] - own[0]["left"])
    assert {tick["x"] for tick in ticks} == {own[0]["right"]}


def test_a_picture_of_refusals_alone_has_no_empty_layer():
    assert all(drawn((MLX,)))
    assert engines_sentence((MLX,), 512).endswith("a tick marks the payload.")


def test_the_sentence_says_most_and_fewest():
    one = EngineRow(engine="sglang", request_bytes=9, times_payload=None, requests=1)
    assert engines_sentence((VLLM, one, PAYLOAD), 512).endswith("Most at once: vLLM, 10 requests; fewest: SGLang, 1.")
    assert engines_sentence((VLLM, PAYLOAD), 512).endswith("All of them serve 10 requests at once.")
    assert "MLX: mlx: tensor_parallel is 4" in engines_alt_text((VLLM, MLX))


def test_a_long_reason_is_cut_at_a_word():
    assert len(phrase(EngineRow(engine="vllm", reason="word " * 60))) <= 118
