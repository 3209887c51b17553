"""A chart as a file: SVG or PNG at slide size with its sentence as the title, or at the width of a paper's column.

Charts are drawn by vl-convert, which is Vega-Lite itself: what is exported is what was on screen, in type that every
office has. Nothing here is imported before someone asks for a file.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Any

from core.figures.palette import Palette
from core.reports.text_width import LINE_EM, width_in, wrap

SLIDE_PX = (1920, 1080)
MARGIN_PX = 80
TITLE_PX, SMALLEST_TITLE_PX, SOURCE_PX = 46, 26, 22
CHART_WIDTH_PX = 860  # what a chart is drawn at before it is enlarged to the slide: its type grows with it
FONTS = "Arial, 'Liberation Sans', Helvetica, sans-serif"  # of one width, on every system
COLUMN_CM, PAGE_CM = 8.5, 17.5  # a column of a paper, and its page
PAPER_ROOM = (1_000, 620)
PAPER_DPI, PAPER_POINTS = 600, 7  # the smallest type of a picture in a paper
FRAMES = 12  # tried for a picture in a paper at most, each wider than the one before
FURTHER = 1.3  # times what its letters leave a frame by: in a wider one they are set larger
WIDEST = 2  # times the drawing, that a frame for its letters gets
EDGE_PX = 3.0  # free at each edge of a picture in a paper, so that no letter touches it
FOLLOWS = 1.05  # a drawing that stays wider than this times what it was asked for holds something of a fixed width

_ASIDE = 0xE000  # private characters: where an escaped one waits while markup is taken out


class ExportError(ValueError):
    """A chart that cannot be drawn as a file: the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart as it stands on a page: a dressed Vega-Lite spec, the sentence above it and the words for it."""

    sentence: str
    alt_text: str
    spec: dict[str, Any]


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
    size_px, lines = _titled(plain(picture.sentence), width_px - 2 * MARGIN_PX)
    top_px = MARGIN_PX + round(LINE_EM * size_px * len(lines)) + 20 if lines else MARGIN_PX
    room = (width_px - 2 * MARGIN_PX, height_px - top_px - MARGIN_PX - SOURCE_PX - 24)
    title = "".join(
        _line(line, MARGIN_PX, MARGIN_PX + size_px * (0.75 + LINE_EM * i), size_px, colours.text, weight=600)
        for i, line in enumerate(lines)
    )
    chart = placed(chart_svg(picture.spec, room=room), left_px=MARGIN_PX, top_px=top_px, room=room)
    foot = _line(_shortened(source, width_px - 2 * MARGIN_PX), MARGIN_PX, height_px - MARGIN_PX + SOURCE_PX, SOURCE_PX,
                 colours.muted)  # fmt: skip
    return _outer(picture, (f"{width_px}", f"{height_px}"), SLIDE_PX, f"{title}{chart}{foot}", colours)


def slide_png(picture: Picture, *, source: str, colours: Palette) -> bytes:
    """The same as a PNG of 1920 x 1080 pixels. Raises ExportError."""
    return as_png(slide_svg(picture, source=source, colours=colours))


def paper_svg(picture: Picture, *, width_cm: float, colours: Palette) -> str:
    """The chart alone at that width, its smallest type 7 points: its caption is the paper's. Raises ExportError."""
    body, size = _for_paper(picture.spec, width_cm)
    high_cm = width_cm * size[1] / size[0]
    return _outer(picture, (f"{width_cm:g}cm", f"{high_cm:.3f}cm"), size, body, colours)


def paper_png(picture: Picture, *, width_cm: float, colours: Palette) -> bytes:
    """The same as a PNG at 600 dots an inch. Raises ExportError."""
    body, size = _for_paper(picture.spec, width_cm)
    wide = width_cm / 2.54 * 72  # vl-convert draws a px of an SVG as a point
    svg = _outer(picture, (f"{wide:.4f}", f"{wide * size[1] / size[0]:.4f}"), size, body, colours)
    return as_png(svg, dots_per_inch=PAPER_DPI)


