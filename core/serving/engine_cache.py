"""What a named engine takes for a job's cache: the job in the engine's words, and the model in its config's.

An engine reads the class and the keys of the config, so a what-if about G is asked of a config that declares that G;
where no key of the file can declare it, or the what-if is a pattern of windows, the engine cannot be asked.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError, EnginePlan
from core.engines.stored_type import stored_type
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.serving.job import PAYLOAD, ServingJob
from core.serving.stages import SPLIT_ENGINES, Stage
from core.serving.what_if import own_kv_heads

if TYPE_CHECKING:
    from core.engines.class_names import Keyed
    from core.engines.columns import Column, Columns

POOL_WITH_DRAFT = ("vllm", "sglang")
KV_HEAD_KEYS = (
    "num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "kv_n_heads", "multi_query_group_num",
    "num_query_groups",
)  # fmt: skip


@dataclass(frozen=True)
class EngineCache:
    """A job's cache as its engine keeps it, for any batch and context of one copy of the model."""

    engine: str
    spec: ModelSpec
    tensor_parallel: int
    cache_bits: int
    settings: tuple[tuple[str, Any], ...]
    shared_prefix: int = 0  # given to an engine that shares whole blocks of it

    def plan(self, batch: int, context_length: int, available_bytes: int | None = None) -> EnginePlan:
        """The engine's plan for the batch. Raises EngineError."""
        job: dict[str, Any] = {"context_length": context_length, "batch_size": batch}
        if available_bytes is not None:
            job["available_bytes"] = max(available_bytes, 0)
        if self.tensor_parallel > 1:
            job["tensor_parallel"] = self.tensor_parallel
        asked = self._asked()
        if stored_type(self.engine, asked) is None and "cache_type" not in asked:
            job["cache_bits"] = self.cache_bits
        return plan_cache(self.spec, engine=self.engine, **job, **asked)

    def _asked(self) -> dict[str, Any]:
        asked = dict(self.settings)
        return {**asked, "shared_prefix": self.shared_prefix} if self.shared_prefix else asked

    def columns(self, batches: "Column", contexts: "Column", available_bytes: "Column") -> "Columns":
        """The same for many batches and contexts: what each takes, states included, and whether it is served from the
        bytes given. Raises EngineError."""
        from core.engines.columns import columns  # noqa: PLC0415  numpy, which a single job does without

        common: dict[str, Any] = {} if self.tensor_parallel == 1 else {"tensor_parallel": self.tensor_parallel}
        asked = self._asked()
        if stored_type(self.engine, asked) is None and "cache_type" not in asked:
            common["cache_bits"] = self.cache_bits
        return columns(
            self.spec,
            engine=self.engine,
            contexts=contexts,
            batches=batches,
            available_bytes=available_bytes.clip(min=0),
            common=common,
            settings=asked,
        )

    def held_bytes(self, batch: int, context_length: int) -> int:
        """Bytes on one rank that the batch takes, states included. Raises EngineError."""
        return held_bytes(self.plan(batch, context_length), batch_size=batch)


def engine_cache(job: ServingJob, stage: Stage | None = None) -> EngineCache | None:
    """The job's cache as its engine keeps it, a pipeline's stage alone where one is given; None for the payload.

    Raises EngineError where it cannot be asked."""
    if job.engine == PAYLOAD:
        return None
    if job.engine not in SPLIT_ENGINES and job.split.goes_further:
        raise EngineError(
            f"{job.engine} is not split here beyond tensor_parallel: leave pipeline_parallel and data_parallel at 1 "
            "and expert_parallel off, or take vLLM, SGLang or the payload."
        )
    if job.window_pattern is not None:
        raise EngineError(
            f"window_pattern is a what-if, and {job.engine} serves the windows that the model's class has. "
            "Leave the pattern out, or take the payload."
        )
    if job.shared_prefix and job.engine != "vllm":
        raise EngineError(
            f"shared_prefix is {job.shared_prefix:,}: what {job.engine} holds once of it is not stated here. Leave it "
            "out, or take vLLM or the payload."
        )
    return EngineCache(
        engine=job.engine,
        spec=engine_spec(job.model, job.num_kv_heads),
        tensor_parallel=job.tensor_parallel,
        cache_bits=job.kv_bits,
        settings=(*job.engine_settings, *_draft_settings(job), *_stage_settings(stage), *shared_requests(job)),
        shared_prefix=job.shared_prefix,
    )


def _stage_settings(stage: Stage | None) -> tuple[tuple[str, Any], ...]:
    """A stage in the engine's keys."""
    return () if stage is None else (("pipeline_parallel", stage.stages), ("pipeline_stage", stage.index))


def shared_requests(job: ServingJob) -> tuple[tuple[str, Any], ...]:
    """Ranks over which SGLang shares out the requests that a server may run at once."""
    return (("data_parallel", job.data_parallel),) if job.engine == "sglang" and job.data_parallel > 1 else ()


