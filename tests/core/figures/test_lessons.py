"""The lessons' pictures: each is built in both themes, says what it shows with the right numbers, refuses nonsense."""

import json
import re
from typing import Any

import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from core.figures import lessons as pictures
from core.figures.lesson_layouts import strokes
from core.figures.lesson_levers import levers
from core.figures.palette import DARK, LIGHT, Palette
from core.learning.strokes import count_strokes
from core.models.head_sharing import Layout, LayoutError

JOB: dict[str, Any] = {"batch_size": 8, "context_length": 4_096}
LEVERS: dict[str, Any] = {"num_kv_heads": 8, "bits": 8, "window": 4_096, "kept_percent": 20, "batch": 8}
SHAPE: dict[str, Any] = {"num_layers": 40, "num_kv_heads": 40, "head_dim": 128, "width": 2, "context_length": 4_096}
# name, inputs, and words that hand arithmetic or a source puts into the sentence above the picture
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    # 26.84 GB of cache; (26.03 + 26.84) / 3.35 = 15.8 ms against 0.235 ms
    ("price", {**JOB, "num_kv_heads": 40}, ("26.0 GB of weights", "26.8 GB of cache", "66 times")),
    # weights 8 FLOPs a byte, cache H / G = 5, and (208 + 26.8 GFLOP) / (26.0 + 5.4 GB) = 7.5
    ("roof", {**JOB, "num_kv_heads": 8}, ("weights at 8", "cache at 5", "**7.5**", "waits for memory")),
    ("roof", {"batch_size": 256, "context_length": 128, "num_kv_heads": 1}, ("waits for memory",)),
    # 7.77 / 8 and 3.36 / 3.35
    ("share", {**JOB, "num_kv_heads": 40}, ("0.97 ms", "**1.00 ms", "3.4 GB")),
    ("crossing", JOB, ("32,768 tokens in flight", "26.8 GB of cache with MHA, 5.4 GB with G = 8, 671.1 MB with MQA")),
    # 256 (1 - (31/32)^64) = 222.4 of 58 x 44,040,192 B; 8 of them alone
    ("experts", {"batch_size": 64}, ("222 of its 256", "568.2 GB", "8.9 GB a sequence")),
    ("experts", {"batch_size": 1}, ("8 of its 256", "20.4 GB")),
    ("factors", {**SHAPE, "batch": 16}, ("2 × 40 × 40 × 128 × 2 × 4,096 × 16", "53.7 GB (50.0 GiB)")),
    ("against_memory", {"cache_bytes": 171_039_522_816}, ("2 times", "85.5 GB")),  # twice 81,559 MiB
    ("by_hand", {"model": "Llama-2 70B", "context_length": 4_096, "batch": 1}, ("320 KiB a token", "1.2 GiB")),
    ("ladder", {"seed": 3}, ("An example",)),
    ("presets", {}, ("Llama-2 13B", "Falcon 7B")),
    # 819,200 x 32,768 x 16
    ("levers_side_by_side", LEVERS, ("429.5 GB", "Smallest here: Window.")),
    # 0.2 x 0.5 x 0.125 x 0.2 x 0.5 = 1 / 800
    ("levers_stacked", LEVERS, ("536.9 MB", "800 times less")),
    ("what_moves", {"num_kv_heads": 8, "ranks": 8}, ("160 KiB a token", "5 FLOPs a byte", "158,885", "20 KiB")),
    ("drawn", {"num_query_heads": 8, "num_kv_heads": 2, "strokes_made": 3}, ("Stroke 3 of 7", "A pair under run 1")),
    ("traffic", JOB, ("1.18 times", "1.68 times")),  # 31.4 / 26.7 and 52.9 / 31.4
    ("copies", {"shape": "70B", "ranks": 8, "chosen": 8}, ("every G up to 8", "320 KiB")),
    ("copies", {"shape": "13B", "ranks": 1, "chosen": 1}, ("nothing is copied",)),
    ("heads_and_bits", {"num_kv_heads": 2, "bits": 8}, ("20.0 KiB", "G = 1 in 16 bits", "G = 8 in 2 bits")),
    ("windows", {"context_length": 32_768, "window": 4_096}, ("save 4 times", "alone 8 times", "32 times")),
    ("windows", {"context_length": 2_048, "window": 4_096}, ("save 4 times", "alone nothing yet", "**4 times**")),
    ("reach", {"window": 4_096}, ("131,072 tokens",)),
    # 417,792 token-layers x 4,096 B, and 327,680 of them in the full ones
    ("mix", {"context_length": 32_768, "window": 4_096, "full_layers": 10}, ("1.6 GiB", "4.0 GiB", "78 %")),
    ("worth", {"batch_size": 1, "context_length": 2_048}, ("**7 %**",)),
    ("worth", {"batch_size": 13, "context_length": 2_048}, ("**49 %**",)),  # (13.96 - 0.22) / 27.96
    ("divides", {"num_gpus": 6}, ("71 divides by nothing", "leave 5 over", "leave 2 over")),
    ("falcons", {}, ("One MQA model",)),
    # 22.7 GB of weights: 13,015,864,320 - 40 x 2 x 5,120 x 128 x 32, x 2 bytes
    ("pick_budget", {"num_kv_heads": 8, "weight_bits": 16, "freed": "dropped"}, ("22.7 GB", "52.3 GB")),
    ("pick_budget", {"num_kv_heads": 40, "weight_bits": 16, "freed": "dropped"}, ("26.0 GB", "48.9 GB")),
    ("pick_cost", {"weight_bits": 16, "freed": "dropped"}, ("77.0 GB", "G = 2 in 8 bits", "G = 4 in 4 bits.")),
    ("pick_question", {"kv_bits": 8, "live_percent": 100, "pattern": "none", "gpus": 1}, ("119.5 GB too much",)),
    ("pick_question", {"kv_bits": 8, "live_percent": 25, "pattern": "none", "gpus": 1}, ("it fits",)),
    ("pick_question", {"kv_bits": 8, "live_percent": 100, "pattern": "7 full + 33 of 1,024", "gpus": 1}, ("it fits",)),
    ("pick_question", {"kv_bits": 8, "live_percent": 100, "pattern": "none", "gpus": 4}, ("it fits",)),
    ("pick_question", {"kv_bits": 16, "live_percent": 100, "pattern": "none", "gpus": 4}, ("too much",)),
    ("pick_question", {"kv_bits": 16, "live_percent": 100, "pattern": "none", "gpus": 8}, ("it fits",)),
    # (2 x (13,015,864,320 - 32,000 x 5,120) + 32 x 65,536 x 40 x 2 x 128 x 2) bytes / 3.35e12, or / 2.039e12
    ("pick_speed", {"accelerator": "h100-sxm"}, ("1,561 tokens/s", "20.5 ms")),
    ("pick_speed", {"accelerator": "a100-80-sxm"}, ("33.7 ms",)),
]  # fmt: skip


