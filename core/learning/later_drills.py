"""Six shapes of question on what came after G, made from the registry: seeded, so that a question is a link.

Each has one right option that the reader of configs decides; nothing is typed from memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from core.learning.drills import LARGEST_SEED
from core.learning.ideas import CONTEXT, IDEAS, bytes_per_token, read_per_token, registry, standing
from core.models.spec import ModelSpec

Known = tuple[str, ModelSpec]
FACTOR_WORDS = {
    "2": "the 2: a pair of key and value", "L": "L: layers that keep something", "G": "G: KV heads",
    "head_dim": "head_dim", "context": "context: tokens that are kept", "bytes": "bytes of an element",
    "reads": "none: what a step reads, not what is kept",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LaterQuestion:
    """answer is the right option, from 0."""

    shape: str
    text: str
    options: tuple[str, ...]
    answer: int
    why: str


def later_question(seed: int) -> LaterQuestion:
    """The question of that seed; six in a row are of six shapes. Raises ValueError for a seed out of range."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"question {seed} does not exist: give a number from 0 to {LARGEST_SEED:,}.")
    draw = Random(f"later/{seed}")
    names = list(SHAPES)
    return SHAPES[names[seed % len(names)]](draw)


def _models(*, standing_on: str = "") -> list[Known]:
    return [(model.name, spec) for model, spec in registry() if not standing_on or standing_on in standing(spec)]


@cache
def _of_one_projection() -> frozenset[str]:
    """Names of the models that take values from the keys' projection, and cache both all the same (Gemma 4)."""
    key = "attention_k_eq_v"
    parts = {model.name: (model.config, model.config.get("text_config") or {}) for model, _ in registry()}
    return frozenset(name for name, found in parts.items() if any(part.get(key) for part in found))


def _made(draw: Random, shape: str, text: str, right: str, wrong: list[str], why: str) -> LaterQuestion:
    options = [right, *wrong]
    draw.shuffle(options)
    return LaterQuestion(shape=shape, text=text, options=tuple(options), answer=options.index(right), why=why)


def _caching(spec: ModelSpec) -> int:
    return sum(layer.cached_elements(1) > 0 for layer in spec.layers)


def spot_the_hybrid(draw: Random) -> LaterQuestion:
    """One of three keeps a cache in only some of its layers."""
    name, spec = draw.choice([known for known in _models() if 0 < _caching(known[1]) < len(known[1].layers)])
    full = [other for other, each in _models() if _caching(each) == len(each.layers)]
    why = f"{name} caches in {_caching(spec)} of its {len(spec.layers)} layers."
    text = "Which of these keeps a cache in only some of its layers?"
    return _made(draw, "spot the hybrid", text, name, draw.sample(full, 2), why)


def layers_that_cache(draw: Random) -> LaterQuestion:
    """How many layers of a hybrid cache, those behind a window too."""
    name, spec = draw.choice([known for known in _models() if 0 < _caching(known[1]) < len(known[1].layers)])
    right, total = _caching(spec), len(spec.layers)
    wrong = sorted({total, max(1, right // 2), total - right} - {right}, reverse=True)[:2]
    why = f"{right} of {total}: the others hold a state, share a cache or have no attention."
    text = f"{name} has {total} layers. How many keep keys and values, or latents, of their own?"
    return _made(draw, "layers that cache", text, f"{right}", [f"{count}" for count in wrong], why)


def which_factor(draw: Random) -> LaterQuestion:
    """Which factor an idea attacks."""
    found = draw.choice(IDEAS)
    others = [words for factor, words in FACTOR_WORDS.items() if factor not in found.factors]
    right = FACTOR_WORDS[found.factors[0]]
    text = f"{found.name}: which factor of the cache does it attack?"
    return _made(draw, "which factor", text, right, draw.sample(others, 2), found.does)


def which_idea(draw: Random) -> LaterQuestion:
    """Which idea a model stands on."""
    by_key = {found.key: found for found in IDEAS}
    name, spec = draw.choice([known for known in _models() if standing(known[1])])
    found = by_key[standing(spec)[-1]]
    arguable = {"tied"} if name in _of_one_projection() else set()
    others = [each.name for each in IDEAS if each.key not in {*standing(spec), *arguable}]
    text = f"Which of these ideas does {name} use?"
    why = f"{', '.join(by_key[key].name for key in standing(spec))}. {found.does}"
    return _made(draw, "which idea", text, found.name, draw.sample(others, 2), why)


def keeps_least(draw: Random) -> LaterQuestion:
    """Which of three keeps the least a token of a long sequence."""
    sizes: dict[str, float] = {}
    while len(set(sizes.values())) < 3:  # of two that keep as much neither is the answer
        sizes = {name: bytes_per_token(spec) / 1024 for name, spec in draw.sample(_models(), 3)}
    least = min(sizes, key=lambda name: (sizes[name], name))
    why = "; ".join(f"{name}: {kib:,.1f} KiB" for name, kib in sizes.items())
    text = f"Which keeps the least for a token of {CONTEXT:,}, windows and states counted?"
    return _made(draw, "keeps least", text, least, [name for name in sizes if name != least], f"{why}.")


def reads_less(draw: Random) -> LaterQuestion:
    """What a step reads of what is kept."""
    name, spec = draw.choice(_models(standing_on="sparse") + draw.sample(_models(), 2))
    kept, read = spec.cache_bytes(context_length=CONTEXT) / CONTEXT, read_per_token(spec)
    right = "all of it" if read >= 0.999 * kept else "a part of it, chosen by an index"
    options = ["all of it", "a part of it, chosen by an index", "only the newest row"]
    why = f"{read / 1024:,.1f} of {kept / 1024:,.1f} KiB a token."
    text = f"At {CONTEXT:,} tokens, what does a step of {name} read of the cache that it keeps?"
    return _made(draw, "reads", text, right, [option for option in options if option != right], why)


SHAPES: dict[str, Callable[[Random], LaterQuestion]] = {
    "hybrid": spot_the_hybrid,
    "layers": layers_that_cache,
    "factor": which_factor,
    "idea": which_idea,
    "least": keeps_least,
    "reads": reads_less,
}
