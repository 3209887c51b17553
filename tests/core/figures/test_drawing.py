"""A picture that breaks Vega-Lite's schema is an error where it is written, unless the process trusts its pictures;
and what an encoding becomes is what Altair by itself makes of it.
"""

from datetime import date

import numpy as np
import pytest
from altair.utils import core, schemapi
from altair.utils.schemapi import SchemaValidationError

from core.figures import drawing
from core.figures.drawing import alt, written

CHART = alt.Chart().mark_bar(opacity="a word")


def test_a_picture_against_the_schema_is_an_error():
    with pytest.raises(SchemaValidationError, match="'a word' is an invalid value for `opacity`"):
        written(CHART)


def test_a_process_that_trusts_its_pictures_writes_the_same_without_a_look(monkeypatch):
    sound = alt.Chart().mark_bar(opacity=0.5)
    looked_at = written(sound)
    monkeypatch.setattr(drawing, "_looks", True)  # and again after the test
    drawing.trust()
    assert written(sound) == looked_at
    assert written(CHART)["mark"]["opacity"] == "a word"


GIVEN = {
    "a word": {"x": "sum(bytes):Q", "y": "model:N", "tooltip": ["model:N", "bytes:Q"], "order": "place:O"},
    "a value": {"x": alt.value(8), "y": alt.value("height"), "color": alt.value("#123456"), "size": alt.value(4)},
    "an expression": {"text": alt.value(alt.ExprRef("width < 400 ? 'G' : datum.says")), "x": alt.datum(3)},
    "a condition": {
        "color": alt.condition("datum.fits", alt.value("black"), alt.value("grey")),
        "strokeWidth": alt.condition("datum.chosen", alt.value(4), alt.value(1.8)),
        "opacity": alt.condition("datum.fits", "share:Q", alt.value(0.2)),
    },
    "a channel": {"x": alt.X("bytes:Q", title=None), "color": alt.Color("hue:N", scale=None)},
}


def test_a_picture_is_written_as_altair_writes_it(monkeypatch):
    rows = [{"n": np.float32(2.5), "at": date(2026, 11, 30), "g": 8, "fits": True, "why": None, "share": 0.25}]
    chart = alt.Chart(alt.Data(values=rows)).mark_text(dy=-4).encode(x="n:Q", y="at:T", text=alt.value("a word"))
    ours = written(chart)
    assert ours["data"]["values"] == [
        {"n": 2.5, "at": {"year": 2026, "month": 11, "date": 30}, "g": 8, "fits": True, "why": None, "share": 0.25}
    ]
    monkeypatch.setattr(schemapi, "_todict", drawing._to_dict)
    assert written(chart) == ours


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_an_encoding_becomes_what_altair_makes_of_it(monkeypatch, given):
    def drawn() -> dict[str, object]:
        return written(alt.Chart(alt.Data(values=[{"bytes": 1}])).mark_text().encode(**given))

    ours = drawn()
    monkeypatch.setattr(core._ChannelCache, "_wrap_in_channel", drawing._in_channel)
    assert drawn() == ours
    assert set(ours["encoding"]) == set(given)


def test_no_table_of_every_schema_is_made_for_a_word_or_a_value(monkeypatch):
    monkeypatch.setattr(schemapi, "_FromDict", None)  # by which Altair makes the table
    for given in GIVEN.values():
        assert set(alt.Chart().mark_text().encode(**given).encoding.to_dict()) == set(given)
    monkeypatch.setattr(core._ChannelCache, "_wrap_in_channel", drawing._in_channel)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        alt.Chart().mark_text().encode(x="bytes:Q")


def test_charts_laid_over_and_beside_each_other_share_their_rows_and_are_written_as_altair_writes_them(monkeypatch):
    rows = [{"g": 8, "bytes": 4.0}, {"g": 1, "bytes": 0.5}]

    def drawn() -> alt.HConcatChart:
        picked = alt.selection_point(fields=["g"], name="picked")
        base = alt.Chart(alt.Data(values=rows), width=200).encode(x="g:O", y=alt.Y("bytes:Q", title=None))
        bars = base.mark_bar().encode(opacity=alt.condition(picked, alt.value(1), alt.value(0.2))).add_params(picked)
        words = alt.Chart(alt.Data(values=[{"says": "a word"}])).mark_text().encode(text="says:N").add_params(picked)
        layered = alt.layer(bars, words).properties(height=80) + base.mark_rule()
        beside = alt.hconcat(layered, base.mark_tick()).resolve_scale(y="shared")
        return beside.add_params(alt.param(name="wide", value=3))

    ours = drawn()
    assert ours.hconcat[0].layer[0].data.values is rows
    assert ours.hconcat[0].layer[0].data.values is not ours.hconcat[0].layer[1].data.values
    spec = written(ours)
    assert [param["name"] for param in spec["params"]] == ["picked", "wide"]
    monkeypatch.setattr(schemapi, "_deep_copy", drawing._deep_copy)
    theirs = drawn()
    assert theirs.hconcat[0].layer[0].data.values is not rows
    assert written(theirs) == spec
