"""Every export of every page, in light and dark, and a look at each: `make exports`, or `python -m tests.exports`.

    python -m tests.exports --page size --theme dark    # one page, one theme

Files go to --out. A page's verdicts are printed as soon as its files are written; its decks are rendered by LibreOffice
at once, where it is installed. Pages are shared out over --jobs processes. Pictures are those that the view shows and
those that its report holds, so that a lesson's are all of its steps'. It ends with 1, and says where, when text leaves
its box, boxes overlap, something leaves its slide, a number is broken, a PNG has other colours than its SVG, or type in
a picture for a paper is below 7 points.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import streamlit as st
import vl_convert
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
LINE_END_HYPHEN = "\ufffe"  # what PDFium says for a hyphen that ends a line
NUMBER = re.compile(r"\d[\d,.]*\d")
THEMES = ("light", "dark")
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
        if page.url_path.replace("-", "_") not in (Path(script).stem, "" if script == "overview.py" else "-"):
            raise SystemExit(f"{script} opened /{page.url_path}")
        found = tuple(st.session_state.get("_share_pictures", {}).values())
        held.append(Seen(name, share.view_document(), found, share.source_line()))
        st.stop()

    with mock.patch.object(ContextProxy, "theme", property(lambda _: SimpleNamespace(type=theme))):
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=180)
        if "_" in Path(script).stem:  # its address has a hyphen: AppTest finds it once the frame has listed it
            app.run()
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
    for number, picture in enumerate(every_picture(view) if with_pictures else ()):
        yield from _picture(picture, view, colours, out / f"{view.name}-{number}")


def every_picture(view: Seen) -> list[pictures.Picture]:
    """What the view shows, then what its report holds beside that."""
    found = list(view.pictures)
    for section in view.document().sections:
        if section.picture is not None and all(section.picture.spec != picture.spec for picture in found):
            found.append(section.picture)
    return found


def _picture(picture: pictures.Picture, view: Seen, colours: Palette, stem: Path) -> Iterator[str]:
    svg = pictures.slide_svg(picture, source=view.source, colours=colours)
    png = pictures.slide_png(picture, source=view.source, colours=colours)
    stem.with_suffix(".svg").write_text(svg, encoding="utf-8")
    stem.with_suffix(".png").write_bytes(png)
    yield from (f"{stem.name}.png, {said}" for said in colour_problems(svg, png))
    yield from (f"{stem.name}.svg, {said}" for said in page_problems(bytes(vl_convert.svg_to_pdf(svg))))
    for width_cm, of in ((pictures.COLUMN_CM, "column"), (pictures.PAGE_CM, "page")):
        paper = pictures.paper_svg(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.svg").write_text(paper, encoding="utf-8")
        drawn = pictures.paper_png(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.png").write_bytes(drawn)
        yield from (f"{stem.name}-{of}, {said}" for said in paper_problems(paper, drawn, width_cm))


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
    yield from page_problems(bytes(vl_convert.svg_to_pdf(svg)))


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


def rendered(decks: Iterable[Path], out: Path, profiles: Path) -> list[Path]:
    """The PDF that LibreOffice makes of each deck; a process of ours has a profile of its own, made at its first."""
    decks = list(decks)
    subprocess.run(
        [str(shutil.which("soffice")), f"-env:UserInstallation=file://{profiles / str(os.getpid())}", "--headless",
         "--convert-to", "pdf", "--outdir", str(out), *map(str, decks)],
        check=True, timeout=600, capture_output=True,
    )  # fmt: skip
    return [out / f"{deck.stem}.pdf" for deck in decks]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one view's files, its deck as the office draws it included."""

    name: str
    num_pictures: int
    wrong: list[str]


def looked_at(script: str, *, themes: tuple[str, ...], out: Path, profiles: Path, with_pictures: bool) -> list[Verdict]:
    """Every view of a page, written and looked at."""
    found = []
    for theme in themes:
        for query in QUERIES.get(script, ({},)):
            view = seen(script, query, theme)
            wrong = list(written(view, palette(theme), out, with_pictures=with_pictures))
            found.append(Verdict(view.name, len(every_picture(view)) if with_pictures else 0, wrong))
    if shutil.which("soffice"):
        decks = [out / f"{verdict.name}.pptx" for verdict in found]
        for verdict, deck, made in zip(found, decks, rendered(decks, out / "office", profiles), strict=True):
            verdict.wrong.extend(f"{deck.name}, {said}" for said in text_problems(deck.read_bytes(), made.read_bytes()))
    return found


def asked_scripts(pages_asked: list[str] | None) -> list[str]:
    """The scripts of the pages that were named, or all of them."""
    known = {Path(script).stem: script for script in scripts()}
    if unknown := set(pages_asked or ()) - set(known):
        raise SystemExit(f"--page is {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    return [known[page] for page in pages_asked or known]


def verdicts(options: argparse.Namespace, profiles: Path) -> Iterator[Verdict]:
    """Each view's, page by page in their order."""
    look = partial(looked_at, themes=(options.theme,) if options.theme else THEMES, out=options.out, profiles=profiles,
                   with_pictures=not options.without_pictures)  # fmt: skip
    asked = asked_scripts(options.page)
    if options.jobs == 1 or len(asked) == 1:
        for script in asked:
            yield from look(script)
        return
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as workers:
        for found in workers.map(look, asked):
            yield from found


def main(arguments: list[str]) -> int:
    """Writes, looks and says, view by view; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "exports")
    parser.add_argument("--page", nargs="+", help="these pages alone, by their scripts' names: size, models, case_mqa")
    parser.add_argument("--theme", choices=THEMES, help="one theme alone")
    parser.add_argument("--without-pictures", action="store_true", help="documents alone")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="processes; 1 stays in this one")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    views = wrong = 0
    if shutil.which("soffice") is None:
        print("LibreOffice is not installed: decks are checked by their boxes alone.")
    with TemporaryDirectory() as profiles:
        for verdict in verdicts(options, Path(profiles)):
            views, wrong = views + 1, wrong + len(verdict.wrong)
            said = f"{len(verdict.wrong)} wrong" if verdict.wrong else "nothing wrong"
            print(f"{verdict.name}, {verdict.num_pictures} pictures: {said}")
            print(
                *(f"  {each}" for each in verdict.wrong), sep="\n", flush=True
            ) if verdict.wrong else sys.stdout.flush()
    print(f"{views} views, {wrong} wrong" if wrong else f"{views} views, nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
