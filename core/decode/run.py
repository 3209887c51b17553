"""A run: the roofline, then every kernel at every G on fresh random data, checked and timed, told as events.

The two fastest correct kernels of each G are then timed again in interleaved rounds (core.decode.rounds), and those
are the figures; the rates of the roofline are medians over start and rounds together. execute() yields plain
dictionaries: plan, roofline, progress, result, figures, then done with the whole record. Whatever a kernel does wrong
is a result, not the end: refused when its numbers are off, failed when it raises.
"""

import gc
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch

from core.decode import device as devices
from core.decode.cuda_graph import recorded
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import NATURAL, Kernel, Unavailable, reference, relative_error
from core.decode.kernels import all_kernels
from core.decode.kernels_cpu import usual_threads
from core.decode.measured_roofline import measure_roofline
from core.decode.plan import (
    COLD_BYTES,
    ERROR_LIMITS,
    DecodeJob,
    FittedJob,
    InvalidJob,
    copies_for_cold_reads,
    fit_to_memory,
)
from core.decode.records import KernelResult, Roofline, RunRecord, mark_best, spread_of, to_dict
from core.decode.running import with_limits
from core.decode.sampling import TRIAL_READ_BYTES, is_trial, times_as_long
from core.decode.state import Kept
from core.host import busy
from core.units import format_bytes

Event = dict[str, Any]
SAMPLES = (5, 40)  # least and most of one kernel
KERNEL_SECONDS, QUICK_SECONDS = 0.8, 0.4
ROUND_SECONDS, QUICK_ROUND_SECONDS = 15.0, 4.0
LATE = "left out: this G had used its share of the time limit, and the other G's need theirs"
ROUND_SHARE = 0.25  # of the time limit, at most: the search leaves it to the rounds


def chosen_kernels(job: DecodeJob, device_type: str) -> tuple[Kernel, ...]:
    """The kernels named in the job, or all of the host's. Raises InvalidJob for a name that is not known."""
    known = all_kernels(device_type)
    unknown = set(job.kernels) - {k.name for k in known}
    if unknown:
        names = ", ".join(k.name for k in known)
        raise InvalidJob(f"no kernel {', '.join(sorted(unknown))} on {device_type}: choose among {names}.")
    return tuple(k for k in known if not job.kernels or k.name in job.kernels)


