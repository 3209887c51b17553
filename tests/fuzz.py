"""`python -m tests.fuzz`: hostile configs, files and logs; whatever raises but our own errors is shown.

    python -m tests.fuzz                     100,000 inputs, some minutes
    python -m tests.fuzz --inputs 2000 --seed 7

Each input is a config of the registry with some of its values replaced, the bytes of one with some changed, or a
server's log, a CSV of traffic, an exported run or a link with some changed. What can be read is planned on an engine
and sized as a job. Exit 1 where an exception was not ours, or where memory went on growing in the second half: the
process by more than GROWTH_MIB, or what is alive once every bounded cache is emptied by more than GROWTH_OBJECTS.
"""

import argparse
import functools
import gc
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import psutil

from core.decode.record_files import InvalidRecord, from_csv, from_json, to_csv
from core.engines.face import MODULES, plan_cache
from core.engines.logs.figures import LogError
from core.engines.logs.reader import read_log
from core.errors import SizingError
from core.learning.ask import AskError, ask
from core.models.formats.document import read_document
from core.models.hub.gguf import gguf_address
from core.models.hub.pulls import HubError, repository_id
from core.models.registry import load_registry
from core.models.spec import UnsupportedConfig
from core.reports.links import read_differently, view_link
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.traffic import TrafficError, csv_traffic
from pages.server.view_after_sign_in import view_to_open
from tests.dashboard import ROOT

GROWTH_MIB = 16
GROWTH_OBJECTS = 2_000
KEPT_BY_SPEC = ("_kept", "_models", "_SEEN", "_COUNTED")  # tables of the core, each with a bound of its own
OURS = (
    SizingError,
    UnsupportedConfig,
    LogError,
    TrafficError,
    InvalidRecord,
    HubError,
    AskError,
)  # EngineError is a SizingError
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 7, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0,
    float("nan"), float("inf"), "", "8", "NaN",
    "\u202e8", "<b>8</b>", "x" * 5_000, "=1+1", [], [1], [None], ["full_attention"], [8] * 400, {}, {"a": 1}, [[]] * 3,
)  # fmt: skip
CONFIGS = tuple(dict(known.config) for known in load_registry())
LOGS = tuple(path.read_bytes() for path in sorted((ROOT / "tests" / "data" / "engines" / "logs").glob("*")))


TRAFFIC = b"prompt_tokens,output_tokens\n" + b"".join(b"%d,%d\n" % (64 * row + 1, 8 * row + 1) for row in range(200))
RUNS = tuple(path.read_text() for path in sorted((ROOT / "core" / "data" / "decode_runs").glob("*.json")))
LINK = b"https://huggingface.co/tiiuae/falcon-7b/blob/main/a.gguf?size_g=8&size_context=65536&made=0.2.0-1f0c93ab"


def read_run(chance: random.Random) -> None:
    """An exported run with one value replaced, or its text changed, as JSON or as CSV."""
    text = chance.choice(RUNS)
    way = chance.randrange(3)
    if way == 0:
        record = json.loads(text)
        part = chance.choice([record, *record["results"][:3]])
        part[chance.choice(list(part))] = chance.choice(HOSTILE)
        from_json(json.dumps(record))
    elif way == 1:
        from_json(changed_bytes(text.encode(), chance, most=200_000).decode(errors="replace"))
    else:
        from_csv(changed_bytes(to_csv(from_json(text)).encode(), chance, most=200_000).decode(errors="replace"))


def follow(chance: random.Random) -> None:
    """A link or what somebody typed: its address, its query, a repository, a question."""
    text = changed_bytes(LINK, chance).decode(errors="replace")
    gguf_address(text)
    view_to_open(text)
    read_differently(text[-20:], "0.3.0-00000000")
    view_link("/size", {"size_g": text})
    with suppress(*OURS):
        ask(text)
    repository_id(text)


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
            config[key] = deepcopy(chance.choice(HOSTILE))
        elif way == 2:
            config[key] = deepcopy(chance.choice(CONFIGS).get(key, chance.choice(HOSTILE)))
        elif isinstance(config.get(key), list) and config[key]:
            config[key][chance.randrange(len(config[key]))] = deepcopy(chance.choice(HOSTILE))
        else:
            config = {"text_config": config, "model_type": chance.choice(CONFIGS)["model_type"]}
    return json.dumps(config).encode()


def changed_bytes(data: bytes, chance: random.Random, *, most: int = 20_000) -> bytes:
    """Some bytes replaced, a piece cut out or written twice."""
    made = bytearray(data[:most])
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
    kind = chance.choices(("config", "bytes", "log", "traffic", "run", "link"), (8, 2, 1, 1, 1, 1))[0]
    if kind == "run":
        return kind, lambda: read_run(chance)
    if kind == "link":
        return kind, lambda: follow(chance)
    if kind == "traffic":
        rows, longest = changed_bytes(TRAFFIC, chance), chance.choice((1, 512, 131_072))
        return kind, lambda: csv_traffic(rows, longest_context=longest)
    if kind == "log" and LOGS:
        log = changed_bytes(chance.choice(LOGS), chance)
        return kind, lambda: read_log(log)
    data = changed_config(chance)
    if kind == "bytes":
        data = changed_bytes(data, chance)
    return kind, lambda: read_and_sized(data, chance)


def alive() -> int:
    """Objects of the interpreter that are left once the project's bounded caches are emptied: what leaks, if any."""
    for name, module in list(sys.modules.items()):
        if name.startswith("core."):
            for kept in KEPT_BY_SPEC:
                if isinstance(found := getattr(module, kept, None), dict):  # one of that name may be a function
                    found.clear()
    gc.unfreeze()  # else what the tests' start set aside, caches among it, is not found
    for found in gc.get_objects():
        if type(found) is not functools._lru_cache_wrapper:  # isinstance asks a stand-in for its class, which may warn
            continue
        ours = (getattr(found, "__module__", None) or "").startswith("core.")  # one around a partial has none
        if ours and found.cache_parameters()["maxsize"] is not None:
            found.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


def fuzz(inputs: int, seed: int) -> dict[str, Any]:
    """Counts of what was answered and refused, what raised otherwise, and how memory grew in the second half."""
    chance, process = random.Random(seed), psutil.Process()
    ends: Counter[str] = Counter()
    others: dict[str, str] = {}
    half, start, alive_then = process.memory_info().rss, time.monotonic(), 0
    for number in range(inputs):
        if number == inputs // 2:
            half, alive_then = process.memory_info().rss, alive()
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
            "grown_objects": alive() - alive_then, "seconds": seconds}  # fmt: skip


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found = fuzz(asked.inputs, asked.seed)
    print(json.dumps(found))
    sys.exit(1 if found["others"] or found["grown_mib"] > GROWTH_MIB or found["grown_objects"] > GROWTH_OBJECTS else 0)


if __name__ == "__main__":
    main()
