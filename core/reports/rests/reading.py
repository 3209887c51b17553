"""Pages of words: FAQ, glossary, Ask and the quiz, a section a question, a theme or a passage."""

from collections.abc import Sequence

from core.learning import faq, glossary_themes
from core.learning.ask_passages import Passage
from core.learning.glossary import Term
from core.learning.places import place
from core.learning.quiz import Question
from core.learning.registry_answer import ModelKind
from core.learning.registry_answer import sentence as registry_sentence
from core.reports.closing import Rests, points
from core.reports.exports import Section, plain

CITED = "Every figure is computed or cited where the text says it, and the page named under an answer works it out."


def faq_rests(kinds: Sequence[ModelKind], kind: str) -> Rests:
    """Every question with its answer; the registry's models of the chosen layout where the answer shows them."""
    return Rests(body=tuple(_answered(entry, kinds, kind) for entry in faq.entries()), assumed=(CITED,))


def _answered(entry: faq.Entry, kinds: Sequence[ModelKind], kind: str) -> Section:
    text = f"{entry.answer}\n\nMore: {_titles(entry.see)}."
    if not entry.shows_registry:
        return Section(title=entry.question, text=text)
    shown = [row for row in kinds if row.shown_kind == kind]
    rows = tuple((row.name, row.kind, row.kv_heads, row.query_heads, row.source) for row in shown)
    said = f"{registry_sentence(kinds)}\n\n{text}"
    return Section(title=entry.question, text=said, table=(("Model", "Kind", "G", "H", "Read in"), rows))


def glossary_rests(groups: Sequence[glossary_themes.Group]) -> Rests:
    """A theme a table."""
    heads = ("Term", "What it means here", "More")
    body = tuple(Section(title=group.title, table=(heads, tuple(map(_term, group.terms)))) for group in groups)
    return Rests(body=body, assumed=(CITED,))


def _term(term: Term) -> tuple[str, str, str]:
    return term.term, " ".join(plain(term.text).split()), place(term.see).title


def ask_rests(passages: Sequence[Passage], computed: Sequence[str]) -> Rests:
    """What was computed for the question, then the passages that answer it, each with its page."""
    first = (Section(title="Computed for the question", text="\n\n".join(computed)),) if computed else ()
    found = (Section(title=f"{one.page_title}: {one.title}", text=one.text) for one in passages)
    return Rests(
        body=(*first, *found),
        assumed=("Passages are found by their words, and shown as they stand: nothing is put together from them.",),
    )


def quiz_rests(questions: Sequence[Question]) -> Rests:
    """A question a slide; the right option and why are for whoever presents."""
    body = tuple(
        Section(
            title=f"{number}. {asked.question}",
            text=points(asked.options),
            note=f"{asked.options[asked.answer]} {asked.why} More: {place(asked.lesson).title}.",
        )
        for number, asked in enumerate(questions, start=1)
    )
    return Rests(said="The answers stand in the notes.", body=body, assumed=(CITED,))


def _titles(keys: Sequence[str]) -> str:
    return ", ".join(place(key).title for key in keys)
