#!/usr/bin/env bash
# transformers 5.24: a Dory model of 6 layers saves num_hidden_layers 12 (each attention and each MLP block is one there), answers
# 6 once the file is loaded again, and holds 9 layers of cache after a forward: its 3 looped layers have one cache a pass. Whoever
# sizes a cache by the file's num_hidden_layers is a third too high, and by the class's a third too low.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/saved" <<'P'
import json
import sys
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

config = AutoConfig.for_model(
    "dory", hidden_size=64, intermediate_size=64, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2,
    head_dim=16, vocab_size=97, n_input_layers=1, n_output_layers=2, n_recurrent_loops=2)
model = AutoModelForCausalLM.from_config(config).eval()
config.save_pretrained(sys.argv[1])
saved = json.load(open(f"{sys.argv[1]}/config.json"))
loaded = AutoConfig.from_pretrained(sys.argv[1])
with torch.no_grad():
    cache = model(input_ids=torch.zeros(1, 10, dtype=torch.long), use_cache=True).cache
print("transformers", transformers.__version__, "torch", torch.__version__)
print(f"file: num_hidden_layers {saved['num_hidden_layers']}, layer_types {saved['layer_types'][:2]}...")
print(f"class: {config.num_hidden_layers}, loaded again: {loaded.num_hidden_layers}; modules: {len(model.model.layers)}")
print(f"cache: {len(cache.layers)} layers of {tuple(cache.layers[0].keys.shape)}")
seen = saved["num_hidden_layers"], config.num_hidden_layers, loaded.num_hidden_layers, len(model.model.layers), len(cache.layers)
sys.exit(0 if seen == (12, 6, 6, 6, 9) else 1)
P
