"""YAML to a mapping, bounded before anything expands it; and the YAML of our own data, which needs no bound.

PyYAML's safe loader alone reads it, and since YAML may name one node many times it is bounded by events, levels, and
the nodes that its aliases stand for. Objects of Python, merge keys that grow and nodes that hold themselves are
refused.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.file_bytes import MAX_DEPTH

MAX_YAML_NODES = 50_000  # with every alias written out
ADVICE = "Give the file as its tool wrote it."
_NAME = re.compile(
    r"(?:https?://)?[\w.-]{1,100}(?:/[\w.%-]{1,100}){1,9}/?", re.ASCII
)  # owner/name, or a page's address
# libyaml where PyYAML is built with it: six to ten times as fast on our own files
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_own(path: Path) -> Any:
    """What a YAML file of Headroom's own holds. Raises OSError, UnicodeDecodeError and yaml.YAMLError."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)


class _Loader(LOADER):  # type: ignore[misc]
    """Safe tags alone; a tag that PyYAML does not know (NeMo and Hydra write some) becomes its plain node."""


def _plain(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return f"!{suffix} {loader.construct_scalar(node)}"[:200]  # text, so that it never passes for a number


_Loader.add_multi_constructor("!", _plain)


def mapping_of(text: str) -> dict[str, Any]:
    """The mapping that YAML text holds. Raises UnsupportedConfig with what it is instead."""
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=_Loader)
        if not isinstance(root, yaml.MappingNode):
            raise UnsupportedConfig(_why_no_mapping(text))
        _check_nodes(root)
        loaded = yaml.load(text, Loader=_Loader)
    except UnsupportedConfig:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnsupportedConfig(f"The file is neither JSON nor YAML: {_reason(error)}. {ADVICE}") from None
    if not isinstance(loaded, dict):
        raise UnsupportedConfig(f"The file is no JSON object and no YAML mapping. {ADVICE}")
    return loaded


def _why_no_mapping(text: str) -> str:
    """What a text without keys is: a model's name in place of its file is no rare one."""
    if _NAME.fullmatch(text.strip()):
        return (
            f"{shown(text.strip()[:80])} is the name or address of a repository, not its file. Type it where a model "
            "is chosen, or give what its config.json holds."
        )
    return f"The file is no JSON object and no YAML mapping. {ADVICE}"


def _check_events(text: str) -> None:
    """Levels and events, counted by the parser alone, which keeps no tree and does not recurse."""
    depth = documents = 0
    for number, event in enumerate(yaml.parse(text, Loader=LOADER)):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise UnsupportedConfig(f"The file nests more than {MAX_DEPTH} levels deep. {ADVICE}")
        if number > 2 * MAX_YAML_NODES:
            raise UnsupportedConfig(f"The file has more than {MAX_YAML_NODES:,} YAML nodes. {ADVICE}")
    if documents > 1:
        raise UnsupportedConfig(f"The file holds {documents} YAML documents: give one of them.")


def _check_nodes(root: yaml.Node) -> None:
    """The nodes with every alias written out: a few lines of aliases may stand for billions."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, above: frozenset[int]) -> int:
        if id(node) in above:
            raise UnsupportedConfig(f"A YAML alias names the node that holds it, which never ends. {ADVICE}")
        if id(node) not in sizes:
            inner = above | {id(node)}
            sizes[id(node)] = 1 + sum(size(child, inner) for child in _children(node))
        if sizes[id(node)] > MAX_YAML_NODES:
            raise UnsupportedConfig(
                f"The file has more than {MAX_YAML_NODES:,} YAML nodes with its aliases written out. {ADVICE}"
            )
        return sizes[id(node)]

    size(root, frozenset())


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "a value cannot be read"
    where = f" at line {mark.line + 1}" if mark is not None else ""
    return f"{shown(problem)[1:-1]}{where}"
