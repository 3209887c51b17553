"""What stands instead of a name that gave nothing: the registry's closest names, and files that are on this host."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

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
    cached, near = cached_repositories(), closest_names(name, load_registry())
    here = f"Cached here: {', '.join(cached[:MOST])}." if cached else "No config.json is cached here."
    return f"{here} Closest in the registry: {', '.join(near)}." if near else here


def cached_repositories() -> list[str]:
    """Repositories whose config.json huggingface_hub has kept on this host, by name."""
    from huggingface_hub import constants  # noqa: PLC0415  heavy, and needed after a failure alone

    found = Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/config.json")
    return sorted({path.parents[2].name.removeprefix("models--").replace("--", "/") for path in found})


def _ratio(wished: str, name: str) -> float:
    other = _plain(name)
    if wished and (wished in other or other in wished):
        return 1.0
    return SequenceMatcher(None, wished, other).ratio()


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
