"""`python -m core size MODEL`: does it fit, how many requests, how long a context, how many accelerators.

MODEL is a name or repository of the registry, a path to a config.json (or any file that core.api.read_document reads),
or an owner/name on the Hub. Exit 0 where the job fits, 1 where it does not, 2 for a wrong argument, 3 where the model
cannot be read or fetched.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.command.speed_aids import add_aid_arguments, aids_answer, aids_fields, aids_words
from core.command.split import add_split_arguments, split_answer, split_fields, split_words
from core.engines.face import MODULES
from core.errors import SizingError
from core.models.formats.document import read_document
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.parameters.formats import FORMATS, PUBLISHED
from core.serving.calibrated import calibrated, require_left_gib
from core.serving.inverse import fewest_accelerators, largest_batch, longest_context
from core.serving.job import PAYLOAD, ServingJob, require_prefix_within
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.weights import ParameterCount, count_of, counts_alone, typed_count
from core.units import GIB, format_both

if TYPE_CHECKING:
    from core.serving.from_hub import HubModel

NO_LIMIT = 10**9  # tokens: engines and the payload search no further
PAGES = ("http://", "https://", "huggingface.co/", "www.huggingface.co/", "hf.co/")  # an address, and no path
FITS, DOES_NOT_FIT, WRONG_ARGUMENT, UNREADABLE = 0, 1, 2, 3
EXAMPLES = """examples:
  python -m core size Qwen/Qwen3-32B --gpu h100-sxm --context 32768 --engine vllm --json
  python -m core size ./config.json --context 8192 --batch 16 --cache-bits 8 --json
  python -m core size "Mixtral 8x7B" --gpu rtx4090 --weight-format gguf-q4_k_m
  python -m core size DeepSeek-V3 --gpus 16 --data-parallel 16 --expert-parallel --batch 256 --json
  python -m core size Qwen/Qwen3-32B --engine vllm --draft Qwen/Qwen3-8B --shared-prefix 4000 --offload-gb 64
"""


class Unreadable(Exception):
    """The model cannot be read or fetched: the message says what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's arguments, each with the default that the Size page has."""
    parser.add_argument("model", help="a registry name, a path to a config.json, or owner/name on the Hub")
    parser.add_argument("--gpu", default="h100-sxm", help="an id of the accelerator catalogue (h100-sxm)")
    parser.add_argument("--context", type=int, default=32_768, help="tokens of a request (32768)")
    parser.add_argument("--batch", type=int, default=1, help="requests at once (1)")
    parser.add_argument("--cache-bits", type=int, default=None, help="bits of a cached element (the file's, else 16)")
    parser.add_argument("--weight-bits", type=float, default=None, help="bits of every weight (as published, else 16)")
    parser.add_argument("--weight-format", default=None, choices=FORMATS, metavar="NAME",
                        help=f"how they are stored: {', '.join(FORMATS)}")  # fmt: skip
    parser.add_argument("--gpus", type=int, default=1, help="accelerators in all (1)")
    parser.add_argument("--tensor-parallel", type=int, default=1, help="accelerators of one copy (1)")
    add_split_arguments(parser)
    parser.add_argument("--engine", default=PAYLOAD, choices=list(MODULES), help="whose allocation counts (payload)")
    parser.add_argument("--setting", action="append", default=[], metavar="KEY=VALUE",
                        help="of the engine, such as max_batched_tokens=8192; may be repeated")  # fmt: skip
    parser.add_argument("--cache-memory-gib", type=float, default=None, help="what the server logged as left for it")
    parser.add_argument("--parameters", type=int, default=None, help="an exact count, where none can be had")
    add_aid_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Prints the answer and returns the exit code."""
    try:
        spec, count = model_of(options.model, options.parameters)
        made = plan(_job(spec, count, options))
        answer = answer_of(made, options.model)
    except (Unreadable, UnsupportedConfig) as error:
        return _said(UNREADABLE, str(error), as_json=options.json)
    except SizingError as error:
        return _said(WRONG_ARGUMENT, str(error), as_json=options.json)
    print(json.dumps(answer) if options.json else in_words(answer, made))
    return FITS if answer["fits"] else DOES_NOT_FIT


def model_of(name: str, parameters: int | None = None) -> tuple[ModelSpec, ParameterCount | None]:
    """The model of that name, and its count where that is no matter of its config: typed in, or the Hub's.

    Raises Unreadable, UnsupportedConfig or SizingError.
    """
    typed = None if parameters is None else typed_count(parameters)
    if is_file(path := Path(name)):
        if path.suffix == ".gguf":
            return _of_gguf(path), typed
        return read_document(path.read_bytes()), typed
    if not name.startswith(PAGES) and (name.endswith((".json", ".yaml", ".gguf")) or name.startswith((".", "/"))):
        raise Unreadable(f"{name}: there is no such file. Give the path of a config.json, or a registry name.")
    from core.models.registry import load_registry  # noqa: PLC0415  the registry is not needed for a file

    for known in load_registry():
        if name.lower() in (known.name.lower(), known.repository.lower()):
            spec = read_config(known.config)
            if typed is not None or counts_alone(known, spec):
                return spec, typed
            return spec, count_of(spec) if not known.leaves_out else _count_of_hub(_from_hub(known.repository))
    found = _from_hub(name)
    from core.serving.from_hub import spec_of_hub  # noqa: PLC0415

    spec = spec_of_hub(found)  # before any count: a file that does not read is said by its field
    return spec, typed or _count_of_hub(found)


def is_file(path: Path) -> bool:
    """Also for a name that is too long to be one, such as JSON that was pasted."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _of_gguf(path: Path) -> ModelSpec:
    from core.models.gguf.header import read_gguf_file  # noqa: PLC0415  a config.json needs none of it
    from core.models.gguf.metadata import read_metadata  # noqa: PLC0415

    return read_metadata(read_gguf_file(path))  # its start alone: the file may hold many gigabytes


