"""What each step of a lesson draws before anyone touches a control, so that a walk can leave as a whole.

A picture is named as in core.figures.lessons, with its inputs; an input that a control of the page sets carries the
control's name, under which a link holds its value (?levers_g=4). Two more names stand for what several pages share:
`layout`, one attention layout, and `quality`, the published changes of some studies. A step that asks, or that shows a
file in place of a picture, draws nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = int | str


@dataclass(frozen=True, kw_only=True)
class Control:
    """An input that a control of the page sets: the end of its key, and the value that it opens on."""

    key: str
    opens_on: Value

    def read(self, lesson: str, query: Mapping[str, str]) -> Value:
        """The value in a link to that lesson; what the link does not say, or cannot mean, is what it opens on."""
        said = query.get(f"{lesson}_{self.key}")
        if said is None or isinstance(self.opens_on, str):
            return self.opens_on if said is None else said
        digits = said.replace(",", "")
        return int(digits) if digits.isdecimal() and len(digits) < 12 else self.opens_on


@dataclass(frozen=True, kw_only=True)
class StepPicture:
    """One picture of a step: its name and its inputs."""

    name: str
    inputs: Mapping[str, Value | Control]

    def values(self, lesson: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The inputs with the link's values put in."""
        return {
            name: given.read(lesson, query) if isinstance(given, Control) else given
            for name, given in self.inputs.items()
        }

    def opening(self) -> dict[str, Any]:
        """The inputs that the page opens on."""
        return self.values("", {})


def step_pictures(lesson: str, slug: str) -> tuple[StepPicture, ...]:
    """The pictures of that step, in order; none where it draws none."""
    return _OPENING.get((lesson, slug), ())


def _at(key: str, opens_on: Value) -> Control:
    return Control(key=key, opens_on=opens_on)


def _picture(name: str, /, **inputs: Any) -> StepPicture:
    return StepPicture(name=name, inputs=inputs)


def _layout(num_query_heads: Value | Control, num_kv_heads: Value | Control, head_dim: int = 128) -> StepPicture:
    return _picture("layout", num_query_heads=num_query_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)


def _drawn(num_kv_heads: int) -> StepPicture:
    """A layout with all of its strokes made: what the step arrives at."""
    return _picture("drawn", num_query_heads=8, num_kv_heads=num_kv_heads, strokes_made=1_000)


def _copies(shape: str, step: str, ranks: int, chosen: int) -> StepPicture:
    return _picture("copies", shape=shape, ranks=_at(f"ranks{step}", ranks), chosen=chosen)


_JOB = {"batch_size": _at("batch", 1), "context_length": _at("context", 4_096)}
_JOB_AT_G = {**_JOB, "num_kv_heads": _at("g", 40)}
_LEVERS = {
    "num_kv_heads": _at("g", 8), "bits": _at("bits", 8), "window": _at("window", 4_096),
    "kept_percent": _at("kept", 20), "batch": _at("batch", 8),
}  # fmt: skip
_FACTORS = {
    "num_layers": _at("l", 40), "num_kv_heads": _at("g", 40), "head_dim": _at("d", 128), "width": _at("b", 2),
    "context_length": _at("tokens", 4_096), "batch": _at("batch", 1),
}  # fmt: skip
_WORTH = _picture("worth", batch_size=_at("batch", 1), context_length=_at("tokens", 2_048))
_WINDOW = _at("window", 4_096)

