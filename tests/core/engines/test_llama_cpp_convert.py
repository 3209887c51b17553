"""A config.json on llama.cpp: the bytes of the file that its converter would write."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from core.engines.face import plan_cache
from core.engines.llama_cpp.convert import metadata_of
from core.engines.plan import EngineError
from core.models.gguf.metadata import read_metadata
from core.models.spec import read_config

DATA = Path(__file__).parents[2] / "data" / "engines" / "llama_cpp_converted.json.gz"
# What set_gguf_parameters writes here leads to no file, or to another than is in use.
OTHERWISE = {
    "falcon": "transformers 5 sets num_kv_heads to H for multi-query; with it the conversion stops at the tensors",
    "chatglm": "a head_dim that is not hidden / heads is not written, and the tensors then do not fit",
    "nemotron_h_moe": "transformers 5 adds experts to a dense config, and MLP layers are then written as recurrent",
    "mellum": "llama.cpp stops at a file with a window and no layer that slides",
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}


def cases() -> list[dict[str, Any]]:
    with gzip.open(DATA, "rt") as file:
        return list(json.load(file))


@pytest.mark.parametrize("job", [{}, {"flash_attn": "off", "n_seq_max": 2, "n_ubatch": 64}])
def test_what_the_converter_wrote_takes_the_same_bytes(job: dict[str, Any]) -> None:
    """Keys that convert_hf_to_gguf's own classes wrote (build 11434, transformers 5.23.0) for 110 configs."""
    wrong = []
    for case in cases():
        if case["metadata"]["general.architecture"] in OTHERWISE:
            continue
        mine = plan_cache(read_config(case["config"]), engine="llama.cpp", n_ctx=32_768, **job)
        real = plan_cache(read_metadata(case["metadata"]), engine="llama.cpp", n_ctx=32_768, **job)
        states = [[group.filled_bytes for group in plan.groups if group.kind == "state"] for plan in (mine, real)]
        if mine.layer_bytes != real.layer_bytes or states[0] != states[1]:
            wrong.append(case["id"])
    assert wrong == []


def test_mistral_s_window_is_not_written_and_the_whole_context_is_kept() -> None:
    """7B v0.1: 32 layers x 32,768 cells x 8 heads x 256 x 2 bytes = 4 GiB, 8 times its window of 4,096."""
    config = LLAMA | {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 4096}
    spec = read_config(config)
    plan = plan_cache(spec, engine="llama.cpp", context_length=32_768)
    assert plan.request_bytes == 4 * 2**30
    assert plan.request_bytes == 8 * spec.cache_bytes(context_length=32_768)
    assert "llama.attention.sliding_window" not in metadata_of(spec)
    assert "window not used" in [note.name for note in plan.notes]


def test_the_class_is_found_by_model_type_where_the_config_names_none() -> None:
    config = {key: value for key, value in LLAMA.items() if key != "architectures"}
    assert metadata_of(read_config(config))["general.architecture"] == "llama"


def test_a_class_that_the_converter_does_not_take_is_refused_by_name() -> None:
    config = {"architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 64, "num_hidden_layers": 2}
    spec = read_config(config | {"num_attention_heads": 4})
    with pytest.raises(EngineError, match="OPTForCausalLM"):
        plan_cache(spec, engine="llama.cpp", n_ctx=512)
