#!/usr/bin/env bash
# torch 2.13's scaled_dot_product_attention(enable_gqa=True) decodes a bf16 cache on a CPU no faster for fewer KV heads: it
# copies nothing, but reads each KV head once for every query head that shares it, so 4 KV heads under 32 query heads take
# as long as 32. The same call with those that share a KV head given as query rows (q.view(1, G, H/G, d), exact for one new
# token, which needs no mask) reads each once and is more than ten times as fast.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys
import time
import torch
from torch.nn.functional import scaled_dot_product_attention as attention
H, G, d, tokens = 32, 4, 128, 8192
torch.manual_seed(0)

def best_ms(call):
    times = []
    for _ in range(15):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) * 1000

q, k, v = (torch.randn(1, heads, rows, d).bfloat16() for heads, rows in ((H, 1), (G, tokens), (G, tokens)))
all_k, all_v = (x.repeat_interleave(H // G, dim=1) for x in (k, v))
shared = lambda: attention(q, k, v, enable_gqa=True)
packed = lambda: attention(q.view(1, G, H // G, d), k, v).view(1, H, 1, d)
apart = (shared() - packed()).abs().max().item()
ms = [best_ms(call) for call in (lambda: attention(q, all_k, all_v), shared, packed)]
print(f"torch {torch.__version__}, bf16, {tokens} tokens: G = {H} {ms[0]:.1f} ms, G = {G} with enable_gqa {ms[1]:.1f} ms, "
      f"as packed rows {ms[2]:.1f} ms; largest difference {apart:.1e}")
sys.exit(ms[1] < 0.7 * ms[0] or ms[2] > 0.5 * ms[1] or apart > 1e-2)
P
