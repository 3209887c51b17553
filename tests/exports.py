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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import streamlit as st
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from core.figures.palette import Palette, palette
from core.reports import pages, pdf, pictures, slides
from core.reports.exports import Document, html_report
from pages.shell import share
from tests.dashboard import ROOT
from tests.export_checks import (
    box_problems,
    colour_problems,
    page_problems,
    paper_problems,
    picture_problems,
    text_problems,
)

THEMES = ("light", "dark")
QUERIES: dict[str, tuple[dict[str, str], ...]] = {
    "tools/size/size.py": (
        {},
        {"size_job": "Serve a model"},
        {"size_tab": "Traffic", "size_batch": "16"},
        {"size_tab": "Engine", "size_model": "Nemotron-H 8B", "size_context": "512"},
    ),
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
    yield from (f"{stem.name}.svg, {said}" for said in picture_problems(svg))
    for width_cm, of in ((pictures.COLUMN_CM, "column"), (pictures.PAGE_CM, "page")):
        paper = pictures.paper_svg(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.svg").write_text(paper, encoding="utf-8")
        drawn = pictures.paper_png(picture, width_cm=width_cm, colours=colours)
        stem.with_name(f"{stem.name}-{of}.png").write_bytes(drawn)
        yield from (f"{stem.name}-{of}, {said}" for said in paper_problems(paper, drawn, width_cm))


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
    # A process that runs pages has theirs as its __main__ afterwards, and would seek there what it is asked to do next.
    from tests import exports

    sys.exit(exports.main(sys.argv[1:]))
