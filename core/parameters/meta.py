"""A count by building the class on the meta device, in a worker process that answers one question after another.

The first question takes some 5 seconds (torch and transformers are imported), each one more some 40 ms; an answer is
kept on disk by the content of the config and the versions that gave it, so that nothing is built twice.
"""

import atexit
import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from core.errors import SizingError
from core.host import children
from core.host.packages import missing
from core.models.rules.facts import UnsupportedConfig, shown
from core.parameters.count import ExpertGroup, ParameterCount
from core.parameters.kept_answers import keep_answer, kept_answer
from core.parameters.values import MAX_LAYERS, MAX_SIZE

ADVICE = "Type a parameter count instead."
LAYER_WORDS = ("layers", "n_layer", "num_blocks", "depth", "depths")
FREE_NUMBERS = ("token", "max_", "_max", "length", "theta", "seed", "date", "position", "vocab_offset")


def count_on_meta_device(config: Mapping[str, Any], timeout_seconds: float) -> ParameterCount:
    """A config.json -> the count of the class that transformers builds from it; from disk where it was asked before.

    Raises SizingError where transformers does not know the class, cannot build it, or takes longer than the limit;
    UnsupportedConfig for numbers that no model has, before anything is built.
    """
    check_numbers(config)
    answer = kept_answer(config)
    if answer is None:
        if without := missing("Building the architecture", "torch", "transformers"):
            raise SizingError(f"{without} {ADVICE}")
        answer = _WORKER.ask(config, timeout_seconds)
        if "error" in answer:
            raise SizingError(f"The architecture could not be built ({answer['error']}). {ADVICE}")
        keep_answer(config, answer)
    return _count(answer)


def count_if_kept(config: Mapping[str, Any]) -> ParameterCount | None:
    """What the meta device gave for this config before; None where it was not asked. Nothing is built."""
    answer = kept_answer(config)
    return None if answer is None else _count(answer)


def _count(answer: Mapping[str, Any]) -> ParameterCount:
    groups = tuple(
        ExpertGroup(layers=layers, num_experts=experts, experts_per_token=per_token, parameters_each=each)
        for layers, experts, per_token, each in answer["groups"]
    )
    return ParameterCount(
        total=answer["total"],
        source="meta device",
        sentence=f"{answer['architecture']} of transformers {answer['transformers']}, built on the meta device.",
        embedding=answer["embedding"],
        head=answer["head"],
        tied=answer["tied"],
        routed_experts=answer["routed_experts"],
        parts=dict(answer["parts"]),
        biases=dict(answer["biases"]),
        expert_groups=groups,
    )


def check_numbers(value: Any, path: str = "", depth: int = 0) -> None:
    """Raises UnsupportedConfig for a layer count or a size beyond any model, and for objects nested without end."""
    if depth > 12:
        raise UnsupportedConfig(f"{path[:80]} is nested more than 12 levels deep. Give the config.json of a model.")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_numbers(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        if len(value) > 1_000_000:
            raise UnsupportedConfig(f"{path} is a list of {len(value):,}: no model needs that. Correct the file.")
        if value and not isinstance(value[0], int | float | str):
            for item in value:
                check_numbers(item, path, depth + 1)
    elif type(value) is int:
        name = path.rsplit(".", 1)[-1]
        free = any(word in name for word in FREE_NUMBERS)
        layers = any(word in name for word in LAYER_WORDS) and not free
        limit = MAX_LAYERS if layers else MAX_SIZE
        if value > limit and not free:
            raise UnsupportedConfig(f"{path} is {shown(value)}: no model has more than {limit:,}. Correct the file.")


class _Worker:
    """The process, started when first asked and started again when it ended; one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask(self, config: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """The worker's answer. Raises SizingError where the config is no JSON, the process ends or the time is over."""
        try:
            line = json.dumps(dict(config), allow_nan=True) + "\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise SizingError(f"The architecture could not be built ({error}). {ADVICE}") from error
        with self._lock:
            return self._ask(line, timeout_seconds)

    def _ask(self, line: str, timeout_seconds: float) -> dict[str, Any]:
        for attempt in (1, 2):  # a process that ended of itself while idle is started again
            process = self._running()
            try:
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()
                answer = self._answers.get(timeout=timeout_seconds)
            except (BrokenPipeError, OSError):
                answer = None
            except queue.Empty:
                self.stop()
                raise SizingError(f"Building the architecture took more than {timeout_seconds:g} s. {ADVICE}") from None
            if answer is not None:
                found: dict[str, Any] = json.loads(answer)
                return found
            self.stop()
            if attempt == 2:
                break
        how = children.ending(process.returncode)
        raise SizingError(f"The architecture could not be built (its process {how}). {ADVICE}")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()  # one that ended of itself leaves its pipes open
        self._answers = queue.SimpleQueue()
        try:
            self._process = children.start("-m", "core.parameters.worker")
        except OSError as error:
            raise SizingError(f"The architecture could not be built ({error}). {ADVICE}") from error
        threading.Thread(target=_forward, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def stop(self) -> None:
        """Ends the process, if there is one; the next question starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        children.end(process)
        process.wait()
        with suppress(OSError):  # what was not written needs no reader
            assert process.stdin is not None
            process.stdin.close()


def _forward(process: "subprocess.Popen[str]", answers: "queue.SimpleQueue[str | None]") -> None:
    """Lines of the process into the queue, and None at its end."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            answers.put(line)
    answers.put(None)


_WORKER = _Worker()
atexit.register(_WORKER.stop)


def stop_worker() -> None:
    """Ends the worker process now rather than after its idle time."""
    _WORKER.stop()
