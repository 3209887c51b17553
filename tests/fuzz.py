"""`python -m tests.fuzz`: hostile configs, files and logs; whatever raises but our own errors is shown.

    python -m tests.fuzz                     100,000 inputs, some minutes
    python -m tests.fuzz --inputs 2000 --seed 7

Each input is a config of the registry with some of its values replaced, the bytes of one with some changed, or a
server's log with some changed. What can be read is planned on an engine and sized as a job. Exit 1 where an exception
was not ours, or where memory went on growing in the second half by more than GROWTH_MIB.
"""

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

from core.engines.face import MODULES, plan_cache
from core.engines.logs.figures import LogError
from core.engines.logs.reader import read_log
from core.errors import SizingError
from core.models.formats.document import read_document
from core.models.registry import load_registry
from core.models.spec import UnsupportedConfig
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from tests.dashboard import ROOT

GROWTH_MIB = 16
OURS = (SizingError, UnsupportedConfig, LogError)  # EngineError is a SizingError
OFTEN = ("text_config", "layer_types", "quantization_config", "head_dim", "sliding_window")
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 7, 2**31, 2**63, 10**30, 0.5, -0.0, float("nan"), float("inf"), "", "8", "NaN",
    "\u202e8", "<b>8</b>", "x" * 5_000, "=1+1", [], [1], [None], ["full_attention"], [8] * 400, {}, {"a": 1}, [[]] * 3,
)  # fmt: skip
CONFIGS = tuple(dict(known.config) for known in load_registry())
LOGS = tuple(path.read_bytes() for path in sorted((ROOT / "tests" / "data" / "engines" / "logs").glob("*")))


def changed_config(chance: random.Random) -> bytes:
    """A config with one to four values replaced, removed, nested or borrowed from another model."""
    config = json.loads(json.dumps(chance.choice(CONFIGS)))
    for _ in range(chance.randint(1, 4)):
        key = chance.choice(
            [*config, "text_config", "layer_types", "quantization_config", "head_dim", "sliding_window"]
        )
        way = chance.randrange(4)
        if way == 0:
            config.pop(key, None)
        elif way == 1:
            config[key] = chance.choice(HOSTILE)
        elif way == 2:
            config[key] = chance.choice(CONFIGS).get(key, chance.choice(HOSTILE))
        elif isinstance(config.get(key), list) and config[key]:
            config[key][chance.randrange(len(config[key]))] = chance.choice(HOSTILE)
        else:
            config = {"text_config": config, "model_type": chance.choice(CONFIGS)["model_type"]}
    return json.dumps(config).encode()


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Some bytes replaced, a piece cut out or written twice."""
    made = bytearray(data[:20_000])
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(made) + 1)
        way = chance.randrange(3)
        if way == 0:
            made[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del made[at : at + chance.randrange(40)]
        else:
            made[at:at] = made[at : at + chance.randrange(40)]
    return bytes(made)


def read_and_sized(data: bytes, chance: random.Random) -> None:
    """As a page does: read, planned on an engine, sized as a job."""
    spec = read_document(data)
    spec.cache_bytes(context_length=4_096)
    engine = chance.choice(list(MODULES))
    with suppress(OURS):
        plan_cache(spec, engine=engine, context_length=chance.choice((1, 512, 131_072)), available_bytes=2**34)
    plan(ServingJob(model=spec, batch_size=chance.choice((1, 64)), context_length=4_096, engine=engine))


def one(chance: random.Random) -> tuple[str, Callable[[], object]]:
    """The next input: what it is, and what is done with it."""
    kind = chance.choices(("config", "bytes", "log"), (8, 2, 1))[0]
    if kind == "log" and LOGS:
        log = changed_bytes(chance.choice(LOGS), chance)
        return kind, lambda: read_log(log)
    data = changed_config(chance)
    if kind == "bytes":
        data = changed_bytes(data, chance)
    return kind, lambda: read_and_sized(data, chance)


def fuzz(inputs: int, seed: int) -> dict[str, Any]:
    """Counts of what was answered and refused, what raised otherwise, and how memory grew in the second half."""
    chance, process = random.Random(seed), psutil.Process()
    ends: Counter[str] = Counter()
    others: dict[str, str] = {}
    half, start = process.memory_info().rss, time.monotonic()
    for number in range(inputs):
        if number == inputs // 2:
            half = process.memory_info().rss
        kind, done = one(chance)
        try:
            done()
            ends[f"{kind} answered"] += 1
        except OURS:
            ends[f"{kind} refused"] += 1
        except Exception as error:  # noqa: BLE001 - what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            others.setdefault(
                f"{type(error).__name__} at {place.filename}:{place.lineno}", f"input {number}: {error}"[:300]
            )
    grown = (process.memory_info().rss - half) / 2**20
    seconds = round(time.monotonic() - start)
    return {"inputs": inputs, "seed": seed, "ends": dict(ends), "others": others, "grown_mib": round(grown, 1),
            "seconds": seconds}  # fmt: skip


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found = fuzz(asked.inputs, asked.seed)
    print(json.dumps(found))
    sys.exit(1 if found["others"] or found["grown_mib"] > GROWTH_MIB else 0)


if __name__ == "__main__":
    main()
