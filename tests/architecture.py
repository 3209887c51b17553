"""The house from its own imports: which room uses which, drawn into docs/architecture.md.

A room is a direct child of core/ or pages/, a file or a folder. Every import counts, those inside functions and those
for type checkers too. pages/ holds scripts that are run by path, no package, so the import graph is read from the
syntax trees here and not by a library that imports packages.

`python -m tests.architecture` writes the figure; a test holds it, and that no circle is in it.
"""

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.dashboard import ROOT

Graph = dict[str, set[str]]
START, END = "<!-- house -->\n", "<!-- /house -->\n"
PAGE = ROOT / "docs" / "architecture.md"


def module_files() -> dict[str, Path]:
    """Every module of core/, pages/ and dashboard.py by its dotted name."""
    files = [ROOT / "dashboard.py", *(ROOT / "core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


@cache
def modules() -> Mapping[str, frozenset[str]]:
    """Each module with the modules that it imports."""
    files = module_files()
    return {name: frozenset(_imported(file, set(files)) - {name}) for name, file in files.items()}


def _imported(file: Path, known: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names} & known
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found


def rooms() -> Graph:
    """Each room with the rooms that it uses; dashboard.py stands above them and is no room."""
    found: Graph = {}
    for module, used in modules().items():
        if "." in module:
            found.setdefault(_room(module), set()).update(_room(name) for name in used if "." in name)
    return {room: used - {room} for room, used in found.items()}


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(graph: Mapping[str, set[str] | frozenset[str]]) -> list[str]:
    """The names of one circle, first and last the same; empty where there is none."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def longest_chain(graph: Graph) -> list[str]:
    """The longest way down; the graph has no circle."""

    @cache
    def below(room: str) -> tuple[str, ...]:
        return (room, *max((below(used) for used in graph[room]), key=lambda way: (len(way), way), default=()))

    return list(max((below(room) for room in graph), key=lambda way: (len(way), way)))


def _direct(graph: Graph) -> Graph:
    """Without the arrows that a longer way already says."""

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(graph[room]).union(*(reached(used) for used in graph[room]))

    return {
        room: {used for used in graph[room] if not any(used in reached(other) for other in graph[room] - {used})}
        for room in graph
    }


def figure() -> str:
    """The house as a Mermaid flowchart, pages above core; an arrow that a longer way says is left out."""
    graph = _direct(rooms())
    lines = ["```mermaid", "flowchart TD"]
    for part in ("pages", "core"):
        lines += [f'  subgraph {part}["{part}/"]']
        lines += [f'    {room.replace(".", "_")}["{room.split(".")[1]}"]' for room in sorted(graph) if part in room]
        lines += ["  end"]
    for room in sorted(graph):
        lines += [f"  {room.replace('.', '_')} --> {used.replace('.', '_')}" for used in sorted(graph[room])]
    return "\n".join([*lines, "```"]) + "\n"


def written(page: str) -> str:
    """The page with the figure put in."""
    before, rest = page.split(START, 1)
    return before + START + figure() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
