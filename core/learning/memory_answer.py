"""How much memory does model X take? Answered from the registry: the weights by rule, the cache from the layers."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.models.registry import RegisteredModel
from core.models.spec import UnsupportedConfig, read_config
from core.serving.weights import analytic_count, counts_alone
from core.units import format_both, format_bytes, format_count, number_of

CONTEXT_LENGTH = 32_768
SHOWN = 3
ABOUT_MEMORY = frozenset({
    "memory", "vram", "ram", "gb", "gib", "bytes", "big", "large", "size", "fit", "fits", "need", "needs", "needed",
    "take", "takes", "weigh", "weighs", "weight", "weights", "cache", "parameters", "much",
})  # fmt: skip
_VERSION = re.compile(r" v\d[\d.]*$")
_SIZE = re.compile(r"\d[\d.]*[bm]")
_APART = re.compile(r"[^a-z0-9.]+")
# What makes another model of a name that it follows: a size, a version or date, a word such as these. A number with a
# unit is of the question.
_VARIANTS = frozenset({
    "air", "code", "coder", "distill", "flash", "large", "lite", "math", "max", "medium", "micro", "mini", "moe",
    "nano", "next", "omni", "plus", "pro", "small", "tiny", "turbo", "vl", "xl",
})  # fmt: skip
_ANOTHER = re.compile(
    r" (?:\d[\d.]*[bm](?! (?:tokens?|context|ctx))"
    r"|v?\d[\d.]*(?! (?:[gt]i?b|bits?|gpus?|cards?|tokens?|context|ctx|requests|sequences))) "
)
# "128k", "8,192 tokens", "a context of 4096", "1M context": a k is of tokens alone, an M may be a model's size.
_COUNT = r"(?P<{0}>[0-9][0-9,]{{0,12}}(?:\.[0-9]{{1,9}})?)\s?(?P<{0}_unit>[km])?"
_TOKENS = re.compile(
    rf"(?<![\w.,]){_COUNT.format('before')}[\s-]*(?:tokens?|context|ctx)\b"
    rf"|\b(?:context|ctx)(?:\s+(?:length|window))?(?:\s+of)?[\s:=]*{_COUNT.format('after')}\b"
    r"|(?<![\w.,])(?P<alone>[0-9][0-9,]{0,12}(?:\.[0-9]{1,9})?)\s?(?P<alone_unit>k)\b",
    re.IGNORECASE,
)
_LONGEST = 2**30  # tokens, as a job's may be


@dataclass(frozen=True, kw_only=True)
class MemoryAnswer:
    """A registered model that a question names, and the sentence that answers for it."""

    model: str
    sentence: str
    context_length: int


def memory_answers(question: str, models: Sequence[RegisteredModel]) -> tuple[MemoryAnswer, ...]:
    """For each registered model that the question names, at most SHOWN; none where it does not ask for memory.

    A name that goes on as another model's ("GPT-2 XL") names none: what is not registered has no answer here.
    """
    words = f" {_normal(question)} "
    if ABOUT_MEMORY.isdisjoint(words.split()):
        return ()
    shared = Counter(_short(model.name, versioned=False) for model in models)
    named = {model.name: found for model in models if (found := _as_named(model.name, words, shared))}
    # "DeepSeek-V2-Lite" names one model, not DeepSeek-V2 too
    whole = [name for name, found in named.items() if not any(found in other != found for other in named.values())]
    chosen = [model for model in models if model.name in whole][:SHOWN]
    tokens = context_asked(question) or CONTEXT_LENGTH
    return tuple(
        MemoryAnswer(model=model.name, sentence=_sentence(model, tokens), context_length=tokens) for model in chosen
    )


def context_asked(question: str) -> int | None:
    """The tokens that the question names first: "128k" is 131,072 as contexts are called, "100k" 100,000.

    None where it names none, or what no job holds.
    """
    for found in _TOKENS.finditer(question):
        name = found.lastgroup or ""
        kind = name.removesuffix("_unit")
        number, unit = float(found[kind].replace(",", "")), (found[f"{kind}_unit"] or "").lower()
        binary = number.is_integer() and number > 0 and int(number) & (int(number) - 1) == 0
        tokens = round(number * (1024.0 if binary else 1000.0) ** ["", "k", "m"].index(unit))
        if 1 <= tokens <= _LONGEST:
            return tokens
    return None


def _normal(text: str) -> str:
    return _APART.sub(" ", text.lower().replace("+", " plus ")).strip().rstrip(".")


def _short(name: str, *, versioned: bool) -> str:
    short = _normal(name.partition("(")[0])
    return short if versioned else _VERSION.sub("", short)


def _as_named(name: str, words: str, shared: Mapping[str, int]) -> str:
    """The part of the question that names this model: whole, without its brackets, or without its version.

    What is left without a version counts where it says a size or no other model shares it: "DeepSeek" is a family.
    """
    bare = _short(name, versioned=False)
    counts = _SIZE.search(bare) is not None or shared[bare] == 1
    spellings = (_normal(name), _short(name, versioned=True), *([bare] if counts else []))
    return next((spelling for spelling in spellings if _is_said(spelling, words)), "")


def _is_said(spelling: str, words: str) -> bool:
    """Whether the question holds it, and goes on with nothing that makes another model of it, at any place."""
    places = [found.end() for found in re.finditer(f"(?<= ){re.escape(spelling)}(?= )", words)]
    return any(
        _ANOTHER.match(words, at) is None and _VARIANTS.isdisjoint(words[at:].split(maxsplit=1)[:1]) for at in places
    )


def _sentence(model: RegisteredModel, tokens: int) -> str:
    try:
        spec = read_config(model.config)
    except UnsupportedConfig as refused:
        return f"{model.name}: {refused}"
    cache, token = spec.cache_bytes(context_length=tokens), spec.cache_bytes_per_token()
    parts = [_weights(model), f"a sequence of {number_of(tokens, 'token')} caches {format_both(cache)} at 16 bits"]
    if token * tokens == cache:
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
