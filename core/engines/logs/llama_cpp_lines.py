"""llama.cpp's start: the context, each cache with its cells, the states, the compute buffer.

Builds of 2025 and 2026 print llama_kv_cache (llama_kv_cache_unified before), older ones 'KV self size'.
"""

import re

from core.engines.logs.figures import LogFigure, LoggedCache, ServerLog
from core.engines.logs.lines import lines_with, number

MIB = 2**20
_CACHE = re.compile(
    r"llama_kv_cache\w*: size =\s*([\d.]+) MiB \(\s*(\d+) cells,\s*(\d+) layers,\s*\d+(?:/\s*(\d+))? seqs\), "
    r"K \((\w+)\):\s*([\d.]+) MiB, V \((\w+)\):\s*([\d.]+) MiB"
)
_OLD = re.compile(r"KV self size\s*=\s*([\d.]+) MiB, K \((\w+)\):\s*([\d.]+) MiB, V \((\w+)\):\s*([\d.]+) MiB")
_STATES = re.compile(r"llama_memory_recurrent: size =\s*([\d.]+) MiB")
_COMPUTE = re.compile(r"compute buffer size =\s*([\d.]+) MiB")
_CONTEXT = {
    "n_ctx": re.compile(r"\bn_ctx\s*=\s*(\d+)"),
    "n_seq_max": re.compile(r"\bn_seq_max\s*=\s*(\d+)"),
    "n_batch": re.compile(r"\bn_batch\s*=\s*(\d+)"),
    "n_ubatch": re.compile(r"\bn_ubatch\s*=\s*(\d+)"),
    "slot_context": re.compile(r"\bn_ctx_(?:seq|per_seq)\s*=\s*(\d+)"),
    "flash_attn": re.compile(r"\bflash_attn\s*=\s*(\w+)"),
    "kv_unified": re.compile(r"\bkv_unified\s*=\s*(\w+)"),
}
_HEADS = ("llama_context: ", "llama_new_context_with_model: ", "llama_init_from_model: ")
_BUILD = re.compile(r"\bbuild:? (\d{3,})\b")


def read(text: str) -> ServerLog | None:
    """The last context that was made; None where no line of its cache is there."""
    begin = max(text.rfind(f"{head}n_seq_max") for head in _HEADS)
    if begin < 0:
        begin = max(*(text.rfind(f"{head}n_ctx ") for head in _HEADS), 0)
    part = text[begin:] if begin else text
    caches = tuple(_cache(match) for line in lines_with(part, " cells, ") if (match := _CACHE.search(line)))
    figures = _figures(part)
    if not caches and not figures:
        return None
    build = [match[1] for line in lines_with(text, "build") if (match := _BUILD.search(line)) and int(match[1])]
    return ServerLog(
        engine="llama.cpp",
        version=f"build {build[-1]}" if build else "",
        figures=figures,
        settings=_settings(part, caches),
        caches=tuple(cache for cache in caches if cache.layers),
    )


def _cache(match: "re.Match[str]") -> LoggedCache:
    return LoggedCache(
        cells=int(match[2]),
        streams=int(match[4] or 1),
        layers=int(match[3]),
        mib=number(match[1], line=match[0]),
        key_type=match[5],
        value_type=match[7],
    )


def _figures(text: str) -> dict[str, LogFigure]:
    found: dict[str, LogFigure] = {}
    for line in lines_with(text, "KV self size"):
        if match := _OLD.search(line):
            found["cache_bytes"] = number(match[1], scale=MIB, line=line)
    for line in lines_with(text, "llama_memory_recurrent: size"):
        if match := _STATES.search(line):
            found["state_bytes"] = number(match[1], scale=MIB, line=line)
    if not found and " cells, " not in text:
        return found
    for line in lines_with(text, "compute buffer size"):
        if (match := _COMPUTE.search(line)) and "_Host" not in line:
            found["compute_bytes"] = number(match[1], scale=MIB, line=line)
    return found


def _settings(text: str, caches: tuple[LoggedCache, ...]) -> dict[str, object]:
    lines = [line for head in _HEADS for line in lines_with(text, head)]
    said: dict[str, str] = {}
    for line in lines:
        for name, pattern in _CONTEXT.items():
            if name not in said and (match := pattern.search(line)):
                said[name] = match[1]
    found: dict[str, object] = {name: int(value) for name, value in said.items() if value.isdigit()}
    found |= {name: said[name] for name in ("flash_attn",) if name in said and not said[name].isdigit()}
    if said.get("flash_attn", "") in ("0", "1"):
        found["flash_attn"] = "on" if said["flash_attn"] == "1" else "off"
    found |= {"kv_unified": said["kv_unified"] == "true"} if "kv_unified" in said else {}
    old = [match for line in lines_with(text, "KV self size") if (match := _OLD.search(line))]
    types = [(cache.key_type, cache.value_type) for cache in caches] or [(match[2], match[4]) for match in old]
    if types:
        found["type_k"], found["type_v"] = types[0]
    return found
