"""Pictures, reports and slides that leave Headroom: a chart as SVG or PNG at slide size, a view as one HTML file.

A picture that is shown elsewhere has lost the page around it, so each export carries its sentence as the title and a
line that says where it came from. Charts are drawn by vl-convert, which is Vega-Lite itself: what is exported is what
was on screen. Nothing here is imported before someone asks for a file.
"""

import re
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

from core.figures.palette import DARK, Palette

SLIDE_PX = (1920, 1080)
MARGIN_PX = 80
TITLE_PX, SOURCE_PX = 46, 22
CHART_WIDTH_PX = 860  # what a chart is drawn at before it is enlarged to the slide: its type grows with it
CHARACTER_EM = 0.5  # mean width of a character of the fonts below, measured on English text
FONTS = "'Source Sans', 'Source Sans 3', 'Source Sans Pro', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

_ASIDE = 0xE000  # private characters: where an escaped one waits while markup is taken out

Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # heads, rows


class ExportError(ValueError):
    """A chart that cannot be drawn as a file: the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart as it stands on a page: a dressed Vega-Lite spec, the sentence above it and the words for it."""

    sentence: str
    alt_text: str
    spec: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One idea of a report or one slide of a deck; text is Markdown as the pages write it."""

    title: str
    text: str = ""
    picture: Picture | None = None
    table: Table | None = None
    note: str = ""  # for whoever presents it


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a report or a deck is made of; source is the line that says where it came from."""

    title: str
    source: str
    sections: tuple[Section, ...]


def plain(markdown: str) -> str:
    """Markdown of a page as plain text: no emphasis, links as their words, no colour directives, no icons."""
    text = re.sub(r"\\([!-/:-@[-`{-~])", lambda escaped: chr(_ASIDE + ord(escaped[1])), markdown)  # meant as it is
    text = re.sub(r":material/\w+:\s*", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r":[a-z-]+\[([^\]]*)\]", r"\1", text)
    text = re.sub(r"(\*\*|__|`)", "", text)
    text = re.sub(r"(?<!\w)[*_](\S(?:.*?\S)?)[*_](?!\w)", r"\1", text)
    return re.sub(f"[{chr(_ASIDE)}-{chr(_ASIDE + 127)}]", lambda kept: chr(ord(kept[0]) - _ASIDE), text).strip()


def file_stem(title: str) -> str:
    """'GQA: 64 query heads share 8' -> 'headroom-gqa-64-query-heads-share-8', at most eight words."""
    words = re.findall(r"[a-z0-9]+", plain(title).lower())[:8]
    return "-".join(["headroom", *words])


def slide_svg(picture: Picture, *, source: str, colours: Palette) -> str:
    """The picture as a 1920 x 1080 SVG with title and source line. Raises ExportError."""
    width_px, height_px = SLIDE_PX
    lines = _wrapped(plain(picture.sentence), TITLE_PX, width_px - 2 * MARGIN_PX)
    top_px = MARGIN_PX + round(1.25 * TITLE_PX * len(lines)) + 20 if lines else MARGIN_PX
    room = (width_px - 2 * MARGIN_PX, height_px - top_px - MARGIN_PX - SOURCE_PX - 24)
    title = "".join(
        _line(line, MARGIN_PX, MARGIN_PX + TITLE_PX * (0.75 + 1.25 * i), TITLE_PX, colours.text, weight=600)
        for i, line in enumerate(lines)
    )
    chart = _placed(chart_svg(picture.spec, room=room), left_px=MARGIN_PX, top_px=top_px, room=room)
    foot = _line(source, MARGIN_PX, height_px - MARGIN_PX + SOURCE_PX, SOURCE_PX, colours.muted)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width_px}" '
        f'height="{height_px}" viewBox="0 0 {width_px} {height_px}" role="img" '
        f'aria-label="{escape(picture.alt_text, quote=True)}">'
        f'<rect width="{width_px}" height="{height_px}" fill="{colours.background}"/>{title}{chart}{foot}</svg>'
    )


def slide_png(picture: Picture, *, source: str, colours: Palette) -> bytes:
    """The same as a PNG of 1920 x 1080 pixels. Raises ExportError."""
    import vl_convert  # noqa: PLC0415  a JavaScript engine: loaded for the first file that someone asks for

    return bytes(vl_convert.svg_to_png(slide_svg(picture, source=source, colours=colours)))