def _for_paper(spec: dict[str, Any], width_cm: float) -> tuple[str, tuple[float, float]]:
    """The chart drawn so wide that its smallest type comes out at 7 points, and its size in px.

    A chart that holds something of a fixed width is drawn no narrower than that, else the rest of it would be pressed
    together for nothing: its smaller type is set larger where it stands.
    """
    points, drawn_at = width_cm / 2.54 * 72, float(CHART_WIDTH_PX)
    svg = chart_svg(spec, room=PAPER_ROOM, width_px=round(drawn_at))
    before = svg_size(svg)[0] - drawn_at
    for _ in range(3):
        smallest = min(_type_sizes(svg), default=12.0) * points / svg_size(svg)[0]
        if smallest >= PAPER_POINTS:
            break
        drawn_at *= 0.98 * smallest / PAPER_POINTS
        svg = chart_svg(spec, room=PAPER_ROOM, width_px=round(drawn_at))
        fixed = svg_size(svg)[0] - before
        if fixed > FOLLOWS * drawn_at:
            svg = chart_svg(spec, room=PAPER_ROOM, width_px=round(fixed))
            break
    return _with_its_letters(svg, points)


def _with_its_letters(svg: str, points: float) -> tuple[str, tuple[float, float]]:
    """The drawing with its smallest type 7 points at that width, in a frame that no letter leaves, and the frame's px.

    Type that is set larger where it stands may leave its drawing; a wider frame makes it smaller again. A line that is
    longer than the paper is wide at 7 points would widen it for ever: such a picture keeps the type that it has.
    """
    wide, high = first = svg_size(svg)
    left, top, right, foot = -EDGE_PX, -EDGE_PX, wide + EDGE_PX, high + EDGE_PX
    body = ""
    for _ in range(FRAMES):
        wide, high = right - left, foot - top
        if wide > WIDEST * first[0]:
            return svg.split(">", 1)[1].rsplit("</svg>", 1)[0], first
        least = PAPER_POINTS * wide / points
        inside = _at_least(svg, least).split(">", 1)[1].rsplit("</svg>", 1)[0]
        body = f'<g transform="translate({-left:.2f} {-top:.2f})" fill="none" stroke-miterlimit="10">{inside}</g>'
        found = _letters_frame(body, wide, high)
        beyond = [EDGE_PX / 2 - side for side in (found[0], found[1], wide - found[2], high - found[3])]
        if max(beyond) <= 0:
            break
        left, right = left - _room_for(beyond[0]), right + _room_for(beyond[2])
        top, foot = top - _room_for(beyond[1]), foot + _room_for(beyond[3])
    return body, (wide, high)


def _room_for(beyond_px: float) -> float:
    return FURTHER * beyond_px + 1 if beyond_px > 0 else 0.0


def _at_least(svg: str, least_px: float) -> str:
    return re.sub(r'font-size="([\d.]+)px"', lambda found: f'font-size="{max(float(found[1]), least_px):.2f}px"', svg)


def _letters_frame(body: str, wide: float, high: float) -> tuple[float, float, float, float]:
    """Left, top, right and foot of all letters in px, as they are drawn."""
    import vl_convert  # noqa: PLC0415  as below
    from pypdfium2 import PdfDocument  # type: ignore[import-untyped]  # noqa: PLC0415  for a file alone

    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{wide:g}" '
        f'height="{high:g}" viewBox="0 0 {wide:g} {high:g}">{body}</svg>'
    )
    document = PdfDocument(bytes(vl_convert.svg_to_pdf(drawn)))
    page = document[0]
    text, tall = page.get_textpage(), page.get_height()
    scale = wide / page.get_width()
    boxes = [text.get_charbox(place) for place in range(text.count_chars()) if text.get_text_range(place, 1).strip()]
    document.close()
    sides = [(left, tall - top, right, tall - foot) for left, foot, right, top in boxes] or [(0.0, 0.0, 0.0, 0.0)]
    lefts, tops, rights, feet = zip(*sides, strict=True)
    return min(lefts) * scale, min(tops) * scale, max(rights) * scale, max(feet) * scale


def _type_sizes(svg: str) -> list[float]:
    return [float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)]


def chart_svg(
    spec: dict[str, Any], *, room: tuple[int, int], width_px: int = CHART_WIDTH_PX, background: str | None = None
) -> str:
    """The chart alone, drawn in the shape of `room` (width, height in px) where it may stretch. Raises ExportError.

    width_px is what a chart that takes the width of its page is drawn at: the narrower, the larger its type in a room.
    """
    import vl_convert  # noqa: PLC0415  a JavaScript engine: loaded for the first file that someone asks for

    sized = _for_room(spec, room, width_px)
    if background is not None:
        sized["background"] = background
    try:
        return str(vl_convert.vegalite_to_svg(sized, allowed_base_urls=[]))
    except ValueError as error:
        raise ExportError(f"This picture cannot be drawn as a file: {error}") from error