def _from_hub(name: str) -> "HubModel":
    if "/" not in name:
        from core.models.registry import load_registry  # noqa: PLC0415
        from core.serving.near_names import closest_names  # noqa: PLC0415

        near = closest_names(name, load_registry())
        hint = f" Near it: {', '.join(near)}." if near else ""
        raise Unreadable(f"{name}: no model of the registry is called so, and it is no owner/name.{hint}")
    from core.models.hub.pulls import HubError  # noqa: PLC0415  the Hub client is heavy
    from core.serving.from_hub import read_hub_model  # noqa: PLC0415

    try:
        return read_hub_model(name)
    except HubError as error:
        from core.serving.near_names import instead_of_hub  # noqa: PLC0415

        raise Unreadable(f"{error} {instead_of_hub(name)} Or save its config.json and give the path of it.") from error


def _count_of_hub(found: "HubModel") -> ParameterCount:
    from core.serving.from_hub import exact_count  # noqa: PLC0415

    return exact_count(found)


def _job(spec: ModelSpec, count: ParameterCount | None, options: argparse.Namespace) -> ServingJob:
    stated = spec.cache_width if options.cache_bits is None else None
    usual = 16 if options.cache_bits is None else options.cache_bits
    job = ServingJob(
        model=spec,
        batch_size=options.batch,
        context_length=options.context,
        weight_bits=16 if options.weight_bits is None else options.weight_bits,
        weight_format=_weight_format(options),
        kv_bits=usual if stated is None else stated.element_bits,
        kv_scale_overhead_bits=0 if stated is None else stated.scale_bits,
        kv_elements_per_scale=64 if stated is None else stated.elements_per_scale,
        accelerator=options.gpu,
        num_accelerators=options.gpus,
        tensor_parallel=options.tensor_parallel,
        **split_fields(options),
        parameter_count=count,
        engine=options.engine,
        engine_settings=_settings(options.setting, options.engine),
        **aids_fields(options, lambda name: model_of(name, 1)[0]),
    )
    if options.cache_bits is not None and job.stored_type is not None:
        named = f"--cache-bits {options.cache_bits} and {job.stored_type.name} of --setting"
        raise SizingError(f"{named} answer one question twice: give one")
    require_prefix_within(job)
    measured = options.cache_memory_gib
    if measured is not None:
        require_left_gib("--cache-memory-gib", measured, job)
    return job if measured is None else calibrated(job, round(measured * GIB))


def _weight_format(options: argparse.Namespace) -> str | None:
    """The format named, else as published; none where every weight has the bits asked. Raises SizingError for both."""
    named: str | None = options.weight_format
    if options.weight_bits is None:
        return named or PUBLISHED
    if named is not None:
        raise SizingError(
            f"--weight-bits {options.weight_bits:g} and --weight-format {named} answer one question twice: give one"
        )
    return None


# What the command's own arguments say: a second answer among an engine's settings would reach its cache alone.
OWN_ARGUMENTS = {
    "context_length": "--context", "batch_size": "--batch", "tensor_parallel": "--tensor-parallel",
    "pipeline_parallel": "--pipeline-parallel", "data_parallel": "--data-parallel",
    "expert_parallel": "--expert-parallel", "cache_bits": "--cache-bits", "available_bytes": "--cache-memory-gib",
    "draft_method": "--draft", "speculative_tokens": "--draft-tokens", "shared_prefix": "--shared-prefix",
}  # fmt: skip


def _settings(given: Sequence[str], engine: str) -> tuple[tuple[str, Any], ...]:
    """KEY=VALUE as pairs: true and false, numbers, else words.

    Raises SizingError for what is no pair, for a key that an argument of its own says, and for settings of no engine.
    """
    if given and engine == PAYLOAD:
        raise SizingError(f"--setting {given[0]} is of an engine, and the payload has none: name one by --engine")
    found = []
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise SizingError(f"--setting {pair!r} is no KEY=VALUE: give one, such as max_batched_tokens=8192")
        if key in OWN_ARGUMENTS:
            raise SizingError(f"--setting {key} has an argument of its own: give {OWN_ARGUMENTS[key]}")
        try:
            found.append((key, json.loads(value.lower() if value in ("True", "False") else value)))
        except ValueError:  # no JSON, or a number of thousands of digits
            found.append((key, value))
    return tuple(found)