def _draft_settings(job: ServingJob) -> tuple[tuple[str, Any], ...]:
    """The job's draft in the keys of vLLM and SGLang, whose pools hold its layers too; nothing where it has a cache of
    its own."""
    draft = job.draft
    if draft is None or job.engine not in POOL_WITH_DRAFT:
        return ()
    found: tuple[tuple[str, Any], ...] = (("draft_method", draft.method), ("speculative_tokens", draft.tokens))
    return found if draft.model is None else (*found, ("draft", draft.model))


def draft_cache(job: ServingJob) -> EngineCache | None:
    """The cache of a draft that stands beside the model's own, as the same engine keeps it; None where its pool holds
    it, where nobody drafts, or for the payload. Raises EngineError where the engine's is not stated."""
    draft = job.draft
    if draft is None or job.engine in (PAYLOAD, *POOL_WITH_DRAFT):
        return None
    if draft.model is None or draft.method != "draft_model":
        raise EngineError(
            f"draft is {draft.method!r}: what {job.engine} keeps for it is not stated here. Take vLLM, SGLang or the "
            "payload, or leave the draft out."
        )
    return EngineCache(
        engine=job.engine,
        spec=engine_spec(draft.model, None),
        tensor_parallel=job.tensor_parallel,
        cache_bits=job.kv_bits,
        settings=job.engine_settings,
    )


def engine_spec(model: ModelSpec, num_kv_heads: int | None) -> ModelSpec:
    """The model as a config that declares this G. Raises EngineError where no config says it."""
    from core.engines.class_names import Keyed, named_class  # noqa: PLC0415  the payload asks for no class

    if num_kv_heads is None or num_kv_heads == own_kv_heads(model.shape):
        if not model.config and not model.metadata:
            raise EngineError(
                "The model is a shape without a config, and an engine reads its class: give a config.json."
            )
        return named_class(model)
    declared = _declared(Keyed(named_class(model)), num_kv_heads)
    if declared is None:
        raise EngineError(
            f"num_kv_heads is {num_kv_heads}: no key of this {model.model_type} config declares another G that an "
            "engine would read. Leave num_kv_heads out, or take the payload."
        )
    return declared


@lru_cache(maxsize=512)
def _declared(keyed: "Keyed", num_kv_heads: int) -> ModelSpec | None:
    """None where no key says it: an error would not be kept, and be looked for again."""
    model = keyed.model
    wished = tuple(_plain(_with_heads(layer, num_kv_heads)) for layer in model.layers)
    for config in _candidates(model, num_kv_heads):
        try:
            spec = read_config(config)
        except UnsupportedConfig:
            continue
        if tuple(map(_plain, spec.layers)) == wished:
            return spec
    return None


def _with_heads(layer: Any, num_kv_heads: int) -> Any:
    """The layer with that G, also inside a parallel one."""
    if hasattr(layer, "attention"):
        return replace(layer, attention=_with_heads(layer.attention, num_kv_heads))
    return replace(layer, num_kv_heads=num_kv_heads) if hasattr(layer, "num_kv_heads") else layer


def _plain(layer: Any) -> Any:
    """Without how transformers stores it, which is no part of the shape."""
    if hasattr(layer, "attention"):
        return replace(layer, attention=_plain(layer.attention))
    return replace(layer, broadcast_when_stored=False) if hasattr(layer, "broadcast_when_stored") else layer


def _candidates(model: ModelSpec, num_kv_heads: int) -> list[dict[str, Any]]:
    """Configs that may declare this G: by the key that the file has, by the usual one beside H, by Falcon's pair."""
    declared = model.declared_kv_heads.key
    heads = next((note.keys[0] for note in model.provenance if note.figure == "num_query_heads" and note.keys), "")
    path = heads.rpartition(".")[0]
    found = []
    if declared is not None and declared.rpartition(".")[2] in KV_HEAD_KEYS:
        found.append(_changed(model.config, declared, num_kv_heads))
    found += [_changed(model.config, f"{path}.{key}".lstrip("."), num_kv_heads) for key in KV_HEAD_KEYS[:2]]
    if model.model_type == "falcon":
        found.append(
            {**found[-1], "new_decoder_architecture": True, "multi_query": False, "num_kv_heads": num_kv_heads}
        )
    return found


def _changed(config: Mapping[str, Any], dotted: str, value: int) -> dict[str, Any]:
    """The config with one key set, whatever lies on its path copied."""
    made = deepcopy(dict(config))
    *path, key = dotted.split(".")
    inner: Any = made
    for step in path:
        inner = inner.setdefault(step, {}) if isinstance(inner, dict) else {}
    if isinstance(inner, dict):
        inner[key] = value
    return made
