"""vLLM's own plan of a cache: builds its model classes on the meta device and asks its planner; no weights, no server.

`python -m core.engines.vllm_check_worker` reads {"config", "context_length", "available_bytes", "settings"} from
standard input and writes one JSON line: what vLLM plans on one rank, or an error with its reason. It runs with an
interpreter that has vLLM (HEADROOM_VLLM_PYTHON, else the server's own), offline, and never runs a repository's code.
Without a GPU one H100 is stood in for (vllm_check_gpu.py). Names are those of vLLM 0.33.0; another version that has
moved them answers with what it misses.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.engines import vllm_check_gpu as stand_in
from core.host.guard import end_with_parent, limit_memory

MEMORY_LIMIT = 16 * 2**30  # of data: a driver maps far more addresses than it uses
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # a length beyond the file's own is a question like any other
}


def main() -> None:
    """Read the question, answer on the last line of standard output."""
    end_with_parent(holds_stdin=False, waited_for=True)
    limit_memory(MEMORY_LIMIT, of_addresses=False)
    os.environ.update(ENVIRONMENT)
    answer = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        result = answer_to(json.load(sys.stdin))
    answer.write(json.dumps(result) + "\n")


def answer_to(question: Mapping[str, Any]) -> dict[str, Any]:
    """The plan, or {"error": reason} where vLLM is not there, has moved a name or refuses the model."""
    try:
        return planned(question)
    except Exception as error:  # noqa: BLE001 - whatever vLLM raises is the answer: that it cannot be asked
        said = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {said[0] if said else ''}"[:400]}


def planned(question: Mapping[str, Any]) -> dict[str, Any]:
    """What vLLM plans for one rank: groups, block size, blocks, bytes of a request, capacity and concurrency."""
    if find_spec("vllm") is None:
        raise ModuleNotFoundError(f"{sys.executable} has no vllm")
    without_gpu = stand_in.needed()
    if without_gpu:
        stand_in.before_vllm()
    import vllm  # noqa: PLC0415 - this process exists to load it
    from vllm.config import set_current_vllm_config  # noqa: PLC0415
    from vllm.v1.core import kv_cache_planning as planning  # noqa: PLC0415
    from vllm.v1.core.kv_cache_config_builder import get_kv_cache_config_builder  # noqa: PLC0415
    from vllm.v1.core.kv_cache_utils import (  # noqa: PLC0415
        get_kv_cache_capacity,
        get_max_concurrency_for_kv_cache_config,
    )

    if without_gpu:
        stand_in.after_vllm()
    with tempfile.TemporaryDirectory() as folder:
        asked = _engine_config(question, Path(folder))
        with set_current_vllm_config(asked):
            specs = _cache_specs(asked, Path(folder), without_gpu=without_gpu)
            groups = planning.get_global_kv_cache_groups(asked, [specs])
            made = planning.get_kv_cache_configs(asked, [specs], [question["available_bytes"]], groups)[0]
            return {
                "version": vllm.__version__,
                "block_size": asked.cache_config.block_size,
                "groups": [[type(group.kv_cache_spec).__name__, len(group.layer_names)] for group in groups],
                "num_blocks": made.num_blocks,
                "request_bytes": planning._max_memory_usage_bytes_from_groups(
                    get_kv_cache_config_builder(asked), asked, groups
                ),
                "capacity_tokens": get_kv_cache_capacity(asked, made)[0],
                "max_concurrency": get_max_concurrency_for_kv_cache_config(asked, made),
                "stood_in": without_gpu,
            }


def _engine_config(question: Mapping[str, Any], folder: Path) -> Any:
    """vLLM's configuration of the server that is asked about."""
    from vllm.engine.arg_utils import EngineArgs  # noqa: PLC0415

    (folder / "config.json").write_text(json.dumps(question["config"]), encoding="utf-8")
    return EngineArgs(
        model=str(folder), tokenizer=str(folder), skip_tokenizer_init=True, load_format="dummy", enforce_eager=True,
        max_model_len=question["context_length"], **question["settings"],
    ).create_engine_config()  # fmt: skip


def _cache_specs(asked: Any, folder: Path, *, without_gpu: bool) -> Any:
    """What each layer keeps, by the model built on the meta device and the backends chosen for it."""
    import torch  # noqa: PLC0415, TID251
    from vllm.model_executor.model_loader.utils import initialize_model  # noqa: PLC0415
    from vllm.platforms import current_platform  # noqa: PLC0415
    from vllm.utils.torch_utils import set_default_torch_dtype  # noqa: PLC0415
    from vllm.v1.attention.backends import utils as layouts  # noqa: PLC0415
    from vllm.v1.worker import worker_base  # noqa: PLC0415
    from vllm.v1.worker.gpu.attn_utils import get_kv_cache_spec  # noqa: PLC0415

    _one_process(folder, asked.parallel_config.tensor_parallel_size)
    building = stand_in.building() if without_gpu else contextlib.nullcontext()
    with set_default_torch_dtype(asked.model_config.dtype), torch.device("meta"), stand_in.on_meta(), building:
        initialize_model(vllm_config=asked)
    current_platform.update_block_size_for_backend(asked)
    specs = get_kv_cache_spec(asked)
    backends = worker_base.get_current_attn_backends(asked)
    offered = [layout.name for layout in layouts.get_supported_kv_cache_layouts(backends)]
    chosen = layouts.resolve_kv_cache_layout(asked, [offered], list(specs.values()))
    worker_base.record_kv_cache_layout(asked.cache_config, chosen.name)
    return specs


def _one_process(folder: Path, ranks: int) -> None:
    """Groups of one process that its model classes find; they are told of as many ranks as are asked about."""
    import torch  # noqa: PLC0415, TID251
    from vllm.distributed import parallel_state  # noqa: PLC0415

    store = (folder / "store").as_uri()
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    parallel_state.init_distributed_environment(1, 0, store, 0, "gloo")
    parallel_state.initialize_model_parallel(1, 1)
    if ranks > 1:
        for module in list(sys.modules.values()):
            if getattr(module, "get_tensor_model_parallel_world_size", None) is not None:
                module.get_tensor_model_parallel_world_size = lambda: ranks  # type: ignore[attr-defined]
        parallel_state._TP.world_size = ranks


if __name__ == "__main__":
    main()
