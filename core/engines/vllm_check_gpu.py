"""One H100 stood in for, so that vLLM's planner can be asked where there is no GPU.

What is replaced has no say in a plan: compiled extensions, streams, and the questions which device this is. Everything
that decides is vLLM's own code. Imported by the worker alone, in a process of its own.
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from typing import Any

MEMORY_BYTES = 81_559 * 2**20
NAME, MAJOR, MINOR = "NVIDIA H100 80GB HBM3", 9, 0
PROCESSORS, SHARED_BYTES = 132, 232_448
COMPILED = ("_C", "_C_stable_libtorch", "_moe_C", "_moe_C_stable_libtorch", "_flashmla_C", "cumem_allocator")
OPERATORS = ("_C", "_moe_C", "_C_cache_ops", "_C_stable")
ABSENT = ("deep_gemm", "torchvision")
_BUILDING: list[bool] = []


class _Idle:
    """A stream, an event, a driver's function: takes anything, does nothing."""

    def __init__(self, *args: Any, **options: Any) -> None: ...

    def __call__(self, *args: Any, **options: Any) -> Any:
        return True

    def __getattr__(self, name: str) -> Any:
        return _Idle()


class _Extension(types.ModuleType):
    """A compiled module: every name is there."""

    __path__: list[str] = []  # noqa: RUF012  of a package without files

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[:1].isupper() else _Idle()


class _Extensions(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what is compiled for a GPU and not installed here."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Extension(spec.name)

    def exec_module(self, module: types.ModuleType) -> None: ...


def needed() -> bool:
    """Whether this machine has no GPU that torch can use."""
    import torch  # noqa: PLC0415, TID251

    return not torch.cuda.is_available()


def before_vllm() -> None:
    """What has to stand before vLLM is imported."""
    import transformers.processing_utils  # noqa: F401, PLC0415, TID251  looks for torchvision: before one seems there

    sys.meta_path.insert(0, _Extensions())
    for name in ("vllm_flash_attn", "vllm_flash_attn.flash_attn_interface"):
        sys.modules[f"vllm.{name}"] = _Extension(f"vllm.{name}")
    for name in COMPILED:
        sys.modules[f"vllm.{name}"] = types.ModuleType(f"vllm.{name}")
    _operators()
    _device()
    _triton()


def _operators() -> None:
    """Compiled operators: what a model asks of them while it is built is answered with yes."""
    import torch._ops  # noqa: PLC0415, TID251

    namespace: Any = torch._ops._OpNamespace
    found = namespace.__getattr__

    def operator(self: Any, name: str) -> Any:
        try:
            return found(self, name)
        except AttributeError:
            if self.name in OPERATORS and (_BUILDING or "supports" in name):
                return _Idle()
            raise

    namespace.__getattr__ = operator


def _device() -> None:
    import torch  # noqa: PLC0415, TID251

    properties = types.SimpleNamespace(
        name=NAME, major=MAJOR, minor=MINOR, total_memory=MEMORY_BYTES, multi_processor_count=PROCESSORS,
        shared_memory_per_block_optin=SHARED_BYTES, regs_per_multiprocessor=65_536, warp_size=32, gcnArchName="",
        max_threads_per_multi_processor=2_048,
    )  # fmt: skip
    answers = {
        "is_available": True, "is_initialized": False, "device_count": 8, "current_device": 0, "_lazy_init": None,
        "get_device_capability": (MAJOR, MINOR), "get_device_properties": properties, "get_device_name": NAME,
        "current_stream": _Idle(),
    }  # fmt: skip
    cuda: Any = torch.cuda
    for name, answer in answers.items():
        setattr(cuda, name, _always(answer))
    cuda.Stream = cuda.Event = _Idle
    accelerator: Any = torch.accelerator
    for name, answer in {"current_device_index": 0, "is_available": True, "device_count": 8}.items():
        setattr(accelerator, name, _always(answer))


def _always(answer: Any) -> Any:
    return lambda *args, **options: answer


def _triton() -> None:
    """Triton's driver, which compiles nothing here."""
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415
    from triton.runtime.driver import driver  # noqa: PLC0415

    shape = {
        "max_shared_mem": SHARED_BYTES, "multiprocessor_count": PROCESSORS, "warpSize": 32, "max_num_regs": 65_536,
    }  # fmt: skip

    class Driver(_Idle):
        utils = types.SimpleNamespace(get_device_properties=_always(shape))

        def get_current_target(self) -> Any:
            return GPUTarget("cuda", 10 * MAJOR + MINOR, 32)

        def get_current_device(self) -> int:
            return 0

        def get_device_interface(self) -> Any:
            import torch  # noqa: PLC0415, TID251

            return torch.cuda

        def __getattr__(self, name: str) -> Any:
            return _always(None)

    driver.set_active(Driver())


def after_vllm() -> None:
    """The platform of that card, and what would start a process without these stand-ins."""
    from vllm import platforms  # noqa: PLC0415
    from vllm.model_executor.models import registry  # noqa: PLC0415
    from vllm.platforms.cuda import NonNvmlCudaPlatform  # noqa: PLC0415
    from vllm.platforms.interface import DeviceCapability  # noqa: PLC0415

    answers = {
        "get_device_capability": DeviceCapability(MAJOR, MINOR), "get_device_total_memory": MEMORY_BYTES,
        "get_device_name": NAME, "device_count": 8, "num_compute_units": PROCESSORS, "set_device": None,
        "is_fully_connected": True, "get_device_uuid": "GPU-0",
    }  # fmt: skip
    platform = type("StoodIn", (NonNvmlCudaPlatform,), {name: staticmethod(_always(a)) for name, a in answers.items()})
    platforms._current_platform = platform()
    registry._run_in_subprocess = lambda inspect: inspect()


@contextlib.contextmanager
def building() -> Iterator[None]:
    """While a model is built, a compiled operator may be asked for by name."""
    _BUILDING.append(True)
    try:
        yield
    finally:
        _BUILDING.pop()


def on_meta() -> Any:
    """A mode in which every tensor that asks for the GPU is made on the meta device."""
    import torch  # noqa: PLC0415, TID251
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415, TID251

    class OnMeta(TorchFunctionMode):  # type: ignore[misc]  # torch is not followed
        def __torch_function__(self, function: Any, types_: Any, args: Any = (), kwargs: Any = None) -> Any:
            options = dict(kwargs or {})
            device = options.get("device")
            if device is not None and (isinstance(device, int) or "cuda" in str(device)):
                options["device"] = "meta"
            moved = tuple("meta" if _is_gpu(one) else one for one in args)
            return moved[0] if getattr(function, "__name__", "") == "cuda" else function(*moved, **options)

    def _is_gpu(one: Any) -> bool:
        return isinstance(one, str | torch.device) and str(one).startswith("cuda")

    return OnMeta()
