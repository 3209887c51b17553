"""Everything that Ask may answer from: each step, section, FAQ answer, glossary entry and published finding a passage.

A passage has a title, other words for what it is about, and its text; a lesson's step also has the statements of the
findings that it shows. They are searched apart, since a word in a title says more than one in a quotation.
"""

from dataclasses import dataclass
from functools import cache

from core.evidence.studies import published
from core.learning import faq, glossary, lessons
from core.learning.techniques import texts as techniques
from core.learning.techniques.figures import filled

FAQ, GLOSSARY, EVIDENCE = "faq", "glossary", "evidence"


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of text and where it stands. page is the page's key; script and query lead to the very place."""

    page: str
    page_title: str
    title: str
    text: str
    script: str  # relative to pages/
    query: tuple[tuple[str, str], ...] = ()
    names: str = ""  # other words for what it is about, searched and not shown
    cited: str = ""  # published statements that its page shows beside it, searched and not shown


@cache
def passages() -> tuple[Passage, ...]:
    """Everything that Ask may answer from, in the order of the sidebar."""
    return (*_lessons(), *_topics(), *_faq(), *_glossary(), *_evidence())


def _lessons() -> list[Passage]:
    statements = {finding.id: finding.statement for finding in published().findings}
    found = []
    for lesson in lessons.lessons():
        for number, step in enumerate(lesson.steps, start=1):
            asked = step.question
            answers = [f"- {a.text} *{a.reply}*" for a in asked.answers] if asked else []
            told = ["\n".join([f"**{asked.text}**", "", *answers])] if asked else []
            found.append(
                Passage(
                    page=lesson.key,
                    page_title=lesson.title,
                    title=filled(step.title),
                    text=filled("\n\n".join([step.text, *told])),
                    script=lesson.script,
                    query=((lesson.key, str(number)),),
                    names=f"{step.slug.replace('-', ' ')} {lesson.promise} {filled(step.note)}",
                    cited=" ".join(statements[id] for id in step.evidence),
                )
            )
    return found


def _topics() -> list[Passage]:
    return [
        Passage(
            page=topic.key,
            page_title=topic.title,
            title=filled(section.title),
            text=filled(section.text),
            script=f"learn/{topic.key}.py",
            names=f"{section.slug} {topic.promise}",
            query=((topic.key, str(number)),),
        )
        for topic in techniques.topics()
        for number, section in enumerate(topic.sections, start=1)
    ]


def _faq() -> list[Passage]:
    return [
        Passage(
            page=FAQ,
            page_title="FAQ",
            title=entry.question,
            text=entry.answer,
            script="reference/faq.py",
            query=(("faq_open", entry.id),),
            names="list registry table of models with MHA GQA MQA MLA multi-head grouped-query multi-query attention"
            if entry.shows_registry
            else "",
        )
        for entry in faq.entries()
    ]


def _glossary() -> list[Passage]:
    return [
        Passage(
            page=GLOSSARY,
            page_title="Glossary",
            title=term.term,
            text=term.text,
            script="reference/glossary.py",
            query=(("glossary_find", term.term),),
            names=" ".join(term.names),
        )
        for term in glossary.terms()
    ]


def _evidence() -> list[Passage]:
    findings = [(finding.paper, finding.statement, finding.caveat) for finding in published().findings]
    studies = [
        (study.label, f"{study.paper}. {study.measure}. {study.training}, {study.how_held}.", study.caveat)
        for study in published().comparisons
    ]
    return [
        Passage(
            page=EVIDENCE,
            page_title="Evidence",
            title=title,
            text=f"{text} {caveat}",
            script="reference/evidence.py",
        )
        for title, text, caveat in (*findings, *studies)
    ]
