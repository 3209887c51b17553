"""Everything that only a GPU can prove, in at most eight minutes: python -m core.decode gpu-check --out DIR.

Each kernel against the reference at each G, in bf16, fp16 and fp8, at two head widths and over a ragged batch, as a
CUDA graph and launch by launch; the probes; then a whole run with a whole step. A kernel that fails is one line of the
page that is written, not the end. DIR gets run.json, to import on Measure, and report.md, what failed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from core.decode import device as devices
from core.decode.cuda_graph import recorded
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Kernel, Unavailable, reference, relative_error
from core.decode.kernels import all_kernels
from core.decode.measured_roofline import measure_roofline
from core.decode.plan import ERROR_LIMITS, DecodeJob, StepShape
from core.decode.record_files import to_json
from core.decode.run import Run, reason_of, run_quietly
from core.decode.state import Kept

SECONDS = 480.0
SHARE_OF_CHECKS = 0.5  # of the time; the run has the rest
STEP = StepShape(num_layers=40, hidden_size=5120, intermediate_size=13_824, vocab_size=32_000)
RAGGED = (4096, 1, 777, 2048)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing tried. outcome: right, unavailable, wrong, failed, or left out."""

    what: str
    outcome: str
    detail: str = ""

    @property
    def line(self) -> str:
        return f"- **{self.outcome}** {self.what}" + (f": {self.detail}" if self.detail else "")


def jobs(device: str) -> tuple[DecodeJob, ...]:
    """Small enough that every kernel answers in milliseconds, and of every kind that a run may meet."""
    shape = {"num_query_heads": 40, "kv_heads": (40, 8, 1), "context_length": 4096, "device": device}
    equal = tuple(
        DecodeJob(**shape, batch_size=4, head_dim=dim, dtype=dtype)  # type: ignore[arg-type]  # of one mapping
        for dim in (128, 64)
        for dtype in ("bfloat16", "float16", "float8_e4m3fn")
    )
    ragged = tuple(
        DecodeJob(**shape, batch_size=4, head_dim=128, dtype=dtype, lengths=RAGGED)  # type: ignore[arg-type]
        for dtype in ("bfloat16", "float8_e4m3fn")
    )
    return (*equal, *ragged)


def check_everything(out: Path, device: torch.device, wanted: tuple[DecodeJob, ...], seconds: float = SECONDS) -> Path:
    """Checks, then a recorded run; returns the page. Raises OSError where DIR cannot be written."""
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    findings = list(_probes(device))
    findings += _checks(device, wanted, began + SHARE_OF_CHECKS * seconds)
    findings += _recorded_run(out, wanted[0], seconds - (time.monotonic() - began))
    page = out / "report.md"
    page.write_text(report(device, findings), encoding="utf-8")
    return page


def _checks(device: torch.device, wanted: tuple[DecodeJob, ...], until: float) -> Iterator[Finding]:
    """Each kernel of each job, told as it is known; what the time did not suffice for is one line a job."""
    for job in wanted:
        checks, what = check_kernels(job, device), _words(job)
        while time.monotonic() < until:
            if (finding := next(checks, None)) is None:
                break
            what = f"the rest of {_words(job)}"
            print(finding.line, flush=True)
            yield finding
        else:
            yield Finding(what=what, outcome="left out", detail="its share of the time was used")


def check_kernels(job: DecodeJob, device: torch.device) -> Iterator[Finding]:
    """Every kernel of the device at every G of the job, as a graph where the device has graphs, and without."""
    kept = Kept()
    for g in job.kv_heads:
        words = _words(job, g)
        try:
            inputs = make_inputs(job, g, device, devices.generator(device, g))
            expected = reference(inputs)
        except Exception as e:  # noqa: BLE001  a finding like any other
            yield Finding(what=f"inputs and reference, {words}", outcome="failed", detail=reason_of(e))
            continue
        for kernel in all_kernels(device.type):
            yield _guarded(f"{kernel.name}, {words}", lambda: _checked(kernel, inputs, expected, job, kept))  # noqa: B023


def _words(job: DecodeJob, g: int | None = None) -> str:
    of_g = "" if g is None else f", G = {g}"
    return f"{job.dtype}, head_dim {job.head_dim}{of_g}{', ragged' if job.lengths else ''}"


def _checked(kernel: Kernel, inputs: Inputs, expected: torch.Tensor, job: DecodeJob, kept: Kept) -> str:
    """Right numbers launch by launch and replayed, and what a call takes. Raises ValueError for wrong ones."""
    device = inputs.query.device
    with kept.around(kernel.torch_threads):
        call = kernel.prepare(inputs)
        _right(call(), expected, job, "launch by launch")
        replayed, note = recorded(device, call)
        _right(replayed(), expected, job, "as a graph")
        samples = devices.time_calls(device, [replayed], least=3, most=10, seconds=0.1)
    return "; ".join(part for part in (f"{sorted(samples)[len(samples) // 2] * 1e3:.3f} ms", note) if part)


def _right(found: torch.Tensor, expected: torch.Tensor, job: DecodeJob, how: str) -> None:
    error = relative_error(found, expected)
    if not error < ERROR_LIMITS[job.dtype]:
        raise ValueError(f"{how}: relative error {error:.1e}, allowed {ERROR_LIMITS[job.dtype]:.0e}")


def _guarded(what: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, outcome="right", detail=work())
    except Unavailable as e:
        return Finding(what=what, outcome="unavailable", detail=str(e))
    except ValueError as e:
        return Finding(what=what, outcome="wrong", detail=str(e))
    except Exception as e:  # noqa: BLE001  kernels come from torch, compilers and extras: any failure is a finding
        return Finding(what=what, outcome="failed", detail=reason_of(e))


def _probes(device: torch.device) -> Iterator[Finding]:
    def probe(dtype: str) -> str:
        found = measure_roofline(device, dtype, devices.free_bytes(device))
        return (
            f"{found.bytes_per_second / 1e9:,.1f} GB/s, {found.flops_per_second / 1e9:,.0f} GFLOP/s, "
            f"{found.exp_per_second / 1e9:,.2f} G exp/s; {found.detail}"
        )

    for dtype in ("bfloat16", "float16"):
        yield _guarded(f"bandwidth and product probes, {dtype}", lambda: probe(dtype))  # noqa: B023


def _recorded_run(out: Path, job: DecodeJob, seconds: float) -> list[Finding]:
    """One run with a whole step in the time that is left, written as run.json."""

    def work() -> str:
        run = Run(replace(job, quick=True, step=STEP, seconds_limit=max(10.0, seconds)), command="gpu-check")
        record = run_quietly(run)
        (out / "run.json").write_text(to_json(record) + "\n", encoding="utf-8")
        step = f"{len(record.steps)} whole steps" if record.steps else "no whole step"
        return f"{record.status}, {step}. {record.message}".strip()

    return [_guarded("a run with a whole step", work)]


def report(device: torch.device, findings: list[Finding]) -> str:
    """One page: what failed first, then what a host does not have, then what is right."""
    parts = [f"# GPU check: {devices.name_of(device)}"]
    facts = ", ".join(f"{name} {value}" for name, value in devices.host_facts(device).items())
    parts.append(f"{facts}.")
    for outcomes, title in (
        (("failed", "wrong", "left out"), "What failed"), (("unavailable",), "Not on this host"), (("right",), "Right"),
    ):  # fmt: skip
        lines = [f.line for f in findings if f.outcome in outcomes]
        parts.append(f"## {title}: {len(lines)}\n\n" + ("\n".join(lines) or "Nothing."))
    return "\n\n".join(parts) + "\n"
