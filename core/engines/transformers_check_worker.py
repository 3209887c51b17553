"""What transformers really caches: builds a model from its config on torch's meta device and runs one forward.

`python -m core.engines.transformers_check_worker` reads {"config", "context_length", "batch_size"} from standard
input and writes one JSON line: the shape of every key, value and state tensor, layer by layer, or an error with its
reason. The meta device keeps shapes and no numbers, so a 405B model needs neither weights nor memory. Repository code
is never run; only classes that transformers ships are built. Started by transformers_check.py, as a process of its
own with limits.
"""

import contextlib
import inspect
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from core.host.guard import end_with_parent, limit_memory

MEMORY_LIMIT = 12 * 2**30  # address space where it is enforced; torch alone maps several GiB


def main() -> None:
    """Read the question, answer on the last line of standard output."""
    end_with_parent(holds_stdin=False, waited_for=True)
    limit_memory(MEMORY_LIMIT)
    answer = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        question = json.load(sys.stdin)
        result = answer_to(question)
    answer.write(json.dumps(result) + "\n")


def answer_to(question: Mapping[str, Any]) -> dict[str, Any]:
    """The measurement, or {"error": reason} where transformers cannot build or run the model."""
    try:
        return measure(question["config"], int(question["context_length"]), int(question["batch_size"]))
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises is the answer: that it cannot be run
        return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:400]}


def measure(config: Mapping[str, Any], context_length: int, batch_size: int) -> dict[str, Any]:
    """Shapes of the cache after a real forward over context_length tokens."""
    import torch  # noqa: PLC0415, TID251 - this process exists to load it
    import transformers  # noqa: PLC0415, TID251

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    with torch.device("meta"), torch.no_grad():
        model = _build(config)
        ids = torch.zeros((batch_size, context_length), dtype=torch.long, device="meta")
        with _without_experts(model), _shapes_only():
            cache = _forward(model, ids)
            layers = _with_states(cache, [_layer(layer) for layer in _layers_of(cache)])
    return {
        "model_class": type(model).__name__,
        "transformers_version": transformers.__version__,
        "context_length": context_length,
        "batch_size": batch_size,
        "layers": layers,
    }


def _build(config: Mapping[str, Any]) -> Any:
    """The language model alone where transformers can build it alone, else the whole model."""
    import transformers  # noqa: PLC0415, TID251

    model_type = config.get("model_type")
    known = transformers.CONFIG_MAPPING
    if not isinstance(model_type, str) or model_type not in known:
        raise ValueError(f"transformers {transformers.__version__} has no model_type {model_type!r}")
    plain = known[model_type]._decode_special_floats(dict(config))  # as transformers reads its own saved files
    outer = known[model_type].from_dict(plain)
    thinker = getattr(outer, "thinker_config", outer)
    text = thinker.get_text_config(decoder=True)
    return _first_that_builds(
        (transformers.AutoModelForCausalLM, text),
        (transformers.AutoModel, text),
        (transformers.AutoModelForImageTextToText, thinker),
        (transformers.AutoModelForCausalLM, outer),
        (transformers.AutoModel, outer),
    )


def _first_that_builds(*attempts: tuple[Any, Any]) -> Any:
    import torch  # noqa: PLC0415, TID251

    problems = []
    for loader, config in attempts:
        try:
            return loader.from_config(config, dtype=torch.bfloat16, attn_implementation="eager").eval()
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            if "Unrecognized configuration class" not in str(error):
                problems.append(f"{type(error).__name__}: {error}")
    raise ValueError(problems[0] if problems else "transformers has no language model for this configuration")


def _forward(model: Any, ids: Any) -> Any:
    """The cache after one forward over ids: the model's own, or one that we hand it and keep."""
    import transformers  # noqa: PLC0415, TID251

    output = model(input_ids=ids, use_cache=True)
    for name in ("cache", "past_key_values", "cache_params"):  # "cache" since 5.24
        cache = getattr(output, name, None)
        if cache is not None:
            return getattr(cache, "self_attention_cache", cache)
    kept = transformers.DynamicCache(config=model.config)
    argument = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    model(input_ids=ids, use_cache=True, **{argument: kept})
    if not any(getattr(layer, "keys", None) is not None for layer in kept.layers):
        raise ValueError("the model returned no cache")
    return kept


def _layers_of(cache: Any) -> list[Any]:
    layers = getattr(cache, "layers", None)
    if layers is not None:
        return list(layers)
    return list(cache) if isinstance(cache, list | tuple) else [cache]


