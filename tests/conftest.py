"""For every test: what needs torch is marked, and left out where torch is not; a library is compiled once."""

import ast
import gc
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from core.host import children
from core.models import registry
from tests import warm_start
from tests.slow import function_of, is_all_slow, slow_tests

ONCE = Path(__file__).with_name("compile_once.py")
COMPILED = Path(__file__).parents[1] / ".compiled"  # for the runs to come, as mypy keeps its cache
# Who drives a browser waits for it now and then, and leaves a core idle: files that compute for long run beside.
BROWSER = Path(__file__).with_name("browser")
BESIDE = tuple(
    Path(__file__).parent / name
    for name in (
        "test_elsewhere.py", "core/decode/test_worker.py", "core/decode/test_host_kernel.py",
        "core/learning/test_ask_local.py", "core/decode/test_worker_elsewhere.py",
        "core/engines/test_transformers_check.py", "core/parameters/test_variations.py", "core/parameters/test_meta.py",
        "pages/test_models_page.py", "pages/test_page_reports.py", "core/decode/test_fake_cuda.py",
        "core/decode/test_kernels.py", "core/models/test_model_classes.py", "core/uptraining/test_runs.py",
    )
)  # fmt: skip
HAS_TORCH = find_spec("torch") is not None
MODULE_MARK = "pytestmark = pytest.mark.torch"
WITHOUT_TORCH = re.compile(r"^not torch( and .*)?$")  # of -m, as `make check` says it: seconds of every process
WITHOUT_SLOW = re.compile(r"^(.* and )?not slow$")

# What decides whether a change may land answers the same twice, on a busy machine too: each property draws the same
# examples every time and may take its time. `pytest --hypothesis-profile=search` draws others each time.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("gate")

_read_registry = registry.load_registry


@cache
def _registry_once() -> bytes:
    return pickle.dumps(_read_registry())


def _load_registry(path: Path = registry.REGISTRY_PATH) -> tuple[registry.RegisteredModel, ...]:
    """Read once a process, and each time new: what one test does to a config is not what the next one reads."""
    return pickle.loads(_registry_once()) if path == registry.REGISTRY_PATH else _read_registry(path)


registry.load_registry = _load_registry


# A measurement that gives way to the other tests takes minutes where it needs seconds of a core.
os.environ.setdefault("HEADROOM_NICE", "0")
# Threads of torch that wait for each other sleep: spinning, they hold the cores that the other tests need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# No test reads how steady a figure is.
os.environ.setdefault("HEADROOM_SAMPLING", "0.04")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "torch: needs torch, which looking does without")
    config.addinivalue_line("markers", "slow: left out of `make check`; slow.txt names them")
    config.addinivalue_line("markers", "proof: left out of `make test`; `make proofs` runs them")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proofs", action="store_true", help="the long proofs, and nothing else")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays to the end: the collector of garbage neither looks at it meanwhile nor after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class LeftOut(pytest.Module):
    """A file of which no test runs is not imported: one whose tests all need torch imports that at its top."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    marks = parent.config.option.markexpr
    unwanted = ((not HAS_TORCH or WITHOUT_TORCH.search(marks)) and _is_marked_whole(module_path)) or (
        WITHOUT_SLOW.search(marks) and is_all_slow(module_path)
    )
    return LeftOut.from_parent(parent, path=module_path) if unwanted else None


@pytest.hookimpl(wrapper=True, tryfirst=True)  # names what is slow before -m chooses, and orders what others grouped
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    slow = slow_tests()
    for item in items:
        if function_of(item.nodeid) in slow:
            item.add_marker("slow")
    proofs = config.getoption("--proofs")
    _leave_out(config, items, lambda item: (item.get_closest_marker("proof") is not None) != proofs)
    if not HAS_TORCH:
        _leave_out(config, items, lambda item: item.get_closest_marker("torch") is not None)
    yield
    items.sort(key=_turn(items))


def _turn(items: Sequence[pytest.Item]) -> Callable[[pytest.Item], float]:
    """One of BESIDE before each file of the browser, by the place that each file takes; the others keep their order."""
    browser = [path for path in dict.fromkeys(item.path for item in items) if path.is_relative_to(BROWSER)]
    turns = dict(zip(browser, count(), strict=False)) | dict(zip(BESIDE, count(-0.5), strict=False))
    return lambda item: turns.get(item.path, len(turns))


def _leave_out(config: pytest.Config, items: list[pytest.Item], unwanted: Callable[[pytest.Item], bool]) -> None:
    if left_out := [item for item in items if unwanted(item)]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not unwanted(item)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Counted from the files: the processes that collect them do not report what they leave out."""
    if HAS_TORCH:
        return
    counts = {path: count for path in sorted(Path(__file__).parent.rglob("test_*.py")) if (count := _marked(path))}
    terminalreporter.write_line(
        f"torch is not installed: {sum(counts.values())} test functions marked torch, in {len(counts)} files, left out"
    )


def _is_marked_whole(path: Path) -> bool:
    return path.suffix == ".py" and f"\n{MODULE_MARK}\n" in path.read_text(encoding="utf-8")


def _marked(path: Path) -> int:
    """Test functions of a file that are marked torch, by themselves or all together."""
    whole = _is_marked_whole(path)
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return sum(whole or any(_says_torch(mark) for mark in function.decorator_list) for function in functions)


def _says_torch(decorator: ast.expr) -> bool:
    return ast.unparse(decorator) == "pytest.mark.torch"


@pytest.fixture(scope="session", autouse=True)
def _pictures_valid_once() -> Iterator[None]:
    """Where a collected test draws: who draws none loads no Altair for it."""
    with pytest.MonkeyPatch.context() as patch:
        if "altair" in sys.modules:
            from tests import schema_once

            patch.setattr(*schema_once.replacement())
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiler_that_remembers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CXX for all that starts here; a test that looks at compilers sets its own."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or os.name == "nt":
        yield
        return
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    COMPILED.mkdir(exist_ok=True)
    script = tmp_path_factory.mktemp("compiler") / Path(compiler).name
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ONCE}" "{COMPILED}" "{compiler}" "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", str(script))
        patch.setenv("HEADROOM_CACHE_DIR", str(cache))
        yield


@pytest.fixture(scope="session", autouse=True)
def _loaded_already() -> Iterator[None]:
    """What a worker of ours loads, its process finds there; see tests/warm_start.py."""
    if not HAS_TORCH or sys.platform != "linux":
        yield
        return
    with warm_start.Starts(lambda: children._environment(None)) as starts, pytest.MonkeyPatch.context() as patch:
        patch.setattr(children, "subprocess", starts)
        yield
