"""vLLM's start: memory, blocks, tokens, concurrency, and the settings of its configuration line.

Since 0.21 tokens and concurrency stand in one line (kv_cache_utils.py of 0.33.0, update_kv_cache_capacity); before they
were two, and up to 0.8 the worker printed '# GPU blocks' and one line with every part of the memory.
"""

import re
from collections.abc import Iterator

from core.engines.logs.figures import LogFigure, ServerLog
from core.engines.logs.lines import lines_with, model_named, number

GIB = 2**30
_SIZE = r"(\d[\d,_]*(?:\.\d+)?)"
_AVAILABLE = re.compile(rf"Available KV cache memory: {_SIZE} ?GiB")
_LEFT = re.compile(rf"reserved for KV Cache is {_SIZE} ?GiB")
_PARTS = {
    "weight_bytes": re.compile(rf"model weights take {_SIZE} ?GiB"),
    "outside_bytes": re.compile(rf"non_torch_memory takes {_SIZE} ?GiB"),
    "activation_bytes": re.compile(rf"activation peak memory takes {_SIZE} ?GiB"),
}
_TOKENS = re.compile(rf"KV cache size: {_SIZE} tokens")
_CONCURRENCY = re.compile(rf"[Mm]aximum concurrency for {_SIZE} tokens per request: {_SIZE}x")
_BLOCKS = re.compile(r"# (?:GPU|cuda|CUDA) blocks: (\d[\d,]*)")
_BLOCK = re.compile(r"[Ss]etting attention block size to (\d+) tokens")
_LOADED = re.compile(rf"Model loading took {_SIZE} ?(GiB|GB)")
_VERSION = re.compile(r"(?:API server version|LLM engine \(v)[ :]*v?(\d+\.\d+[\w.+]*)")
_BATCHED = re.compile(r"max_num_batched_tokens=(\d+)")
_SETTINGS = {
    "tensor_parallel": re.compile(r"\btensor_parallel_size=(\d+)"),
    "context_length": re.compile(r"\bmax_(?:seq|model)_len=(\d+)"),
    "prefix_caching": re.compile(r"\benable_prefix_caching=(True|False)"),
    "cache_type": re.compile(r"\bkv_cache_dtype=['\"]?(\w+)"),
}
MARKS = ("KV cache memory: ", "KV cache size: ", "aximum concurrency for ", " blocks: ", "reserved for KV Cache is ")


def read(text: str) -> ServerLog | None:
    """The last start; None where no line of its memory is there."""
    begin = max(text.rfind("LLM engine (v"), 0)
    if begin and not any(text.find(mark, begin) >= 0 for mark in MARKS):
        begin = 0  # a start that did not get so far: the one before it counts
    figures = _figures(text[begin:] if begin else text)
    if not figures:
        return None
    settings = _settings(text, begin)
    found = [match[1] for line in lines_with(text, "version ") if (match := _VERSION.search(line))]
    found += [match[1] for line in lines_with(text[begin:], "LLM engine (v") if (match := _VERSION.search(line))]
    named = [name for line in lines_with(text[begin:], "tensor_parallel_size=") if (name := model_named(line, "model"))]
    return ServerLog(
        engine="vllm", version=found[-1] if found else "", model=named[0] if named else "", figures=figures,
        settings=settings,
    )  # fmt: skip


def _figures(text: str) -> dict[str, LogFigure]:
    found: dict[str, LogFigure] = {}
    memory = [number(match[1], scale=GIB, line=line) for line, match in _memory(text)]
    if memory:  # the planner takes the rank that has least
        found["available_bytes"] = min(memory, key=lambda figure: figure.value)
    for line in lines_with(text, "reserved for KV Cache is "):
        found |= {
            name: number(match[1], scale=GIB, line=line)
            for name, pattern in _PARTS.items()
            if (match := pattern.search(line))
        }
    for line in lines_with(text, "KV cache size: "):
        if match := _TOKENS.search(line):
            found["capacity_tokens"] = number(match[1], line=line)
            found["one_line"] = LogFigure(value=float(bool(_CONCURRENCY.search(line))))
    for line in lines_with(text, "aximum concurrency for "):
        if match := _CONCURRENCY.search(line):
            found["context_length"] = number(match[1], line=line)
            found["max_concurrency"] = number(match[2], line=line)
    for line in lines_with(text, " blocks: "):
        if match := _BLOCKS.search(line):
            found["blocks"] = number(match[1], line=line)
    return found and found | _beside(text)


def _memory(text: str) -> Iterator[tuple[str, "re.Match[str]"]]:
    for word, pattern in (("KV cache memory: ", _AVAILABLE), ("reserved for KV Cache is ", _LEFT)):
        for line in lines_with(text, word):
            if match := pattern.search(line):
                yield line, match


def _beside(text: str) -> dict[str, LogFigure]:
    """What stands beside the cache: the block of a hybrid, the weights."""
    found = {}
    for line in lines_with(text, "attention block size to "):
        if match := _BLOCK.search(line):
            found["block_size"] = number(match[1], line=line)
    for line in lines_with(text, "Model loading took "):
        if match := _LOADED.search(line):
            found.setdefault("weight_bytes", number(match[1], scale=GIB, line=line))
    return found


def _settings(text: str, begin: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in lines_with(text[begin:], "tensor_parallel_size="):
        for name, pattern in _SETTINGS.items():
            if match := pattern.search(line):
                found[name] = _typed(match[1])
    for line in lines_with(text, "max_num_batched_tokens="):
        if match := _BATCHED.search(line):
            found["max_batched_tokens"] = int(match[1])
    return found


def _typed(word: str) -> object:
    if word in ("True", "False"):
        return word == "True"
    return int(word) if word.isdigit() else word