def as_png(svg: str, *, scale: float = 1, dots_per_inch: float = 72) -> bytes:
    """A drawing with a background as a PNG.

    Never a transparent one: vl-convert clips each channel of a half-transparent pixel to its alpha, so that pale orange
    comes out khaki, and letters get dark rims.
    """
    import vl_convert  # noqa: PLC0415  as above

    return bytes(vl_convert.svg_to_png(svg, scale=scale, ppi=dots_per_inch))


def svg_size(svg: str) -> tuple[float, float]:
    """Width and height of a chart's drawing in px. Raises ExportError."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if found is None:
        raise ExportError("This picture cannot be drawn as a file: the drawing says no size.")
    return float(found[1]), float(found[2])


def _for_room(spec: dict[str, Any], room: tuple[int, int], width_px: int) -> dict[str, Any]:
    """The spec in a font of every office, the width that it took from the page a number, its height the room's."""
    sized = {key: value for key, value in spec.items() if key != "usermeta"}
    sized["config"] = {**spec.get("config", {}), "font": FONTS}
    if any(key in spec for key in ("hconcat", "vconcat", "concat", "facet", "repeat", "spec")):
        return sized
    if not isinstance(spec.get("width"), int | float):
        sized["width"] = width_px
    shape_px = round(sized["width"] * room[1] / room[0])
    if isinstance(spec.get("height"), int | float):
        sized["height"] = min(max(spec["height"], shape_px), round(1.7 * spec["height"]))
        sized["autosize"] = {"type": "fit", "contains": "padding"}
    return sized


def placed(svg: str, *, left_px: int, top_px: int, room: tuple[int, int], align: str = "xMid") -> str:
    """A chart's SVG set into the room on a slide or page, enlarged to fit it, never cut."""
    wide, high = svg_size(svg)
    body = svg.split(">", 1)[1]
    return (
        f'<svg x="{left_px}" y="{top_px}" width="{room[0]}" height="{room[1]}" viewBox="0 0 {wide:g} {high:g}" '
        f'preserveAspectRatio="{align}Y{"Mid" if align == "xMid" else "Min"} meet" fill="none" '
        f'stroke-miterlimit="10">{body}'
    )


def _outer(picture: Picture, size: tuple[str, str], view: tuple[float, float], body: str, colours: Palette) -> str:
    wide, high = view
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{size[0]}" '
        f'height="{size[1]}" viewBox="0 0 {wide:g} {high:g}" role="img" '
        f'aria-label="{escape(picture.alt_text, quote=True)}">'
        f'<rect width="{wide:g}" height="{high:g}" fill="{colours.background}"/>'
        f"{body}</svg>"
    )


def _line(text: str, left: float, baseline: float, size_px: int, colour: str, weight: int = 400) -> str:
    return (
        f'<text x="{left:g}" y="{baseline:g}" font-family="{FONTS}" font-size="{size_px}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _titled(text: str, width_px: int) -> tuple[int, list[str]]:
    """The title's size and lines: two in type that a room reads, at the smallest three, the rest as an ellipsis."""
    if not text:
        return TITLE_PX, []
    for size_px in range(TITLE_PX, SMALLEST_TITLE_PX, -1):
        if len(lines := _wrapped(text, width_px, size_px)) <= 2:
            return size_px, lines
    lines = _wrapped(text, width_px, SMALLEST_TITLE_PX)
    return SMALLEST_TITLE_PX, lines if len(lines) <= 3 else [*lines[:2], f"{lines[2].rstrip('.,;: ')[:-2]} …"]


def _wrapped(text: str, width_px: int, size_px: int) -> list[str]:
    return wrap(" ".join(text.split()), width_px / 72, size_px, bold=True)


def _shortened(source: str, width_px: int) -> str:
    """The source on one line: the end of a long link's inputs is left out."""
    while width_in(source, SOURCE_PX) > width_px / 72:
        source = f"{source.removesuffix(' …')[: -max(len(source) // 20, 3)]} …"
    return source
