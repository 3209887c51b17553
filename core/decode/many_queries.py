"""Several query tokens against one cache, timed on this machine: `python -m core.decode.many_queries`.

A step that checks k drafted tokens reads keys and values once for all of them. While memory binds, k tokens cost little
more than one; past the ridge each costs its share. Attention alone, 40 query heads of width 128 over G KV heads, torch
in 32 bits. Writes core/data/many_queries.json: machine, command, seconds for each G and k: processor time of the
one thread, the median of the rounds, so that what else the machine does counts as little as it can.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch

from core.host.processor import cpu_name

FILE = Path(__file__).parents[1] / "data" / "many_queries.json"
HEADS, HEAD_DIM, TOKENS = 40, 128, 8_192
KV_HEADS, QUERIES = (40, 8, 1), (1, 2, 4, 8)
ROUNDS = 9


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """queries: (G, k x H / G, head_dim); keys and values: (G, tokens, head_dim)."""
    scores = torch.bmm(queries, keys.transpose(1, 2)) * HEAD_DIM**-0.5
    return torch.bmm(scores.softmax(-1), values)


def measure() -> dict[str, dict[str, float]]:
    """Median seconds by G and k; rounds go over all k in turn, so that a slow moment hits each alike."""
    found: dict[str, dict[str, float]] = {}
    for num_kv_heads in KV_HEADS:
        keys, values = (torch.randn(num_kv_heads, TOKENS, HEAD_DIM) for _ in range(2))
        asked = {k: torch.randn(num_kv_heads, k * HEADS // num_kv_heads, HEAD_DIM) for k in QUERIES}
        times: dict[int, list[float]] = {k: [] for k in QUERIES}
        for turn in range(ROUNDS + 1):
            for k in QUERIES:
                began = time.thread_time()
                attend(asked[k], keys, values)
                if turn:  # the first round warms up
                    times[k].append(time.thread_time() - began)
        found[str(num_kv_heads)] = {str(k): statistics.median(times[k]) for k in QUERIES}
    return found


def main() -> int:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # one core against its own share of the memory: steadier than all of them
    record = {
        "machine": f"{cpu_name()}, one thread",
        "command": "python -m core.decode.many_queries",
        "torch": torch.__version__,
        "tokens": TOKENS,
        "heads": HEADS,
        "head_dim": HEAD_DIM,
        "bytes_per_element": 4,
        "seconds": measure(),
    }
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["seconds"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
