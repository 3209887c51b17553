"""A local causal model that words Ask's answers: one process that holds it, asked one question at a time.

The model is loaded with the first question, never with a page, in a process of its own (core.learning.ask_local_worker)
that holds it for the next ones. The process ends when it has been idle for IDLE_S, when an answer takes too long, and
when the server ends, since its standard input then closes.
"""

import atexit
import json
import subprocess
import threading
from dataclasses import dataclass

from core.host import children
from core.host.packages import missing

LOCAL_TIMEOUT_S = 180.0  # for loading the model and answering
IDLE_S = 900.0


class LocalModelError(RuntimeError):
    """The local model gave no answer: the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A folder with config.json, tokenizer and safetensors weights, or the id of a repository in this machine's cache.

    may_download lets transformers fetch a repository that is not there yet. Code from a repository is never run.
    """

    model: str
    may_download: bool = False


def reply(prompt: str, model: LocalModel, *, max_tokens: int, timeout_s: float = LOCAL_TIMEOUT_S) -> str:
    """What the model writes after the prompt, greedily. Raises LocalModelError."""
    if without := missing("A local model", "torch", "transformers"):
        raise LocalModelError(without)
    asked = {
        "model": model.model,
        "may_download": model.may_download,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "time_limit_s": timeout_s,
    }
    answer = _worker.ask(asked, timeout_s)
    if "error" in answer:
        raise LocalModelError(
            f"The local model {model.model!r} gave no answer: {answer['error']} HEADROOM_ASK_MODEL must be a folder "
            "with config.json, a tokenizer and safetensors weights, or a repository in this machine's Hugging Face "
            "cache; HEADROOM_ASK_DOWNLOAD=1 lets it be fetched."
        )
    return answer["text"]


class _Worker:
    """The process, started when it is needed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()

    def ask(self, question: dict[str, object], timeout_s: float) -> dict[str, str]:
        """One line there and one back. Raises LocalModelError where it is busy, too slow or gone."""
        if not self.lock.acquire(timeout=timeout_s):
            raise LocalModelError("The local model is busy with another question. Ask again in a minute.")
        try:
            line = self._line(json.dumps(question), timeout_s)
        finally:
            self.lock.release()
        answer: dict[str, str] = json.loads(line)
        return answer

    def _line(self, question: str, timeout_s: float) -> str:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
        try:
            process.stdin.write(question + "\n")
            process.stdin.flush()
        except OSError as error:
            self.stop()
            raise LocalModelError("The local model's process has ended. Ask again.") from error
        reader.start()
        reader.join(timeout_s)
        if not lines:
            self.stop()
            reader.join()
            raise LocalModelError(
                f"The local model took longer than {timeout_s:g} s and was stopped. Try a smaller one."
            )
        if not lines[0].strip():
            self.stop()
            raise LocalModelError(
                "The local model's process ended before it answered: most likely it ran out of memory."
            )
        return lines[0]

    def _running(self) -> "subprocess.Popen[str]":
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.process = children.start(
                "-m", "core.learning.ask_local_worker", str(IDLE_S), environment={"TOKENIZERS_PARALLELISM": "false"}
            )
        return self.process

    def stop(self) -> None:
        """End the process and close its pipes."""
        process, self.process = self.process, None
        if process is not None:
            children.close(process)


_worker = _Worker()
atexit.register(_worker.stop)


def stop() -> None:
    """End the process; the next question starts another."""
    _worker.stop()
