"""Counts a model's parameters by building its class on torch's meta device: shapes without memory.

A process of its own, because torch and transformers take seconds to import and a strange config may do anything:

    python -m core.parameters.worker

reads one config.json a line and answers each with one line, {"total": ...} or {"error": ...}. It ends with its input,
or after IDLE_SECONDS without a line. Only classes that transformers itself ships are built; code of a repository is
never run. The class is the one that transformers picks for a causal language model, else for one that also reads
pictures, else for any other output.
"""

import json
import os
import re
import sys
import threading
from typing import Any, TextIO

from core.host.guard import end_with_parent, limit_memory

IDLE_SECONDS = 60.0
MEMORY_BYTES = 6 * 2**30  # for the data of this process: a config that would build without end is stopped by it
PARTS = (  # words in a module's name -> the part that its parameters count in; the first that fits
    (re.compile(r"vision|visual|image|audio|tower|projector|connector|qformer|abstractor|resampler"), "towers"),
    (re.compile(r"\bexperts\b"), "routed_experts"),
    (re.compile(r"shared_expert|shared_mlp"), "shared_experts"),
    (re.compile(r"router|\bgate\.(weight|bias)$|\bgate\.e_score"), "routers"),
    (re.compile(r"norm|\bln_|layernorm", re.IGNORECASE), "norms"),
    (re.compile(r"mamba|mixer|linear_attn|rg_lru|recurrent|\bconv|xlstm|mlstm"), "recurrent"),
    (re.compile(r"\b[kv]_proj|\bkey\b|\bvalue\b"), "kv_projections"),
    (re.compile(r"attn|attention|\b[qo]_proj|query_key_value|qkv"), "attention"),
    (re.compile(r"mlp|feed_forward|\bfc\d|ffn|dense_h|dense_4h|\bw[123]\b|intermediate"), "dense_ffn"),
)
BIASES = re.compile(r"bias$|\bsinks$")  # no matrix: a format that packs matrices leaves them wide
# What transformers 5.24 makes a parameter and 5.23 a buffer; the checkpoint holds it as one or the other alike, and
# counts here say parameters as 5.23 does (Mistral-Large-4: one exponent a rotary frequency)
BUFFERS = re.compile(r"rotary_emb\.alpha$")
PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_topk", "moe_top_k", "moe_k", "top_k")


def count(config: dict[str, Any]) -> dict[str, Any]:
    """config.json -> counts, class and the transformers version. Raises ValueError for an unknown model_type."""
    # torch and transformers: this module is a worker process that no page imports
    import torch  # noqa: PLC0415, TID251
    import transformers  # noqa: PLC0415, TID251

    transformers.logging.set_verbosity_error()
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(f"model_type is {model_type!r}, which transformers {transformers.__version__} does not know")
    settings = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
    settings.pop("quantization_config", None)  # how the weights are stored is counted elsewhere
    built = transformers.CONFIG_MAPPING[model_type].from_dict(settings)
    _keep_padded_rows(built.get_text_config())
    with torch.device("meta"):
        model = _auto_class(type(built), transformers).from_config(built, trust_remote_code=False)
    return {**_measure(model), "architecture": type(model).__name__, "transformers": transformers.__version__}


def _keep_padded_rows(text: Any) -> None:
    """Inkling-2's checkpoint holds a head of vocab_size rows, as 5.23 builds it; 5.24 drops padded rows on loading."""
    if text.model_type == "inkling2_text":
        text.unpadded_vocab_size = text.vocab_size


