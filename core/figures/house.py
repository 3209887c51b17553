"""The look that all charts share: type, axes, grid and background from one palette, as a Vega-Lite config."""

from functools import cache
from typing import Any

from core.figures.palette import Palette

FONT = '"Source Sans", "Source Sans Pro", "Helvetica Neue", Arial, sans-serif'


@cache
def house_config(colours: Palette, scale: float = 1.0) -> dict[str, Any]:
    """The `config` of a Vega-Lite spec, one for all pictures. scale enlarges type for a room (1 on a desk)."""
    small, normal, large = round(12 * scale), round(13 * scale), round(17 * scale)
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        # Vega-Lite draws these three at an opacity of 0.7: a file and a screen then mix their colours each for itself
        "point": {"opacity": 1},
        "circle": {"opacity": 1},
        "tick": {"opacity": 1},
        "text": {"color": colours.text, "fontSize": normal},
        "title": {
            "color": colours.text,
            "subtitleColor": colours.muted,
            "fontSize": large,
            "subtitleFontSize": normal,
            "anchor": "start",
            "fontWeight": 600,
        },
        "axis": {
            "labelColor": colours.text,
            "titleColor": colours.muted,
            "gridColor": colours.ghost,
            "domainColor": colours.line,
            "tickColor": colours.line,
            "labelFontSize": small,
            "titleFontSize": small,
            "titleFontWeight": "normal",
            "labelLimit": 260,
        },
        "header": {"labelColor": colours.text, "titleColor": colours.muted, "labelFontSize": normal},
        "legend": {
            "labelColor": colours.text,
            "titleColor": colours.muted,
            "labelFontSize": small,
            "titleFontSize": small,
            "titleFontWeight": "normal",
        },
    }


def dress(spec: dict[str, Any], colours: Palette, scale: float = 1.0) -> dict[str, Any]:
    """The spec with the house look under whatever it sets itself; the spec given is left as it was."""
    own = spec.get("config", {})
    base = house_config(colours, scale)
    merged = {key: _merge(base.get(key), own.get(key)) for key in {**base, **own}}
    # Altair's own default fixes a 300 x 300 view; a chart that names no size should take the page's
    merged["view"] = {k: v for k, v in merged["view"].items() if k not in ("continuousWidth", "continuousHeight")}
    dressed = {**spec, "config": merged, "background": spec.get("background") or "transparent"}
    if isinstance(spec.get("height"), dict):  # as many steps as there are rows: only the width can take the page's
        dressed.setdefault("autosize", {"type": "fit-x", "contains": "padding"})
    return dressed


def _merge(base: Any, own: Any) -> Any:
    if isinstance(base, dict) and isinstance(own, dict) and own:
        return {**base, **own}
    return base if own is None else own
