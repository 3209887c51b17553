"""Pictures as a paper's column prints them, 8.5 cm wide: words stand where they fit, names beside their strips."""

import re

import pytest
import vl_convert

from core.evidence.studies import all_dots
from core.figures import watch
from core.figures.comparison import layer_rows, run_rows
from core.figures.engine_rows import engines_chart
from core.figures.evidence import quality_chart
from core.figures.house import dress
from core.figures.lessons import picture as lesson_picture
from core.figures.models import layers_chart
from core.figures.palette import LIGHT
from core.figures.techniques import pool_chart
from core.figures.timeline import dots, timeline_chart
from core.figures.weights import weight_rows, weights_chart
from core.hardware.accelerators import find_accelerator
from core.learning.techniques import paging
from core.models.registry import load_registry
from core.reports.pictures import Picture, paper_svg
from core.serving.engine_words import EngineRow
from core.uptraining.small_decoder import Watched
from tests.core.figures.test_models import models
from tests.export_checks import Letter, lies_over, picture_problems

PARTS = {"attention": 13 * 10**9, "kv_projections": 10**10, "dense_ffn": 15 * 10**10, "cache": 10**10}


def column(spec: dict) -> str:
    return paper_svg(Picture(sentence="", alt_text="A.", spec=dress(spec, LIGHT)), width_cm=8.5, colours=LIGHT)


