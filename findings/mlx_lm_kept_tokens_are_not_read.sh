#!/usr/bin/env bash
# mlx-lm 0.32.2: --max-kv-size keeps the first 4 tokens for good ("attention sinks") beside the latest, yet a prompt is masked to the
# window alone: past it its tokens do not see the 4 that its cache holds (but for the first few of each later piece), while those
# fed one at a time do. So the same tokens give other logits by how the prompt is cut (--prefill-step-size, a setting of speed), and an
# answer reads sinks beside keys that were made without them. Where none are kept, RotatingKVCache(n), all cuts agree.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q 'mlx[cpu]==0.32.4' mlx-lm==0.32.2 2> /dev/null
"$work/v/bin/python" - <<'P' | tee "$work/found"
import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import RotatingKVCache, make_prompt_cache
from mlx_lm.utils import _get_classes
SHAPE = dict(model_type="qwen2", hidden_size=64, num_hidden_layers=2, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
             rms_norm_eps=1e-5, vocab_size=64, rope_theta=10000.0, tie_word_embeddings=True)
TOKENS, SIZE = 600, 128
mx.random.seed(0)
Model, Arguments = _get_classes(SHAPE)
model = Model(Arguments.from_dict(SHAPE))
tokens = mx.random.randint(0, 64, (TOKENS,))

def first(cut, **chosen):
    """log-probabilities of the first token after the prompt"""
    return next(generate_step(tokens, model, max_tokens=1, prefill_step_size=cut, **chosen))[1]

changed = mx.where(mx.arange(TOKENS) < 4, (tokens + 1) % 64, tokens)
def last(tokens, step):
    """logits of the prompt's last token, fed in steps of so many tokens"""
    cache = make_prompt_cache(model, max_kv_size=SIZE)
    return [model(tokens[None, i : i + step], cache=cache)[0, -1] for i in range(0, TOKENS, step)][-1]

for name, chosen in (("every token kept", dict), ("the latest 128", lambda: {"prompt_cache": [RotatingKVCache(SIZE) for _ in range(2)]}),
                     ("max_kv_size=128, the first 4 and the latest 124", lambda: {"max_kv_size": SIZE})):
    one_by_one = first(1, **chosen())
    for cut in (2048, 200):
        off = mx.abs(first(cut, **chosen()) - one_by_one).max().item()
        print(f"{name}: prefill_step_size {cut} and 1", "agree" if off < 1e-4 else f"differ by {off:.1f}")
for step in (600, 1):
    off = mx.abs(last(tokens, step) - last(changed, step)).max().item()
    print(f"max_kv_size=128, 4 other first tokens, fed by {step}:", "the same logits" if off == 0 else f"other logits, by {off:.1f}")
P
diff "$work/found" - <<'T'
every token kept: prefill_step_size 2048 and 1 agree
every token kept: prefill_step_size 200 and 1 agree
the latest 128: prefill_step_size 2048 and 1 agree
the latest 128: prefill_step_size 200 and 1 agree
max_kv_size=128, the first 4 and the latest 124: prefill_step_size 2048 and 1 differ by 0.1
max_kv_size=128, the first 4 and the latest 124: prefill_step_size 200 and 1 differ by 0.1
max_kv_size=128, 4 other first tokens, fed by 600: the same logits
max_kv_size=128, 4 other first tokens, fed by 1: other logits, by 0.2
T
