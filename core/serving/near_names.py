"""What stands instead of a name that gave nothing: the registry's closest names, and files that are on this host."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from core.models.hub import gate
from core.models.hub.pulls import is_page, repository_id
from core.models.registry import RegisteredModel, load_registry

MOST = 5
NEAR = 0.5  # of difflib's ratio, below which a name is no help


def closest_names(name: str, known: Iterable[RegisteredModel]) -> list[str]:
    """Registry names nearest to what was typed, nearest first: by name and by the last part of the repository."""
    wished = _plain(name.rpartition("/")[2])
    scored = [(max(_ratio(wished, model.name), _ratio(wished, model.repository.rpartition("/")[2])), model.name)
              for model in known]  # fmt: skip
    return [found for score, found in sorted(scored, key=lambda pair: -pair[0]) if score >= NEAR][:MOST]


def instead_of_hub(name: str) -> str:
    """'Cached here: a/b. Closest in the registry: c, d.' for a repository that could not be fetched."""
    cached, near = cached_repositories(), closest_names(repository_id(name) if is_page(name) else name, load_registry())
    # a server that others reach does not list its own
    none = "" if gate.is_shut() else "No config.json is cached here."
    here = f"Cached here: {', '.join(cached[:MOST])}." if cached else none
    return " ".join(filter(None, [here, f"Closest in the registry: {', '.join(near)}." if near else ""]))


def cached_repositories() -> list[str]:
    """Repositories that are answered from this host while the Hub cannot be asked, by name."""
    from core.models.hub.client import kept_repositories  # noqa: PLC0415  heavy, and needed after a failure alone

    return kept_repositories()


def _ratio(wished: str, name: str) -> float:
    other = _plain(name)
    if wished and (wished in other or other in wished):
        return 1.0
    return SequenceMatcher(None, wished, other).ratio()


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