def _layer(layer: Any) -> dict[str, Any]:
    """Shapes and bytes of one cache layer: keys and values apart from constant states and what else grows.

    A tensor that is keys and values at once (DeepSeek-V4's compressed layers) is counted once, among the keys.
    """
    import torch  # noqa: PLC0415, TID251

    if isinstance(layer, list | tuple):
        tensors = {"keys": layer[0], "values": layer[1]}
    else:
        tensors = {name: value for name, value in vars(layer).items() if not name.startswith("_sliding")}
    keys, values = tensors.get("keys"), tensors.get("values")
    if values is keys:
        tensors.pop("values", None)
    held, beside, states = (_of_kind(tensors, kind) for kind in ("kv", "beside", "state"))
    return {
        "class": type(layer).__name__,
        "key_shape": list(keys.shape) if isinstance(keys, torch.Tensor) else None,
        "value_shape": list(values.shape) if isinstance(values, torch.Tensor) else None,
        "state_shapes": [list(tensor.shape) for tensor in states],
        "kv_bytes": sum(_bytes(tensor) for tensor in held),
        "kv_elements": sum(tensor.numel() for tensor in held),
        "state_bytes": sum(_bytes(tensor) for tensor in states),
        "indexer_bytes": sum(_bytes(tensor) for tensor in beside),
    }


class NoEntry:
    """Stands for a layer that the cache has no entry for."""


def _with_states(cache: Any, layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers with the states that the cache itself lists, one entry a layer: MiniMaxCache keeps its so, in 5.23 and
    5.24 alike, and has no entry among its layers for a linear one behind the last that attends."""
    for name, listed in vars(cache).items() if hasattr(cache, "layers") else ():
        if name == "layers" or not isinstance(listed, list):
            continue
        for index, value in enumerate(listed):
            states = list(_tensors(value))
            if not states:
                continue
            layers += [_layer(NoEntry()) for _ in range(len(layers), index + 1)]
            layers[index]["state_shapes"] += [list(tensor.shape) for tensor in states]
            layers[index]["state_bytes"] += sum(_bytes(tensor) for tensor in states)
    return layers


BESIDE = re.compile("index|idx|compressed|buffer|overlap")  # index keys, compressed entries, what waits for its turn
COUNTERS = re.compile("cumulative|position_ids")


def _of_kind(tensors: Mapping[str, Any], kind: str) -> list[Any]:
    """The tensors of one kind: 'kv', 'beside' (grows too, but is no key or value) or 'state'; counters are none."""
    return [
        tensor
        for name, value in tensors.items()
        if not COUNTERS.search(name) and _kind_of(name) == kind
        for tensor in _tensors(value)
    ]


def _kind_of(name: str) -> str:
    if BESIDE.search(name):
        return "beside"
    return "kv" if re.search("key|value|kv", name) else "state"


def _tensors(value: Any) -> Iterator[Any]:
    import torch  # noqa: PLC0415, TID251

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _bytes(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())


@contextlib.contextmanager
def _without_experts(model: Any) -> Iterator[None]:
    """Experts choose tokens by value, which meta tensors lack; they never touch the cache, so they give zeros."""
    import torch  # noqa: PLC0415, TID251

    def zeros(hidden_states: Any, *_: Any, **__: Any) -> Any:
        return torch.zeros_like(hidden_states)

    changed = [module for module in model.modules() if re.search(r"Experts$", type(module).__name__)]
    for module in changed:
        module.forward = zeros
    try:
        yield
    finally:
        for module in changed:
            del module.forward


@contextlib.contextmanager
def _shapes_only() -> Iterator[None]:
    """Questions about values (is a mask all ones?) have no answer on the meta device: answer as for a plain prompt."""
    import torch  # noqa: PLC0415, TID251
    from torch.fx.experimental import _config  # noqa: PLC0415, TID251

    originals = {name: getattr(torch.Tensor, name) for name in ("__bool__", "item", "tolist")}
    plain = {
        "__bool__": lambda tensor: True if tensor.is_meta else originals["__bool__"](tensor),
        "item": lambda tensor: 1 if tensor.is_meta else originals["item"](tensor),
        "tolist": lambda tensor: [1] * tensor.numel() if tensor.is_meta else originals["tolist"](tensor),
    }
    for name, function in plain.items():
        setattr(torch.Tensor, name, function)
    try:
        with _config.patch(meta_nonzero_assume_all_nonzero=True):
            yield
    finally:
        for name, original in originals.items():
            setattr(torch.Tensor, name, original)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing that a config names is ever fetched
    main()
