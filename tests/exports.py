"""Every export of every page, in light and dark, and a look at each: `make exports`, or `python -m tests.exports`.

Files go to --out. Decks are rendered by LibreOffice where it is installed. It ends with 1, and says where, when text
leaves its box, boxes overlap, something leaves its slide, a number is broken, or a PNG has other colours than its SVG.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import streamlit as st
from PIL import Image
from pptx import Presentation
from pypdfium2 import PdfDocument
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from core.figures.palette import Palette, palette
from core.reports import pages, pdf, pictures, slides
from core.reports.exports import Document, html_report
from pages.shell import share
from tests.dashboard import ROOT

EMU_A_POINT = 12_700
SLACK_POINTS = 3.0  # a letter may hang over its box so far
LARGE_PX, THIN_PX = 40, 3  # of one colour; a mark that is an edge alone has none of it unmixed
NUMBER = re.compile(r"\d[\d,.]*\d")
QUERIES: dict[str, tuple[dict[str, str], ...]] = {
    "tools/size/size.py": ({}, {"size_job": "Serve a model"}, {"size_tab": "Traffic", "size_batch": "16"}),
    "tools/decode/benchmark.py": ({"bench_tab": "Recorded runs"},),
}


@dataclass(frozen=True)
class Seen:
    """One view: its document, made when asked for, and its pictures."""

    name: str
    document: Callable[[], Document]
    pictures: tuple[pictures.Picture, ...]
    source: str


def scripts() -> list[str]:
    """Every page's script, as the frame lists them."""
    return re.findall(r'st\.Page\(\s*"([^"]+)"', (ROOT / "pages" / "frame.py").read_text(encoding="utf-8"))


def seen(script: str, query: dict[str, str], theme: str) -> Seen:
    """The page as a visitor in that theme has it before opening Share."""
    held: list[Seen] = []
    name = f"{Path(script).stem}{''.join(f'-{value.split()[0].lower()}' for value in query.values())}-{theme}"

    def hold(page: Any) -> None:
        found = tuple(st.session_state.get("_share_pictures", {}).values())
        held.append(Seen(name, share.view_document(), found, share.source_line()))
        st.stop()

    with mock.patch.object(ContextProxy, "theme", property(lambda _: SimpleNamespace(type=theme))):
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=180)
        for key, value in query.items():
            app.query_params[key] = value
        app.switch_page(script).run()
        if app.exception:
            raise SystemExit(f"{script}: {app.exception}")
        with mock.patch.object(share, "begin", hold):
            app.run()
    return held[0]


def written(view: Seen, colours: Palette, out: Path, *, with_pictures: bool) -> Iterator[str]:
    """Writes every file of the view and says what is wrong with it."""
    document = view.document()
    stem = out / view.name
    stem.with_suffix(".html").write_text(html_report(document, colours), encoding="utf-8")
    deck = slides.deck(document, colours)
    stem.with_suffix(".pptx").write_bytes(deck)
    yield from (f"{view.name}.pptx, {said}" for said in box_problems(deck))
    for paper, end in ((pages.SLIDE, "-slides.pdf"), (pages.A4, ".pdf")):
        made = pdf.pdf(document, colours, paper)
        out.joinpath(f"{view.name}{end}").write_bytes(made)
        yield from (f"{view.name}{end}, {said}" for said in page_problems(made))
    for number, picture in enumerate(view.pictures if with_pictures else ()):
        yield from _picture(picture, view, colours, out / f"{view.name}-{number}")


def _picture(picture: pictures.Picture, view: Seen, colours: Palette, stem: Path) -> Iterator[str]:
    svg = pictures.slide_svg(picture, source=view.source, colours=colours)
    png = pictures.slide_png(picture, source=view.source, colours=colours)
    stem.with_suffix(".svg").write_text(svg, encoding="utf-8")
    stem.with_suffix(".png").write_bytes(png)
    yield from (f"{stem.name}.png, {said}" for said in colour_problems(svg, png))
    for width_cm, of in ((pictures.COLUMN_CM, "column"), (pictures.PAGE_CM, "page")):
        paper = pictures.paper_svg(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.svg").write_text(paper, encoding="utf-8")
        drawn = pictures.paper_png(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.png").write_bytes(drawn)


def colour_problems(svg: str, png: bytes) -> list[str]:
    """Fills of bars that the pixels do not have; a bar too thin to have an inside is left out."""
    shown = Counter(Image.open(BytesIO(png)).convert("RGB").get_flattened_data())
    fills = set()
    for path in re.findall(r'<path[^>]*aria-roledescription="bar"[^>]*>', svg):
        sides = re.search(r'd="M[-\d.,]+h([\d.]+)v([\d.]+)h', path)
        fill = re.search(r'fill="(#[0-9a-f]{6})"', path)
        if sides and fill and min(float(sides[1]), float(sides[2])) >= THIN_PX:
            fills.add(fill[1])
    return [f"{fill} is not there" for fill in sorted(fills) if shown[tuple(bytes.fromhex(fill[1:]))] <= LARGE_PX]


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
        character = text.get_text_range(place, 1)
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
            missing = Counter("".join(text.split())) - Counter(one.text for one in drawn if _inside(one, shape))
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


def _inside(letter: Letter, shape: Any) -> bool:
    left, top = shape.left / EMU_A_POINT - SLACK_POINTS, shape.top / EMU_A_POINT - SLACK_POINTS
    right = (shape.left + shape.width) / EMU_A_POINT + SLACK_POINTS
    foot = (shape.top + shape.height) / EMU_A_POINT + SLACK_POINTS
    return letter.left >= left and letter.right <= right and letter.top >= top and letter.bottom <= foot


def rendered(decks: list[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Each deck with the PDF that LibreOffice makes of it; nothing where it is not installed."""
    office = shutil.which("soffice")
    if office is None:
        print("LibreOffice is not installed: decks are checked by their boxes alone.")
        return
    with TemporaryDirectory() as profile:
        command = [office, f"-env:UserInstallation=file://{profile}", "--headless", "--convert-to", "pdf",
                   "--outdir", str(out), *map(str, decks)]  # fmt: skip
        subprocess.run(command, check=True, timeout=1_200, capture_output=True)
    yield from ((deck, out / f"{deck.stem}.pdf") for deck in decks)


def main(arguments: list[str]) -> int:
    """Writes, looks and says; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "exports")
    parser.add_argument("--only", default="", help="pages whose script has this in its path")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--without-pictures", action="store_true", help="documents alone")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    decks: list[Path] = []
    for script in (script for script in scripts() if options.only in script):
        for theme in options.themes.split(","):
            for query in QUERIES.get(script, ({},)):
                view = seen(script, query, theme)
                colours = palette(theme)
                wrong += written(view, colours, options.out, with_pictures=not options.without_pictures)
                decks.append(options.out / f"{view.name}.pptx")
                print(f"{view.name}: {len(view.pictures)} pictures", flush=True)
    office = options.out / "office"
    for deck, made in rendered(decks, office):
        wrong += [f"{deck.name}, {said}" for said in text_problems(deck.read_bytes(), made.read_bytes())]
    print("\n".join(wrong) or f"{len(decks)} views, nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
