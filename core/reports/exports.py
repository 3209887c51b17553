"""Reports that leave Headroom: what a report or a deck is made of, and a view as one HTML file.

A picture that is shown elsewhere has lost the page around it, so each export carries its sentence as the title and a
line that says where it came from. Nothing here is imported before someone asks for a file.
"""

import re
from dataclasses import dataclass
from html import escape

from core.figures.palette import DARK, Palette
from core.reports.pictures import ExportError as ExportError
from core.reports.pictures import Picture as Picture
from core.reports.pictures import chart_svg as chart_svg
from core.reports.pictures import file_stem as file_stem
from core.reports.pictures import plain as plain
from core.reports.pictures import slide_png as slide_png
from core.reports.pictures import slide_svg as slide_svg

Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # heads, rows


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


REPORT_CSS = """
:root { color-scheme: SCHEME; background: BACKGROUND; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { font: 17px/1.55 'Source Sans 3', 'Source Sans Pro', 'Helvetica Neue', Arial, sans-serif; color: TEXT;
  background: BACKGROUND; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; }
aside.note { color: MUTED; font-size: .95rem; margin: .75rem 0; }
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
    if section.note:
        parts.append(f'<aside class="note">For the speaker: {escape(plain(section.note))}</aside>')
    return f"<section>{''.join(parts)}</section>"


def _html_table(table: Table) -> str:
    heads, rows = table
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
