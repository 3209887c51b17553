"""The picture of a decode step against the cache object that it shows."""

from core.figures import watch
from core.figures.palette import palette
from core.hardware.accelerators import find_accelerator
from core.uptraining.small_decoder import Watched
from core.uptraining.small_text import KV_HEADS

LIGHT, H100 = palette("light"), find_accelerator("h100-sxm")
WATCHED = Watched("The KV cache")


def columns(row: dict[str, float]) -> int:
    return round((row["right"] - row["left"]) / (watch.column(1) - watch.column(0)))


def test_the_strips_rows_are_those_of_the_cache_arrays() -> None:
    for number in (0, 1, 5):
        steps = WATCHED.at(number)
        rows = watch.datasets(WATCHED, number, H100, LIGHT)["strips"]
        for num_kv_heads, (_, places) in watch.bands().items():
            cache = WATCHED.decoders[num_kv_heads].cache
            row_bytes = cache.keys[0, 0, 0].nbytes + cache.values[0, 0, 0].nbytes
            held = written = 0
            hue = LIGHT.kind({8: "MHA", 2: "GQA", 1: "MQA"}[num_kv_heads])
            for top, _ in places:
                drawn = [row for row in rows if row["top"] == top and row["hue"] != LIGHT.panel]
                held += sum(columns(row) for row in drawn)
                written += sum(columns(row) for row in drawn if row["hue"] == hue)
            assert len(places) == 4 * num_kv_heads
            assert held * row_bytes == steps[num_kv_heads].cache_bytes
            assert written * row_bytes == steps[num_kv_heads].written_bytes


def test_nothing_but_data_changes_from_step_to_step() -> None:
    spec = watch.chart(LIGHT).to_dict()
    named = set(watch.datasets(WATCHED, 0, H100, LIGHT))
    assert {"strips", "letters", "words", "dots", "roof"} == named
    assert all(name in str(spec) for name in named)


def test_the_words_say_prefill_and_decode_apart() -> None:
    assert watch.title(WATCHED, 0) == "Prefill: 12 tokens in one step"
    assert watch.title(WATCHED, 3) == "Decode: token 15"
    assert "and all 15 are read" in watch.sentence(WATCHED, 3)
    assert watch.alt_text(WATCHED, 1).count("bytes so far") == len(KV_HEADS)


def test_the_dots_stand_at_the_steps_intensity_and_under_the_roof() -> None:
    at_decode = {row["text"] for row in watch.datasets(WATCHED, 1, H100, LIGHT)["dots"]}
    assert {"MHA: 1", "GQA: 4", "MQA: 8"} < at_decode
    prefill = watch.datasets(WATCHED, 0, H100, LIGHT)["dots"]
    decode = watch.datasets(WATCHED, 1, H100, LIGHT)["dots"]
    assert all(before["x"] > after["x"] for before, after in zip(prefill, decode, strict=True))
