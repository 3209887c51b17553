#!/usr/bin/env bash
# transformers 5.24 builds a configuration from a GGUF file by a list of keys for each architecture, and what is not on it is dropped
# without a warning. attention.sliding_window is read for Gemma 2 and 3 and not for Phi-3, whose cache then holds every token; rope.scaling is
# read for gpt-oss alone: Gemma 3 (4B and up) turns its full layers eight times too far; StarCoder2's rope.freq_base is not read, 10,000
# stands for a million; Llama 3.1's scaling, a tensor rope_freqs in a GGUF file, is left out. Each loads and answers short prompts.
# gpt-oss's entry names a key "sliding_window" that no file has: its window is the class's 128 whatever the file says.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 venv/bin/python - 2> log <<'P' | tee found
import gguf, numpy as np, torch, transformers
from transformers import AutoConfig, AutoModelForCausalLM

def file(name, arch, layers=2, **keys):
    w = gguf.GGUFWriter(name, arch)
    w.add_block_count(layers); w.add_context_length(8192); w.add_embedding_length(64); w.add_feed_forward_length(64); w.add_head_count(4)
    w.add_head_count_kv(2); w.add_layer_norm_rms_eps(1e-5); w.add_layer_norm_eps(1e-5); w.add_vocab_size(64)
    w.add_rope_dimension_count(16); w.add_key_length(16); w.add_value_length(16); w.add_rope_freq_base(keys["base"])
    if "window" in keys:
        w.add_sliding_window(keys["window"])
    if "factor" in keys:
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR); w.add_rope_scaling_factor(keys["factor"])
    shapes = {"token_embd": (64, 64), "output": (64, 64), "output_norm": (64,)}
    for i in range(layers if arch == "llama" else 0):
        shapes |= {f"blk.{i}.{n}": s for n, s in dict(attn_q=(64, 64), attn_k=(32, 64), attn_v=(32, 64), attn_output=(64, 64), attn_norm=(64,),
                                                      ffn_gate=(64, 64), ffn_up=(64, 64), ffn_down=(64, 64), ffn_norm=(64,)).items()}
    for n, shape in shapes.items():
        w.add_tensor(n + ".weight", np.ones(shape, np.float32))
    if arch == "llama":
        w.add_tensor("rope_freqs.weight", np.array([1, 1, 1, 1, 2, 4, 8, 8], np.float32))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()

print("transformers", transformers.__version__)
for name, arch, keys in (("Phi-3-mini-4k", "phi3", dict(base=10000.0, window=2047)), ("Gemma-2-9B", "gemma2", dict(base=10000.0, window=4096)),
                         ("Gemma-3-12B", "gemma3", dict(base=1000000.0, window=1024, factor=8.0)), ("gpt-oss", "gpt-oss", dict(base=150000.0, window=256)),
                         ("StarCoder2-3B", "starcoder2", dict(base=1000000.0)), ("DeepSeek-Coder", "llama", dict(base=100000.0, factor=4.0))):
    file("m.gguf", arch, **keys)
    config = AutoConfig.from_pretrained(".", gguf_file="m.gguf")
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    read = {"base": rope["rope_theta"], "window": getattr(config, "sliding_window", None), "factor": rope.get("factor")}
    print(f"{name}:", ", ".join(f"{key} {value:.0f} in the file and {read[key]} in transformers" for key, value in keys.items()))
file("m.gguf", "llama", base=5e5)
model = AutoModelForCausalLM.from_pretrained(".", gguf_file="m.gguf", dtype=torch.float32)
plain = 5e5 ** -(torch.arange(0, 16, 2) / 16)
print("Llama-3.1: frequencies divided by 1, 1, 1, 1, 2, 4, 8, 8 in the file and by",
      ", ".join(f"{n:g}" for n in (plain / model.model.rotary_emb.inv_freq).round(decimals=4).tolist()), "in transformers")
P
echo "lines in the log that name such a key: $(grep -cE "sliding_window|rope.scaling|freq_base|rope_freqs" log || true)" | tee -a found
diff found - <<'T'
transformers 5.24.0
Phi-3-mini-4k: base 10000 in the file and 10000.0 in transformers, window 2047 in the file and None in transformers
Gemma-2-9B: base 10000 in the file and 10000.0 in transformers, window 4096 in the file and 4096 in transformers
Gemma-3-12B: base 1000000 in the file and 1000000.0 in transformers, window 1024 in the file and 1024 in transformers, factor 8 in the file and None in transformers
gpt-oss: base 150000 in the file and 150000.0 in transformers, window 256 in the file and 128 in transformers
StarCoder2-3B: base 1000000 in the file and 10000.0 in transformers
DeepSeek-Coder: base 100000 in the file and 100000.0 in transformers, factor 4 in the file and None in transformers
Llama-3.1: frequencies divided by 1, 1, 1, 1, 2, 4, 8, 8 in the file and by 1, 1, 1, 1, 1, 1, 1, 1 in transformers
lines in the log that name such a key: 0
T
