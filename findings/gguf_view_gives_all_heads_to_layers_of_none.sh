#!/usr/bin/env bash
# Hugging Face's gguf-view (npm, @huggingface/gguf 0.4.6) forecasts the memory of a GGUF file. A layer whose head_count_kv is 0, as every
# Mamba or convolution layer of a hybrid has, keeps no keys; gguf-view takes the 0 for "not given" and counts as many KV heads as the
# query has. Nemotron 3 Nano (2 KV heads in 6 of 52 layers, 32 query heads) so gets a cache 124 times too large, 24.90 GB for 0.20 at
# 32,768 tokens; LFM2-1.2B one 7.7 times too large. Nemotron Super 49B, whose head_count differs by layer as well, gets "NaN GB".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q gguf==0.19.0 numpy==2.4.6
cd "$work"; npm install --silent --ignore-scripts --no-audit --no-fund @huggingface/gguf@0.4.6 > /dev/null
v/bin/python - <<'P'
import gguf, numpy as np
def file(name, arch, size, heads, kv_heads, width):
    w = gguf.GGUFWriter(name + ".gguf", arch)
    w.add_block_count(len(kv_heads)); w.add_context_length(32768); w.add_embedding_length(size)
    w.add_head_count(heads); w.add_head_count_kv(kv_heads); w.add_key_length(width); w.add_value_length(width)
    w.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    cache = 2 * 2 * width * sum(kv_heads) * 32768
    print(name, f"{cache / 1e9:.2f}", file=open("true", "a"))
file("Llama-3.1-8B", "llama", 4096, 32, [8] * 32, 128)
file("Nemotron-3-Nano", "nemotron_h_moe", 2688, 32, [2 if i in (5, 12, 19, 26, 33, 42) else 0 for i in range(52)], 128)
file("LFM2-1.2B", "lfm2", 2048, 32, [8 if i in (2, 5, 8, 10, 12, 14) else 0 for i in range(16)], 64)
file("Nemotron-Super", "deci", 8192, [64 if i < 49 else 0 for i in range(80)], [8 if i < 49 else 0 for i in range(80)], 128)
P
echo "@huggingface/gguf $(node -p "require('./node_modules/@huggingface/gguf/package.json').version"), 32,768 tokens" > found
while read -r name cache; do
  npx gguf-view -c 32768 "./$name.gguf" | awk -v name="$name" -v cache="$cache" '$1 == "K" && $2 == "cache" {k = $4} $1 == "V" && $2 == "cache" {
    printf "%s: %s GB of keys and values, gguf-view says %s + %s\n", name, cache, k, $4}'
done < true >> found
cat found
diff found - <<'T'
@huggingface/gguf 0.4.6, 32,768 tokens
Llama-3.1-8B: 4.29 GB of keys and values, gguf-view says 2.15 + 2.15
Nemotron-3-Nano: 0.20 GB of keys and values, gguf-view says 12.45 + 12.45
LFM2-1.2B: 0.40 GB of keys and values, gguf-view says 1.54 + 1.54
Nemotron-Super: 6.58 GB of keys and values, gguf-view says NaN + NaN
T