def words(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


@pytest.mark.parametrize(("width", "named"), [(860, ["attention", "FFN"]), (300, ["FFN"])])
def test_a_part_of_the_weights_is_named_where_its_word_fits(width, named):
    """190 GB take width / 1.1: attention's 20 GB are 82 px of 860 and 29 of 300, and its word needs 74."""
    spec = weights_chart(weight_rows({"A": {**PARTS, "attention": 2 * 10**10}}), LIGHT).properties(width=width)
    svg = vl_convert.vegalite_to_svg(dress(spec.to_dict(), LIGHT))
    assert [word for word in words(svg) if word in ("attention", "K and V", "FFN", "cache")] == named


def test_no_word_lies_over_another_in_the_weights():
    assert list(picture_problems(column(weights_chart(weight_rows({"Llama-3.1 405B": PARTS}), LIGHT).to_dict()))) == []


def test_strips_begin_behind_the_longest_name():
    """'Mistral-Nemo 12B' in 14 px takes some 112 px: a quarter of a strip is less than that in a column."""
    chosen = models("Mistral-Nemo 12B", "Falcon-7B")
    spec = layers_chart(layer_rows(chosen), run_rows(chosen), LIGHT).properties(width=378).to_dict()
    svg = vl_convert.vegalite_to_svg(dress(spec, LIGHT))
    cells = re.findall(r'aria-roledescription="rect mark"[^>]*d="M([\d.]+),', svg)
    assert len(cells) > 72  # 40 + 32 layers
    assert 120 < min(float(left) for left in cells) < 150
    assert words(svg).count("GQA, G = 8") == words(svg).count("MQA, G = 1") == 1


@pytest.mark.parametrize("name", ["timeline", "factors"])
def test_a_crowded_picture_says_less_in_a_column_and_nothing_twice(name):
    if name == "timeline":
        svg = column(timeline_chart(dots(load_registry()), LIGHT).to_dict())
        assert "Llama-2 7B" in words(svg)
        assert "Llama-3.1 405B" not in words(svg)
        assert {"2019", "2023", "2027"} <= set(words(svg))
    else:
        inputs = {"num_layers": 40, "num_kv_heads": 40, "head_dim": 128, "width": 2, "context_length": 131_072}
        svg = column(lesson_picture("factors", LIGHT, **inputs, batch=16).spec)
        assert {"131,072", "batch", "16 a cell", "1,024 each"} <= set(words(svg))
    assert list(picture_problems(svg)) == []


def test_a_block_table_says_its_tokens_alone_where_the_word_has_no_room():
    svg = column(pool_chart(paging.pool_at(2), LIGHT).to_dict())
    assert not [word for word in words(svg) if re.fullmatch(r"\d+ tokens", word)]
    assert {"A", "B"} <= set(words(svg))
    assert list(picture_problems(svg)) == []


@pytest.mark.parametrize(("width", "letters"), [(860, 10 * 3), (340, 0)])
def test_a_watched_step_has_its_letters_where_a_column_holds_one(width, letters):
    """64 columns in the 0.515 of 860 px are 6.9 px each; in the (0.70 - 104 / 340) of 340 px they are 2.1."""
    watched = Watched("The KV cache")
    data = watch.datasets(watched, 0, find_accelerator("h100-sxm"), LIGHT)
    spec = {**watch.chart(LIGHT).to_dict(), "datasets": data}
    assert list(picture_problems(column(spec))) == []
    spec["width"] = width
    said = words(vl_convert.vegalite_to_svg(dress(spec, LIGHT)))
    assert sum(len(word) == 1 and word.isalpha() for word in said) == letters
    assert "12.0 KiB so far" in said


def test_engines_beside_each_other_say_requests_in_place_of_reasons_in_a_column():
    rows = (
        EngineRow(engine="transformers", version="5", request_bytes=141_600_000, times_payload=11.2, requests=303,
                  reason="three groups of states take three pages each and one group of full attention takes one page"),
        EngineRow(engine="vllm", refusal="vLLM 0.33 has no class of that name: choose another engine for this model"),
    )  # fmt: skip
    svg = column(engines_chart(rows, LIGHT).to_dict())
    said = [
        "transformers",
        "vLLM",
        "141.6 MB, 11.2 ×",
        "303 requests at once",
        "vLLM 0.33 has no class of that name: choose …",
    ]
    assert [word for word in words(svg) if word in said] == said
    assert not any("three groups" in word for word in words(svg))
    assert list(picture_problems(svg)) == []


def test_a_line_longer_than_the_paper_leaves_a_picture_whole():
    """At 7 points 200 letters are wider than 8.5 cm: no frame holds them, and the type stays as it is drawn."""
    layers = [{"mark": {"type": "text", "fontSize": 6, "text": "word " * 40, "align": "left", "limit": 0},
               "encoding": {"x": {"value": 0}}}]  # fmt: skip
    svg = column({"data": {"values": [{}]}, "layer": layers, "width": "container", "height": 40})
    assert min(map(float, re.findall(r'font-size="([\d.]+)px"', svg))) == 6


def test_a_picture_that_holds_something_of_a_fixed_width_is_pressed_no_further():
    """A word that ends 400 px from the left in small type: the plot stays about as wide as the word needs."""
    layers = [
        {"mark": {"type": "point"}, "encoding": {"x": {"field": "x", "type": "quantitative"}}},
        {"mark": {"type": "text", "fontSize": 6, "text": "end", "align": "right"}, "encoding": {"x": {"value": 400}}},
    ]
    svg = column({"data": {"values": [{"x": 1}, {"x": 9}]}, "layer": layers, "width": "container"})
    assert max(float(end) for end in re.findall(r'<line[^>]* x2="([\d.]+)"', svg)) > 350


def test_letters_over_letters_are_found_and_edges_around_them_are_none():
    one = Letter("a", 0, 0, 6, 8)
    assert lies_over([one, Letter("b", 2, 1, 8, 9)]) == ["ab"]
    assert lies_over([one, Letter("b", 5.5, 0, 11, 8), Letter("a", 0.5, 0.5, 6.5, 8.5)]) == []


def test_two_labels_of_a_study_step_aside_in_a_column():
    """CLA's GQA-2 at 2.8 % and GQA-4 at 1.6 % stand 23 px apart in rows 118 px wide, and a label takes 37."""
    svg = column(quality_chart(all_dots(), "perplexity", LIGHT).to_dict())
    assert words(svg).count("GQA-2") == 2  # a halo and the word
    assert list(picture_problems(svg)) == []
