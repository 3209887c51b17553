#!/usr/bin/env bash
# hf-mem 0.5.6 gives one model another KV cache by the form in which its weights lie, though weights and cache have nothing to do with
# each other. Weights in FP8 (quant_method "fp8": DeepSeek's and Qwen's own files) halve the cache, against its help, which says "the
# default model dtype"; the same weights by compressed-tensors do not. As GGUF a head is embedding_length / head_count wide and the file's
# key_length and value_length are not read: Qwen3-0.6B gets half of its cache, Qwen3-32B five eighths, Gemma-3-27B a third too much.
# All of these hold keys and values in 16 bits unless an engine is told otherwise.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q hf-mem==0.5.6 gguf==0.19.0 numpy==2.4.6
cd "$work"
v/bin/python - 2> /dev/null <<'P' | tee found
from importlib.metadata import version
from pathlib import Path
import gguf
from hf_mem.gguf.metadata import parse_gguf_metadata
from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size, resolve_kv_cache_dtype
from hf_mem.safetensors.metadata import parse_safetensors_metadata

TOKENS = 32768
FORMS = {"BF16": None, "FP8": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
         "FP8 by compressed-tensors": {"quant_method": "compressed-tensors", "format": "float-quantized", "kv_cache_scheme": None}}
print("hf-mem", version("hf-mem"), f"{TOKENS:,} tokens")
for name, layers, size, heads, kv_heads, width in (("Qwen3-0.6B", 28, 1024, 16, 8, 128), ("Qwen3-32B", 64, 5120, 64, 8, 128),
                                                   ("Gemma-3-27B", 62, 5376, 32, 16, 128)):
    said = {"in 16 bits": 2 * layers * kv_heads * width * 2 * TOKENS}
    for form, quantised in FORMS.items():
        config = {"hidden_size": size, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
                  "head_dim": width, "torch_dtype": "bfloat16"} | ({"quantization_config": quantised} if quantised else {})
        weights = parse_safetensors_metadata({"Transformer": {"w": {"dtype": "F8_E4M3" if quantised else "BF16", "shape": [size, size]}}})
        kind = resolve_kv_cache_dtype(config, "auto", weights, name)
        said[form] = compute_safetensors_kv_cache_size(config, kind, TOKENS)
    w = gguf.GGUFWriter("m.gguf", "model")
    w.add_block_count(layers); w.add_context_length(TOKENS); w.add_embedding_length(size); w.add_head_count(heads)
    w.add_head_count_kv(kv_heads); w.add_key_length(width); w.add_value_length(width)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    said["GGUF"] = parse_gguf_metadata(Path("m.gguf").read_bytes(), experimental=True, kv_cache_dtype="F16").kv_cache.cache_size
    print(f"{name}:", ", ".join(f"{form} {size / 2**30:.2f}" for form, size in said.items()), "GiB")
P
diff found - <<'T'
hf-mem 0.5.6 32,768 tokens
Qwen3-0.6B: in 16 bits 3.50, BF16 3.50, FP8 1.75, FP8 by compressed-tensors 3.50, GGUF 1.75 GiB
Qwen3-32B: in 16 bits 8.00, BF16 8.00, FP8 4.00, FP8 by compressed-tensors 8.00, GGUF 5.00 GiB
Gemma-3-27B: in 16 bits 15.50, BF16 15.50, FP8 7.75, FP8 by compressed-tensors 15.50, GGUF 20.34 GiB
T