_OPENING: dict[tuple[str, str], tuple[StepPicture, ...]] = {
    ("bottleneck", "price"): (_picture("price", **_JOB_AT_G),),
    ("bottleneck", "roof"): (_picture("roof", **_JOB_AT_G),),
    ("bottleneck", "share"): (_picture("share", **_JOB_AT_G),),
    ("bottleneck", "crossing"): (_picture("crossing", **_JOB),),
    ("bottleneck", "experts"): (_picture("experts", batch_size=_at("batch", 1)),),
    ("formula", "factors"): (_picture("factors", **_FACTORS), _picture("against_memory", **_FACTORS)),
    ("formula", "by-hand"): (
        _picture(
            "by_hand", model=_at("model", "Llama-2 13B"), context_length=_at("hand_tokens", 4_096),
            batch=_at("hand_batch", 16),
        ),
    ),
    ("formula", "absent"): (_picture("presets"),),
    ("levers", "side"): (_picture("levers_side_by_side", **_LEVERS),),
    ("levers", "stack"): (_picture("levers_stacked", **_LEVERS),),
    ("levers", "cheapest"): (_picture("levers_side_by_side", **_LEVERS),),
    ("slider", "slide"): (_layout(_at("h", 32), 8),),
    ("slider", "moves"): (_picture("what_moves", num_kv_heads=_at("g", 8), ranks=_at("ranks", 8)),),
    ("slider", "quality"): (_picture("quality", studies="all"),),
    ("draw", "mha"): (_drawn(8),),
    ("draw", "mqa"): (_drawn(1),),
    ("draw", "gqa"): (_drawn(2),),
    ("headmath", "shortcut"): (_picture("ladder", seed=_at("example", 3)),),
    ("case-mqa", "situation"): (_layout(40, _at("g", 1)),),
    ("case-mqa", "traffic"): (_picture("traffic", batch_size=_at("batch", 8), context_length=_at("context", 4_096)),),
    ("case-mqa", "shards"): (_copies("13B", "", 8, 1),),
    ("case-mqa", "quality"): (_picture("quality", studies="all"),),
    ("case-mqa", "budget"): (_picture("heads_and_bits", num_kv_heads=_at("cell_g", 1), bits=_at("cell_bits", 16)),),
    ("case-llama", "situation"): (_layout(64, _at("g", 8)),),
    ("case-llama", "node"): (_copies("70B", "_node", 8, 8),),
    ("case-llama", "evidence"): (_picture("quality", studies="llama2-30b t5-xxl deepseek-v2-7b gemma2-9b"),),
    ("case-llama", "family"): (_copies("70B", "_family", 16, 8),),
    ("case-llama", "answer"): (_copies("70B", "_answer", 8, 8),),
    ("case-mistral", "situation"): (_layout(32, 8),),
    ("case-mistral", "lines"): (_picture("windows", context_length=_at("tokens_lines", 32_768), window=_WINDOW),),
    ("case-mistral", "claims"): (_picture("reach", window=_WINDOW),),
    ("case-mistral", "aged"): (
        _picture("mix", full_layers=_at("full", 10), context_length=_at("tokens_aged", 32_768), window=_WINDOW),
    ),
    ("case-mistral", "answer"): (_picture("windows", context_length=_at("tokens_answer", 32_768), window=_WINDOW),),
    ("case-falcon", "situation"): (_layout(71, 1, 64),),
    ("case-falcon", "worth"): (_WORTH,),
    ("case-falcon", "shards"): (_picture("divides", num_gpus=_at("gpus", 8)),),
    ("case-falcon", "bits"): (_picture("heads_and_bits", num_kv_heads=_at("g", 1), bits=_at("bits", 4)),),
    ("case-falcon", "family"): (_picture("falcons"),),
    ("case-falcon", "answer"): (_WORTH,),
    ("pick", "job"): (
        _picture("crossing", batch_size=_at("try_batch", 32), context_length=_at("try_context", 65_536)),
    ),
    ("pick", "budget"): (
        _picture(
            "pick_budget", weight_bits=_at("weights", 16), freed=_at("freed", "dropped"), num_kv_heads=_at("g", 8)
        ),
    ),
    ("pick", "cost"): (_picture("pick_cost", weight_bits=_at("weights", 16), freed=_at("freed", "dropped")),),
    ("pick", "quality"): (_picture("quality", studies="nearest to G = 2 of 40"),),
    ("pick", "question"): (
        _picture(
            "pick_question", pattern=_at("windows", "none"), kv_bits=_at("kv_bits", 8), live_percent=_at("live", 100),
            gpus=_at("gpus", 1),
        ),
    ),
    ("pick", "speed"): (_picture("pick_speed", accelerator=_at("device", "h100-sxm")),),
}  # fmt: skip
