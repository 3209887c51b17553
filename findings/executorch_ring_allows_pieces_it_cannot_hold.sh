#!/usr/bin/env bash
# ExecuTorch 1.5 keeps a sliding layer of its Llama export (local_global_attention) in a ring of twice the window and takes any piece of a
# prompt that fits the ring. Only window + 1 tokens are safe: a longer piece, anywhere but at the start, overwrites older tokens that its own
# first tokens still have to see, and where it fills the ring its first token sees itself alone. Nothing is said, and the plain cache and the
# one with C++ operators are wrong alike. With a window of 8, a chat's second message of 10 tokens is enough; the first one never shows it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q torch==2.13.0 numpy==2.4.6 flatbuffers==25.12.19 pyyaml==6.0.4 tabulate==0.10.0 ruamel.yaml==0.19.1
"$work/v/bin/pip" install -q --no-deps executorch==1.5.1 torchao==0.18.0  # of the rest (Core ML, pandas, ...) attention needs nothing
cd "$work"
v/bin/python - 2> log <<'P' | grep -v "No temp allocator provided" > found || { tail -3 log; exit 1; }
from importlib.metadata import version
import torch
from executorch.examples.models.llama.llama_transformer import construct_transformer
from executorch.examples.models.llama.model_args import ModelArgs
from executorch.examples.models.llama.source_transformation.custom_kv_cache import (
    replace_kv_cache_with_custom_kv_cache, replace_kv_cache_with_ring_kv_cache)
from executorch.examples.models.llama.source_transformation.sdpa import replace_sdpa_with_custom_op

W, TOKENS = 8, 48
args = ModelArgs(dim=64, n_layers=1, n_heads=4, n_kv_heads=2, hidden_dim=64, vocab_size=64, head_dim=16, max_context_len=128, max_seq_len=128,
                 use_kv_cache=True, enable_dynamic_shape=True, generate_full_logits=True)
draw = torch.Generator().manual_seed(0)
weights = {name: torch.randn(p.shape, generator=draw) * 0.3 if p.dim() > 1 else torch.ones(p.shape)
           for name, p in construct_transformer(args).named_parameters()}
ids = torch.randint(0, 64, (1, TOKENS), generator=draw)

@torch.no_grad()
def read(pieces, operators):  # the scores of each token when the text is read in pieces of these lengths
    model = construct_transformer(args).eval()
    model.load_state_dict(weights, strict=False)
    if operators:
        replace_kv_cache_with_custom_kv_cache(model); replace_sdpa_with_custom_op(model)
    replace_kv_cache_with_ring_kv_cache(model, [W])
    scores, start = [], 0
    for n in pieces:
        said = model(ids[:, start:start + n], {"input_pos": torch.tensor([start])})
        scores.append(said[0] if isinstance(said, tuple) else said)
        start += n
    return torch.cat(scores, 1)[0], model.layers[0].attention.kv_cache

print("executorch", version("executorch"), "window", W)
for operators in (False, True):
    true, cache = read([1] * TOKENS, operators)
    print(type(cache).__name__, "of", cache.cache_positions_manager.max_context_length, "cells")
    for pieces in ([8] * 6, [9] * 5, [16, 8, 8, 8], [8, 10, 8], [8, 12, 8], [16, 16, 16]):
        said, _ = read(pieces, operators)
        wrong = ((said - true[:len(said)]).abs().amax(-1) > 1e-3).nonzero().flatten().tolist()
        which = f" ({wrong})" if wrong else ""
        print(f"  pieces of {', '.join(map(str, pieces))}: {len(wrong)} tokens with other scores than one at a time{which}")
    # Where a second piece fills the ring, its first token sees itself alone.
    alone, _ = read([16, 16], operators)
    kept = ids.clone(); ids[:, 9:16] = (ids[:, 9:16] + 1) % 64
    other, _ = read([16, 16], operators)
    ids.copy_(kept)
    print("  pieces of 16, 16: the seven tokens before it change the scores of token 16:", bool((alone[16] - other[16]).abs().max() > 1e-5))
P
cat found
diff found - <<'T'
executorch 1.5.1 window 8
RingKVCache of 16 cells
  pieces of 8, 8, 8, 8, 8, 8: 0 tokens with other scores than one at a time
  pieces of 9, 9, 9, 9, 9: 0 tokens with other scores than one at a time
  pieces of 16, 8, 8, 8: 0 tokens with other scores than one at a time
  pieces of 8, 10, 8: 1 tokens with other scores than one at a time ([8])
  pieces of 8, 12, 8: 3 tokens with other scores than one at a time ([8, 9, 10])
  pieces of 16, 16, 16: 14 tokens with other scores than one at a time ([16, 17, 18, 19, 20, 21, 22, 32, 33, 34, 35, 36, 37, 38])
  pieces of 16, 16: the seven tokens before it change the scores of token 16: False
CustomRingKVCache of 16 cells
  pieces of 8, 8, 8, 8, 8, 8: 0 tokens with other scores than one at a time
  pieces of 9, 9, 9, 9, 9: 0 tokens with other scores than one at a time
  pieces of 16, 8, 8, 8: 0 tokens with other scores than one at a time
  pieces of 8, 10, 8: 1 tokens with other scores than one at a time ([8])
  pieces of 8, 12, 8: 3 tokens with other scores than one at a time ([8, 9, 10])
  pieces of 16, 16, 16: 14 tokens with other scores than one at a time ([16, 17, 18, 19, 20, 21, 22, 32, 33, 34, 35, 36, 37, 38])
  pieces of 16, 16: the seven tokens before it change the scores of token 16: False
T
