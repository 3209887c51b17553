"""Measures mlx-lm's caches again: what tests/data/engines/mlx_cases.json.gz holds, from mlx-lm's own classes.

    pip install 'mlx[cpu]==0.32.4' mlx-lm==0.32.2       (in an environment of its own; a CPU is enough)
    python tests/core/engines/make_mlx_cases.py [--add configs.json]

MLX is lazy: a class is built from its config, and reads as many tokens as the job says, without one weight or product
being computed; the cache arrays know their shapes and types all the same. So shapes as published are measured as
easily as small ones. The steps are those of generate_step; a batch's caches are merged as BatchGenerator merges them.
--evaluate runs mlx_lm's generate_step itself, with arrays that are computed, for configs of at most 512 hidden
elements, and compares.
"""

import argparse
import gzip
import json
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
from mlx_lm.generate import _merge_caches, generate_step, maybe_quantize_kv_cache
from mlx_lm.models import bitlinear_layers
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _decode_tagged_floats, _get_classes

CASES = Path(__file__).parents[2] / "data" / "engines" / "mlx_cases.json.gz"
BY_CACHE = ("max_kv_size", "prefill_step_size", "kv_bits", "kv_group_size", "quantized_kv_start")
JOBS = (
    {"context_length": 1},
    {"context_length": 5000},
    {"context_length": 700, "generated_tokens": 9},
    {"context_length": 3000, "prefill_step_size": 700, "generated_tokens": 2},
    {"context_length": 3000, "batch_size": 3},
    {"context_length": 3000, "max_kv_size": 1024},
    {"context_length": 900, "max_kv_size": 500, "batch_size": 2},
    {"context_length": 6000, "kv_bits": 8},
    {"context_length": 3000, "kv_bits": 6, "kv_group_size": 32, "quantized_kv_start": 1000},
)
# BitNet's product has a Metal kernel alone; its shape is all that a cache sees.
bitlinear_layers.BitLinear.execute_matmul_kernel = lambda self, x, packed: mx.zeros(
    (*x.shape[:-1], self.out_features), x.dtype
)


def built(config: dict) -> object:
    """The class that mlx-lm picks for a config, in bfloat16."""
    config = _decode_tagged_floats(json.loads(json.dumps(config)))
    model_class, arguments = _get_classes(config)
    model = model_class(arguments.from_dict(config))
    model.set_dtype(mx.bfloat16)
    return model


def measured(model: object, job: dict) -> dict:
    """Bytes of the caches at the fullest moment of a job and at its end, or the error that mlx-lm raises."""
    options = {key: job[key] for key in BY_CACHE if key in job}
    try:
        moments = walked(model, job, options)
    except Exception as error:  # noqa: BLE001 - whatever mlx-lm raises is the truth here
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
    fullest = max(moments, key=sum)
    return {"request_bytes": sum(fullest), "layer_bytes": fullest, "end_bytes": sum(moments[-1])}


def walked(model: object, job: dict, options: dict) -> list[list[int]]:
    """Bytes of every cache after each chunk and each step."""
    batch, generated = job.get("batch_size", 1), job.get("generated_tokens", 0)
    cap, chunk = options.get("max_kv_size"), options.get("prefill_step_size", 2048)
    bits, group = options.get("kv_bits"), options.get("kv_group_size", 64)
    caches = make_prompt_cache(model, cap)
    if batch > 1:
        caches = _merge_caches([make_prompt_cache(model, cap) for _ in range(batch)])
    left, moments = job["context_length"] - generated - 1, []
    steps = [chunk] * (left // chunk) + ([left % chunk] if left % chunk else []) + [1] * (1 + generated)
    for count in steps:
        model(mx.zeros((batch, count), mx.int32), cache=caches)
        maybe_quantize_kv_cache(caches, options.get("quantized_kv_start", 5000), group, bits)
        moments.append([bytes_of(cache) for cache in caches])
    return moments


def bytes_of(cache: object) -> int:
    """nbytes, and 0 for a quantised cache that nothing was ever put into (its nbytes fails)."""
    return 0 if getattr(cache, "keys", cache) is None else cache.nbytes


def evaluated(config: dict, job: dict) -> int:
    """Bytes after generate_step itself has run; it steps once more after the last token that it yields."""
    mx.random.seed(0)
    model, cap = built(config), job.get("max_kv_size")
    caches = make_prompt_cache(model, cap)
    options = {key: job[key] for key in BY_CACHE if key in job and key != "max_kv_size"}
    generated = job.get("generated_tokens", 0)
    prompt = mx.zeros((job["context_length"] - generated,), mx.int32)
    for _ in generate_step(prompt, model, max_tokens=generated, prompt_cache=caches, **options):
        pass
    mx.eval([cache.state for cache in caches])
    return sum(bytes_of(cache) for cache in caches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", type=Path, help="a JSON list of {id, config, jobs (optional)} to measure too")
    parser.add_argument("--evaluate", action="store_true")
    options = parser.parse_args()
    models = {}
    if CASES.exists():
        for case in json.loads(gzip.decompress(CASES.read_bytes()))["cases"]:
            models.setdefault(case["id"], {"id": case["id"], "config": case["config"], "jobs": []})["jobs"].append(
                case["job"]
            )
    for added in json.loads(options.add.read_text()) if options.add else []:
        models[added["id"]] = {"jobs": JOBS, **added}
    cases, differing = [], 0
    for entry in models.values():
        model = built(entry["config"])
        for job in entry["jobs"]:
            truth = measured(model, job)
            cases.append({"id": entry["id"], "config": entry["config"], "job": job, "truth": truth})
            small = entry["config"].get("hidden_size", 9999) <= 512 and "batch_size" not in job
            if (
                options.evaluate
                and small
                and "error" not in truth
                and evaluated(entry["config"], job) != truth["end_bytes"]
            ):
                differing += 1
                print("differs once computed:", entry["id"], job)
    versions = {name: version(name) for name in ("mlx", "mlx-lm")}
    text = json.dumps({"versions": versions, "cases": cases}, separators=(",", ":"))
    CASES.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(cases)} cases of {len(models)} configs, {differing} differ once computed")


if __name__ == "__main__":
    main()
