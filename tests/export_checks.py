"""What can be wrong with a file that leaves Headroom, read from the file itself: each check says where, in words."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from typing import Any

import vl_convert
from PIL import Image
from pptx import Presentation
from pypdfium2 import PdfDocument

from core.reports import pictures

EMU_A_POINT = 12_700
SLACK_POINTS = 3.0  # a letter may hang over its box so far
LARGE_PX, THIN_PX = 40, 3  # of one colour; a mark that is an edge alone has none of it unmixed
LINE_END_HYPHEN = "\ufffe"  # what PDFium says for a hyphen that ends a line
NUMBER = re.compile(r"\d[\d,.]*\d")
HIDDEN = re.compile(r'<text[^>]* opacity="0"[^>]*>[^<]*</text>')  # labels of an axis that has no room for them
OVER = 0.4  # of the smaller letter's box: so much under another is no kerning
SAME_POINTS = 3.0  # an edge around a letter is the same letter again, as far away at the most


def paper_problems(svg: str, png: bytes, width_cm: float) -> Iterator[str]:
    """A width that is not the column's, type that a printed paper is too small for, and letters that are cut."""
    wide = Image.open(BytesIO(png)).size[0]
    if abs(wide - width_cm / 2.54 * pictures.PAPER_DPI) > 2:
        yield f"its PNG is {wide} px wide"
    found = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    points = width_cm / 2.54 * 72 / float(found[1]) if found else 0
    smallest = min((float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)), default=12.0) * points
    if smallest < pictures.PAPER_POINTS - 0.01:
        yield f"its smallest type is {smallest:.1f} points"
    yield from picture_problems(svg)


def picture_problems(svg: str) -> Iterator[str]:
    """Letters of a picture that leave it, or lie over each other."""
    drawn = bytes(vl_convert.svg_to_pdf(HIDDEN.sub("", svg)))
    yield from page_problems(drawn)
    document = PdfDocument(drawn)
    if over := lies_over(letters(document[0])):
        yield f"letters lie over each other: {over[:4]}"
    document.close()


def lies_over(drawn: list["Letter"]) -> list[str]:
    """Pairs of letters of which one covers much of the other."""
    ordered, found, open_ = sorted(drawn, key=lambda letter: letter.left), [], list["Letter"]()
    for letter in ordered:
        open_ = [other for other in open_ if other.right > letter.left]
        found += [f"{other.text}{letter.text}" for other in open_ if _covers(other, letter)]
        open_.append(letter)
    return found


def _covers(one: "Letter", other: "Letter") -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return False
    apart = max(abs(one.left - other.left), abs(one.top - other.top))
    if one.text == other.text and apart < SAME_POINTS:
        return False
    areas = ((each.right - each.left) * (each.bottom - each.top) for each in (one, other))
    return across * down > OVER * min(areas)


def colour_problems(svg: str, png: bytes) -> list[str]:
    """Fills of bars that the pixels do not have; a bar too thin to have an inside is left out."""
    drawn = Image.open(BytesIO(png)).convert("RGB")
    shown = {colour: count for count, colour in drawn.getcolors(drawn.width * drawn.height) or ()}
    fills = set()
    for path in re.findall(r'<path[^>]*aria-roledescription="bar"[^>]*>', svg):
        sides = re.search(r'd="M[-\d.,]+h([\d.]+)v([\d.]+)h', path)
        fill = re.search(r'fill="(#[0-9a-f]{6})"', path)
        if sides and fill and min(float(sides[1]), float(sides[2])) >= THIN_PX:
            fills.add(fill[1])
    return [
        f"{fill} is not there" for fill in sorted(fills) if shown.get(tuple(bytes.fromhex(fill[1:])), 0) <= LARGE_PX
    ]


def box_problems(deck: bytes) -> list[str]:
    """Boxes of a deck that lie over each other or leave their slide."""
    presentation: Any = Presentation(BytesIO(deck))
    found = []
    for number, slide in enumerate(presentation.slides, start=1):
        shapes = [shape for shape in slide.shapes if not shape.has_text_frame or shape.text_frame.text]
        for shape in shapes:
            right, foot = shape.left + shape.width, shape.top + shape.height
            if shape.left < 0 or shape.top < 0 or right > presentation.slide_width or foot > presentation.slide_height:
                found.append(f"slide {number}: {shape.name} leaves the slide")
        for one, other in combinations(shapes, 2):
            across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            if min(across, down) > EMU_A_POINT:
                found.append(f"slide {number}: {one.name} lies over {other.name}")
    return found


@dataclass(frozen=True)
class Letter:
    """A character of a rendered page and its box in points, from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def letters(page: Any) -> list[Letter]:
    """What is drawn on a PDF's page, without spaces."""
    high, text = page.get_height(), page.get_textpage()
    found = []
    for place in range(text.count_chars()):
        character = text.get_text_range(place, 1).replace(LINE_END_HYPHEN, "-")
        if character.strip():
            left, bottom, right, top = text.get_charbox(place)
            found.append(Letter(character, left, high - top, right, high - bottom))
    return found


def page_problems(made: bytes) -> list[str]:
    """Letters outside of their page, and pages without any."""
    found = []
    document = PdfDocument(made)
    for number, page in enumerate(document, start=1):
        drawn = letters(page)
        wide, high = page.get_size()
        if not drawn:
            found.append(f"page {number} has no text")
        if any(one.left < 0 or one.top < 0 or one.right > wide or one.bottom > high for one in drawn):
            found.append(f"page {number}: text leaves the page")
    document.close()
    return found


def text_problems(deck: bytes, rendered: bytes) -> list[str]:
    """Text that an office draws outside of the box that it belongs to, and numbers that it breaks."""
    document, found = PdfDocument(rendered), []
    presentation: Any = Presentation(BytesIO(deck))
    for number, (slide, page) in enumerate(zip(presentation.slides, document, strict=True), start=1):
        drawn, said = letters(page), page.get_textpage().get_text_range()
        for shape in slide.shapes:
            text = _text_of(shape)
            missing = Counter("".join(text.split())) - Counter(_inside(drawn, shape))
            if missing:
                letters_out = "".join(missing.elements())[:40]
                found.append(f"slide {number}: of {text[:40]!r} this lies outside its box: {letters_out!r}")
            broken = Counter(NUMBER.findall(text)) - Counter(NUMBER.findall(said))
            if broken:
                found.append(f"slide {number}: broken numbers {sorted(broken)[:5]}")
    document.close()
    return found


def _text_of(shape: Any) -> str:
    if shape.has_text_frame:
        return str(shape.text_frame.text)
    return "\n".join(cell.text for row in shape.table.rows for cell in row.cells) if shape.has_table else ""


def _inside(drawn: list[Letter], shape: Any) -> list[str]:
    """The letters that lie in the shape's box."""
    left, top = shape.left / EMU_A_POINT - SLACK_POINTS, shape.top / EMU_A_POINT - SLACK_POINTS
    right = (shape.left + shape.width) / EMU_A_POINT + SLACK_POINTS
    foot = (shape.top + shape.height) / EMU_A_POINT + SLACK_POINTS
    return [
        one.text for one in drawn if one.left >= left and one.right <= right and one.top >= top and one.bottom <= foot
    ]
