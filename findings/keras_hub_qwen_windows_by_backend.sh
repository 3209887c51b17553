#!/usr/bin/env bash
# Keras-Hub 0.32's Qwen, Qwen3 and Qwen3-MoE have a sliding window where Keras computes by TensorFlow or NumPy, and none by torch or JAX:
# where Keras has a fused attention they call it before the lines that would mask what lies outside the window. No GPU is needed for that,
# and nothing is said. One set of weights so gives two models: equal within the window, and past it each token reads all before it by torch.
# Its Qwen-MoE and Mistral keep the window by either. Beside weights that were trained with a window, a cache planned by it is too small.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q keras-hub==0.32.0 keras==3.15.1 tensorflow==2.21.0 torch==2.13.0 jax==0.10.2 numpy==2.4.6
cd "$work"
cat > models.py <<'P'
import os
import sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import keras_hub
import numpy as np

WINDOW, TOKENS = 8, 40
ALL = {"vocabulary_size": 97, "num_layers": 1, "num_query_heads": 4, "num_key_value_heads": 2, "hidden_dim": 64, "intermediate_dim": 64}
EXPERTS = {"moe_intermediate_dim": 32, "num_experts": 2, "top_k": 1}
SWITCH = {"use_sliding_window_attention": True, "sliding_window_size": WINDOW}
models = keras_hub.models
KINDS = {
    "Qwen": (models.QwenBackbone, SWITCH),
    "Qwen3": (models.Qwen3Backbone, {"head_dim": 16, "sliding_window_size": WINDOW}),
    "Qwen3-MoE": (models.Qwen3MoeBackbone, {"head_dim": 16, "sliding_window_size": WINDOW, **EXPERTS}),
    "Qwen-MoE": (models.QwenMoeBackbone, {"shared_expert_intermediate_dim": 32, **EXPERTS, **SWITCH}),
    "Mistral": (models.MistralBackbone, {"sliding_window": WINDOW}),
}
tokens = np.arange(3, 3 + TOKENS, dtype="int32")[None]
other = np.where(np.arange(TOKENS) == 0, 90, tokens).astype("int32")
found = {}
for name, (kind, more) in KINDS.items():
    keras.utils.set_random_seed(0)
    model = kind(**ALL, **more)
    if os.path.exists("weights.npz"):  # those that the other backend drew
        kept = np.load("weights.npz")
        for place, weight in enumerate(model.weights):
            weight.assign(kept[f"{name} {place}"])
    found |= {f"{name} {place}": keras.ops.convert_to_numpy(weight) for place, weight in enumerate(model.weights)}
    answers = [keras.ops.convert_to_numpy(model({"token_ids": x, "padding_mask": np.ones_like(x)}))[0] for x in (tokens, other)]
    found[f"{name} answers"] = answers[0]
    last = int(np.nonzero(np.abs(answers[0] - answers[1]).max(-1) > 1e-6)[0].max())
    print(f"  {name}: the first of {TOKENS} tokens is read up to token", last + 1)
np.savez(sys.argv[1], **found)
P
{
    v/bin/python -c "from importlib.metadata import version as v; print(*(f'{p} {v(p)}' for p in ('keras-hub', 'keras')))"
    for backend in tensorflow numpy torch jax; do
        echo "by $backend, a window of 8"
        KERAS_BACKEND=$backend v/bin/python models.py $backend.npz 2> log || { tail -3 log >&2; exit 1; }
        cp tensorflow.npz weights.npz
    done
    v/bin/python - <<'P'
import numpy as np
one, two = np.load("tensorflow.npz"), np.load("torch.npz")
print("the same weights by tensorflow and torch: the first token whose answer differs")
for name in (key for key in one if key.endswith(" answers")):
    differs = np.nonzero(np.abs(one[name] - two[name]).max(-1) > 1e-3)[0]
    print(f"  {name.removesuffix(' answers')}: {int(differs[0]) + 1 if differs.size else 'none'}")
P
} > found
cat found
diff found - <<'T'
keras-hub 0.32.0 keras 3.15.1
by tensorflow, a window of 8
  Qwen: the first of 40 tokens is read up to token 8
  Qwen3: the first of 40 tokens is read up to token 8
  Qwen3-MoE: the first of 40 tokens is read up to token 8
  Qwen-MoE: the first of 40 tokens is read up to token 8
  Mistral: the first of 40 tokens is read up to token 8
by numpy, a window of 8
  Qwen: the first of 40 tokens is read up to token 8
  Qwen3: the first of 40 tokens is read up to token 8
  Qwen3-MoE: the first of 40 tokens is read up to token 8
  Qwen-MoE: the first of 40 tokens is read up to token 8
  Mistral: the first of 40 tokens is read up to token 8
by torch, a window of 8
  Qwen: the first of 40 tokens is read up to token 40
  Qwen3: the first of 40 tokens is read up to token 40
  Qwen3-MoE: the first of 40 tokens is read up to token 40
  Qwen-MoE: the first of 40 tokens is read up to token 8
  Mistral: the first of 40 tokens is read up to token 8
by jax, a window of 8
  Qwen: the first of 40 tokens is read up to token 40
  Qwen3: the first of 40 tokens is read up to token 40
  Qwen3-MoE: the first of 40 tokens is read up to token 40
  Qwen-MoE: the first of 40 tokens is read up to token 8
  Mistral: the first of 40 tokens is read up to token 8
the same weights by tensorflow and torch: the first token whose answer differs
  Qwen: 9
  Qwen3: 9
  Qwen3-MoE: 9
  Qwen-MoE: none
  Mistral: none
T
