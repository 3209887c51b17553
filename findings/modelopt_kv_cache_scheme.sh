#!/usr/bin/env bash
# NVIDIA ModelOpt 0.47 writes config.json's quantization_config.kv_cache_scheme as an object for an FP8 cache, after
# compressed-tensors, but as a bare text for every other format: one key, two types. A reader that asks for num_bits
# finds it for FP8 alone and takes an NVFP4 cache (4.5 bits) for 16 bits.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
pip download -q --no-deps --only-binary :all: -d "$work" nvidia-modelopt==0.47.0
cd "$work"; python3 -m zipfile -e nvidia_modelopt-0.47.0-*.whl .
python3 - <<'P'
import importlib.util, json, sys
# The converter is a plain function of a dict; its package imports torch, so the file is loaded alone.
spec = importlib.util.spec_from_file_location("convert_hf_config", "modelopt/torch/export/convert_hf_config.py")
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
seen = {}
for algorithm in ("FP8", "NVFP4", "INT8"):
    given = {"producer": {"name": "modelopt", "version": "0.47.0"},
             "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": algorithm, "exclude_modules": ["lm_head"]}}
    seen[algorithm] = module.convert_hf_quant_config_format(given).get("kv_cache_scheme")
print("nvidia-modelopt 0.47.0:", json.dumps(seen))
sys.exit(0 if isinstance(seen["FP8"], dict) and seen["NVFP4"] == "NVFP4" and seen["INT8"] == "INT8" else 1)
P
