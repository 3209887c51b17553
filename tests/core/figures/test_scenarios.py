"""Scenarios side by side as a picture: a stacked bar each against its budget, and the same in words."""

from core.figures.palette import LIGHT
from core.figures.scenarios import scenarios_alt_text, scenarios_chart, scenarios_sentence
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.scenarios import Scenario, scenario_rows

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536, num_kv_heads=1, memory_reading="device")
FITS = Scenario(model_name="Llama-2 13B", job=JOB, asked_kv_heads=1)
TOO_LARGE = Scenario(model_name="Llama-2 13B", job=JOB.where(num_kv_heads=2), asked_kv_heads=2)


def said(rows) -> list[str]:
    layers = scenarios_chart(rows, LIGHT).to_dict()["layer"]
    return [row["text"] for layer in layers for row in layer["data"]["values"] if "text" in row]


def test_a_bar_says_its_total_and_whether_it_fits():
    # G = 1: 42.95 + 21.94 + 2 GB; G = 2: twice the cache, and 40 layers x K and V x 5,120 x 128 x 2 bytes more weights
    texts = said(scenario_rows([FITS, TOO_LARGE]))
    assert "✓ 66.89 GB" in texts
    assert "109.95 GB" in texts
    assert "2. G = 2" in texts


def test_every_bar_is_in_the_words():
    rows = scenario_rows([FITS, TOO_LARGE])
    words = scenarios_alt_text(rows)
    assert "weights 21.94 GB, cache 42.95 GB, reserve 2.00 GB of a budget of 76.97 GB, fits, 10.08 GB to spare" in words
    assert "2. G = 2: weights 22.05 GB, cache 85.90 GB" in words
    assert words.endswith("does not fit, 32.98 GB are missing.")


def test_the_sentence_counts_what_fits():
    one, both = scenario_rows([FITS]), scenario_rows([FITS, TOO_LARGE])
    assert scenarios_sentence(one).endswith("in each scenario. It fits.")
    assert scenarios_sentence(both).endswith("in each scenario. 1 of 2 fits.")


def test_the_sentence_says_a_g_that_moved_with_the_rest():
    # with 8 bits the largest that fits is G = 2: as many bytes as G = 1 with 16, and the names do not say why
    first, eight = (Scenario(model_name="Llama-2 13B", job=job) for job in (JOB, JOB.where(kv_bits=8, num_kv_heads=2)))
    rows = scenario_rows([first, eight])
    assert rows[1].name == "8-bit cache"
    assert scenarios_sentence(rows) == (
        "What fills one H100 SXM5 80 GB in each scenario. All of them fit. "
        "G is not the same: 1 in the first, 2 in the second."
    )
