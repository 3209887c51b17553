"""Nothing leaks from one test into the next, and a run in the test's own process takes no longer than its answer needs.

flex_attention leaves torch on one thread, as core.decode.state knows.
"""

import sys
from collections.abc import Iterator

import pytest

# What core.decode spends on a figure that is to be steady: no test here reads how steady one is.
SHORT = {
    "core.decode.run": {
        "KERNEL_SECONDS": 0.02,
        "QUICK_SECONDS": 0.02,
        "ROUND_SECONDS": 0.2,
        "QUICK_ROUND_SECONDS": 0.2,
    },
    "core.decode.step": {"SECONDS": 0.2, "QUICK_SECONDS": 0.2},
    "core.decode.model_check": {"SECONDS": 0.2, "QUICK_SECONDS": 0.2},
}


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    yield
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, values in SHORT.items():
        if module in sys.modules:
            for name, seconds in values.items():
                monkeypatch.setattr(f"{module}.{name}", seconds)
