"""What a step of a lesson that draws no picture hands to a slide: a table that can be edited.

A file that is read becomes its deciding lines, a drill becomes its questions with the answers in the note, a verdict
becomes the conditions behind it. A link's values count as they do for pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from core.errors import SizingError
from core.learning import drills
from core.learning.drills import ConfigQuestion
from core.learning.figures import CAPSTONE, CAPSTONE_CHOICES
from core.learning.record import PATTERNS, Conditions, verdict_sentence
from core.learning.step_pictures import Control
from core.learning.verdicts import CONDITIONS, MqaPlan, verdict_on_mqa
from core.reports.exports import Table
from core.serving.inverse import largest_batch
from core.serving.memory_plan import plan
from core.units import format_bytes

Query = Mapping[str, str]
READER_QUESTIONS = 5


@dataclass(frozen=True, kw_only=True)
class StepTable:
    """says is put below the step's text, note below its note for the presenter; both are Markdown."""

    table: Table
    says: str = ""
    note: str = ""


def step_table(lesson: str, slug: str, query: Query) -> StepTable | None:
    """The table of that step, with the link's values where it takes them; None where it has none."""
    if lesson == "declares":
        return _files(slug)
    make = _TABLES.get((lesson, slug))
    return make(query) if make is not None else None


def _files(slug: str) -> StepTable:
    """The example files of a step of 'How a config declares G': the lines that decide, and what they declare."""
    by_name = {question.model: question for question in drills.config_questions()}
    shown = [by_name[name] for name in drills.CONFIG_EXAMPLES[slug]]
    rows = tuple((file.model, "\n".join(_deciding(file)), _declared(file)) for file in shown)
    why = "\n\n".join(f"{file.model}: {file.why}" for file in shown)
    return StepTable(table=(("Model", "Lines that decide", "Declares"), rows), note=why)


def _declared(file: ConfigQuestion) -> str:
    return file.kind if file.num_kv_heads is None else f"{file.kind}, G = {file.num_kv_heads}"


def _deciding(file: ConfigQuestion) -> list[str]:
    lines = dict(_lines(file.config))
    return [f"{key}: {lines[key]}" for key in file.deciding]


def _lines(config: Mapping[str, object], path: str = "") -> list[tuple[str, str]]:
    """Dotted keys with their values as the file writes them."""
    found: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            found += _lines(value, f"{path}{key}.")
        else:
            found.append((f"{path}{key}", drills.written(value)))
    return found


def _reader(query: Query) -> StepTable:
    """Questions without the picture, from the link's on."""
    first = _number("draw", query)
    asked = [drills.reader_question(seed) for seed in _following(first, READER_QUESTIONS)]
    rows = tuple((str(q.num_query_heads), str(q.num_kv_heads), str(q.query_head), "?") for q in asked)
    answers = ", ".join(
        f"{q.query_head} of {q.num_query_heads} with G = {q.num_kv_heads} reads KV head {q.kv_head}" for q in asked
    )
    return StepTable(
        table=(("Query heads H", "KV heads G", "Query head q", "reads KV head"), rows), note=f"Answers: {answers}."
    )


def _headmath(query: Query) -> StepTable:
    """One question of the drill: the job, and three sizes to fill in."""
    level = str(Control(key="level", opens_on="sequence").read("headmath", query))
    asked = drills.cache_question(_number("headmath", query), level if level in drills.LEVELS else "sequence")
    rows = (*asked.rows, *((f"Cache as {kind}", "?") for kind in drills.KINDS))
    steps = "\n\n".join(drills.shortcut(asked))
    return StepTable(table=(("The model and the job", "Value"), rows), note=f"Answer, with the shortcut:\n\n{steps}")


def _spot(query: Query) -> StepTable:
    """One file of the drill, unnamed."""
    asked = drills.config_question(_number("spot", query) - 1)
    return StepTable(
        table=(("Key of config.json", "Value"), tuple(_lines(asked.config))),
        says="**Which kind is it, and what is G?**",
        note=f"Answer: {asked.model} is {_declared(asked)}. {asked.why}",
    )


