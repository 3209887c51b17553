"""The picture's rows: who is drawn where, and what is counted instead of drawn."""

import re

import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from core.figures.house import dress, house_config
from core.figures.layouts import (
    MAX_HEADS_DRAWN,
    figure_text,
    kv_rows,
    layout_chart,
    line_rows,
    query_rows,
    slots,
    strip_rows,
)
from core.figures.palette import DARK, LIGHT
from core.models.head_sharing import Layout, alt_text, divisors


def test_every_head_of_falcon_7b_is_drawn_and_reads_the_one_kv_head():
    layout = Layout(num_query_heads=71, num_kv_heads=1)
    rows = query_rows(layout)
    assert len(rows) == 71
    assert {row["target"] for row in rows} == {0.5}
    assert [row["letter"] for row in kv_rows(layout)] == ["K", "V"]


def test_llama_2_70b_draws_64_heads_in_8_groups():
    rows = query_rows(Layout(num_query_heads=64, num_kv_heads=8))
    assert [row["group"] for row in rows] == [i // 8 for i in range(64)]
    assert rows[0]["says"] == "query head 1 reads KV head 1"
    assert rows[63]["says"] == "query head 64 reads KV head 8"


def test_heads_too_many_to_draw_become_blocks_with_their_count():
    rows = query_rows(Layout(num_query_heads=232, num_kv_heads=8))  # Falcon-180B
    assert [row["label"] for row in rows] == ["×29"] * 8
    assert rows[1]["says"] == "query heads 30 to 58 read KV head 2"


def test_groups_too_many_to_draw_become_one_run_that_says_how_many():
    columns = slots(Layout(num_query_heads=232, num_kv_heads=232))
    runs = [column for column in columns if column.group is None]
    assert [run.groups for run in runs] == [219]
    assert sum(column.groups for column in columns) == 232
    assert columns[-1].group == 231


def test_the_strip_is_to_scale():
    rows = strip_rows(Layout(num_query_heads=40, num_kv_heads=5))
    assert [row["kept"] for row in rows].count("kept") == 5
    assert len(rows) == 40
    assert len({round(row["right"] - row["left"], 9) for row in rows}) == 1


def test_figure_under_the_strip():
    layout = Layout(num_query_heads=64, num_kv_heads=8)
    assert figure_text(layout) == "4,096 B of MHA's 32,768 B · saves 87.5%"
    assert figure_text(layout, short=True) == "4,096 B · saves 87.5%"
    assert figure_text(layout.with_kv_heads(64)) == "32,768 B · every query head keeps its own pair"


@given(heads=st.integers(1, 300), data=st.data())
def test_rows_stay_on_the_plane_and_account_for_every_head(heads, data):
    layout = Layout(num_query_heads=heads, num_kv_heads=data.draw(st.sampled_from(divisors(heads))))
    columns, rows = slots(layout), query_rows(layout)
    assert sum(column.heads for column in columns) == heads
    assert sum(column.groups for column in columns) == layout.num_kv_heads
    assert all(0 <= row["left"] < row["right"] <= 1 for row in [*rows, *kv_rows(layout), *strip_rows(layout)])
    if heads <= MAX_HEADS_DRAWN:
        assert len(rows) == len(line_rows(layout)) == heads


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("heads", "kv_heads"), [(64, 8), (71, 1), (12, 12), (232, 232), (1, 1)])
def test_the_picture_renders(colours, heads, kv_heads):
    chart = layout_chart(Layout(num_query_heads=heads, num_kv_heads=kv_heads), colours)
    svg = vl_convert.vegalite_to_svg(dress(chart.properties(width=900).to_dict(), colours))
    assert colours.queries in svg
    assert colours.keys_values in svg
    assert ("saves" in svg) == (kv_heads < heads)


def test_the_spec_is_one_for_every_layout_and_only_its_rows_differ():
    def without_rows(heads: int, kv_heads: int) -> dict[str, object]:
        spec = layout_chart(Layout(num_query_heads=heads, num_kv_heads=kv_heads), LIGHT).to_dict()
        datasets = spec.pop("datasets")
        assert all(datasets.values())  # a layer without rows would be one that Vega-Lite cannot type
        return spec

    assert without_rows(64, 8) == without_rows(64, 1) == without_rows(71, 71) == without_rows(232, 232)


def test_the_picture_says_itself_in_words():
    layout = Layout(num_query_heads=64, num_kv_heads=8)
    svg = vl_convert.vegalite_to_svg(dress(layout_chart(layout, LIGHT).properties(width=900).to_dict(), LIGHT))
    assert re.findall(r'aria-label="([^"]*)"', svg) == [alt_text(layout)]
    assert svg.count('aria-roledescription="picture in words"') == 1  # assets/present.js looks for it


def test_dress_keeps_what_the_chart_set_itself():
    spec = {"config": {"view": {"continuousWidth": 300}, "axis": {"grid": False}}}
    dressed = dress(spec, LIGHT)
    assert dressed["config"]["axis"]["grid"] is False
    assert dressed["config"]["axis"]["labelColor"] == LIGHT.text
    assert dressed["config"]["view"] == {"stroke": None}
    assert spec == {"config": {"view": {"continuousWidth": 300}, "axis": {"grid": False}}}
    assert house_config(LIGHT, scale=2)["title"]["fontSize"] == 34


@pytest.mark.parametrize(("width", "says", "not_said"), [(900, "8 query heads", "×8"), (310, "×8", "8 query heads")])
def test_group_counts_are_as_long_as_the_picture_has_room_for(width, says, not_said):
    spec = layout_chart(Layout(num_query_heads=64, num_kv_heads=8), LIGHT).properties(width=width).to_dict()
    svg = vl_convert.vegalite_to_svg(dress(spec, LIGHT))
    assert f">{says}<" in svg
    assert f">{not_said}<" not in svg
