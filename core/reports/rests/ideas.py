"""After G: the idea's words, what its model's token keeps by layer, what is published, and what engines take."""

from core.learning.ideas import CONTEXT, FACTORS, FORMATS, Idea, IdeaBytes, model_of, models_on, size_of
from core.models.spec import ModelSpec
from core.reports.closing import Rests, Sourced
from core.reports.models_report import token_formula
from core.units import format_binary

HELD = f"Bytes a token are the share of all that one sequence of {CONTEXT:,} tokens keeps at 16 bits, states included."


def idea_rests(found: Idea) -> Rests:
    """What G still means there, the idea's bytes with their numbers, and every published figure with its table."""
    shown = size_of(found)
    keys = ", ".join(found.keys) or "none yet: no released config has a key for it"
    said = [f"Declared by {keys}.", f"What G still means there: {found.g_means}", _ships(found)]
    return Rests(
        said="\n\n".join(said),
        formulas=(_whole_formula(found), *_paper(found), *(() if shown is None else _counted(found, shown))),
        evidence=tuple(
            Sourced(says=figure.says, source=f"{figure.where}. https://arxiv.org/abs/{figure.arxiv}")
            for figure in found.published
        ),
        assumed=(
            HELD, *(() if found.published else ("Quality: no table that could be read compares it with the same model "
                                                "without it, so none is shown.",)),
        ),
    )  # fmt: skip


def _ships(found: Idea) -> str:
    ships = models_on(found.key)
    return f"In the registry within {', '.join(ships)}." if ships else "No model of the registry ships it."


def _whole_formula(found: Idea) -> tuple[str, str, str]:
    attacked = ", ".join(factor for factor in found.factors)
    return "The cache", " · ".join(FACTORS[:-1]), f"it turns {attacked}"


def _paper(found: Idea) -> list[tuple[str, str, str]]:
    """The paper's shape, as its table prints it."""
    return [(name, found.paper_shape, f"{count:,} B") for name, count in (found.paper_bytes or {}).items()]


def _counted(found: Idea, shown: IdeaBytes) -> list[tuple[str, str, str]]:
    spec = model_of(found)
    rows = [(f"{shown.name} keeps", _kept_formula(spec, shown), f"{format_binary(shown.kept)} a token")]
    if shown.read != shown.kept:
        rows.append(("of which a step reads", f"{shown.read * CONTEXT:,.0f} B / {CONTEXT:,} tokens",
                     f"{format_binary(shown.read)} a token"))  # fmt: skip
    for name, count in shown.formats.items():
        bits, block, scale = FORMATS[name]
        each = f"({bits} + {scale} / {block}) bits" if scale else f"{bits} bits"
        rows.append((f"The same in {name}", f"{shown.kept:,.0f} B × {each} / 16", f"{format_binary(count)} a token"))
    rows += [
        (f"{engine} takes{_width(shown)}", f"{count * CONTEXT:,.0f} B of one request / {CONTEXT:,} tokens",
         f"{format_binary(count)} a token")
        for engine, count in shown.engines.items()
    ]  # fmt: skip
    return rows


def _width(shown: IdeaBytes) -> str:
    return "" if shown.engine_bits == 16 else f" at {shown.engine_bits} bits"


def _kept_formula(spec: ModelSpec | None, shown: IdeaBytes) -> str:
    """Layer by layer where every token costs the same; else all that is kept, over its tokens."""
    if spec is not None and spec.cache_bytes_per_token() == shown.kept:
        return token_formula(spec)
    return f"{shown.kept * CONTEXT:,.0f} B / {CONTEXT:,} tokens"
