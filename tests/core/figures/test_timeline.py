"""The timeline: every model of the registry stands on it once, at its month and at its share of a long sequence."""

import pytest

from core.figures.palette import palette
from core.figures.timeline import CONTEXT, NAMED, alt_text, dots, rows, sentence, timeline_chart
from core.models.registry import RegistryError, load_registry, parse_entry
from tests.core.models.test_registry import changed

FOUND = {dot.name: dot for dot in dots(load_registry())}


def test_every_model_of_the_registry_is_dated_and_drawn() -> None:
    assert set(FOUND) == {model.name for model in load_registry()}
    assert all(dot.release_source for dot in FOUND.values())
    assert min(dot.released for dot in FOUND.values()) == "2019-02"


@pytest.mark.parametrize(
    ("name", "kib"),
    [
        ("Llama-2 7B", 512.0),  # 32 layers x 32 heads x 128 x 2 x 2 bytes
        ("Falcon-7B", 8.0),  # 32 x 1 x 64 x 2 x 2
        ("DeepSeek-V2", 67.5),  # 60 x (512 + 64) x 2
        ("Mistral-7B v0.1", 16.0),  # 128 KiB a token while 4,096 of 32,768 tokens are kept
    ],
)
def test_the_height_is_a_tokens_share_of_what_32768_tokens_keep(name: str, kib: float) -> None:
    assert CONTEXT == 32_768
    assert FOUND[name].bytes_per_token / 1024 == kib


def test_a_state_counts_in_the_share_and_has_no_kv_heads() -> None:
    mamba = FOUND["Mamba-Codestral 7B"]
    assert (mamba.kind, mamba.kv_heads) == ("recurrent", "none: no heads are cached")
    assert mamba.bytes_per_token > 0


def test_a_hybrid_says_how_many_of_its_layers_cache() -> None:
    assert FOUND["Jamba v0.1"].caching.startswith("4 of 32")


def test_dots_of_one_family_do_not_stand_on_each_other() -> None:
    places = [(row["date"], round(row["kib"], 2)) for row in rows(list(FOUND.values())) if row["model"] != "x"]
    crowded = [place for place in set(places) if places.count(place) > 1]
    assert crowded == []


def test_the_picture_names_its_landmarks_and_says_all_of_it_in_words() -> None:
    found = dots(load_registry())
    assert set(NAMED) <= set(FOUND)
    spec = timeline_chart(found, palette("light")).to_dict()
    assert [param["name"] for param in spec["params"]] == ["dot"]
    assert sentence(found).startswith("**Llama-2 7B kept 512 KiB a token in 2023;")
    assert alt_text(found).count(";") == len(found) - 1


def test_names_and_key_take_two_layers_each_however_many_there_are() -> None:
    """A layer a name was 37 of them, and most of what the browser did for the page."""
    layers = timeline_chart(dots(load_registry()), palette("light")).to_dict()["layer"]
    edges, names, points, marks, words = (layer["data"]["values"] for layer in layers)
    assert edges == names
    assert {row["model"]: (row["align"], row["dx"], row["dy"]) for row in names} == NAMED
    assert len(points) == len(FOUND)
    assert [row["word"] for row in words] == ["MHA", "GQA", "MQA", "MLA", "recurrent"]
    assert marks == words


def test_a_date_needs_its_source_and_the_form_of_a_month() -> None:
    assert parse_entry(changed(released="2023-07", release_source="its card")).released == "2023-07"
    with pytest.raises(RegistryError, match="released and release_source go together"):
        parse_entry(changed(released="2023-07"))
    with pytest.raises(RegistryError, match="must be a year and month such as 2023-07"):
        parse_entry(changed(released="2023-13", release_source="its card"))
