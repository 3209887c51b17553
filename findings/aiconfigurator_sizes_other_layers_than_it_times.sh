#!/usr/bin/env bash
# NVIDIA's aiconfigurator-core 0.12 times the attention layers of a hybrid model and sizes another number. Nemotron 3 Nano is timed with
# 6 of its 52 layers and gets the cache of 52, 8.7 times too large; Llama-3.3-Nemotron-Super-49B is timed with 49 of 80 and gets none,
# 0 bytes at any length: a plan of its memory has no cache in it. Qwen3.5 is right by sequence, but kv_size_per_token_bytes says 64 MB
# for 20 KB: the state that a sequence has once is counted into a token, and bytes / bytes a token is 970 tokens for 3 million.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q aiconfigurator-core==0.12.0 numpy==2.4.6
"$work/v/bin/python" - <<'P' | tee "$work/found"
from aiconfigurator_core.sdk.config_builders import build_model_config
from aiconfigurator_core.sdk.memory import estimate_kv_cache
from aiconfigurator_core.sdk.models import get_model

for name, kv_heads, width, attending in (
    ("meta-llama/Meta-Llama-3.1-8B", 8, 128, 32), ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 2, 128, 6),
    ("nvidia/Nemotron-H-56B-Base-8K", 8, 128, 10), ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", 8, 128, 49),
    ("Qwen/Qwen3.5-35B-A3B", 2, 256, 10),
):
    model = get_model(name, build_model_config(1, 1, 1, 1, 1, kvcache_quant_mode="bfloat16"), "vllm")
    timed = sum(op._scale_factor for op in model.generation_ops if type(op).__name__ == "GenerationAttention")
    one, two = (model.get_kvcache_bytes_per_sequence(tokens) for tokens in (100_000, 200_000))
    a_layer = 2 * kv_heads * width * 2
    print(f"{name.split('/')[1]}: {attending} layers attend, {timed:.0f} are timed, the cache grows by "
          f"{(two - one) / 100_000:,.0f} bytes a token, that is {(two - one) / 100_000 / a_layer:.0f} layers", flush=True)
for name in ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "Qwen/Qwen3.5-35B-A3B"):
    said = estimate_kv_cache(name, "h200_sxm", "vllm", "current", max_num_tokens=8192, max_batch_size=64, memory_fraction_kind="of_total",
                             memory_fraction_value=0.9, kvcache_quant_mode="bfloat16")
    print(f"{name.split('/')[1]} on an H200: {said['kv_size_per_token_bytes']:,} bytes a token, {said['total_kv_size_tokens']:,} tokens in "
          f"{said['total_kv_size_bytes'] / 1e9:.1f} GB")
P
diff "$work/found" - <<'T'
Meta-Llama-3.1-8B: 32 layers attend, 32 are timed, the cache grows by 131,072 bytes a token, that is 32 layers
NVIDIA-Nemotron-3-Nano-30B-A3B-BF16: 6 layers attend, 6 are timed, the cache grows by 53,248 bytes a token, that is 52 layers
Nemotron-H-56B-Base-8K: 10 layers attend, 10 are timed, the cache grows by 483,328 bytes a token, that is 118 layers
Llama-3_3-Nemotron-Super-49B-v1: 49 layers attend, 49 are timed, the cache grows by 0 bytes a token, that is 0 layers
Qwen3.5-35B-A3B: 10 layers attend, 10 are timed, the cache grows by 20,480 bytes a token, that is 10 layers
NVIDIA-Nemotron-3-Nano-30B-A3B-BF16 on an H200: 53,248 bytes a token, 1,289,713 tokens in 68.7 GB
Qwen3.5-35B-A3B on an H200: 64,409,600 bytes a token, 3,049,089 tokens in 62.5 GB
T
