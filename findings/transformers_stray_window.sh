#!/usr/bin/env bash
# transformers 5.24: a stray sliding_window (or attention_chunk_size) in a Llama config.json, whose class has no such field, shrinks
# the cache and leaves the mask whole. A prompt attends to all of itself, the next token to the window alone: the same 41 tokens
# give other logits in one call than as 40 and one more, and nothing warns. Without the stray key the two agree to 1e-5.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'P'
import sys
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SHAPE = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=97, max_position_embeddings=256)

def seen(**stray):
    """(tokens in the cache after 40, largest difference of the 41st token's logits: whole prompt against a cached step)"""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SHAPE, **stray)).eval()
    ids = torch.randint(0, 97, (1, 41), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = model(input_ids=ids).logits[0, -1]
        cache = model(input_ids=ids[:, :40], use_cache=True).cache
        kept = cache.layers[0].keys.shape[-2]
        step = model(input_ids=ids[:, 40:], cache=cache, use_cache=True).logits[0, -1]
    return kept, float((whole - step).abs().max())

print("transformers", transformers.__version__, "torch", torch.__version__)
found = {name: seen(**stray) for name, stray in {
    "no stray key": {}, "sliding_window 8": {"sliding_window": 8}, "attention_chunk_size 8": {"attention_chunk_size": 8},
}.items()}
for name, (kept, difference) in found.items():
    print(f"{name}: {kept} of 40 tokens cached, logits of the next token differ by {difference:.2g}")
plain, window, chunk = found.values()
sys.exit(0 if plain[0] == 40 and plain[1] < 1e-5 and all(kept == 7 and gap > 1e-2 for kept, gap in (window, chunk)) else 1)
P
