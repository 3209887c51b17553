"""The device a run is measured on: which it is, what it has free, and how to wait for it."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

from core.decode.host_library import compiler_version
from core.decode.plan import ACCELERATORS, InvalidJob
from core.host.busy import cache_bytes
from core.host.linux import huge_pages
from core.host.memory import available_bytes
from core.host.processor import cores_in_words, cpu_name, nvidia_driver

# Names as packages are installed under: what kernels come from, and what a whole step is compared with.
LIBRARIES = {
    "triton": "triton", "flashinfer": "flashinfer-python", "flash-attn": "flash-attn", "transformers": "transformers",
}  # fmt: skip


def resolve(asked: str) -> torch.device:
    """'auto' is CUDA where torch sees a GPU, else the CPU; others go by name. Raises InvalidJob for none such."""
    if asked in ACCELERATORS:
        return _accelerator(asked)
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InvalidJob("device is cuda, and torch sees no GPU here: choose cpu, or install a CUDA build of torch.")
    return torch.device("cuda", torch.cuda.current_device())


def _accelerator(asked: str) -> torch.device:
    """MPS or XPU, where that is the accelerator of this torch."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None or found.type != asked:
        there = "none" if found is None else found.type
        raise InvalidJob(f"device is {asked}, and the accelerator that torch sees here is {there}: choose cpu or auto.")
    return torch.device(asked, torch.accelerator.current_device_index())


def name_of(device: torch.device) -> str:
    """The GPU's name, or the CPU's model and how many threads torch uses."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "xpu":
        return str(torch.xpu.get_device_name(device))
    return f"{cpu_name()}, {'its GPU' if device.type == 'mps' else f'{torch.get_num_threads()} threads'}"


def free_bytes(device: torch.device) -> int:
    """Memory that a run may take: what is free on the device, less a tenth; half of what is available on a CPU.

    MPS shares the machine's memory: of what Metal recommends for one process, what this one does not hold yet.
    """
    if device.type == "mps":
        return int((torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()) * 0.9)
    if device.type == "xpu":
        return int(torch.accelerator.get_memory_info(device)[0] * 0.9)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * 0.9)
    return available_bytes()


def cache_bytes_of(device: torch.device) -> int:
    """The largest cache before the device's memory; 0 where it is not known."""
    if device.type == "cuda":
        return int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
    return (cache_bytes() or 0) if device.type == "cpu" else 0


def host_facts(device: torch.device) -> dict[str, str]:
    """Versions and settings that a figure depends on."""
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": cores_in_words(),
        "threads": str(torch.get_num_threads()),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "huge_pages": huge_pages(),
        **_versions(),
    }
    if device.type == "cuda":
        facts["cuda"] = str(torch.version.cuda)
        facts["driver"] = nvidia_driver()
        facts["compute_capability"] = ".".join(map(str, torch.cuda.get_device_capability(device)))
        facts["memory_bytes"] = str(torch.cuda.get_device_properties(device).total_memory)
    return facts


def _versions() -> dict[str, str]:
    """Of the C++ compiler and the libraries that are installed here; none of them is loaded for it."""
    found = {"compiler": compiler_version()} | {name: _installed(package) for name, package in LIBRARIES.items()}
    return {name: said for name, said in found.items() if said}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def generator(device: torch.device, seed: int) -> torch.Generator:
    """Random numbers made on the device itself."""
    return torch.Generator(device).manual_seed(seed)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":
        torch.accelerator.synchronize(device)


def empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type != "cpu":
        torch.accelerator.empty_cache()


def time_calls(
    device: torch.device, calls: list[Callable[[], object]], *, least: int, most: int, seconds: float,
    before: Callable[[], object] = lambda: None,
) -> tuple[float, ...]:  # fmt: skip
    """Seconds of single calls, rotating through `calls` (one per copy of the data) after a warm-up.

    Takes `least` samples, then more until `most` or the time is used; `before` is called before each. On CUDA each call
    lies between two events.
    """
    warm_until = time.perf_counter() + seconds / 4
    for call in calls[:3]:
        call()
        synchronise(device)
        if time.perf_counter() > warm_until:
            break
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < least or (len(samples) < most and time.perf_counter() < end):
        call = calls[len(samples) % len(calls)]
        before()
        samples.append(time_once(device, call))
    return tuple(samples)


def time_once(device: torch.device, call: Callable[[], object]) -> float:
    """Seconds of one call; on CUDA between two events, on another accelerator from idle to idle."""
    return _time_cuda(call) if device.type == "cuda" else _time_by_clock(device, call)


def _time_by_clock(device: torch.device, call: Callable[[], object]) -> float:
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


def _time_cuda(call: Callable[[], object]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
