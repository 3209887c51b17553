"""The rules by model type: a body (all but the head) and a head.

A text type stands here once; the types that nest it take its body (composite.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.parameters import bert, custom, dense, experts, gpt, layered, mixed, recurrent
from core.parameters.classes import ConfigClass, config_classes
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
    **bert.HEADS,
}
FAMILIES = (
    dense.BODIES, experts.BODIES, gpt.BODIES, bert.BODIES, layered.BODIES, recurrent.BODIES, mixed.BODIES,
    custom.BODIES,
)  # fmt: skip
BODIES: dict[str, Body] = {name: body for bodies in FAMILIES for name, body in bodies.items()}
NEVER_TIED = {"kimi_linear", "bailing_hybrid", "nemotron_h"}
RULES: dict[str, Rule] = {
    name: Rule(body=body, head=HEADS.get(name, plain_head), may_tie=name not in NEVER_TIED)
    for name, body in BODIES.items()
}


RULES["kimi_k2"] = RULES["deepseek_v3"]


def class_of(model_type: str) -> ConfigClass | None:
    """The class that reads a type of published code; None for a type of transformers' own."""
    return config_classes()["deepseek_v3"] if model_type == "kimi_k2" else custom.CLASSES.get(model_type)


def rule_for(model_type: str) -> Rule:
    """Raises NotByRule for a type without one."""
    rule = RULES.get(model_type)
    if rule is None:
        raise NotByRule(f"model_type is {model_type!r}: no rule")
    return rule
