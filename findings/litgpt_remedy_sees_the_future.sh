#!/usr/bin/env bash
# litgpt 0.5.13 refuses a prompt longer than its model's sliding window (Mistral-7B-v0.1, Phi-3, Gemma 2 and 3), since its ring of a cache
# would let tokens see later ones, and names the remedy: pieces no longer than the window. Those do just that. From the second piece on
# a token sees all of its piece, later tokens too, and misses as many old ones of its window: change the last token of a prompt and the
# scores after tokens before it change. Only pieces of one token are right. With attention_logit_softcapping (Gemma 2) every prompt that
# goes through the cache does so, in one piece and without a window, as its mask of True and False is added to the scores as 1 and 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q litgpt==0.5.13 torch==2.13.0 numpy==2.4.6
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - 2> "$work/log" <<'P' | tee "$work/found"
from importlib.metadata import version
import torch
from litgpt import GPT, Config

T, WINDOW = 24, 8
draw = torch.Generator().manual_seed(1)
ids = torch.randint(0, 128, (1, T), generator=draw)
other = ids.clone(); other[0, -1] = (ids[0, -1] + 1) % 128

@torch.inference_mode()
def scores(model, ids, piece):
    model.set_kv_cache(1, 64)
    found = [model(ids[:, a:a + piece], torch.arange(a, a + piece), input_pos_maxp1=a + piece)[0] for a in range(0, T, piece)]
    model.clear_kv_cache()
    return torch.cat(found)

print("litgpt", version("litgpt"), "a prompt of", T)
for name, fields in (("no window", {}), (f"window {WINDOW}", {"sliding_window_size": WINDOW}), ("soft cap", {"attention_logit_softcapping": 50.0})):
    torch.manual_seed(0)
    model = GPT(Config(block_size=64, n_layer=2, n_embd=64, vocab_size=128, padded_vocab_size=128, n_head=4, n_query_groups=2, head_size=16,
                       rotary_percentage=1.0, norm_class_name="RMSNorm", mlp_class_name="GemmaMLP", intermediate_size=64, bias=False,
                       parallel_residual=False, **fields)).eval()
    with torch.inference_mode():
        whole = model(ids)[0]
    for piece in (1, 4, 8, 24):
        try:
            found, changed = scores(model, ids, piece), scores(model, other, piece)
        except ValueError as e:
            print(f"{name}, pieces of {piece}: ValueError, {str(e).split('.')[0]}; {str(e).split('. ')[-1]}")
            continue
        tokens = ((found - changed).abs().amax(1) > 1e-4).nonzero().flatten().tolist()
        right = int(((found - whole).abs().amax(1) < 1e-4).sum())
        print(f"{name}, pieces of {piece}: {right} of {T} tokens have the scores that they have without a cache,",
              f"{len(tokens) - 1} earlier ones change with the last token")
P
diff "$work/found" - <<'T'
litgpt 0.5.13 a prompt of 24
no window, pieces of 1: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
no window, pieces of 4: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
no window, pieces of 8: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
no window, pieces of 24: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
window 8, pieces of 1: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
window 8, pieces of 4: 8 of 24 tokens have the scores that they have without a cache, 3 earlier ones change with the last token
window 8, pieces of 8: 8 of 24 tokens have the scores that they have without a cache, 7 earlier ones change with the last token
window 8, pieces of 24: ValueError, Prefill length (24) exceeds the sliding window size (8); Please use chunked prefill with chunk size <= 8 to avoid this issue.
soft cap, pieces of 1: 24 of 24 tokens have the scores that they have without a cache, 0 earlier ones change with the last token
soft cap, pieces of 4: 0 of 24 tokens have the scores that they have without a cache, 3 earlier ones change with the last token
soft cap, pieces of 8: 0 of 24 tokens have the scores that they have without a cache, 7 earlier ones change with the last token
soft cap, pieces of 24: 0 of 24 tokens have the scores that they have without a cache, 23 earlier ones change with the last token
T
