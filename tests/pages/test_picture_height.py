"""The height that a picture's container keeps, as the parts of its name and as the rules that add them up."""

import re

from hypothesis import given
from hypothesis import strategies as st

from pages.shell.picture_height import TALLEST_PX, name_part, style_sheet


def test_the_name_says_hundreds_tens_and_ones():
    assert name_part({"height": 340, "mark": "bar"}) == "-a3-b4-c0-"
    assert name_part({"height": 1207.4, "layer": []}) == "-a12-b0-c7-"


def test_a_height_in_steps_or_of_several_views_is_not_known():
    assert name_part({"height": {"step": 20}, "mark": "bar"}) == ""
    assert name_part({"hconcat": [], "height": 340}) == ""
    assert name_part({"mark": "bar"}) == ""


@given(st.integers(0, 3 * TALLEST_PX))
def test_the_rules_add_up_to_the_height(height_px: int):
    rules = dict(re.findall(r'\[class\*="(-[abc]\d+-)"\]\{--[abc]:(\d+)px\}', style_sheet()))
    parts = re.findall(r"-[abc]\d+", name_part({"height": height_px, "mark": "bar"}))
    assert sum(int(rules[f"{part}-"]) for part in parts) == min(height_px, TALLEST_PX)