def plain(text: str) -> str:
    return text.replace("**", "")


@pytest.mark.parametrize(("name", "inputs", "words"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_a_picture_says_what_hand_arithmetic_says(name: str, inputs: dict[str, Any], words: tuple[str, ...]) -> None:
    drawn = pictures.picture(name, LIGHT, **inputs)
    for word in words:
        assert word in drawn.sentence or plain(word) in plain(drawn.sentence), drawn.sentence
    assert len(drawn.alt_text) > 40
    assert "**" not in drawn.alt_text
    assert drawn.alt_text != drawn.sentence


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_picture_is_drawn_in_both_themes_without_a_config_of_its_own(colours: Palette) -> None:
    """A spec that carries configure_* could not be joined to others, and the page's own look would not apply."""
    assert {case[0] for case in CASES} == set(pictures._drawers())
    other = DARK if colours is LIGHT else LIGHT
    only_other = {other.text, other.background, other.cache} - set(vars(colours).values())
    for name, inputs, _ in CASES:
        spec = pictures.picture(name, colours, **inputs).spec
        assert set(spec.get("config", {})) <= {"view"}, name
        assert not any(colour in json.dumps(spec) for colour in only_other), name


@pytest.mark.parametrize("name", ["roof", "share", "factors", "what_moves", "drawn", "copies", "windows", "pick_cost"])
def test_vega_renders_the_picture(name: str) -> None:
    inputs = next(case[1] for case in CASES if case[0] == name)
    svg = vl_convert.vegalite_to_svg(pictures.picture(name, LIGHT, **inputs).spec)
    assert svg.count("<path") > 5


@pytest.mark.parametrize(
    ("name", "inputs", "says"),
    [
        ("price", {"batch_size": 0, "context_length": 1, "num_kv_heads": 8}, "at least 1"),
        ("price", {"batch_size": 1, "context_length": 1, "num_kv_heads": 7}, "does not divide"),
        ("levers_stacked", {**LEVERS, "kept_percent": 0}, "outside the levers' ranges"),
        ("levers_stacked", {**LEVERS, "num_kv_heads": 3}, "does not divide"),
        ("what_moves", {"num_kv_heads": 8, "ranks": 3}, "must divide 40"),
        ("copies", {"shape": "70B", "ranks": 3, "chosen": 8}, "do not divide over 3"),
        ("pick_question", {"kv_bits": 8, "live_percent": 0, "pattern": "none", "gpus": 1}, "1 to 100"),
        ("pick_question", {"kv_bits": 8, "live_percent": 50, "pattern": "all", "gpus": 1}, "choose one of none"),
        ("mix", {"context_length": 1, "window": 1, "full_layers": 40}, "40 full layers"),
    ],
)
def test_inputs_that_a_widget_would_not_send_are_refused(name: str, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        pictures.picture(name, LIGHT, **inputs)


def test_a_factor_keeps_the_digits_that_its_bytes_have() -> None:
    """80 of 100 tokens are 1.25 times less, G = 20 of 40 with them 2.5 times: neither is 1 or 2."""
    plain = {"bits": 16, "window": 32_768, "kept_percent": 80, "batch": 16}
    for num_kv_heads, factor in ((40, "1.25"), (20, "2.5")):
        sentence = pictures.picture("levers_stacked", LIGHT, num_kv_heads=num_kv_heads, **plain).sentence
        assert f": {factor} times less" in sentence


def test_one_full_layer_is_said_as_one() -> None:
    sentence = pictures.picture("mix", LIGHT, context_length=8192, window=1024, full_layers=1).sentence
    assert sentence.startswith("1 full layer of 32: ")


def test_an_impossible_layout_is_refused_as_on_the_layouts_page() -> None:
    with pytest.raises(LayoutError, match="does not divide"):
        pictures.picture("drawn", LIGHT, num_query_heads=8, num_kv_heads=3, strokes_made=1)


@given(st.sampled_from([(h, g) for h in range(1, 65) for g in range(1, h + 1) if h % g == 0]))
def test_strokes_draw_every_pair_and_every_line_once(shape: tuple[int, int]) -> None:
    heads, kv_heads = shape
    all_strokes = strokes(Layout(num_query_heads=heads, num_kv_heads=kv_heads))
    assert len(all_strokes) == count_strokes(heads, kv_heads)
    assert sorted(pair for stroke in all_strokes for pair in stroke.pairs) == list(range(kv_heads))
    assert sorted(line for stroke in all_strokes for line in stroke.lines) == list(range(heads))
    assert all_strokes[0].queries
    assert all_strokes[-1].result


@pytest.mark.parametrize("made", [-5, 0, 1, 7, 99])
def test_strokes_beyond_either_end_draw_the_first_or_the_whole(made: int) -> None:
    drawn = pictures.picture("drawn", LIGHT, num_query_heads=8, num_kv_heads=2, strokes_made=made)
    assert f"Stroke {max(1, min(made, 7))} of 7" in drawn.sentence


def test_levers_leave_what_their_factor_says() -> None:
    found = {lever.name: lever for lever in levers(**LEVERS)}
    assert {name: lever.left for name, lever in found.items()} == {
        "Heads": 0.2, "Bits": 0.5, "Window": 0.125, "Dropping": 0.2, "Batch": 0.5,
    }  # fmt: skip
    assert "−3.92 to +0.13 points" in found["Heads"].risk
    assert found["Batch"].risk.startswith("none")


def test_a_g_that_no_study_has_is_said_to_be_near_those_that_were() -> None:
    lever = levers(**{**LEVERS, "num_kv_heads": 5})[0]
    assert lever.risk.startswith("near G = 4 and 8")
    assert levers(**{**LEVERS, "num_kv_heads": 40})[0].risk == "none: this is MHA"


def test_an_unset_lever_risks_nothing() -> None:
    idle = levers(num_kv_heads=40, bits=16, window=32_768, kept_percent=100, batch=16)
    assert all(lever.left == 1 and lever.risk.startswith("none") for lever in idle)


def test_no_line_of_the_crossing_is_bent_at_the_edge() -> None:
    # MHA of the 13B keeps 819,200 bytes a token, MQA 20,480
    from core.figures.lesson_bytes import CROSSING_Y, FLIGHT_X

    assert CROSSING_Y[0] <= 20_480 * FLIGHT_X[0] / 1e9
    assert 819_200 * FLIGHT_X[1] / 1e9 <= CROSSING_Y[1]


def test_the_largest_job_of_the_crossing_stands_on_its_lines() -> None:
    """256 sequences of 65,536 tokens: beyond the axis their dots stood at its edge, off their lines."""
    layers = pictures.picture("crossing", LIGHT, batch_size=256, context_length=65_536).spec["layer"]
    across, up = (layers[1]["encoding"][axis]["scale"]["domain"] for axis in "xy")
    assert across[0] <= 16_777_216 <= across[1]
    assert up[0] <= 819_200 * 16_777_216 / 1e9 <= up[1]
