"""The lines that explain a llama.cpp plan: formula, numbers, result, and why it is more than the payload."""

from core.engines.llama_cpp.cache_types import BLOCKS, SERVED
from core.engines.llama_cpp.caches import Memory
from core.engines.llama_cpp.settings import Cells, Settings, window_cells
from core.engines.plan import PlanNote
from core.models.attention import GroupedAttention, LatentAttention
from core.models.gguf.hparams import HyperParameters
from core.models.spec import ModelSpec


def notes_of(
    spec: ModelSpec,
    read: HyperParameters,
    memory: Memory,
    job: Settings,
    cells: Cells,
    request: int,
    state_bytes: int,
) -> tuple[PlanNote, ...]:
    """What was counted, in the order in which it follows."""
    notes = []
    if memory.caches:
        notes += [_context(job, cells), *_windows(read, memory, job, cells), *_ignored(spec, read), *_types(job)]
    if job.flash_attn == "off" and any(len({row[2] for row in cache.rows}) > 1 for cache in memory.caches):
        notes.append(_padding(memory))
    if state_bytes:
        notes.append(_states(memory, cells, state_bytes))
    if job.tensor_parallel > 1:
        notes.append(_devices(read, job, request))
    total = PlanNote(
        name="request",
        formula="sum over caches of cells x streams x (row of keys + row of values)",
        numbers=", ".join(f"{cache.kind}: {len(cache.rows)} layers" for cache in memory.caches) or "no layer keeps any",
        result=f"{request:,} bytes",
    )
    return (*notes, total)


def _context(job: Settings, cells: Cells) -> PlanNote:
    if cells.streams == 1:
        shared = f"One pool for {cells.slots} slots: nothing is set aside for each. " if cells.slots > 1 else ""
        return PlanNote(
            name="cells",
            formula="n_ctx to the next 256",
            numbers=f"{cells.asked:,} to the next 256",
            result=f"{cells.per_stream:,} cells",
            reason=f"{shared}The whole context is allocated at the start.",
        )
    return PlanNote(
        name="cells",
        formula="n_ctx / slots to the next 256, x slots",
        numbers=f"{cells.asked:,} / {cells.slots} to the next 256, x {cells.slots}",
        result=f"{cells.per_stream:,} cells a slot, {cells.total:,} in all",
        reason="n_ctx is the total of all slots; each slot's share is rounded up by itself.",
    )


def _windows(read: HyperParameters, memory: Memory, job: Settings, cells: Cells) -> list[PlanNote]:
    found = []
    for cache in memory.caches:
        if cache.window is None:
            continue
        shared = cells.streams == 1 and not cache.always_apart
        held = window_cells(cells, cache.window, shared=shared, swa_full=job.swa_full)
        slots = cells.slots if shared else 1
        numbers = f"min({cells.per_stream:,}, {cache.window:,} x {slots} + {cells.ubatch:,}) to the next 256"
        found.append(
            PlanNote(
                name="window cells",
                formula="all cells (swa_full)"
                if job.swa_full
                else "min(cells, window x slots + n_ubatch) to the next 256",
                numbers=f"{cells.per_stream:,}" if job.swa_full else numbers,
                result=f"{held:,} cells on {len(cache.rows)} layers",
                reason="swa_full keeps the whole context, so that a prompt's prefix can be used again."
                if job.swa_full
                else "A micro-batch is written before the tokens that leave the window are given up.",
            )
        )
    return found


def _ignored(spec: ModelSpec, read: HyperParameters) -> list[PlanNote]:
    """A window or a latent that the model has and llama.cpp does not use."""
    found = []
    layers = spec.layers[: read.num_layers]
    pairs = zip(layers, read.slides, strict=False)
    windows = [layer.window for layer, slides in pairs if isinstance(layer, GroupedAttention) and not slides]
    unused = sorted({window for window in windows if window})
    if unused:
        count = sum(window is not None for window in windows)
        found.append(
            PlanNote(
                name="window not used",
                formula="all cells on every layer",
                numbers=f"window {', '.join(f'{window:,}' for window in unused)} on {count} layers",
                result="kept whole",
                reason=f"llama.cpp's {read.architecture} does not slide there.",
            )
        )
    if not read.latent and any(isinstance(layer, LatentAttention) for layer in layers):
        width = read.key_width(0) + read.value_width(0)
        found.append(
            PlanNote(
                name="latent multiplied out",
                formula="heads x (key + value)",
                numbers=f"{read.num_kv_heads[0]} x ({read.widths.key} + {read.widths.value})",
                result=f"{width:,} elements a token and layer",
                reason="The file has no key_length_mla: every head's keys and values are kept. Convert the model again."
                if read.architecture == "deepseek2"
                else f"llama.cpp's {read.architecture} keeps every head's keys and values.",
            )
        )
    return found


def _types(job: Settings) -> list[PlanNote]:
    found = []
    for kind in sorted({job.type_k, job.type_v} - {"f16"}):
        block, size = BLOCKS[kind]
        unserved = "" if kind in SERVED else " llama-server's --cache-type options do not take it."
        found.append(
            PlanNote(
                name="cache type",
                formula="bytes of a block x 8 / elements of a block",
                numbers=f"{kind}: {size} x 8 / {block}",
                result=f"{size * 8 / block:g} bits an element",
                reason=(f"Each block of {block} has a scale of its own." if block > 1 else "") + unserved,
            )
        )
    return found


def _padding(memory: Memory) -> PlanNote:
    widest = max(cache.widest_value for cache in memory.caches)
    padded = sum(0 < row[2] < widest for cache in memory.caches for row in cache.rows)
    return PlanNote(
        name="padded values",
        formula="values of every layer as wide as the widest",
        numbers=f"{widest:,} elements a cell",
        result=f"on {padded} layers more than their own",
        reason="Without flash attention values are stored transposed, in one width for all layers.",
    )


def _states(memory: Memory, cells: Cells, state_bytes: int) -> PlanNote:
    return PlanNote(
        name="states",
        formula="slots x elements x 4 bytes",
        numbers=f"{cells.slots} x {memory.state_elements:,} x 4, on {memory.state_layers} layers",
        result=f"{state_bytes:,} bytes beside the cache",
        reason="States are float32 whatever the cache's type, one for each slot whether it is used or not.",
    )


def _devices(read: HyperParameters, job: Settings, request: int) -> PlanNote:
    return PlanNote(
        name="devices",
        formula="layers split over devices, the largest share",
        numbers=f"{read.num_layers_all} layers and the output over {job.tensor_parallel} devices of equal free memory",
        result=f"{request:,} bytes on one device",
        reason="llama.cpp splits by layers: each device keeps the whole cache of its layers, no head is split.",
    )
