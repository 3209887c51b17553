"""What every page draws with: the viewer's palette, and pictures with their sentence and alt text."""

from dataclasses import asdict
from hashlib import blake2s
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.figures.house import dress
from core.figures.palette import Palette, palette
from core.reports.exports import Picture
from pages.shell import picture_height, share

if TYPE_CHECKING:
    import altair as alt

    AnyChart = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart | alt.ConcatChart | alt.FacetChart


def current_palette() -> Palette:
    """The palette of the theme that the viewer looks at."""
    return palette(st.context.theme.type)


def look() -> None:
    """The palette of the viewer's theme as CSS variables, for the style sheet that dashboard.py puts into the page."""
    colours = asdict(current_palette()).items()
    variables = "".join(f"--headroom-{name.replace('_', '-')}:{colour};" for name, colour in colours)
    st.html(f"<style>:root{{{variables}}}</style>")


def draw(chart: "AnyChart", *, sentence: str, alt_text: str, key: str | None = None) -> None:
    """A chart drawn from what was just measured; of one that can be asked for again, cached.py keeps the spec."""
    from core.figures.drawing import written  # noqa: PLC0415  altair loads with the first picture, not the page

    draw_spec(written(chart), sentence=sentence, alt_text=alt_text, key=key)


def draw_spec(
    spec: dict[str, Any],
    *,
    sentence: str,
    alt_text: str,
    key: str | None = None,
    outline: str | None = None,
    clicked: bool = False,
) -> Any:
    """A picture in the house look under the sentence that says what it shows; alt_text is what a screen reader says.

    A spec with `datasets` whose rest stays as it is moves with its data, where any other is built again in the
    browser. Streamlit counts the alt text to the rest: give such a picture an outline that always holds, and let it
    say alt_text itself, in a mark's description.

    With clicked, a click on a mark runs the page again and the spec's selections are returned.
    """
    dressed = dress(spec, current_palette())
    picture = Picture(sentence=sentence, alt_text=alt_text, spec=dressed)
    name = key or blake2s(alt_text.encode(), digest_size=6).hexdigest()
    share.remember(name, picture)
    with st.container(key=f"picture_{name}{picture_height.name_part(dressed)}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if sentence:
                st.markdown(sentence)
            share.picture_menu(name, picture)
        return st.vega_lite_chart(
            spec=_sent(dressed),
            width="stretch",
            theme=None,
            alt=outline or alt_text,
            key=key,
            on_select="rerun" if clicked else "ignore",
        )


def _sent(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with its rows as Arrow bytes, which Streamlit sends as they are; rows would go through pandas first."""
    if "datasets" not in spec:
        return spec
    return {**spec, "datasets": {name: _arrow(rows) for name, rows in spec["datasets"].items()}}


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415  with the first picture, not the page

    table, sink = pa.Table.from_pylist(rows), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written
