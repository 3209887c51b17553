"""Where a page's key leads: its script, relative to pages/, and its title. Keys stand in texts, scripts do not."""

from dataclasses import dataclass

from core.learning import lessons
from core.learning.techniques import texts as techniques

OTHERS = {
    "faq": ("reference/faq.py", "FAQ"),
    "glossary": ("reference/glossary.py", "Glossary"),
    "evidence": ("reference/evidence.py", "Evidence"),
    "bound": ("learn/bound.py", "When memory stops binding"),
    "after": ("learn/after.py", "After G"),
    "watch": ("learn/watch.py", "Watch it decode"),
    "timeline": ("reference/timeline.py", "Timeline"),
    "size": ("tools/size/size.py", "Size"),
    "models": ("tools/models/models.py", "Models"),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page of the dashboard."""

    key: str
    script: str
    title: str


def place(key: str) -> Place:
    """The page of that key. Raises KeyError for one that leads nowhere."""
    if key in OTHERS:
        script, title = OTHERS[key]
        return Place(key=key, script=script, title=title)
    if key in techniques.ORDER:
        return Place(key=key, script=f"learn/{key}.py", title=techniques.topic(key).title)
    if key in lessons.ORDER:
        lesson = lessons.lesson(key)
        return Place(key=key, script=lesson.script, title=lesson.title)
    raise KeyError(f"no page has the key '{key}'")