def chart_svg(spec: dict[str, Any], *, room: tuple[int, int], width_px: int = CHART_WIDTH_PX) -> str:
    """The chart alone, drawn in the shape of `room` (width, height in px) where it may stretch. Raises ExportError.

    width_px is what a chart that takes the width of its page is drawn at: the narrower, the larger its type in a room.
    """
    import vl_convert  # noqa: PLC0415  as above

    try:
        return str(vl_convert.vegalite_to_svg(_for_room(spec, room, width_px), allowed_base_urls=[]))
    except ValueError as error:
        raise ExportError(f"This picture cannot be drawn as a file: {error}") from error


def _for_room(spec: dict[str, Any], room: tuple[int, int], width_px: int) -> dict[str, Any]:
    """The spec with the width that it took from the page as a number, and its height in the shape of the room."""
    sized = {key: value for key, value in spec.items() if key != "usermeta"}
    if any(key in spec for key in ("hconcat", "vconcat", "concat", "facet", "repeat", "spec")):
        return sized
    if not isinstance(spec.get("width"), int | float):
        sized["width"] = width_px
    shape_px = round(sized["width"] * room[1] / room[0])
    if isinstance(spec.get("height"), int | float):
        sized["height"] = min(max(spec["height"], shape_px), round(1.7 * spec["height"]))
        sized["autosize"] = {"type": "fit", "contains": "padding"}
    return sized


def _placed(svg: str, *, left_px: int, top_px: int, room: tuple[int, int]) -> str:
    """A chart's SVG set into the room on the slide, enlarged to fit it, never cut."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if found is None:
        raise ExportError("This picture cannot be drawn as a file: the drawing says no size.")
    body = svg.split(">", 1)[1]
    return (
        f'<svg x="{left_px}" y="{top_px}" width="{room[0]}" height="{room[1]}" viewBox="{found[0][9:-1]}" '
        f'preserveAspectRatio="xMidYMid meet" fill="none" stroke-miterlimit="10">{body}'
    )


def _line(text: str, left: float, baseline: float, size_px: int, colour: str, weight: int = 400) -> str:
    return (
        f'<text x="{left:g}" y="{baseline:g}" font-family="{FONTS}" font-size="{size_px}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _wrapped(text: str, size_px: int, width_px: int) -> list[str]:
    """Lines that fit the width; a fourth line and what follows is cut with an ellipsis."""
    lines = textwrap.wrap(text, round(width_px / (CHARACTER_EM * size_px)))
    return lines if len(lines) <= 3 else [*lines[:2], f"{lines[2].rstrip('.,;: ')} …"]


REPORT_CSS = """
:root { color-scheme: SCHEME; background: BACKGROUND; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { font: 17px/1.55 'Source Sans 3', 'Source Sans Pro', 'Helvetica Neue', Arial, sans-serif; color: TEXT;
  background: BACKGROUND; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; }
p.source, footer { color: MUTED; font-size: .9rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; } figcaption { margin: 0 0 .5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid LINE; vertical-align: top; }
td a { overflow-wrap: anywhere; }
@page { margin: 14mm; }
@media print {
  body { max-width: none; padding: 0; } .table { overflow: visible; } table { font-size: .8rem; }
  figure, tr, h2 { break-inside: avoid; } h2 { break-after: avoid; }
}
"""


def html_report(document: Document, colours: Palette) -> str:
    """One HTML file that needs nothing else: inline SVG, no script, nothing fetched. Raises ExportError."""
    css = REPORT_CSS
    for name, colour in (
        ("TEXT", colours.text),
        ("BACKGROUND", colours.background),
        ("MUTED", colours.muted),
        ("LINE", colours.ghost),
        ("SCHEME", "dark" if colours == DARK else "light"),
    ):
        css = css.replace(name, colour)
    sections = "".join(_html_section(section) for section in document.sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(document.title)}</title><style>{css}</style></head><body>"
        f'<main><h1>{escape(document.title)}</h1><p class="source">{escape(document.source)}</p>{sections}</main>'
        f"</body></html>\n"
    )


def _html_section(section: Section) -> str:
    parts = [f"<h2>{escape(plain(section.title))}</h2>"] if section.title else []
    parts += [f"<p>{escape(plain(block))}</p>" for block in re.split(r"\n\s*\n", section.text) if block.strip()]
    if section.picture is not None:
        drawing = chart_svg(section.picture.spec, room=(1_000, 520))
        label = escape(section.picture.alt_text, quote=True)
        said = plain(section.picture.sentence)
        caption = f"<figcaption>{escape(said)}</figcaption>" if said not in ("", plain(section.title)) else ""
        parts.append(f'<figure>{caption}<div role="img" aria-label="{label}">{drawing}</div></figure>')
    if section.table is not None:
        parts.append(_html_table(section.table))
    return f"<section>{''.join(parts)}</section>"


def _html_table(table: Table) -> str:
    heads, rows = table
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
