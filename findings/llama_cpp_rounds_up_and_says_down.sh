#!/usr/bin/env bash
# llama.cpp rounds each slot's share of n_ctx up to 256 cells, so 4,096 tokens for 64 slots become 16,384, four times the cache
# asked for; its log calls that "rounding down to 16384".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q xllamacpp==2026.10.11549 gguf==0.19.0 numpy==2.4.6
cd "$work"
cat > run.py <<'P'
import gguf, numpy as np, xllamacpp
E, F, L = 32, 64, 2
words = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
w = gguf.GGUFWriter("m.gguf", "llama"); r = np.random.default_rng(0)
w.add_block_count(L); w.add_context_length(4096); w.add_embedding_length(E); w.add_feed_forward_length(F); w.add_head_count(2)
w.add_head_count_kv(2); w.add_layer_norm_rms_eps(1e-5); w.add_rope_dimension_count(E // 2); w.add_vocab_size(len(words))
w.add_tokenizer_model("llama"); w.add_token_list(words); w.add_token_scores([0.0] * len(words))
w.add_token_types([2, 3, 3] + [6] * 256); w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_unk_token_id(0)
matrix = lambda n, a, b: w.add_tensor(n + ".weight", r.standard_normal((a, b)).astype(np.float32))
matrix("token_embd", len(words), E); matrix("output", len(words), E); w.add_tensor("output_norm.weight", np.ones(E, np.float32))
for i in range(L):
    for n, a, b in (("attn_q", E, E), ("attn_k", E, E), ("attn_v", E, E), ("attn_output", E, E), ("ffn_gate", F, E), ("ffn_up", F, E),
                    ("ffn_down", E, F)):
        matrix(f"blk.{i}.{n}", a, b)
    for n in ("attn_norm", "ffn_norm"):
        w.add_tensor(f"blk.{i}.{n}.weight", np.ones(E, np.float32))
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.verbosity, p.kv_unified = "m.gguf", 4096, 64, 4, False
xllamacpp.Server(p)
P
v/bin/python run.py > /dev/null 2> log
echo "xllamacpp 2026.10.11549, n_ctx 4096, 64 slots:"; grep -oE "n_ctx is not divisible.*|llama_kv_cache: size = .*seqs\)" log
grep -q "rounding down to 16384" log && grep -q "256 cells,   2 layers, 64/64 seqs" log
