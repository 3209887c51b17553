"""Counts the parameters of a config.json by building its architecture on torch's meta device: shapes without memory.

Run in its own process, because torch and transformers take seconds to import and a strange config may do anything:

    python -m core.serving.weights_worker < config.json

prints {"parameters": ..., "architecture": ..., "transformers": ...}.

Only architectures that transformers itself knows are built; code from a repository is never run. Tied matrices count
once. core.serving.weights.count_on_meta_device calls it with a time limit.
"""

import json
import os
import sys
from typing import Any


def count_parameters(config: dict[str, Any]) -> dict[str, Any]:
    """config.json -> parameters, architecture and the transformers version. Raises ValueError for an unknown
    model_type."""
    # torch and transformers: this module is a worker process that no page imports
    import torch  # noqa: PLC0415, TID251
    import transformers  # noqa: PLC0415, TID251

    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(f"model_type is {model_type!r}, which transformers {transformers.__version__} does not know")
    settings = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
    built = transformers.CONFIG_MAPPING[model_type].from_dict(settings)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(built, trust_remote_code=False)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),  # parameters() yields a tied one once
        "architecture": type(model).__name__,
        "transformers": transformers.__version__,
    }


def main() -> int:
    """Reads a config.json on stdin and prints one line of JSON; the reason goes to stderr and the status is 1."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        answer = count_parameters(json.load(sys.stdin))
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError, ImportError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
