"""The rules by model type: a body (all but the head) and a head.

A text type stands here once; the types that nest it take its body (composite.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from core.parameters.classes import OWN_CODE, ConfigClass, config_classes
from core.parameters.tally import Tally
from core.parameters.values import NotByRule, Values

Body = Callable[[Tally, Values], None]
Head = Callable[[Tally, Values, bool], None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a type is added up."""

    body: Body
    head: Head
    may_tie: bool = True  # some classes have no tied weights whatever the flag says


def plain_head(t: Tally, c: Values, tied: bool) -> None:
    """A matrix of the embedding's shape, or the embedding itself."""
    t.add("head", 0 if tied else t.parts["embedding"])


def head_with_bias(t: Tally, c: Values, tied: bool) -> None:
    plain_head(t, c, tied)
    t.add("other", c.size("vocab_size"))


def head_with_optional_bias(flag: str) -> Head:
    def head(t: Tally, c: Values, tied: bool) -> None:
        plain_head(t, c, tied)
        t.add("other", c.size("vocab_size") if c.flag(flag) else 0)

    return head


HEADS: dict[str, Head] = {
    "phi": head_with_bias,
    "gptj": head_with_bias,
    "codegen": head_with_bias,
    "ctrl": head_with_bias,
    "phimoe": head_with_optional_bias("lm_head_bias"),
    "ernie4_5_moe": head_with_optional_bias("use_bias"),
}
# Modules beside this one, each with BODIES and perhaps HEADS; asked in this order and imported when it is their turn:
# most models that people serve stand in the first two, and a command is not to wait for the rest.
FAMILIES = ("dense", "experts", "recurrent", "delta", "mixed", "layered", "sparse", "hashed", "gpt", "bert", "custom")
NEVER_TIED = {"kimi_linear", "bailing_hybrid", "nemotron_h"}
SAME_BUILD = {"kimi_k2": "deepseek_v3"}  # published code that builds a class of transformers under a name of its own


def model_types() -> tuple[str, ...]:
    """Every type that has a rule."""
    return (*(name for family in FAMILIES for name in _bodies(family)), *SAME_BUILD)


def class_of(model_type: str) -> ConfigClass | None:
    """The class that reads a type of published code; None for a type of transformers' own."""
    if model_type in SAME_BUILD:
        return config_classes()[SAME_BUILD[model_type]]
    return OWN_CODE.get(model_type)


@cache
def rule_for(model_type: str) -> Rule:
    """Raises NotByRule for a type without one."""
    name = SAME_BUILD.get(model_type, model_type)
    for family in FAMILIES:
        if name in _bodies(family):
            heads: dict[str, Head] = getattr(import_module(f"core.parameters.{family}"), "HEADS", HEADS)
            head = heads.get(name, plain_head)
            return Rule(body=_bodies(family)[name], head=head, may_tie=name not in NEVER_TIED)
    raise NotByRule(f"model_type is {model_type!r}: no rule")


def _bodies(family: str) -> dict[str, Body]:
    bodies: dict[str, Body] = import_module(f"core.parameters.{family}").BODIES
    return bodies