def _auto_class(kind: type, transformers: Any) -> Any:
    auto = transformers.models.auto.modeling_auto
    for name, mapping in (
        ("AutoModelForCausalLM", "MODEL_FOR_CAUSAL_LM_MAPPING"),
        ("AutoModelForImageTextToText", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING"),
        ("AutoModelForMultimodalLM", "MODEL_FOR_MULTIMODAL_LM_MAPPING"),
        ("AutoModelForSeq2SeqLM", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING"),
        ("AutoModelForSpeechSeq2Seq", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING"),
        ("AutoModel", "MODEL_MAPPING"),
    ):
        if kind in getattr(auto, mapping, {}):
            return getattr(transformers, name)
    raise ValueError(f"{kind.__name__} belongs to no model that transformers builds from a config alone")


def _measure(model: Any) -> dict[str, Any]:
    """Totals by what a parameter belongs to; a tied one counts once, under its first name."""
    table, output = model.get_input_embeddings(), model.get_output_embeddings()
    rows, matrix = getattr(table, "weight", None), getattr(output, "weight", None)
    tied = matrix is not None and matrix is rows
    parts: dict[str, int] = {}
    biases: dict[str, int] = {}
    for name, parameter in model.named_parameters():  # yields a tied one once
        if BUFFERS.search(name):
            continue
        part = _part(name, parameter is rows, parameter is matrix)
        parts[part] = parts.get(part, 0) + parameter.numel()
        if BIASES.search(name):
            biases[part] = biases.get(part, 0) + parameter.numel()
    groups, routed = _experts(model)
    return {
        "total": sum(parts.values()),
        "embedding": 0 if rows is None else rows.numel(),
        "head": 0 if tied or matrix is None else matrix.numel(),
        "tied": tied,
        "routed_experts": routed,
        "parts": parts,
        "biases": biases,
        "groups": groups,
    }


def _part(name: str, is_embedding: bool, is_head: bool) -> str:
    if is_embedding or is_head:
        return "embedding" if is_embedding else "head"
    return next((part for pattern, part in PARTS if pattern.search(name)), "other")


def _experts(model: Any) -> tuple[list[list[int]], int]:
    """[layers, experts, experts of a token, parameters of one] of alike layers, and the parameters of all of them."""
    total, seen, alike = 0, set(), {}  # type: int, set[int], dict[tuple[int, int], int]
    per_token = _per_token(model.config)
    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] != "experts":
            continue
        own = {id(parameter): parameter for parameter in module.parameters() if id(parameter) not in seen}
        seen |= set(own)
        size = sum(parameter.numel() for parameter in own.values())
        total += size
        number = _number_of_experts(module)
        if number and size:
            alike[number, size // number] = alike.get((number, size // number), 0) + 1
    if per_token is None:
        return [], total
    return [[times, number, min(per_token, number), each] for (number, each), times in alike.items()], total


def _number_of_experts(module: Any) -> int:
    leading = [parameter.shape[0] for parameter in module.parameters(recurse=False) if parameter.dim() == 3]
    children = getattr(module, "__len__", None)
    return (
        int(leading[0]) if leading else len(module) if children is not None else int(getattr(module, "num_experts", 0))
    )


def _per_token(config: Any) -> int | None:
    text = config.get_text_config()
    found = [getattr(text, name, None) for name in PER_TOKEN]
    return next((value for value in found if type(value) is int and value > 0), None)


def main() -> int:
    """Answers lines until the input ends. What libraries print goes to stderr, so that answers stay lines of JSON."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    end_with_parent(holds_stdin=False, waited_for=False)
    limit_memory(MEMORY_BYTES, of_addresses=False)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    timer = _restart(None)
    for line in sys.stdin:
        timer.cancel()
        _answer(line, answers)
        timer = _restart(timer)
    timer.cancel()
    return 0


def _answer(line: str, answers: TextIO) -> None:
    try:
        answer = count(json.loads(line))
    except Exception as error:  # noqa: BLE001 - any failure of any class is an answer: it could not be built
        reason = (str(error).strip().splitlines() or ["no reason given"])[0][:300]
        answer = {"error": f"{type(error).__name__}: {reason}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _restart(timer: threading.Timer | None) -> threading.Timer:
    if timer is not None:
        timer.cancel()
    fresh = threading.Timer(IDLE_SECONDS, os._exit, args=(0,))
    fresh.daemon = True
    fresh.start()
    return fresh


if __name__ == "__main__":
    sys.exit(main())
