"""A job for llama.cpp: its settings with their defaults, and how many cells and streams follow from them.

States the constructor of llama_context and llama_init_from_model (src/llama-context.cpp, build 11434). Defaults are
llama-server's for one slot; llama.cpp as a library has swa_full on.
"""

from dataclasses import dataclass, fields
from typing import Any

from core.engines.arrays import smaller
from core.engines.llama_cpp.cache_types import BLOCKS, cache_type, is_quantised
from core.engines.plan import EngineError
from core.models.gguf.hparams import HyperParameters

MAX_SLOTS = 256  # LLAMA_MAX_SEQ
STEP = 256  # cells come in steps of so many (GGML_PAD)
LARGEST = 2**31 - 1
FLASH = {
    "auto": "auto", "-1": "auto", "on": "on", "1": "on", "true": "on", "enabled": "on", "off": "off", "0": "off",
    "false": "off", "disabled": "off",
}  # fmt: skip  # as --flash-attn and LLAMA_FLASH_ATTN_TYPE_* have it


@dataclass(frozen=True, kw_only=True)
class Settings:
    """As the command line has them: n_ctx is the context of all slots together, 0 the model's own."""

    n_ctx: int = 0
    n_seq_max: int = 1
    kv_unified: bool = False
    swa_full: bool = False
    n_ubatch: int = 512
    n_batch: int = 2048
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attn: str = "auto"
    tensor_parallel: int = 1  # devices that the layers are split over
    available_bytes: int | None = None


KEYS = tuple(field.name for field in fields(Settings))


def settings(job: dict[str, Any]) -> Settings:
    """The job, checked. Raises EngineError for an unknown key or a value that llama.cpp does not take."""
    for key in job:
        if key not in KEYS:
            raise EngineError(f"llama.cpp has no setting {key!r}: it takes {', '.join(KEYS)}. Leave {key} out.")
    given = {key: value for key, value in job.items() if value is not None}
    for key, least, most in (
        ("n_ctx", 0, LARGEST),
        ("n_seq_max", 1, MAX_SLOTS),
        ("n_ubatch", 0, LARGEST),
        ("n_batch", 1, LARGEST),
        ("tensor_parallel", 1, 16),
        ("available_bytes", 0, 2**60),
    ):
        if key in given:
            given[key] = _whole(key, given[key], least, most)
    for key in ("kv_unified", "swa_full"):
        if not isinstance(given.get(key, False), bool):
            raise EngineError(f"llama.cpp: {key} is {str(given[key])[:40]!r}: give true or false.")
    for key in ("type_k", "type_v"):
        given[key] = cache_type(key, given.get(key, "f16"))
    given["flash_attn"] = _flash(given.get("flash_attn", "auto"))
    return Settings(**given)


def _whole(key: str, value: object, least: int, most: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise EngineError(f"llama.cpp: {key} is {str(value)[:40]}: give a whole number from {least} to {most:,}.")
    return value


def _flash(value: object) -> str:
    found = FLASH.get(str(value).lower())
    if found is None:
        raise EngineError(f"llama.cpp: flash_attn is {str(value)[:40]!r}: give auto, on or off.")
    return found


def check(read: HyperParameters, job: Settings) -> Settings:
    """llama_init_from_model: what it refuses, and the settings that it changes. Raises EngineError."""
    name = read.architecture
    if name == "grok" and job.flash_attn != "off":
        job = _with(job, flash_attn="off")
    if (read.latent or name == "deepseek4") and job.type_k != job.type_v:
        raise EngineError(
            f"llama.cpp: {name} takes one cache type: type_k is {job.type_k} and type_v {job.type_v}. "
            "Give the same type twice."
        )
    if is_quantised(job.type_v) and job.flash_attn == "off":
        why = "it runs Grok without" if name == "grok" else "it is off"
        raise EngineError(f"llama.cpp: type_v {job.type_v} needs flash attention, and {why}. Choose f16 for type_v.")
    if job.flash_attn != "off":
        _check_heads(read, job)
    if job.n_seq_max > job.n_batch:
        raise EngineError(
            f"llama.cpp: n_seq_max is {job.n_seq_max} and n_batch {job.n_batch}: each slot has its output in one "
            "batch, and build 11549 stops where they are more (GGML_ASSERT(n_outputs_max <= cparams.n_outputs_max)). "
            f"Give n_batch {job.n_seq_max} or more, or fewer slots."
        )
    if not (job.n_ctx or read.trained_context):
        raise EngineError("llama.cpp: n_ctx is 0, and the file names no context_length. Give n_ctx.")
    return job


def _check_heads(read: HyperParameters, job: Settings) -> None:
    """With flash attention a head has to be whole blocks."""
    widths = read.widths
    for which, kind, full, sliding in (
        ("K", job.type_k, widths.key, widths.key_sliding),
        ("V", job.type_v, widths.value, widths.value_sliding),
    ):
        block = BLOCKS[kind][0]
        if block == 1:
            continue
        for slides, width in ((False, full), (True, sliding)):
            if width % block and slides in read.slides[: read.num_layers]:
                raise EngineError(
                    f"llama.cpp: {which} cache type {kind} has blocks of {block}, which do not fill a head of {width}. "
                    "Choose f16."
                )


def _with(job: Settings, *, flash_attn: str) -> Settings:
    return Settings(**{key: getattr(job, key) for key in KEYS if key != "flash_attn"}, flash_attn=flash_attn)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What follows for every cache of the context; numbers, or numpy columns of many jobs."""

    asked: Any  # n_ctx as given
    per_stream: Any  # n_ctx_seq
    streams: Any  # 1 where the slots share a pool
    slots: Any
    ubatch: Any

    @property
    def total(self) -> Any:
        """n_ctx as the log prints it."""
        return self.per_stream * self.streams


def rounded(cells: Any) -> Any:
    """GGML_PAD(cells, 256)."""
    return -(-cells // STEP) * STEP


def cells_of(job: Settings, trained_context: int) -> Cells:
    """n_ctx to the next 256; where slots are apart each gets its share, to the next 256 again."""
    return cells_for(job, job.n_ctx or trained_context, job.n_seq_max)


def cells_for(job: Settings, asked: Any, slots: Any) -> Cells:
    """The same for a total context and a number of slots, each a number or a numpy column."""
    batch = smaller(asked, job.n_batch)
    ubatch = smaller(batch, job.n_ubatch or job.n_batch)
    padded = rounded(asked)
    if job.kv_unified:
        return Cells(asked=asked, per_stream=padded, streams=1, slots=slots, ubatch=ubatch)
    return Cells(asked=asked, per_stream=rounded(padded // slots), streams=slots, slots=slots, ubatch=ubatch)


def window_cells(cells: Cells, window: int, *, shared: Any, swa_full: bool) -> Any:
    """llama_kv_cache_iswa: the window of each slot in the pool and one micro-batch, to the next 256."""
    if swa_full:
        return cells.per_stream
    return rounded(smaller(cells.per_stream, window * (cells.slots if shared else 1) + cells.ubatch))
