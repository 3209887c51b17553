"""SGLang's start: pools of tokens, states and windows, requests at most, and its arguments.

Its 'GB' are GiB (memory_pool.py of 0.5.23 divides by 1024^3). Every rank prints its own lines: the first one's count.
"""

import re
from collections.abc import Callable

from core.engines.logs.figures import LogFigure, ServerLog
from core.engines.logs.lines import first_rank, lines_with, model_named, number

GIB = 2**30
_TOKENS = re.compile(r"#tokens: (\d+)")
_SIZES = re.compile(r"(?<![\w])(?:K|V|KV) size: ([\d.]+) ?GB")
_SLOTS = re.compile(r"max_mamba_cache_size: (\d+)")
_STATE_SIZES = re.compile(r"(?:conv_state|ssm_state) size: ([\d.]+) ?GB")
_WINDOW = re.compile(r"swa_layer_tokens=(\d+)")
_END = {
    "capacity_tokens": re.compile(r"\bmax_total_num_tokens=(\d+)"),
    "max_running_requests": re.compile(r"\bmax_running_requests=(\d+)"),
    "context_length": re.compile(r"\bcontext_len=(\d+)"),
}
_BEFORE = re.compile(r"Load weight begin\. avail mem=([\d.]+) GB")
_AFTER = re.compile(r"Load weight end\..*?avail mem=([\d.]+) GB")
_USED = re.compile(r"mem usage=([\d.]+) GB")
_FRACTION = re.compile(r"\bmem_fraction_static=([\d.]+)")
_SETTINGS: dict[str, tuple[re.Pattern[str], Callable[[str], object]]] = {
    "tensor_parallel": (re.compile(r"\btp_size=(\d+)"), int),
    "cache_type": (re.compile(r"\bkv_cache_dtype='(\w+)'"), str),
    "prefix_caching": (re.compile(r"\bdisable_radix_cache=(True|False)"), lambda word: word == "False"),
    "max_running_requests": (re.compile(r"\bmax_running_requests=(\d+)"), int),
    "swa_full_tokens_ratio": (re.compile(r"\bswa_full_tokens_ratio=([\d.]+)"), float),
    "mamba_full_memory_ratio": (re.compile(r"\bmamba_full_memory_ratio=([\d.]+)"), float),
}
ARGUMENTS = "server_args=ServerArgs("


def read(text: str) -> ServerLog | None:
    """The last start; None where no line of its pools is there."""
    begin = max(text.rfind(ARGUMENTS), 0)
    if text.find("#tokens: ", begin) < 0 and text.find("max_total_num_tokens=", begin) < 0:
        begin = 0
    part = text[begin:] if begin else text
    figures = _pools(part) | _states(part) | _end(part)
    if not figures:
        return None
    settings: dict[str, object] = {}
    arguments = next(lines_with(part, ARGUMENTS), "") or (part[: part.find("\n")] if begin else "")
    for name, (pattern, typed) in _SETTINGS.items():
        if match := pattern.search(arguments):
            settings[name] = typed(match[1])
    memory, name = _memory(part, arguments, figures), model_named(arguments, "model_path")
    return ServerLog(engine="sglang", model=name, figures=figures | memory, settings=settings)


def _pools(text: str) -> dict[str, LogFigure]:
    """Each pool prints its tokens and sizes: the pool of all tokens first, a window pool after it."""
    found: dict[str, LogFigure] = {}
    for place, line in enumerate(first_rank(lines_with(text, "#tokens: "))):
        sizes = [number(match, scale=GIB, line=line) for match in _SIZES.findall(line)]
        if not sizes or not (tokens := _TOKENS.search(line)):
            continue
        total = sizes[0] if len(sizes) == 1 else sizes[0].plus(sizes[1])
        name = "pool" if place == 0 else "second_pool"
        found[f"{name}_tokens"], found[f"{name}_bytes"] = number(tokens[1], line=line), total
    for line in first_rank(lines_with(text, "swa_layer_tokens=")):
        if match := _WINDOW.search(line):
            found["window_capacity_tokens"] = number(match[1], line=line)
    return found


def _states(text: str) -> dict[str, LogFigure]:
    found: dict[str, LogFigure] = {}
    for line in first_rank(lines_with(text, "max_mamba_cache_size: "))[:1]:
        sizes = [number(match, scale=GIB, line=line) for match in _STATE_SIZES.findall(line)]
        if match := _SLOTS.search(line):
            found["state_slots"] = number(match[1], line=line)
        if len(sizes) == 2:
            found["state_pool_bytes"] = sizes[0].plus(sizes[1])
    return found


def _end(text: str) -> dict[str, LogFigure]:
    lines = [line for line in lines_with(text, "max_total_num_tokens=") if ARGUMENTS not in line]
    found = {}
    for line in lines[:1]:
        found = {name: number(match[1], line=line) for name, pattern in _END.items() if (match := pattern.search(line))}
    return found


def _memory(text: str, arguments: str, figures: dict[str, LogFigure]) -> dict[str, LogFigure]:
    """What the pools share: free memory after the weights less the part that --mem-fraction-static leaves alone, where
    the lines are there (kv_cache_configurator.py of 0.5.23); else the pools together."""
    pools = [figures[name] for name in ("pool_bytes", "second_pool_bytes", "state_pool_bytes") if name in figures]
    together = {"pools_bytes": _sum(pools)} if pools else {}
    before = [match[1] for line in lines_with(text, "Load weight begin") if (match := _BEFORE.search(line))]
    after = [(match[1], line) for line in lines_with(text, "Load weight end") if (match := _AFTER.search(line))]
    if after and (used := _USED.search(after[0][1])):
        together["weight_bytes"] = number(used[1], scale=GIB, line=after[0][1])
    if (share := _FRACTION.search(arguments)) and before and after:
        kept = 1 - float(share[1])
        left = number(after[0][0], scale=GIB, line=after[0][1])
        first = number(before[0], scale=GIB)
        value, half = left.value - first.value * kept, left.half_step + first.half_step * kept
        together["available_bytes"] = LogFigure(value=value, half_step=half, line=left.line)
    elif pools:
        together["available_bytes"] = together["pools_bytes"]
    return together


def _sum(figures: list[LogFigure]) -> LogFigure:
    total = figures[0]
    for figure in figures[1:]:
        total = total.plus(figure)
    return total
