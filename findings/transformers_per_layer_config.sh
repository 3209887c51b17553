#!/usr/bin/env bash
# transformers 5.24: every configuration class takes per_layer_config, {"1": {"num_key_value_heads": 4}}, and saves it again. Llama's
# and Qwen3's models then do not build: AmbiguousGlobalPerLayerAttributeError. JetMoE, whose width is called kv_channels and
# answers to head_dim as well, builds with a layer's own head_dim, and keeps keys of the old width in that layer without a word.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'P'
import sys
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SHAPE = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=3, num_key_value_heads=2, vocab_size=97)
JETMOE = dict(kv_channels=16, num_experts_per_tok=2, num_local_experts=2)

def seen(model_type, changed, **more):
    """Key widths of the three layers, or the error's name."""
    config = AutoConfig.for_model(model_type, **SHAPE, **more, per_layer_config={"1": changed})
    assert "1" in map(str, config.to_dict()["per_layer_config"])
    try:
        model = AutoModelForCausalLM.from_config(config).eval()
    except Exception as error:
        return type(error).__name__
    with torch.no_grad():
        cache = model(input_ids=torch.zeros(1, 10, dtype=torch.long), use_cache=True).cache
    return [layer.keys.shape[-1] for layer in cache.layers]

print("transformers", transformers.__version__, "torch", torch.__version__)
found = {
    "llama, num_key_value_heads 4": seen("llama", {"num_key_value_heads": 4}, num_attention_heads=4),
    "qwen3, head_dim 32": seen("qwen3", {"head_dim": 32}, num_attention_heads=4),
    "jetmoe, head_dim 32": seen("jetmoe", {"head_dim": 32}, **JETMOE),
    "jetmoe, kv_channels 32": seen("jetmoe", {"kv_channels": 32}, **JETMOE),
}
for name, said in found.items():
    print(f"layer 1 of {name}: {said}")
error = "AmbiguousGlobalPerLayerAttributeError"
sys.exit(0 if list(found.values()) == [error, error, [16, 16, 16], error] else 1)
P
