"""Page, shell and API beside what the engines' own planners said: every stored job that the Size page can express.

    python -m benchmarks.engine_jobs [vllm | sglang | llama.cpp]

A job goes the page's way (a ServingJob with the case's memory as a measured one, its settings as the engine's) and the
shell's (its JSON); both are held to the case's truth to the byte. The last line is JSON, the exit
status 1 where one differs.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from core.command.size import answer_of
from core.errors import SizingError
from core.models.gguf.metadata import read_metadata
from core.models.rules.facts import UnsupportedConfig
from core.models.spec import read_config
from core.serving.calibrated import calibrated
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.weights import typed_count

DATA = Path(__file__).parents[1] / "tests" / "data" / "engines"
FILES = {name: f"{name.replace('.', '_')}_cases.json.gz" for name in ("vllm", "sglang", "llama.cpp")}
SETTINGS = {  # what the page's own controls set
    "vllm": ("cache_type", "max_batched_tokens", "prefix_caching"),
    "sglang": ("cache_type", "prefix_caching", "max_running_requests", "swa_full_tokens_ratio",
               "mamba_full_memory_ratio"),
    "llama.cpp": ("n_ubatch", "kv_unified", "swa_full", "type_k", "type_v"),
}  # fmt: skip
BESIDE = {
    "vllm": ("context_length", "available_bytes", "tensor_parallel"),
    "sglang": ("available_bytes", "tensor_parallel"),
    "llama.cpp": ("n_ctx", "n_seq_max", "flash_attn"),
}


def cases(engine: str) -> list[dict[str, Any]]:
    """The stored jobs of an engine."""
    with gzip.open(DATA / FILES[engine], "rt") as text:
        found: list[dict[str, Any]] = json.load(text)
    return found


def as_the_page(case: dict[str, Any]) -> ServingJob | None:
    """The case as the page's job; None where no control says it."""
    engine, asked = case["engine"], case["job"]
    if set(asked) - {*SETTINGS[engine], *BESIDE[engine]} or asked.get("flash_attn", "auto") != "auto":
        return None
    slots = asked.get("n_seq_max", 1)
    if asked.get("n_ctx", slots) % slots or asked.get("n_ctx", 1) < 1:
        return None
    ranks = asked.get("tensor_parallel", 1)
    settings = tuple((key, asked[key]) for key in SETTINGS[engine] if asked.get(key) is not None)
    job = ServingJob(
        model=read_metadata(case["metadata"]) if "metadata" in case else read_config(case["config"]),
        batch_size=slots,
        context_length=asked.get("context_length", asked.get("n_ctx", slots) // slots),
        num_accelerators=ranks,
        tensor_parallel=ranks,
        parameter_count=typed_count(1_000_000),
        engine=engine,
        engine_settings=settings,
    )
    return job if "available_bytes" not in asked else calibrated(job, asked["available_bytes"])


def differences(case: dict[str, Any]) -> list[str] | None:
    """Figures in which page or shell differ from the truth; None where the page cannot express the job."""
    try:
        job = as_the_page(case)
        if job is None:
            return None
        made = plan(job)
    except (SizingError, UnsupportedConfig):
        return None
    shell = answer_of(made, "case")["engine_plan"]
    return [
        f"{case['id']}: {name} is {true}, page {getattr(made.engine_plan, name)}, shell {shell.get(name, true)}"
        for name, true in case["truth"].items()
        if name != "layer_bytes"
        and not (same(getattr(made.engine_plan, name), true) and same(shell.get(name, true), true))
    ]


def same(said: object, true: object) -> bool:
    """Equal, or within the digits that a ratio was printed in."""
    if isinstance(true, float) and isinstance(said, int | float):
        return abs(said - true) <= 1e-3 * max(1.0, true)
    return said == true


def main() -> int:
    """Prints each difference and the counts."""
    counts: dict[str, dict[str, int]] = {}
    for engine in sys.argv[1:] or list(FILES):
        found = [differences(case) for case in cases(engine)]
        for line in (line for wrong in found if wrong for line in wrong):
            print(line)
        counts[engine] = {
            "jobs": len(found), "not expressed": found.count(None), "equal": found.count([]),
            "different": sum(bool(wrong) for wrong in found),
        }  # fmt: skip
    print(json.dumps(counts))
    return 1 if any(count["different"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
