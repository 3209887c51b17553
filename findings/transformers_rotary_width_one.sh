#!/usr/bin/env bash
# transformers 5.24: a partial_rotary_factor that leaves one rotary dimension of a head widens the keys of Phi, StableLM and
# Persimmon by one, silently: one column times a cosine of two columns is broadcast to two. A head of 16 caches keys of 17 beside
# values of 16; GPT-NeoX, whose class takes the same field, keeps 16. Three dimensions, odd too, are an error in those classes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'P'
import sys
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SHAPE = dict(vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
             max_position_embeddings=64)

def widths(kind, rotary):
    """Columns of a head's cached keys and values of 16, where `rotary` of them turn; an error's first words."""
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": rotary / 16}
    config = AutoConfig.for_model(kind, **SHAPE, num_key_value_heads=4, rope_parameters=rope)
    model = AutoModelForCausalLM.from_config(config).eval()
    try:
        with torch.no_grad():
            layer = model(input_ids=torch.tensor([[1, 2, 3]]), use_cache=True).cache.layers[0]
    except RuntimeError as e:
        return str(e).splitlines()[0][:60]
    return layer.keys.shape[-1], layer.values.shape[-1]

print("transformers", transformers.__version__, "torch", torch.__version__)
found = {(kind, rotary): widths(kind, rotary) for kind in ("phi", "stablelm", "persimmon", "gpt_neox") for rotary in (8, 1, 3)}
for (kind, rotary), seen in found.items():
    print(f"{kind}, {rotary} of 16 rotary: {seen}")
widened = ("phi", "stablelm", "persimmon")
right = all(found[kind, 8] == (16, 16) for kind in (*widened, "gpt_neox")) and found["gpt_neox", 1] == (16, 16)
sys.exit(0 if right and all(found[kind, 1] == (17, 16) and isinstance(found[kind, 3], str) for kind in widened) else 1)
P