class Run:
    """One measurement on one device; iterate over execute()."""

    def __init__(self, job: DecodeJob, *, memory_limit_bytes: int | None = None, command: str = "") -> None:
        self.device = devices.resolve(job.device)
        self.limit_bytes = min(devices.free_bytes(self.device), memory_limit_bytes or 1 << 62)
        seed = job.seed if job.seed is not None else random.SystemRandom().randrange(2**31)
        self.fitted: FittedJob = fit_to_memory(replace(job, seed=seed), self.limit_bytes, self.device.type)
        self.job = self.fitted.measured
        # what is compiled for each shape comes last: where time is short, it is what a G does without
        known = chosen_kernels(job, self.device.type)
        self.kernels = tuple(sorted(known, key=lambda k: (k.slow_to_build, not k.leads)))
        self.command = command
        self.started = time.monotonic()
        self.done_parts = 0
        self.total_parts = 2 + len(job.kv_heads) * len(self.kernels) + (len(job.kv_heads) + 1 if job.step else 0)
        now = datetime.now(UTC)
        self.date = now.isoformat(timespec="seconds")
        self.run_id = f"{now:%Y%m%d-%H%M%S}-{random.SystemRandom().randrange(2**32):08x}"  # several may share a seed
        self.results: list[KernelResult] = []
        self.rule = ""
        self.kept = Kept()
        usual_threads()  # what they are before any kernel
        self.cache_bytes = devices.cache_bytes_of(self.device)
        self.before: busy.Load | None = None
        self.began = busy.moment()
        self.sampling = times_as_long()
        wanted = self.sampling * (QUICK_ROUND_SECONDS if self.job.quick else ROUND_SECONDS)
        self.round_seconds = min(wanted, ROUND_SHARE * self.job.seconds_limit)
        self.status, self.message = "complete", ""

    @property
    def deadline(self) -> float:
        """The time limit as a time of time.monotonic()."""
        return self.started + self.job.seconds_limit

    def generator(self, offset: int) -> torch.Generator:
        return devices.generator(self.device, (self.job.seed or 0) + offset)

    def execute(self) -> Iterator[Event]:
        """Events until done. MemoryError and CUDA failures inside a kernel are results; elsewhere they raise."""
        yield self._plan()
        self.before = busy.look()
        self.began = busy.moment()
        yield {"event": "machine", "said": list(self.before.sentences)}
        yield self._progress("Measuring what this host can do")
        roofline = measure_roofline(self.device, self.job.dtype, self.limit_bytes)
        self.done_parts += 1
        self.free()
        yield {"event": "roofline", **asdict(roofline)}
        for place, g in enumerate(self.job.kv_heads):
            yield from self._measure_kv_heads(g, roofline, share=(place + 1) / len(self.job.kv_heads))
        self.results = list(mark_best(tuple(self.results)))
        if any(r.best for r in self.results):
            yield self._progress("The best kernel of each G again, in interleaved rounds")
            roofline = self._take_rounds(roofline)
            yield {"event": "figures", "roofline": asdict(roofline), "results": [asdict(r) for r in self.results]}
        record = self._record(roofline)
        if self.job.step is not None and self._out_of_time():
            record = replace(
                record, message=f"{record.message} No whole step: the time limit left none for it.".strip()
            )
        elif self.job.step is not None:
            from core.decode.step import measure_steps

            for part in measure_steps(self, record):
                record = part.record
                yield self._progress(part.message)
        yield {"event": "done", "run": to_dict(record)}

    def _take_rounds(self, roofline: Roofline) -> Roofline:
        """Figures of the best kernels, and the run's own rates."""
        from core.decode.rounds import rule_in_words, time_best_again

        if self._out_of_time():
            self.rule = rule_in_words(0, {})
            self.done_parts += 1
            return roofline
        self.free()
        try:
            figures = time_best_again(self, tuple(self.results), roofline, self.round_seconds)
            self.results, self.rule, roofline = list(figures.results), figures.rule, figures.roofline
        except Exception as e:  # noqa: BLE001  memory, mostly: what the search found stands
            self.rule = f"No interleaved rounds: {reason_of(e)}. Figures are medians of each kernel timed by itself."
        self.done_parts += 1
        self.free()
        return roofline

    def _measure_kv_heads(self, g: int, roofline: Roofline, *, share: float) -> Iterator[Event]:
        """Every kernel at this G, until it and those before it have used their share of the search's time."""
        if self._stopped():
            return
        generator = self.generator(g)
        self.free()
        copies = copies_for_cold_reads(self.job.stored_bytes(g), self._cold_bytes())
        drawn = make_inputs(self.job, g, self.device, generator)
        inputs = [drawn, *(drawn.copied() for _ in range(1, copies))]
        expected = reference(drawn)
        for kernel in self.kernels:
            yield self._progress(f"G = {g}: {kernel.name}")
            if self._stopped():
                return
            late = self._has_figure(g) and self._search_seconds() > share * self._search_limit
            result = self._measure_kernel(kernel, g, inputs, expected, roofline, left_out=LATE if late else "")
            self.results.append(result)
            self.done_parts += 1
            yield {"event": "result", **asdict(result)}

    def _stopped(self) -> bool:
        """Whether the search's time is used up, which the record then says: nothing more is drawn or measured."""
        if self._out_of_time(self.round_seconds):
            self.status, self.message = "stopped", f"The time limit of {self.job.seconds_limit:,.10g} s was reached."
        return self.status == "stopped"

    def _cold_bytes(self) -> int:
        """What is read before a copy returns: twice what the processor's cache holds, where memory is to spare, since a
        server's may be larger than COLD_BYTES; of a trial on a CPU as much as the limits read, for each page is new.
        """
        if is_trial():
            return TRIAL_READ_BYTES if self.device.type == "cpu" else COLD_BYTES
        return max(COLD_BYTES, min(2 * self.cache_bytes, self.limit_bytes // 8))

    def _measure_kernel(
        self, kernel: Kernel, g: int, inputs: list[Inputs], expected: torch.Tensor, roofline: Roofline, left_out: str
    ) -> KernelResult:
        named = KernelResult(
            kv_heads=g, dtype=self.job.dtype, kernel=kernel.name, status="failed", layout=kernel.layout,
            kv_bytes=self.job.kv_read_bytes(g),
        )  # fmt: skip
        blank = with_limits(self, named, roofline)
        if left_out:
            return replace(blank, status="unavailable", detail=left_out)
        try:
            with self.kept.around(kernel.torch_threads) as seen:
                found = self._timed(kernel, blank, inputs, expected)
                seen.threads = torch.get_num_threads()
            detail = "; ".join(part for part in (found.detail, seen.words) if part)
            return replace(found, threads=seen.threads, detail=detail)
        except Unavailable as e:
            return replace(blank, status="unavailable", detail=str(e))
        except Exception as e:  # noqa: BLE001  kernels come from torch, compilers and extras: any failure is a result
            return replace(blank, detail=reason_of(e))
        finally:
            self.free()

    def _timed(self, kernel: Kernel, blank: KernelResult, inputs: list[Inputs], expected: torch.Tensor) -> KernelResult:
        if self.job.quick and kernel.slow_to_build and not self.job.kernels:
            raise Unavailable("left out of a quick run: it is compiled for every shape")
        self._check_room(kernel, inputs)
        call, note = recorded(self.device, kernel.prepare(inputs[0]))
        error = relative_error(call(), expected)
        detail = "; ".join(part for part in (kernel.describe(inputs[0]), note) if part)
        if not error < ERROR_LIMITS[self.job.dtype]:
            allowed = f"relative error {error:.1e}, allowed {ERROR_LIMITS[self.job.dtype]:.0e}"
            wrong = f"wrong numbers: {allowed}. {detail}".strip()
            return replace(blank, status="refused", detail=wrong, relative_error=min(error, 1e30))
        calls = [call, *(recorded(self.device, kernel.prepare(copy))[0] for copy in inputs[1:])]
        seconds = self.sampling * (QUICK_SECONDS if self.job.quick else KERNEL_SECONDS)
        samples = devices.time_calls(
            self.device, calls, least=SAMPLES[0], most=SAMPLES[1], seconds=seconds,
            before=lambda: self.kept.set_back(kernel.torch_threads),
        )  # fmt: skip
        return replace(blank, status="accepted", detail=detail, relative_error=error, samples=samples)

    def _check_room(self, kernel: Kernel, inputs: list[Inputs]) -> None:
        """Raises Unavailable where what the kernel holds beside the caches goes beyond the memory of the run:
        its layouts of all copies but one, and the most for that one.

        Where memory is given on credit, as on Linux, the system would end the whole run for it.
        """
        laid_out = 0 if kernel.layout == NATURAL else sum(copy.cache_bytes for copy in inputs[1:])
        extra = kernel.extra_bytes(inputs[0]) + laid_out
        caches = sum(copy.cache_bytes for copy in inputs)
        if caches + extra > self.limit_bytes:
            raise Unavailable(
                f"holds {format_bytes(extra)} beside {format_bytes(caches)} of cache, more than the "
                f"{format_bytes(self.limit_bytes)} that this run may take"
            )

    def _record(self, roofline: Roofline | None) -> RunRecord:
        return RunRecord(
            run_id=self.run_id, date=self.date, status=self.status, message=self.message, command=self.command,
            device=str(self.device), device_name=devices.name_of(self.device), host=devices.host_facts(self.device),
            job=_plain(self.job), asked=_plain(self.fitted.asked), scale=self.fitted.scale, roofline=roofline,
            results=mark_best(tuple(self.results)), rule=self.rule, machine=self._machine(roofline),
        )  # fmt: skip

    def _machine(self, roofline: Roofline | None) -> dict[str, Any]:
        """What the machine was busy with before, during and after; empty before the first look."""
        if self.before is None or roofline is None:
            return {}
        during, after = busy.between(self.began, busy.moment()), busy.look()
        found: dict[str, Any] = {"before": self.before.as_dict(), "during": during.as_dict(), "after": after.as_dict()}
        if self.sampling != 1:
            found["sampling"] = self.sampling
        reads = (*roofline.start_reads, *roofline.round_reads)
        return found | ({"read_spread": spread_of(reads)} if reads else {})

    def _plan(self) -> Event:
        return {
            "event": "plan", "run": to_dict(self._record(None)), "sentence": self.fitted.sentence,
            "needed_bytes": self.fitted.needed_bytes, "limit_bytes": self.limit_bytes,
            "kernels": [k.name for k in self.kernels],
            "kv_bytes": {str(g): self.job.kv_read_bytes(g) for g in self.job.kv_heads},
        }  # fmt: skip

    def _progress(self, doing: str) -> Event:
        elapsed = time.monotonic() - self.started
        left = elapsed / self.done_parts * (self.total_parts - self.done_parts) if self.done_parts else None
        return {
            "event": "progress", "done": self.done_parts, "total": self.total_parts, "doing": doing,
            "seconds_left": left, "elapsed": elapsed,
        }  # fmt: skip

    @property
    def _search_limit(self) -> float:
        return self.job.seconds_limit - self.round_seconds

    def _search_seconds(self) -> float:
        return time.monotonic() - self.started

    def _has_figure(self, g: int) -> bool:
        return any(r.kv_heads == g and r.status == "accepted" for r in self.results)

    def _out_of_time(self, reserved_seconds: float = 0.0) -> bool:
        return time.monotonic() > self.deadline - reserved_seconds

    def disturbed(self) -> bool:
        """Whether something else took part of this machine since the run began."""
        return bool(busy.between(self.began, busy.moment()).sentences)

    def free(self) -> None:
        gc.collect()
        devices.empty_cache(self.device)


def _plain(job: DecodeJob) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(job).items()}


def reason_of(error: Exception) -> str:
    """One line of a failure; running out of memory in words."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    out = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text
    return f"ran out of memory: {text[:160]}" if out else f"{type(error).__name__}: {text[:200]}"


def run_quietly(run: Run, each: Callable[[Event], None] = lambda _event: None) -> RunRecord:
    """Executes a run and returns its record; each event goes to `each` first."""
    from core.decode.record_files import from_dict

    record: RunRecord | None = None
    for event in run.execute():
        each(event)
        if event["event"] == "done":
            record = from_dict(_as_json(event["run"]))
    assert record is not None  # execute() ends with done or raises
    return record


def _as_json(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))
