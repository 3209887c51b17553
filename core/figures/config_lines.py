"""A config.json with the lines that decided marked, and a sentence for each figure, as HTML that holds only text.

Whatever the file says is escaped: markup in a name or a value is shown, never rendered. Long files are shortened around
the lines that decided something.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.figures.palette import Palette
from core.models.formats.lines import marked_lines
from core.models.spec import Provenance

WHOLE_FILE_LINES = 60  # a file up to this length is shown whole
AROUND = 2  # lines shown before and after a deciding one in longer files
MAX_LINES = 240
MAX_LINE_CHARACTERS = 160
FIGURE_WORDS = {
    "num_query_heads": "H",
    "num_kv_heads": "G",
    "kv_heads": "G",
    "layer_kinds": "kinds of layers",
    "latent_dim": "latent width",
    "rope_dim": "rotary width",
    "value_dim": "value width",
    "cache_bits": "cache bits",
}
SOURCE_WORDS = {"config": "the file", "class default": "transformers' default", "rule": "a rule"}


@dataclass(frozen=True, kw_only=True)
class ConfigLine:
    """One line of the file as shown; number is None for a gap, whose text says how many lines it stands for."""

    number: int | None
    text: str
    decides: tuple[Provenance, ...] = ()


def config_lines(text: str, provenance: Iterable[Provenance]) -> list[ConfigLine]:
    """The lines to show, the deciding ones with what they decide."""
    decides = marked_lines(text, provenance)
    lines = [line[:MAX_LINE_CHARACTERS] + ("…" if len(line) > MAX_LINE_CHARACTERS else "") for line in text.split("\n")]
    numbered = [ConfigLine(number=n, text=line, decides=decides.get(n, ())) for n, line in enumerate(lines, start=1)]
    if len(lines) <= WHOLE_FILE_LINES:
        return numbered
    wanted = {n for decided in decides for n in range(decided - AROUND, decided + AROUND + 1)} | {1, len(lines)}
    shown: list[ConfigLine] = []
    for line in numbered:
        if line.number in wanted:
            shown.append(line)
        elif shown and shown[-1].number is None:
            gap = int(shown[-1].text) + 1
            shown[-1] = ConfigLine(number=None, text=str(gap))
        else:
            shown.append(ConfigLine(number=None, text="1"))
    return shown[:MAX_LINES]


def config_html(lines: Sequence[ConfigLine], colours: Palette) -> str:
    """The lines as HTML: deciding ones on a bar of colour, with the figures that they give at their right."""
    rows = []
    for line in lines:
        if line.number is None:
            rows.append(f'<div style="color:{colours.muted};padding-left:3.2em">… {line.text} more lines</div>')
            continue
        style, figure = "border-left:4px solid transparent", ""
        number = f'<span style="color:{colours.muted};display:inline-block;width:2.2em">{line.number}</span>'
        if line.decides:
            style = f"border-left:4px solid {colours.keys_values};background:{colours.panel}"
            words = _figures(line.decides)
            figure = f'<span style="font-weight:600;text-align:right">{html.escape(words)}</span>'
        rows.append(
            f'<div style="{style};display:flex;justify-content:space-between;gap:1.5em;padding:0 .6em">'
            f'<span style="white-space:pre-wrap;overflow-wrap:anywhere;flex:1 0 62%">'
            f"{number}{html.escape(line.text)}</span>{figure}</div>"
        )
    font = "font-family:'Source Code Pro',monospace;font-size:.8rem;line-height:1.6"
    return f'<div style="{font};color:{colours.text}" data-testid="config-lines">{"".join(rows)}</div>'


def figures_html(provenance: Sequence[Provenance], colours: Palette) -> str:
    """Each figure with its value, where it came from and the sentence that says why."""
    rows = []
    for item in provenance:
        source = SOURCE_WORDS.get(item.source, item.source)
        tag = f'<span style="color:{colours.muted}">from {html.escape(source)}</span>'
        figure = html.escape(f"{_word(item.figure)} = {item.value}" if item.value else _word(item.figure))
        rows.append(
            f'<div style="padding:.35em 0;border-bottom:1px solid {colours.ghost}">'
            f"<div><b>{figure}</b> {tag}</div><div>{html.escape(item.sentence)}</div></div>"
        )
    return f'<div style="color:{colours.text};font-size:.95rem">{"".join(rows)}</div>'


def _figures(decides: Iterable[Provenance]) -> str:
    """'H, head dim': the value width is not named beside the head size that it equals."""
    names = list(dict.fromkeys(item.figure for item in decides))
    return ", ".join(_word(name) for name in names if name != "value_dim" or "head_dim" not in names)


def _word(figure: str) -> str:
    return FIGURE_WORDS.get(figure, figure.replace("_", " "))
