"""A run as the dashboard follows it: a child process, its JSON lines, and a state that every viewer reads.

The child is `python -m core.decode run --jsonl`. It holds the device's lock, ends when this process ends, and whatever
happens to it (a crash, a CUDA failure, memory, the time limit) becomes a message here; results that had arrived are
kept. Nothing in this module imports torch.
"""

import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from core.decode import store
from core.decode.device_lock import DeviceBusy
from core.decode.plan import DecodeJob
from core.decode.record_files import InvalidRecord, from_dict, result_from, roofline_from
from core.decode.records import KernelResult, Roofline, RunRecord, mark_best
from core.host import children

# Characters. Linux takes 131,072 bytes of one argument (execve(2), MAX_ARG_STRLEN), Windows 32,767 characters of a
# whole command line (CreateProcessW).
LONGEST_ARGUMENT = 20_000
LOG = logging.getLogger("headroom.runs")
ENDED: Counter[str] = Counter()  # how the runs of this process ended, by status
GRACE_SECONDS = 60.0  # beyond the time limit, which the child keeps by itself between kernels
KEPT_RUNS = 20
SECONDS_TO_STOP = 4.0


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What is known of a run at one moment. status: running, complete, stopped, failed."""

    job: DecodeJob
    status: str = "running"
    message: str = "Starting torch in a process of its own"
    plan: dict[str, Any] = field(default_factory=dict)
    roofline: Roofline | None = None
    results: tuple[KernelResult, ...] = ()
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    record: RunRecord | None = None
    warning: str = ""

    @property
    def running(self) -> bool:
        return self.status == "running"


class LiveRun:
    """One child process and the thread that reads it."""

    def __init__(self, job: DecodeJob, options: tuple[str, ...], environment: dict[str, str] | None = None) -> None:
        self.key = f"{time.time_ns():x}"
        self.started = time.monotonic()
        self._state = RunState(job=job)
        self._guard = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._ended_by = ""
        self._command = command_line(job, options)
        self._environment = environment
        self._saves = "--no-save" not in options
        self._thread = threading.Thread(target=self._follow, name=f"decode-{self.key}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> RunState:
        with self._guard:
            return self._state

    @property
    def pid(self) -> int | None:
        """The child's process id, once it is there."""
        return None if self._child is None else self._child.pid

    def cancel(self, why: str = "Cancelled.") -> None:
        """Ends the child and what it started; results that had arrived stay."""
        self._ended_by = self._ended_by or why
        if self._child is not None and self._child.poll() is None:
            children.end(self._child)

    def wait(self, seconds: float | None = None) -> RunState:
        """The state once the run has ended, or after `seconds`."""
        self._thread.join(seconds)
        return self.state

    def _update(self, **changes: Any) -> None:
        with self._guard:
            self._state = replace(self._state, **changes)

    def _follow(self) -> None:
        """The child from its start to its end, each said in the log under the run's key."""
        job = self._state.job
        about = {"run": self.key, "device": job.device}
        LOG.info("run started", extra={**about, "dtype": job.dtype, "kv_heads": list(job.kv_heads)})
        try:
            self._follow_child()
        finally:
            state = self.state
            ENDED[state.status] += 1
            level = logging.WARNING if state.status == "failed" else logging.INFO
            kept = None if state.record is None else state.record.run_id
            seconds = round(time.monotonic() - self.started, 1)
            LOG.log(
                level, "run ended", extra={**about, "kept_as": kept, "status": state.status, "seconds": seconds}
            )  # fmt: skip

    def _follow_child(self) -> None:
        """Starts and reads the child. In this thread: Linux ties the child's end to the thread that started it."""
        limit = self._state.job.seconds_limit + GRACE_SECONDS
        with (
            tempfile.TemporaryDirectory(prefix="headroom-run-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        ):
            try:
                arguments = _with_short_lengths(self._command[1:], Path(folder) / "lengths")
                self._child = children.start(*arguments, environment=self._environment, stderr=errors)
            except OSError as e:
                self._update(status="failed", message=f"The measurement could not be started: {e}.")
                return
            if self._ended_by:
                self.cancel()
            clock = threading.Timer(limit, self.cancel, (f"Ended at the time limit of {limit:,.10g} s.",))
            clock.daemon = True
            clock.start()
            try:
                self._read(self._child)
            finally:
                clock.cancel()
                code = children.close(self._child)
            self._finish(code, errors)

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None  # it was opened as a pipe
        for line in child.stdout:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue  # a library wrote to stdout
            if isinstance(event, dict):
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.pop("event", None)
        if kind == "plan":
            self._update(plan=event)
        elif kind == "progress":
            self._update(
                message=event["doing"], done=event["done"], total=event["total"], seconds_left=event["seconds_left"]
            )
        elif kind == "roofline":
            self._update(roofline=roofline_from(event))
        elif kind == "result":
            self._update(results=mark_best((*self.state.results, result_from(event))))
        elif kind == "figures":
            results = tuple(result_from(raw) for raw in event["results"])
            self._update(results=results, roofline=roofline_from(event["roofline"]))
        elif kind == "done":
            record = from_dict(event["run"])
            self._update(record=record, results=record.results, done=self.state.total)
        elif kind == "warning":
            self._update(warning=event["message"])
        elif kind == "error":
            self._ended_by = self._ended_by or event["message"]

    def _finish(self, code: int, errors: IO[str]) -> None:
        state = self.state
        if state.record is not None:
            self._update(status=state.record.status, message=state.record.message)
            return
        message = self._ended_by or _reason_of(code, errors)
        self._update(
            status="stopped" if self._ended_by else "failed", message=message, record=self._partial(message, state)
        )

    def _partial(self, message: str, state: RunState) -> RunRecord | None:
        """What had been measured, kept as a run that says how it ended; None when nothing had."""
        if not state.results or not state.plan:
            return None
        try:
            whole = from_dict(state.plan["run"])
            status = "stopped" if self._ended_by else "crashed"
            record = replace(whole, status=status, message=message, roofline=state.roofline, results=state.results)
            if self._saves:
                store.save(record)
        except InvalidRecord as e:
            self._update(warning=str(e))
            return None
        except store.StoreUnavailable as e:
            self._update(warning=str(e))
        return record


def _reason_of(code: int, errors: IO[str]) -> str:
    """Why a child that sent no record ended, in words."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read()[-20_000:].splitlines() if line.strip()]
    last = f" Its last line: {lines[-1][:300]}" if lines else ""
    return f"The measurement {children.ending(code)}.{last}"


def command_line(job: DecodeJob, options: tuple[str, ...] = ()) -> list[str]:
    """The terminal command of a job, as the child is started with."""
    command = [
        sys.executable, "-m", "core.decode", "run", "--query-heads", str(job.num_query_heads),
        "--kv-heads", ",".join(map(str, job.kv_heads)), "--head-dim", str(job.head_dim),
        "--dtype", job.dtype, "--device", job.device, "--time-limit", str(job.seconds_limit), "--jsonl",
    ]  # fmt: skip
    if job.lengths:
        command += ["--lengths", ",".join(map(str, job.lengths))]
    else:
        command += ["--context", str(job.context_length), "--batch", str(job.batch_size)]
    if job.kernels:
        command += ["--kernels", ",".join(job.kernels)]
    if job.seed is not None:
        command += ["--seed", str(job.seed)]
    if job.quick:
        command += ["--quick"]
    if job.step:
        step = job.step
        shape: tuple[int, ...] = (step.num_layers, step.hidden_size, step.intermediate_size, step.vocab_size)
        if step.num_experts:
            shape += (step.num_experts, step.experts_per_token)
        command += ["--step", ",".join(map(str, shape))]
    return [*command, *options]


def _with_short_lengths(command: list[str], file: Path) -> list[str]:
    """The same command; the contexts of a large ragged batch in the file, since the system bounds an argument."""
    place = command.index("--lengths") + 1 if "--lengths" in command else 0
    if not place or len(command[place]) <= LONGEST_ARGUMENT:
        return command
    file.write_text(command[place], encoding="utf-8")
    return [*command[:place], f"@{file}", *command[place + 1 :]]


_runs: "OrderedDict[str, LiveRun]" = OrderedDict()
_runs_guard = threading.Lock()


def start(job: DecodeJob, *options: str, environment: dict[str, str] | None = None) -> LiveRun:
    """Starts a run. Raises DeviceBusy while one of this dashboard runs on the same device."""
    with _runs_guard:
        if any(run.state.running and _same_device(run.state.job, job) for run in _runs.values()):
            raise DeviceBusy(
                "A measurement is already running on this device: it is shown to everyone, wait or cancel it."
            )
        run = LiveRun(job, options, environment)
        _runs[run.key] = run
        while len(_runs) > KEPT_RUNS:
            _runs.popitem(last=False)
        return run


def _same_device(a: DecodeJob, b: DecodeJob) -> bool:
    return a.device == b.device or "auto" in (a.device, b.device)


def running() -> list[LiveRun]:
    """The runs under way, for every viewer."""
    with _runs_guard:
        return [run for run in _runs.values() if run.state.running]


def find(key: str | None) -> LiveRun | None:
    """A run of this dashboard's lifetime by its key."""
    with _runs_guard:
        return _runs.get(key) if key else None


def stop_all() -> None:
    """Ends every run, within SECONDS_TO_STOP over all of them: called when the server stops."""
    ending, until = running(), time.monotonic() + SECONDS_TO_STOP
    for run in ending:
        run.cancel("Ended with the server.")
    for run in ending:
        run.wait(max(0.0, until - time.monotonic()))
