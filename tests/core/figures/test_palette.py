"""Colours: every text and mark colour stands out from its background by the WCAG 2.2 ratios."""

import dataclasses

import pytest

from core.figures.palette import DARK, LIGHT, Palette, mixed, palette


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' (WCAG 2.2, definition of relative luminance)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_reads_at_aa(colours: Palette):
    for text in (colours.text, colours.muted, colours.fits, colours.exceeds):
        assert contrast(text, colours.background) >= 4.5, text


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_stand_out_and_their_labels_read(colours: Palette):
    for name in ("queries", "keys_values", "cache", "mha", "gqa", "mqa", "mla"):
        mark = getattr(colours, name)
        assert contrast(mark, colours.background) >= 3, name
        assert contrast(mark, colours.on_fill) >= 3, name


def test_kinds_have_colours_of_their_own():
    for colours in (LIGHT, DARK):
        assert len({colours.kind(kind) for kind in ("MHA", "GQA", "MQA", "MLA", "recurrent")}) == 5
    assert palette("dark") is DARK
    assert palette(None) is LIGHT
    assert {len(value) for value in dataclasses.asdict(DARK).values()} == {7}


def test_a_faded_colour_is_mixed_beforehand():
    assert mixed("#c8620f", "#ffffff", 1.0) == "#c8620f"
    assert mixed("#c8620f", "#ffffff", 0.0) == "#ffffff"
    assert mixed("#ff8000", "#000000", 0.25) == "#402000"  # 63.75 and 32, rounded
