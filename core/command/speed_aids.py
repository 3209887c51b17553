"""What speeds a server up, as `core size` asks and answers it: a draft, a shared prefix, an offload; bounds."""

import argparse
from collections.abc import Callable
from typing import Any

from core.errors import SizingError
from core.models.spec import ModelSpec
from core.serving.draft import METHODS, Draft
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import TIERS, Offload, tier
from core.serving.prefill import prefill_bound
from core.serving.roofline import decode_bound
from core.serving.speed_aid_bounds import cached_prefix_bound, draft_bound, offload_of
from core.units import GB, format_both

ReadModel = Callable[[str], ModelSpec]
USUAL_TOKENS, USUAL_LINK = 3, "pcie5"


def add_aid_arguments(parser: argparse.ArgumentParser) -> None:
    """Each left out changes nothing."""
    parser.add_argument("--draft", default=None, metavar="MODEL",
                        help="who speculates: mtp for the model's own layers, or a model as above")  # fmt: skip
    parser.add_argument("--draft-method", default=None, choices=METHODS,
                        help="how it drafts (as its file says, else draft_model)")  # fmt: skip
    parser.add_argument("--draft-tokens", type=int, default=None,
                        help=f"tokens speculated a step ({USUAL_TOKENS})")  # fmt: skip
    parser.add_argument("--shared-prefix", type=int, default=0, help="tokens that all requests begin with (0)")
    parser.add_argument("--offload-gb", type=float, default=0.0,
                        help="GB (10^9) beside each accelerator for the cache of waiting requests (0)")  # fmt: skip
    parser.add_argument("--offload-link", default=None, metavar="LINK",
                        help=f"to it: {', '.join(TIERS)}, or its GB/s ({USUAL_LINK})")  # fmt: skip


def aids_fields(options: argparse.Namespace, read: ReadModel) -> dict[str, Any]:
    """The job's fields that they ask for. Raises SizingError, and what reading the draft raises."""
    return {
        "draft": _draft(options, read),
        "shared_prefix": options.shared_prefix,
        "offload": _offload(options),
    }


def _offload(options: argparse.Namespace) -> Offload | None:
    if options.offload_link is not None and not options.offload_gb:
        raise SizingError(f"--offload-link {options.offload_link} says over what, not how much: give --offload-gb too")
    return offload_from(options.offload_gb, options.offload_link or USUAL_LINK)


def _draft(options: argparse.Namespace, read: ReadModel) -> Draft | None:
    if options.draft is None:
        for name, value, says in (
            ("--draft-method", options.draft_method, "how"),
            ("--draft-tokens", options.draft_tokens, "how much"),
        ):
            if value is not None:
                raise SizingError(f"{name} {value} says {says}, not who: give --draft too")
        return None
    tokens = USUAL_TOKENS if options.draft_tokens is None else options.draft_tokens
    if options.draft == "mtp":
        return Draft(method=options.draft_method or "mtp", tokens=tokens)
    model = read(options.draft)
    return Draft(method=options.draft_method or method_of(model), tokens=tokens, model=model)


def method_of(model: ModelSpec) -> str:
    """How a drafting model's own config says that it drafts."""
    named = f"{model.config.get('architectures')} {model.config.get('speculators_model_type')}".lower()
    if "eagle3" in named or "eagle-3" in named:
        return "eagle3"
    return "eagle" if "eagle" in named else "draft_model"


def offload_from(gigabytes: float, link: str) -> Offload | None:
    """None for no bytes. link: a tier, or a number of GB (10^9) a second. Raises SizingError."""
    if not gigabytes:
        return None
    try:
        bandwidth = float(link) * GB
    except ValueError:
        bandwidth = tier(link)[1]
    if not 0 < gigabytes <= 1e7:
        raise SizingError(f"offload is {gigabytes:g} GB: give a number from 0 to 10,000,000")
    return Offload(num_bytes=round(gigabytes * GB), bandwidth_bytes_per_s=bandwidth)


def aids_answer(made: MemoryPlan) -> dict[str, Any]:
    """The JSON object's keys for them; null where the job has none."""
    job, asked = made.job, made.engine_plan
    drafted = {
        "method": job.draft.method,
        "tokens": job.draft.tokens,
        "parameters": made.draft_counted.parameters,
        "weight_bytes": made.draft_weight_bytes,
        "cache_bytes": made.draft_cache_bytes if job.engine not in ("vllm", "sglang") else None,
    } if job.draft is not None and made.draft_counted is not None else None  # fmt: skip
    outside = offload_of(made)
    return {
        "draft": drafted,
        "shared_prefix": {"tokens": job.shared_prefix, "held_once_bytes": None if asked is None else asked.shared_bytes}
        if job.shared_prefix else None,
        "offload": None if outside is None else {
            "requests_kept": outside.requests_kept,
            "request_bytes": outside.request_bytes,
            "chunks_kept": outside.chunks_kept,
            "chunks_of_a_request": outside.chunks_of_a_request,
            "load_seconds": outside.load_seconds,
            "recompute_seconds": outside.recompute_seconds,
        },
        "bounds": _bounds(job),
    }  # fmt: skip


def _bounds(job: ServingJob) -> dict[str, float | None]:
    """Least seconds and most tokens a second; null where a figure of the accelerator is unknown."""
    step, drafted, cached = decode_bound(job), draft_bound(job), cached_prefix_bound(job)
    return {
        "first_token_seconds": prefill_bound(job).seconds,
        "first_token_seconds_prefix_cached": None if cached is None else cached.seconds,
        "step_seconds": step.step_seconds,
        "tokens_per_second_per_user": step.tokens_per_second_per_user,
        "tokens_per_second": step.tokens_per_second,
        "tokens_per_second_all_drafts_accepted": None if drafted is None else drafted.tokens_per_second,
    }


def aids_words(answer: dict[str, Any], made: MemoryPlan) -> list[str]:
    """Lines of the answer in words: what was asked of them, and the bounds that are known."""
    found, bounds, outside = [], answer["bounds"], answer["offload"]
    if made.job.draft is not None:
        found.append(f"  draft                           {format_both(made.draft_weight_bytes, 2)}")
    if made.job.shared_prefix:
        found.append(f"  held once of the prefix         of {made.job.shared_prefix:,} tokens")
    if outside is not None:
        found.append(
            f"  offload keeps                   {outside['requests_kept']:,} waiting, back in >= "
            f"{outside['load_seconds']:.3g} s each (bound)"
        )
    if bounds["first_token_seconds"] is not None:
        bound = ". ".join(filter(None, ["bound", prefill_bound(made.job).caveat.rstrip(".")]))
        found.append(f"  time to first token             >= {bounds['first_token_seconds']:.3g} s ({bound})")
    if bounds["tokens_per_second"] is not None:
        found.append(f"  tokens a second, all requests   <= {bounds['tokens_per_second']:,.0f} (bound)")
    if bounds["tokens_per_second_all_drafts_accepted"] is not None:
        most = bounds["tokens_per_second_all_drafts_accepted"]
        found.append(f"  with every draft accepted       <= {most:,.0f} (bound)")
    return found
