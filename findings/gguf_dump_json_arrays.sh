#!/usr/bin/env bash
# gguf-dump --json leaves the values of arrays out unless --json-array is given too, and says nothing of it: a model whose
# KV heads differ by layer then looks to a reader of "value" as if head_count_kv were absent, which means "as many as query heads".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q gguf==0.19.0 numpy==2.4.6
cd "$work"
v/bin/python - <<'P'
import gguf, numpy as np
w = gguf.GGUFWriter("m.gguf", "llama")
w.add_block_count(2); w.add_context_length(64); w.add_embedding_length(64); w.add_head_count(4); w.add_head_count_kv([2, 1])
w.add_tensor("token_embd.weight", np.zeros((8, 64), np.float32))
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
P
v/bin/gguf-dump --json m.gguf > plain.json 2> plain.err; v/bin/gguf-dump --json --json-array m.gguf > full.json 2> /dev/null
python3 - <<'P'
import json, sys
key = "llama.attention.head_count_kv"
plain, full = (json.load(open(name))["metadata"][key] for name in ("plain.json", "full.json"))
print("gguf 0.19.0 --json:", plain, "| --json --json-array:", full, "| warned:", "array" in open("plain.err").read())
sys.exit(0 if "value" not in plain and full["value"] == [2, 1] else 1)
P
