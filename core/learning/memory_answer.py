"""How much memory does model X take? Answered from the registry: the weights by rule, the cache from the layers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.models.registry import RegisteredModel
from core.models.spec import UnsupportedConfig, read_config
from core.serving.weights import analytic_count, counts_alone
from core.units import format_both, format_bytes, format_count

CONTEXT_LENGTH = 32_768
SHOWN = 3
ABOUT_MEMORY = frozenset({
    "memory", "vram", "ram", "gb", "gib", "bytes", "big", "large", "size", "fit", "fits", "need", "needs", "needed",
    "take", "takes", "weigh", "weighs", "weight", "weights", "cache", "parameters", "much",
})  # fmt: skip
_VERSION = re.compile(r" v\d[\d.]*$")
_APART = re.compile(r"[^a-z0-9.]+")


@dataclass(frozen=True, kw_only=True)
class MemoryAnswer:
    """A registered model that a question names, and the sentence that answers for it."""

    model: str
    sentence: str


def memory_answers(question: str, models: Sequence[RegisteredModel]) -> tuple[MemoryAnswer, ...]:
    """For each registered model that the question names, at most SHOWN; none where it does not ask for memory."""
    words = f" {_normal(question)} "
    if ABOUT_MEMORY.isdisjoint(words.split()):
        return ()
    named = {model.name: found for model in models if (found := _as_named(model.name, words))}
    # "DeepSeek-V2-Lite" names one model, not DeepSeek-V2 too
    whole = [name for name, found in named.items() if not any(found in other != found for other in named.values())]
    chosen = [model for model in models if model.name in whole][:SHOWN]
    return tuple(MemoryAnswer(model=model.name, sentence=_sentence(model)) for model in chosen)


def _normal(text: str) -> str:
    return _APART.sub(" ", text.lower()).strip().rstrip(".")


def _as_named(name: str, words: str) -> str:
    """The part of the question that names this model: whole, without its brackets, or without its version."""
    short = _normal(name.partition("(")[0])
    spellings = (_normal(name), short, _VERSION.sub("", short))
    return next((spelling for spelling in spellings if f" {spelling} " in words), "")


def _sentence(model: RegisteredModel) -> str:
    try:
        spec = read_config(model.config)
    except UnsupportedConfig as refused:
        return f"{model.name}: {refused}"
    cache, token = spec.cache_bytes(context_length=CONTEXT_LENGTH), spec.cache_bytes_per_token()
    parts = [_weights(model), f"a sequence of {CONTEXT_LENGTH:,} tokens caches {format_both(cache)} at 16 bits"]
    if token * CONTEXT_LENGTH == cache:
        parts[-1] += f", {token:,} bytes a token"
    if state := spec.state_bytes():
        parts.append(f"and keeps {format_bytes(state)} of states whatever its length")
    return f"**{model.name}**: {'; '.join(parts)}."


def _weights(model: RegisteredModel) -> str:
    spec = read_config(model.config)
    if not counts_alone(model, spec):
        return "its recorded facts do not say what it weighs, and the sizing page asks the Hub"
    total = analytic_count(spec).total
    return f"{format_count(total)} parameters weigh {format_bytes(2 * total)} at 16 bits"
