"""Every st.cache_* of the project, each with its ttl and bound. Caches are shared by all viewers."""

from typing import Any

import streamlit as st


@st.cache_data(ttl=86_400, max_entries=512, show_spinner=False)
def layout_spec(num_query_heads: int, num_kv_heads: int, head_dim: int, theme: str, width_px: int) -> dict[str, Any]:
    """The Vega-Lite picture of one layout: building it costs more than the rest of the page together."""
    from core.diagrams.layouts import layout_chart  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.layouts import Layout  # noqa: PLC0415
    from core.palette import palette  # noqa: PLC0415

    layout = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    chart = layout_chart(layout, palette(theme), width_px=width_px, height_px=340 if width_px >= 600 else 280)
    return chart.to_dict()


@st.cache_data(ttl=86_400, max_entries=4, show_spinner=False)
def headline_spec(theme: str) -> dict[str, Any]:
    """The Vega-Lite picture of the overview: always the same job, in two themes."""
    from core.diagrams.overview import headline_chart  # noqa: PLC0415
    from core.headline import headline_points  # noqa: PLC0415
    from core.palette import palette  # noqa: PLC0415

    return headline_chart(headline_points(), palette(theme)).to_dict()
