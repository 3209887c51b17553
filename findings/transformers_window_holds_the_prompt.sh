#!/usr/bin/env bash
# transformers 5.24: behind a sliding window the cache of a prompt looks as small as the window and holds the whole prompt: its keys are
# a view of the last tokens, and the tensor behind it lives until the next token. All layers' prompts are so held at once, as without
# a window, and a cache kept for prompts that begin alike (copy.deepcopy, torch.save) never shrinks: 4,096 tokens for a window of 128.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
cd "$work"
HF_HUB_OFFLINE=1 venv/bin/python - <<'P' | tee found
import copy
import os
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SHAPE = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2, vocab_size=97)
PROMPT = torch.zeros(1, 4096, dtype=torch.long)

def kib(cache):
    """(what its tensors say, what the memory behind them is) in KiB"""
    tensors = [x for layer in cache.layers for x in (layer.keys, layer.values)]
    memory = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors}
    return f"says {sum(x.nbytes for x in tensors) / 1024:.0f} KiB, holds {sum(memory.values()) / 1024:.0f} KiB"

print("transformers", transformers.__version__, "torch", torch.__version__)
for window in (None, 128):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("mistral", **SHAPE, sliding_window=window)).eval()
    with torch.no_grad():
        cache = model(input_ids=PROMPT, use_cache=True, logits_to_keep=1).cache
        torch.save([(layer.keys, layer.values) for layer in cache.layers], "kept")
        print(f"window {window}: {kib(cache)}; a deep copy {kib(copy.deepcopy(cache))}; saved {os.path.getsize('kept') >> 20} MiB")
        model(input_ids=PROMPT[:, :1], cache=cache, use_cache=True)
        print(f"window {window}, one token later: {kib(cache)}")
P
tail -n +2 found | diff - <(cat <<'T'
window None: says 8192 KiB, holds 8192 KiB; a deep copy says 8192 KiB, holds 8192 KiB; saved 8 MiB
window None, one token later: says 8194 KiB, holds 8194 KiB
window 128: says 254 KiB, holds 8192 KiB; a deep copy says 254 KiB, holds 8192 KiB; saved 8 MiB
window 128, one token later: says 254 KiB, holds 256 KiB
T
)
