#!/usr/bin/env bash
# mlx-lm 0.32.2: --max-kv-size does nothing for Llama and Mistral, without a word. make_prompt_cache hands it only to classes
# without a make_cache of their own, and llama.py has had one since it learnt layer_types. Qwen2 obeys it. A Mistral with a
# sliding_window and no layer_types (7B v0.1) keeps every token as well.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q 'mlx[cpu]==0.32.4' mlx-lm==0.32.2 2> /dev/null
"$work/v/bin/python" - <<'P'
import sys
import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _get_classes
SHAPE = dict(hidden_size=64, num_hidden_layers=2, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
             rms_norm_eps=1e-5, vocab_size=64, rope_theta=10000.0, tie_word_embeddings=True, sliding_window=128)
held = {}
for name in ("llama", "mistral", "qwen2"):
    model, arguments = _get_classes({**SHAPE, "model_type": name})
    model = model(arguments.from_dict({**SHAPE, "model_type": name}))
    cache = make_prompt_cache(model, max_kv_size=256)
    for _ in generate_step(mx.zeros((1500,), mx.int32), model, max_tokens=3, max_kv_size=256, prompt_cache=cache):
        pass
    held[name] = (type(cache[0]).__name__, cache[0].keys.shape[2])
print("mlx-lm 0.32.2, max_kv_size=256, sliding_window=128, 1,503 tokens; tokens that one layer holds:", held)
sys.exit(0 if held["llama"][1] == held["mistral"][1] == 1536 and held["qwen2"][1] == 256 else 1)
P
