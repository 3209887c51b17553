"""The glossary's terms by theme, in the order in which one would explain them: a theme a screen, at most MOST terms."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.learning import glossary
from core.learning.glossary import GlossaryError, Term

MOST = 6  # terms that can be read from the back of a room

THEMES: dict[str, tuple[str, ...]] = {
    "The three layouts": ("MHA", "GQA", "MQA", "head", "query head", "KV head"),
    "Counting heads": ("G", "H", "group size", "GQA-8", "head_dim", "config.json"),
    "What is kept of a text": ("token", "context", "context length", "layer", "cache", "KV cache"),
    "What fills a GPU": ("GPU", "memory", "weights", "payload", "PagedAttention", "fragmentation"),
    "What a server hands out": ("page", "group", "cell", "null block"),
    "One step of decoding": ("decode", "prefill", "batch", "tokens in flight", "FlashAttention"),
    "Units and limits": ("bits", "GB and GiB", "bandwidth", "FLOP", "arithmetic intensity", "roofline"),
    "Several GPUs": ("tensor parallelism", "rank", "replication"),
    "Keeping less of each text": ("sliding window", "eviction", "attention sink", "heavy hitters", "KV quantisation"),
    "MLA": ("MLA", "latent", "rotary key"),
    "After G": ("hybrid", "recurrent state", "index keys", "block scale", "speculative decoding"),
    "Training and measuring": ("checkpoint", "uptraining", "FFN", "ablation", "perplexity", "nat"),
}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Terms that stand on one screen, and the keys of the pages that explain them, each once."""

    title: str
    terms: tuple[Term, ...]

    @property
    def see(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(term.see for term in self.terms))


def themes() -> tuple[Group, ...]:
    """Every term once. Raises GlossaryError naming terms without a theme, and a theme's that are no terms."""
    by_name = {term.term: term for term in glossary.terms()}
    placed = [name for names in THEMES.values() for name in names]
    if wrong := sorted(set(placed) ^ set(by_name)) or sorted({name for name in placed if placed.count(name) > 1}):
        raise GlossaryError(f"glossary_themes.py: place each term of the glossary once; look at {', '.join(wrong)}")
    return tuple(Group(title=title, terms=tuple(by_name[name] for name in names)) for title, names in THEMES.items())


def sought(words: str, found: Sequence[Term]) -> tuple[Group, ...]:
    """What a search found, best first as it came, in groups for screens."""
    parts = [tuple(found[start : start + MOST]) for start in range(0, len(found), MOST)]
    return tuple(
        Group(title=f"“{words}”" if number == 1 else f"“{words}”, continued", terms=part)
        for number, part in enumerate(parts, start=1)
    )