def _mqa(query: Query) -> StepTable:
    """Each condition alone, two about quality together, and none; the reasons are for whoever presents."""
    cases = {
        **{said: (name,) for name, said in CONDITIONS.items()},
        "Two or more of the last three": tuple(list(CONDITIONS)[2:]),
        "None of these": (),
    }
    verdicts = {said: verdict_on_mqa(_plan(*holding)) for said, holding in cases.items()}
    reasons = dict.fromkeys(reason for _, found in verdicts.values() for reason in found)
    rows = tuple((said, verdict) for said, (verdict, _) in verdicts.items())
    return StepTable(table=(("What holds for the team", "Verdict"), rows), note="\n\n".join(reasons))


def _plan(*holding: str) -> MqaPlan:
    return MqaPlan(**{name: name in holding for name in CONDITIONS})


def _decide(query: Query) -> StepTable:
    """The choices that cost the same, G = 8 in 8 bits, and the link's own, under the link's conditions."""
    own = (_choice("choice", 2, query), _choice("choice_bits", 8, query))
    try:
        return _decided(own, _conditions(query))
    except SizingError as refused:  # a link can name what the job cannot have
        opens_on = _decided((2, 8), Conditions())
        why = f"The link's own job cannot be had: {refused}"
        return replace(opens_on, says=f"{why}\n\nAs the lesson opens: {opens_on.says}")


def _decided(own: tuple[int, int], under: Conditions) -> StepTable:
    rows = []
    for g, bits in dict.fromkeys((*CAPSTONE_CHOICES, (8, 8), own)):
        job = under.job(g, bits)
        made = plan(job)
        rows.append((
            f"G = {g}, {bits} bits" + (", chosen" if (g, bits) == own else ""),
            format_bytes(made.total_bytes),
            "fits" if made.fits else "does not fit",
            f"{int(largest_batch(job)):,}",
        ))  # fmt: skip
    budget = format_bytes(plan(under.job(*own)).budget_bytes)
    heads = ("Choice", f"Takes of {budget} a GPU", "Verdict", f"Holds, of {CAPSTONE.batch_size}")
    changes = "".join(f"\n\n{change}." for change in under.changes())
    said = verdict_sentence(num_kv_heads=own[0], kv_bits=own[1], conditions=under)
    return StepTable(table=(heads, tuple(rows)), says=f"{said}{changes}")


def _conditions(query: Query) -> Conditions:
    """As the link says."""
    windows = str(Control(key="windows", opens_on="none").read("pick", query))
    freed = str(Control(key="freed", opens_on="dropped").read("pick", query))
    return Conditions(
        weight_bits=_choice("weights", 16, query),
        freed=freed if freed in ("dropped", "spent") else "dropped",
        live_percent=_choice("live", 100, query),
        gpus=_choice("gpus", 1, query),
        pattern=windows if windows in PATTERNS else "none",
    )


def _choice(key: str, opens_on: int, query: Query) -> int:
    return int(Control(key=key, opens_on=opens_on).read("pick", query))


def _number(lesson: str, query: Query) -> int:
    """The question of the link, drawn back to what there is."""
    asked = int(Control(key="question", opens_on=1).read(lesson, query))
    return min(max(asked, 1), drills.LARGEST_SEED)


def _following(first: int, count: int) -> list[int]:
    start = min(first, drills.LARGEST_SEED - count + 1)
    return list(range(start, start + count))


_TABLES: dict[tuple[str, str], Callable[[Query], StepTable]] = {
    ("draw", "yours"): _reader,
    ("headmath", "drill"): _headmath,
    ("spot", "drill"): _spot,
    ("case-mqa", "answer"): _mqa,
    ("pick", "decide"): _decide,
}
