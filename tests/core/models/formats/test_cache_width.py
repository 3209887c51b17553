"""What a file says of the cache's width, after the writers of compressed-tensors, ModelOpt, Quark and TensorRT-LLM."""

from typing import Any

import pytest

from core.api import UnsupportedConfig, read_config, read_document
from core.figures.config_lines import config_lines
from tests.core.models.formats.files import LLAMA, as_bytes, trt

CONFIG = {"model_type": "llama", **LLAMA}


def config(**quantization: Any) -> dict[str, Any]:
    return CONFIG | {"quantization_config": quantization}


SCHEME = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True}


@pytest.mark.parametrize(
    ("document", "bits"),
    [
        (CONFIG, None),
        (config(quant_method="compressed-tensors", kv_cache_scheme=SCHEME), 8),
        (config(quant_method="compressed-tensors", kv_cache_scheme=None), None),
        (config(kv_cache_scheme=SCHEME | {"num_bits": 4, "type": "int"}), 4),
        (config(kv_cache_scheme={"type": "float"}), 8),  # QuantizationArgs: num_bits is 8 where absent
        (config(kv_cache_scheme=SCHEME | {"strategy": "attn_head"}), 8),
        # NVFP4: 4 bits and an FP8 scale for 16 elements; a group of int4 with 16-bit scales
        (config(kv_cache_scheme=SCHEME | {"num_bits": 4, "group_size": 16}), 4.5),
        (config(kv_cache_scheme={"num_bits": 4, "type": "int", "group_size": 128, "scale_dtype": "torch.float16"}),
         4.125),
        (config(kv_cache_scheme={"num_bits": 4, "type": "int", "group_size": 128}), 4),  # no word of the scales
        # ModelOpt's convert_hf_config.py: FP8 becomes a scheme, every other format stays a name under the same key
        (config(quant_method="modelopt", kv_cache_scheme={"dynamic": False, "num_bits": 8, "type": "float"}), 8),
        (config(quant_method="modelopt", kv_cache_scheme="NVFP4"), 4.5),
        (config(quant_method="modelopt", kv_cache_quant_algo="FP8"), 8),
        (config(quant_method="modelopt", quantization={"kv_cache_quant_algo": "INT8"}), 8),
        (config(quant_method="modelopt", quant_algo="FP8", kv_cache_quant_algo=None), None),
        (config(quant_method="fp8", kv_cache_scheme="static", activation_scheme="static"), 8),  # AutoFP8
        (config(quant_method="quark", export={"kv_cache_group": []}), None),
        (config(quant_method="quark", export={"kv_cache_group": ["*v_proj"]},
                layer_quant_config={"*v_proj": {"output_tensors": {"dtype": "fp8_e4m3"}}}), 8),
        # weights alone
        (config(quant_method="awq", bits=4, group_size=128), None),
        (config(quant_method="fp8", activation_scheme="dynamic"), None),
        (CONFIG | {"quantization": {"bits": 4, "group_size": 64}}, None),  # MLX
        (trt("LlamaForCausalLM", quantization={"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}), 8),
        (trt("LlamaForCausalLM", quantization={"quant_algo": None, "kv_cache_quant_algo": "INT8"}), 8),
        (trt("LlamaForCausalLM", quantization={"quant_algo": "NVFP4", "kv_cache_quant_algo": "NVFP4"}), 4.5),
        (trt("LlamaForCausalLM", quantization={"quant_algo": "FP8", "kv_cache_quant_algo": None}), None),
        (trt("LlamaForCausalLM", quantization={"quant_algo": "FP8", "kv_cache_quant_algo": "NO_QUANT"}), None),
        (config(quant_method="modelopt", kv_cache_quant_algo="none"), None),
        (trt("LlamaForCausalLM", kv_dtype="fp8"), 8),  # older releases
        (trt("LlamaForCausalLM", kv_dtype="float16"), 16),
    ],
)  # fmt: skip
def test_the_stored_bits_of_an_element(document: dict[str, Any], bits: float | None) -> None:
    spec = read_document(as_bytes(document))
    assert spec.cache_bits == bits
    assert [note for note in spec.provenance if note.figure == "cache_bits"] == ([spec.cache_note] if bits else [])


@pytest.mark.parametrize(
    "quantization",
    [
        {"kv_cache_scheme": {"num_bits": 0}},
        {"kv_cache_scheme": {"num_bits": True}},
        {"kv_cache_scheme": {"num_bits": 4, "group_size": "x"}},
        {"kv_cache_scheme": "static"},
        {"kv_cache_quant_algo": "FP3"},
        {"kv_cache_quant_algo": 8},
        {"quant_method": "quark", "export": {"kv_cache_group": ["*k_proj"]}, "layer_quant_config": {}},
    ],
)
def test_an_unknown_width_is_refused_by_its_key(quantization: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match=r"^quantization_config\."):
        read_config(config(**quantization))


def test_the_width_stands_in_a_file_beside_the_config() -> None:
    def beside(algorithm: str | None) -> bytes:
        quantization = {"quant_algo": "FP8", "kv_cache_quant_algo": algorithm, "exclude_modules": ["lm_head"]}
        return as_bytes({"producer": {"name": "modelopt", "version": "0.47.0"}, "quantization": quantization})

    spec = read_document(as_bytes(CONFIG), beside=beside("FP8"))
    assert spec.cache_bits == 8
    assert spec.cache_note is not None
    assert spec.cache_note.keys == ("quantization.kv_cache_quant_algo",)
    assert read_document(as_bytes(CONFIG), beside=beside(None)).cache_bits is None
    with pytest.raises(UnsupportedConfig, match=r"4\.5 bits and .* says 8"):
        read_document(as_bytes(config(kv_cache_scheme=SCHEME)), beside=beside("NVFP4"))


def test_the_page_marks_the_line() -> None:
    text = '{\n"model_type": "llama",\n"quantization_config": {\n"kv_cache_scheme": {\n"num_bits": 8\n}}}'
    note = read_config(config(kv_cache_scheme=SCHEME)).cache_note
    assert note is not None
    assert [line.number for line in config_lines(text, [note]) if line.decides] == [5]
