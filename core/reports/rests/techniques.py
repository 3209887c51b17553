"""A technique page: every section with its words and its picture or table, and where its figures come from.

A picture that was on screen leaves as it was seen; a section that nobody opened is drawn as it opens.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.evidence.studies import published as findings
from core.figures.house import dress
from core.figures.palette import Palette
from core.learning.figures import figures as lesson_figures
from core.learning.techniques import server_pages
from core.learning.techniques.figures import figures, filled
from core.learning.techniques.published import published
from core.learning.techniques.tables import MLA_SENTENCE, mla_rows, stored_rows, stored_sentence
from core.learning.techniques.texts import Section as Part
from core.learning.techniques.texts import Topic
from core.reports.closing import Rests, Sourced, cited, points
from core.reports.exports import Picture, Section, Table
from core.reports.tables import table_of

Opens = tuple[str, dict[str, Any]]  # a picture's name and what it opens on
OPENING: dict[tuple[str, str], tuple[str, Callable[[], Opens]]] = {  # with the end of its key on the page
    ("uptraining", "merge"): ("conversion", lambda: ("conversion", {"num_kv_heads": 2, "method": "mean"})),
    ("uptraining", "recorded"): ("lossesrecordedg", lambda: ("losses", _recorded())),
    ("paging", "table"): ("pool", lambda: ("pool", {"step": 3})),
    ("paging", "fragmentation"): ("fragmentation", lambda: ("fragmentation", {
        "prompt_median": 160, "output_median": 200, "spread": 0.9, "context_limit": 2_048, "block_size": 16})),
    ("paging", "meaning"): ("multiply", lambda: ("multiply", {"num_kv_heads": 8})),
    ("paging", "server"): ("server_request",
                           lambda: ("server_request", {"context_length": server_pages.SHORT})),
    ("eviction", "policies"): ("evicted", lambda: ("evicted", {
        "num_tokens": 160, "budget": 40, "num_sinks": 4, "marked": 60})),
    ("eviction", "forgets"): ("evictedfollowed", lambda: ("evicted", {
        "num_tokens": 160, "budget": 40, "num_sinks": 4, "marked": 60})),
    ("eviction", "published"): ("sinks", lambda: ("sinks", {})),
    ("quantisation", "error"): ("rounding", lambda: ("rounding", {"group": 32, "outlier_scale": 8.0})),
    ("quantisation", "published"): ("kivi", lambda: ("kivi", {"task": "coqa"})),
    ("latent", "cached"): ("kept_by_mla", lambda: ("kept_by_mla", {})),
    ("latent", "equal"): ("split_shares", lambda: ("split_shares", _shares(1))),
    ("latent", "ranks"): ("split_sharesranks", lambda: ("split_shares", _shares(8))),
}  # fmt: skip
KEY = "beside_"  # what the page's pictures are called before that end
GROUP = 32
SOURCES = {
    "uptraining": (), "paging": ("paged_use",), "eviction": ("sinks", "heavy_hitters", "snapkv"),
    "quantisation": ("kivi",), "latent": ("mla",),
}  # fmt: skip
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


def technique_rests(topic: Topic, seen: Mapping[str, Picture], colours: Palette) -> Rests:
    """The whole page; seen is every picture of it that was on screen in this visit, by its name there."""
    known = {**lesson_figures(), **figures()}
    named = [(part, name) for part in topic.sections for name in _PLACEHOLDER.findall(part.title + part.text)]
    first = {name: filled(part.title) for part, name in reversed(named)}
    names = dict.fromkeys(name for _, name in named)
    return Rests(
        said=points([filled(part.title) for part in topic.sections]),
        body=tuple(_section(topic, part, seen, colours) for part in topic.sections),
        formulas=tuple((first[name], known[name].how, known[name].text) for name in names),
        evidence=tuple(_sources(topic)),
        assumed=(
            "Bytes are a cache's payload, scales included where a section says so. The small pictures are of examples "
            "computed here; published figures are from other models, mostly single runs.",
        ),
    )


def _sources(topic: Topic) -> Iterator[Sourced]:
    for name in SOURCES[topic.key]:
        yield cited(published()[name].source, f"Published figures of {topic.title}.")
    if topic.key == "uptraining":
        yield from (cited(one, one.statement) for one in findings().findings if "conversion" in one.topics)


def _section(topic: Topic, part: Part, seen: Mapping[str, Picture], colours: Palette) -> Section:
    title, text = filled(part.title), filled(part.text)
    if (table := _table(topic.key, part.slug)) is not None:
        return Section(title=title, text=f"{text}\n\n{table[0]}", table=table[1])
    return Section(title=title, text=text, picture=_picture(topic.key, part.slug, seen, colours))


def _picture(key: str, slug: str, seen: Mapping[str, Picture], colours: Palette) -> Picture | None:
    opening = OPENING.get((key, slug))
    if opening is None:
        return None
    end, make = opening
    if f"{KEY}{end}" in seen:
        return seen[f"{KEY}{end}"]
    from core.figures.technique_pictures import picture  # noqa: PLC0415  altair loads with the first file

    name, inputs = make()
    made = picture(name, colours, **inputs)
    return Picture(sentence=made.sentence, alt_text=made.alt_text, spec=dress(made.spec, colours))


def _table(key: str, slug: str) -> tuple[str, Table] | None:
    if (key, slug) == ("quantisation", "bits"):
        return stored_sentence(GROUP), table_of(stored_rows(GROUP))
    scores = [{head: f"{cell:.1f}" if isinstance(cell, float) else cell for head, cell in row.items()}
              for row in mla_rows()]  # fmt: skip
    return (MLA_SENTENCE, table_of(scores)) if (key, slug) == ("latent", "published") else None


def _recorded() -> dict[str, Any]:
    """The recorded runs at the share of uptraining that the page opens on."""
    from core.uptraining import results  # noqa: PLC0415  with its picture

    found = tuple(run for run in results.recorded() if run.recipe.uptrain_percent == 10)
    return {
        "points": results.averaged(found), "recipe": found[0].recipe.with_seed(0), "before": False, "against": "g",
        "finding": results.finding(found, before=False),
    }  # fmt: skip


def _shares(ranks: int) -> dict[str, int]:
    return {"num_query_heads": 128, "num_kv_heads": 8, "head_dim": 128, "tensor_parallel": ranks}