def answer_of(made: MemoryPlan, name: str) -> dict[str, Any]:
    """The plan as a JSON object: bytes are whole numbers of one accelerator, the cache's of the whole batch."""
    job = made.job
    wide = float(job.kv_bits_per_element) / 8
    tokens, batch = job.context_length, job.batch_size
    return {
        "model": name,
        "accelerator": job.device.id,
        "engine": job.engine,
        "context_length": job.context_length,
        "batch_size": job.batch_size,
        "kv_heads": kv_heads_of(job.model),
        "kv_cache_bytes": job.model.kv_cache_bytes(context_length=tokens, batch_size=batch, bytes_per_element=wide),
        "cache_bytes": job.model.cache_bytes(context_length=tokens, batch_size=batch, bytes_per_element=wide),
        "state_bytes": job.model.state_bytes(batch_size=job.batch_size),
        "engine_bytes": None if made.engine_plan is None else made.kv_reserved_bytes,
        "engine_version": None if made.engine_plan is None else made.engine_plan.version,
        "engine_plan": _engine_plan(made),
        "weight_bytes": made.weight_bytes,
        "parameters": made.parameters.total,
        "runtime_bytes": made.runtime_bytes,
        "total_bytes": made.total_bytes,
        "budget_bytes": made.budget_bytes,
        "fits": made.fits,
        "largest_batch": int(largest_batch(job)),
        "longest_context": (longest := int(longest_context(job))),
        "memory_limits_context": longest < NO_LIMIT,
        "fewest_accelerators": int(fewest_accelerators(job)),
        "remarks": list(job.model.remarks),
        "split": split_answer(made),
        **aids_answer(made),
    }


ENGINE_FIGURES = (
    "request_bytes", "block_size", "capacity_tokens", "max_concurrency", "bytes_per_token", "window_capacity_tokens",
    "state_slots", "slots_per_request", "max_running_requests",
)  # fmt: skip


def _engine_plan(made: MemoryPlan) -> dict[str, Any] | None:
    """The engine's own figures for what is left, as plan_cache names them; an absent one is null."""
    asked = made.engine_plan
    return None if asked is None else {name: getattr(asked, name) for name in ENGINE_FIGURES}


def kv_heads_of(spec: ModelSpec) -> int | list[int] | None:
    """G of the layers that have one; a list, one number a layer, where they differ; None without any."""
    heads = [getattr(getattr(layer, "attention", layer), "num_kv_heads", 0) for layer in spec.layers]
    distinct = {number for number in heads if number}
    if len(distinct) == 1:
        return distinct.pop()
    return heads if distinct else None


def in_words(answer: dict[str, Any], made: MemoryPlan) -> str:
    """The answer first, then what fills the memory."""
    device, batch = made.job.device.name, answer["largest_batch"]
    engine = "" if made.engine_plan is None else f" on {answer['engine_version']}"
    cache = answer["engine_bytes"] if answer["engine_bytes"] is not None else made.kv_reserved_bytes
    rows = [
        *(f"  note: {remark}" for remark in answer["remarks"]),
        f"{answer['model']} on {made.job.num_accelerators} x {device}{engine}: {batch:,} "
        f"request{'s' if batch != 1 else ''} at {made.job.context_length:,} tokens",
        f"  asked: {made.job.batch_size:,}, which {'fits' if answer['fits'] else 'does not fit'}",
        f"  longest context at that batch   {answer['longest_context']:,} tokens{_beyond(answer, made)}",
        f"  fewest accelerators for it      {_fewest(answer, made)}",
        f"  weights                         {format_both(made.weight_bytes, 2)}",
        f"  cache                           {format_both(cache, 2)}",
        *([f"  states of constant size         {format_both(made.state_bytes, 2)}"] if made.state_bytes else []),
        f"  budget of one accelerator       {format_both(made.budget_bytes, 2)}",
        *split_words(made),
        *aids_words(answer, made),
    ]
    return "\n".join(rows)


def _fewest(answer: dict[str, Any], made: MemoryPlan) -> str:
    """By tensor parallel, which may need more than the split that was asked for, or do for none."""
    alone = "" if not made.job.split.goes_further else " by tensor parallel alone"
    return f"{answer['fewest_accelerators'] or 'no number fits'}{alone}"


def _beyond(answer: dict[str, Any], made: MemoryPlan) -> str:
    """What else limits a context: the config's own figure, or nothing that memory says."""
    declared = made.job.model.dimensions.max_context_length
    longest, asked = answer["longest_context"], made.job.context_length
    if declared is not None and max(longest, asked) > declared:
        return f", of which the config declares {declared:,} at most"
    return "" if answer["memory_limits_context"] else " (memory sets no limit)"


def _said(code: int, message: str, *, as_json: bool) -> int:
    print(json.dumps({"error": message}) if as_json else f"headroom: {message}")
    return code
