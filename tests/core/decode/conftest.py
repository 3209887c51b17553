"""Nothing leaks from one test into the next.

flex_attention leaves torch on one thread, as core.decode.state knows.
"""

import gc
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    yield
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def spared_by_the_collector() -> None:
    """What stands by now stays: a run collects garbage after each kernel, and would look through all of it."""
    gc.collect()
    gc.freeze()
