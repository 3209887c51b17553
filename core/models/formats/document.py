"""Any file that says how a model attends: found by its keys, never its name, and read as the config.json it means.

One small module a format beside this one, in the order of table.py, which is imported where a key gives it reason to:
most files are a plain config.json, and a command that reads one waits for no other format.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.cache_width import CacheWidth, cache_width_of
from core.models.formats.parsed import parse
from core.models.gguf.spotted import LOOKED_AT, looks_like_dump
from core.models.rules.facts import UnsupportedConfig
from core.models.spec import ModelSpec, read_config

GGUF = b"GGUF"
CHAT_KEYS = {"conv_template", "context_window_size", "model_config"}  # MLC's, beside a model_type that is a class's too


# Keys of which every other format with a model_type has one, and the types that are none of transformers'
GIVEAWAYS = {
    "peft_type", "medusa_num_heads", "transformer_layer_config", "speculators_model_type", "model", "model_config",
    "model_args", "pretrained_config", "architecture", "class_name", "config", "_component_", "dim",
} | CHAT_KEYS  # fmt: skip
OTHER_TYPES = ("medusa", "mlp_speculator", "eagle", "eagle3", "transformer")
# What pages name; the others of the table are refused, or nest a config.json
READ_FORMATS = (
    "config.json", "params.json", "ONNX Runtime GenAI", "MLC", "TensorRT-LLM", "LitGPT", "nanoGPT and nanochat",
    "Megatron-core and NeMo", "Keras-Hub", "torchtune", "speculators and EAGLE drafts",
)  # fmt: skip

FILE_TYPES = ["json", "yaml", "yml", "txt"]  # what a page takes as an upload; a dump of a GGUF header is text


def read_document(data: bytes, beside: bytes | None = None) -> ModelSpec:
    """The model of a JSON or YAML file, whatever tool wrote it; `beside` is its hf_quant_config.json, if there is one.

    spec.config is the config.json that the file means, and every figure names the file's own keys. spec.cache_bits is
    what the file (or the one beside it) says of the cache's width, None where both are silent.
    Raises UnsupportedConfig, and nothing else, for whatever is not understood.
    """
    if data.startswith(GGUF):
        from core.models.gguf.header import metadata_of  # noqa: PLC0415  a config.json needs none of it

        return _of_header(metadata_of(lambda count: data[:count]))
    if looks_like_dump(data[:LOOKED_AT].decode("utf-8", "replace")):
        from core.models.gguf.dump import read_dump  # noqa: PLC0415  a config.json needs none of it

        return _of_header(read_dump(data.decode("utf-8", "replace")))
    spec = spec_of(parse(data))
    return spec if beside is None else with_width_beside(spec, beside)


def _of_header(metadata: Any) -> ModelSpec:
    from core.models.gguf.metadata import read_metadata  # noqa: PLC0415  a config.json needs none of it

    return read_metadata(metadata)


def spec_of(raw: Mapping[str, Any]) -> ModelSpec:
    """The model of a parsed file. Raises UnsupportedConfig."""
    if is_plain(raw):
        return read_config(raw)
    from core.models.formats.incomplete import refuse_nearly  # noqa: PLC0415
    from core.models.formats.meaning import meaning, with_cache_width  # noqa: PLC0415  a config.json needs none of it
    from core.models.formats.table import format_of  # noqa: PLC0415

    found = format_of(raw)
    if found is None:
        if "model_type" not in raw or CHAT_KEYS & raw.keys():
            refuse_nearly(raw)
        return read_config(raw)
    spec, width = meaning(found.translate(raw)), cache_width_of(raw)
    return spec if width is None or spec.cache_width is not None else with_cache_width(spec, width)


def is_plain(raw: Mapping[str, Any]) -> bool:
    """Whether the keys rule every other format out: a model_type of transformers', and none of GIVEAWAYS."""
    model_type = raw.get("model_type")
    return isinstance(model_type, str) and model_type not in OTHER_TYPES and not GIVEAWAYS & raw.keys()


def with_width_beside(spec: ModelSpec, beside: bytes) -> ModelSpec:
    """The model with the cache's width of its hf_quant_config.json. Raises UnsupportedConfig where the two disagree."""
    width = cache_bits_of(parse(beside))
    if width is None:
        return spec
    from core.models.formats.meaning import with_cache_width  # noqa: PLC0415

    if spec.cache_width is not None and spec.cache_width.bits != width.bits:
        raise UnsupportedConfig(
            f"{width.note.keys[0]} says {width.bits:g} bits and {spec.cache_width.note.keys[0]} of the config says "
            f"{spec.cache_width.bits:g}: give the one that holds."
        )
    return with_cache_width(spec, width)


def cache_bits_of(document: Mapping[str, Any]) -> CacheWidth | None:
    """What a parsed file says of the cache's width, such as hf_quant_config.json; None where it says nothing."""
    return cache_width_of(document)
