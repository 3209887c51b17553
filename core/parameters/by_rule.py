"""A config.json counted by its type's rule."""

from collections.abc import Mapping
from typing import Any

from core.parameters.composite import COMPOSITES, add_tower, is_tied, text_of
from core.parameters.count import ParameterCount
from core.parameters.rules import Rule, class_of, rule_for
from core.parameters.tally import Tally
from core.parameters.values import NotByRule, Values

# Bodies that only a nesting type has a head for: alone, AutoModel builds them without one (no causal class takes them).
ONLY_NESTED = frozenset(
    {
        "glm4v_moe_text",
        "glm4v_text",
        "glm5_next_text",
        "qwen2_5_vl_text",
        "qwen2_vl_text",
        "qwen3_vl_moe_text",
        "qwen3_vl_text",
    }
)


def count_by_rule(config: Mapping[str, Any]) -> ParameterCount:
    """The sum of the matrices that transformers 5.23 would build. Raises NotByRule where no rule is sure of them."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise NotByRule("model_type is absent")
    if model_type in ONLY_NESTED:
        raise NotByRule(f"model_type is {model_type!r}, which transformers builds alone without a head")
    tally = Tally()
    composite = COMPOSITES.get(model_type)
    if composite is None:
        values = Values(config, model_type, fields=class_of(model_type))
        tied = _language_model(tally, values, rule_for(model_type), None)
        return _count(tally, tied)
    outer = Values(config, model_type)
    text = text_of(outer, composite)
    tied = _language_model(tally, text, rule_for(text.model_type), is_tied(outer, text, composite))
    add_tower(tally, outer, text, composite)
    outer.check()
    return _count(tally, tied)


def _language_model(tally: Tally, values: Values, rule: Rule, tied: bool | None) -> bool:
    """Adds body and head; gives whether they share a matrix. tied: what the outer object says, None where there is
    none."""
    rule.body(tally, values)
    said = values.flag_or("tie_word_embeddings", True) if tied is None else tied
    is_one = rule.may_tie and said
    rule.head(tally, values, is_one)
    values.check()
    return is_one


def _count(tally: Tally, tied: bool) -> ParameterCount:
    parts = {name: parameters for name, parameters in tally.parts.items() if parameters}
    return ParameterCount(
        total=sum(parts.values()),
        source="rule",
        sentence="Added up from the shapes that the config gives.",
        embedding=parts["embedding"],
        head=parts.get("head", 0),
        tied=tied,
        routed_experts=parts.get("routed_experts", 0),
        parts=parts,
        biases=tally.biases,
        expert_groups=tuple(tally.groups),
    )
