"""The house keeps its own promises: nothing heavy loads early, every page is led to, every file says what it is."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from core.version import VERSION
from tests.architecture import module_files
from tests.conftest import MODULE_MARK
from tests.dashboard import ROOT
from tests.file_lines import says, tracked_paths
from tests.paths import page_files, page_paths

HEAVY = ("streamlit", "torch", "transformers", "huggingface_hub")
# Loaded by a button, never by a page: what speaks with Ray, the Hub client, what writes core/data/model_classes
ON_DEMAND = (
    "core.cluster.nodes",
    "core.cluster.task",
    "core.models.hub.answers",
    "core.models.hub.client",
    "core.models.hub.errors",
    "core.models.hub.gguf",
    "core.models.hub.last_known",
    "core.models.hub.patience",
    "core.models.hub.safetensors",
    "core.serving.from_hub",
    "core.models.rules.write_model_classes",
    "core.uptraining.network",
    "core.uptraining.train_small_text",
)


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


def core_modules() -> list[str]:
    """Every importable module of core but the measuring processes, which are started, never imported."""
    paths = [p.relative_to(ROOT) for p in sorted((ROOT / "core").rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    started = [name for name in names if name.startswith("core.decode") or name.endswith("worker")]
    return [name for name in names if name not in (*started, *ON_DEMAND)]


def test_core_loads_without_anything_heavy():
    """One fresh process imports all of core; Streamlit, torch, transformers and the Hub client must stay out."""
    code = (
        f"import importlib, sys\nfor name in {core_modules()!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_page_of_the_frame_exists_and_has_an_address_of_its_own():
    assert all((ROOT / "pages" / script).is_file() for script in page_files())
    assert len(set(page_paths())) == len(page_paths())


def test_every_page_script_is_in_the_frame():
    """A page that nothing leads to is a page that nobody sees."""
    folders = ("learn/*.py", "reference/*.py")
    scripts = {p.relative_to(ROOT / "pages").as_posix() for f in folders for p in (ROOT / "pages").glob(f)}
    scripts |= {"tools/models/models.py", "tools/size/size.py", "tools/decode/benchmark.py"}
    assert {s for s in scripts if not s.endswith("__init__.py")} <= set(page_files())


def test_every_file_says_what_it_is():
    """Its docstring's first sentence, its title or its first comment; says() names a file without."""
    assert all(says(path) for path in tracked_paths())


def test_the_readme_is_short_and_its_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_examples_run():
    """The indented Python block of the README, in a process of its own."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.index("    from core.api import")
    block = readme[start : readme.index("From a shell")]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(block)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert block.count("assert") == 3


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_that_a_page_names_is_a_target(page):
    named = set(re.findall(r"(?m)(?:^    |`)make ([a-z][a-z-]*)", (ROOT / page).read_text(encoding="utf-8")))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"check", "test"} <= named
    assert named - targets == set()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("optimised", [True, False])
def test_the_environment_is_of_a_python_that_was_built_with_optimisations(tmp_path, optimised):
    (tmp_path / "python3").write_text(f"#!/bin/sh\nexit {int(optimised)}\n", encoding="utf-8")
    (tmp_path / "python3").chmod(0o755)
    ask = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    system = Path("/usr/bin/python3")
    serves = system.exists() and subprocess.run([system, "-c", ask], check=False).returncode == 0
    of_make = ("PYTHON", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")  # of the one that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in of_make}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"

    def taken(*named: str) -> str:
        command = ["make", "--dry-run", "--always-make", *named, ".venv/bin/python"]
        said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        return said.split(" -m venv ")[0]

    assert taken() == (str(system) if serves and not optimised else "python3")
    assert taken("PYTHON=python3.12") == "python3.12"


def test_one_version_stands_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert released is not None
    assert (project["version"], released[1]) == (VERSION, VERSION)


@pytest.mark.parametrize("pattern", [r"/(work|root|home)/\w", r"/tmp/bash", r"pypi\.org|files\.pythonhosted"])
def test_no_path_or_host_of_a_machine_is_committed(pattern):
    found = []
    for path in tracked():
        if path == "tests/test_repository.py" or path.endswith((".png", ".gz", ".svg")):
            continue
        if re.search(pattern, (ROOT / path).read_text(encoding="utf-8", errors="replace")):
            found.append(path)
    assert found == []


def test_what_the_security_page_names_is_there() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) >= 4
    assert [path for path in named if not (ROOT / path).exists()] == []


def at_its_top(file: Path) -> set[str]:
    """What a module imports as it loads: names of modules, and of what is taken from them."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_a_file_that_loads_torch_is_marked_as_a_whole():
    """Else the tests of a Python without torch end while they are collected, and none of them runs."""
    tests = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in (ROOT / "tests").rglob("*.py")}
    reads = {name: at_its_top(file) for name, file in (module_files() | tests).items()}
    loads, before = {"torch", "torch._dynamo"}, 0
    while len(loads) > before:
        before = len(loads)
        loads |= {name for name, imported in reads.items() if imported & loads}
    files = {name for name in loads & tests.keys() if name.split(".")[-1].startswith("test_")}
    assert "tests.core.decode.test_kernels" in files
    assert {name for name in files if MODULE_MARK not in tests[name].read_text("utf-8").splitlines()} == set()
