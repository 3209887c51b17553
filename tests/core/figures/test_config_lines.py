"""The config.json as HTML: deciding lines marked, everything from the file escaped, long files shortened."""

import json
from html.parser import HTMLParser

from core.figures.config_lines import config_html, config_lines, figures_html
from core.figures.palette import DARK, LIGHT
from core.models.spec import Provenance, read_config

FALCON = {
    "model_type": "falcon", "num_hidden_layers": 32, "num_attention_heads": 71, "hidden_size": 4544,
    "multi_query": True, "new_decoder_architecture": False, "vocab_size": 65024,
}  # fmt: skip


class Tags(HTMLParser):
    """Collects the tags and the text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_line_that_declared_g_is_marked() -> None:
    text = json.dumps(FALCON, indent=2)
    lines = config_lines(text, read_config(FALCON).provenance)
    marked = {line.text.strip(): [item.figure for item in line.decides] for line in lines if line.decides}
    assert "num_kv_heads" in marked['"multi_query": true,']
    assert '"vocab_size": 65024' not in marked
    assert [line.number for line in lines] == list(range(1, 10))


def test_the_html_holds_the_file_and_the_figure_words() -> None:
    text = json.dumps(FALCON, indent=2)
    seen = Tags(config_html(config_lines(text, read_config(FALCON).provenance), LIGHT))
    assert seen.tags == {"div", "span"}
    assert '  "multi_query": true,' in seen.words
    assert "G" in seen.words


def test_markup_in_the_file_stays_text_in_lines_and_figures() -> None:
    nasty = '<img src=x onerror="alert(1)"></div><script>alert(2)</script>'
    item = Provenance(figure=nasty, value=nasty, source=nasty, keys=("a",), sentence=nasty)
    html = config_html(config_lines(json.dumps({"a": nasty}, indent=2), [item]), DARK) + figures_html([item], DARK)
    seen = Tags(html)
    assert seen.tags == {"div", "span", "b"}
    assert any(nasty in words for words in seen.words)


def test_a_long_file_is_shortened_around_what_decided() -> None:
    config = {f"key_{number:03}": number for number in range(300)}
    item = Provenance(figure="num_kv_heads", value="8", source="config", keys=("key_150",), sentence="It says so.")
    lines = config_lines(json.dumps(config, indent=2), [item])
    # line 1 is the brace, key_150 stands on line 152; two lines around it, the first and the last line, two gaps
    assert [line.number for line in lines] == [1, None, 150, 151, 152, 153, 154, None, 302]
    assert lines[1].text == "148"
    assert "… 148 more lines" in config_html(lines, LIGHT)


def test_a_line_without_end_is_cut() -> None:
    (line,) = config_lines(json.dumps({"a": "x" * 10_000}), [])
    assert len(line.text) == 161
    assert line.text.endswith("…")


def test_each_figure_says_where_it_came_from() -> None:
    words = " ".join(Tags(figures_html(read_config(FALCON).provenance, LIGHT)).words)
    assert "G = 1 " in words
    assert "H = 71 " in words
    assert "from a rule" in words
