"""Our plan of a model's cache on vLLM beside the one that vLLM's own planner makes, where vLLM can be imported.

`ask_vllm` starts vllm_check_worker.py as a process of its own (time limit, memory limit, cancel), with the interpreter
that HEADROOM_VLLM_PYTHON names, else the server's own. `compare` lays its answer beside an EnginePlan.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.engines.plan import EnginePlan
from core.host import children
from core.host.packages import missing

INTERPRETER = "HEADROOM_VLLM_PYTHON"
TIME_LIMIT_SECONDS = 180.0
MEMORY_BYTES = 40 * 2**30  # for the cache, as the reference table has it; more where one request takes more
ROOM_FOR = 4  # requests that the memory is made to hold at least: vLLM refuses a length that does not fit once
# Our settings' names in vLLM's own arguments
ARGUMENTS = {
    "tensor_parallel": "tensor_parallel_size",
    "cache_type": "kv_cache_dtype",
    "max_batched_tokens": "max_num_batched_tokens",
    "prefix_caching": "enable_prefix_caching",
    "block_size": "block_size",
    "decode_context_parallel": "decode_context_parallel_size",
}


class VllmCheckError(RuntimeError):
    """vLLM could not be asked: the message says what happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class VllmAnswer:
    """What vLLM plans on one rank for a memory of available_bytes."""

    version: str
    block_size: int
    groups: tuple[tuple[str, int], ...]  # class of the group's spec, its layers
    num_blocks: int
    request_bytes: int
    capacity_tokens: int
    max_concurrency: float
    stood_in: bool  # no GPU here: one H100 was stood in for
    available_bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class FigureBeside:
    """One figure of both plans."""

    name: str
    ours: float | None
    theirs: float

    @property
    def equal(self) -> bool:
        return self.ours is not None and abs(self.ours - self.theirs) <= 1e-9 * abs(self.theirs)


def memory_for(request_bytes: int) -> int:
    """The memory that both are asked about."""
    return max(MEMORY_BYTES, ROOM_FOR * request_bytes)


def ask_vllm(
    config: Mapping[str, Any],
    *,
    context_length: int,
    available_bytes: int,
    settings: Mapping[str, Any] | None = None,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    cancelled: threading.Event | None = None,
) -> VllmAnswer:
    """vLLM's plan for this config under settings (keys of ARGUMENTS). Raises VllmCheckError."""
    question = {
        "config": dict(config),
        "context_length": context_length,
        "available_bytes": available_bytes,
        "settings": {ARGUMENTS[key]: value for key, value in (settings or {}).items()},
    }
    python, started = interpreter(), time.monotonic()
    answer = _run(python, json.dumps(question), time_limit_seconds, cancelled)
    if "error" in answer:
        raise VllmCheckError(f"vLLM cannot be asked about this: {answer['error']}")
    return VllmAnswer(
        version=answer["version"],
        block_size=answer["block_size"],
        groups=tuple((name, layers) for name, layers in answer["groups"]),
        num_blocks=answer["num_blocks"],
        request_bytes=answer["request_bytes"],
        capacity_tokens=answer["capacity_tokens"],
        max_concurrency=answer["max_concurrency"],
        stood_in=answer["stood_in"],
        available_bytes=available_bytes,
        seconds=time.monotonic() - started,
    )


def interpreter() -> str | None:
    """The Python that HEADROOM_VLLM_PYTHON names; None for the server's own. Raises VllmCheckError without vLLM."""
    named = os.environ.get(INTERPRETER)
    if named:
        found = shutil.which(named)
        if found is None:
            raise VllmCheckError(f"{INTERPRETER} is {named!r}, and no such program is here. Name a Python with vLLM.")
        return found
    if missing("The check", "vllm"):
        raise VllmCheckError(
            f"vLLM is not installed beside Headroom. Where it is, name its Python in {INTERPRETER} and start the "
            "dashboard again."
        )
    return None


def _run(
    python: str | None, question: str, time_limit_seconds: float, cancelled: threading.Event | None
) -> dict[str, Any]:
    """The worker's last line of output as a mapping; the process never outlives this call."""
    process = children.start("-m", "core.engines.vllm_check_worker", python=python)
    try:
        output = children.answer(process, question, time_limit_seconds, cancelled)
    except children.Cancelled:
        raise VllmCheckError("The check was cancelled.") from None
    except TimeoutError:
        raise VllmCheckError(f"vLLM took longer than {time_limit_seconds:.0f} s and was stopped.") from None
    finally:
        children.close(process)
    try:
        answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise VllmCheckError(
            f"The check {children.ending(process.returncode)}. See that {INTERPRETER} is a Python 3.11 or newer that "
            "has vLLM."
        ) from None
    return answer


def compare(ours: EnginePlan, theirs: VllmAnswer) -> tuple[FigureBeside, ...]:
    """Block size, bytes of a request, concurrency and capacity; ours is the plan for the same memory."""
    return (
        FigureBeside(name="Tokens of a block", ours=ours.block_size, theirs=theirs.block_size),
        FigureBeside(name="One request, bytes", ours=ours.request_bytes, theirs=theirs.request_bytes),
        FigureBeside(name="Requests at once", ours=ours.max_concurrency, theirs=theirs.max_concurrency),
        FigureBeside(name="Tokens of capacity", ours=ours.capacity_tokens, theirs=theirs.capacity_tokens),
        FigureBeside(name="Groups", ours=len(ours.groups), theirs=len(theirs.groups)),
    )
