#!/usr/bin/env bash
# xllamacpp ships llama.cpp and a forecast of its memory (xllamacpp.memory, which places layers on GPUs). The two disagree about the
# cache: q8_0 and q4_0 count as 8 and 4 bits in the forecast, and the engine stores 8.5 and 4.5, since each 32 numbers have a scale;
# Gemma 2's windows are not seen (Gemma 3's are), nor that layers may differ in KV heads: each counts with the most that any has.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q xllamacpp==2026.10.11549 gguf==0.19.0 numpy==2.4.6
cd "$work"
cat > run.py <<'P'
import sys
import gguf, numpy as np, xllamacpp
from xllamacpp import memory
ARCH, KV_HEADS, KIND = sys.argv[1], [int(n) for n in sys.argv[2].split(",")], sys.argv[3]
E, F, D, CONTEXT, WINDOW = 128, 64, 32, 65536, 1024
HEADS, L = E // D, len(KV_HEADS)
words = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
w = gguf.GGUFWriter("m.gguf", ARCH); draw = np.random.default_rng(0)
w.add_block_count(L); w.add_context_length(CONTEXT); w.add_embedding_length(E); w.add_feed_forward_length([F] * L); w.add_head_count(HEADS)
w.add_head_count_kv(KV_HEADS if len(set(KV_HEADS)) > 1 else KV_HEADS[0]); w.add_layer_norm_rms_eps(1e-5)
w.add_key_length(D); w.add_value_length(D); w.add_rope_dimension_count(D); w.add_vocab_size(len(words))
w.add_tokenizer_model("llama"); w.add_token_list(words); w.add_token_scores([0.0] * len(words))
w.add_token_types([2, 3, 3] + [6] * 256); w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_unk_token_id(0)
if ARCH == "gemma2":
    w.add_sliding_window(WINDOW)
matrix = lambda n, a, b: w.add_tensor(n + ".weight", draw.standard_normal((a, b)).astype(np.float32))
ones = lambda n: w.add_tensor(n + ".weight", np.ones(E, np.float32))
matrix("token_embd", len(words), E); ones("output_norm")
for i, kv in enumerate(KV_HEADS):
    for n, a, b in (("attn_q", E, E), ("attn_k", kv * D, E), ("attn_v", kv * D, E), ("attn_output", E, E), ("ffn_gate", F, E),
                    ("ffn_up", F, E), ("ffn_down", E, F)):
        matrix(f"blk.{i}.{n}", a, b)
    for n in ("attn_norm", "ffn_norm", *(("post_attention_norm", "post_ffw_norm") if ARCH == "gemma2" else ())):
        ones(f"blk.{i}.{n}")
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
reader = gguf.GGUFReader("m.gguf")
cache, _, _ = memory.graph_size(memory.dump_metadata_json(reader, "m.gguf")["metadata"], context_length=CONTEXT, batch_size=512,
                                num_parallel=1, kv_cache_type=KIND)
print(f"forecast {sum(cache) / 2**20:.2f} MiB", flush=True)
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.n_batch, p.n_ubatch, p.verbosity = "m.gguf", CONTEXT, 1, 512, 512, 4
p.cache_type_k = p.cache_type_v = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + KIND.upper())
xllamacpp.Server(p)
P
ask() {  # architecture, KV heads of each layer, kind of cache
  v/bin/python run.py "$@" > said 2> log
  grep -oE "forecast.*" said
  grep -oE "llama_kv_cache: size = +[0-9.]+ MiB" log | grep -oE "[0-9.]+ MiB" | awk '{s += $1} END {printf "engine %.2f MiB\n", s}'
}
echo "xllamacpp 2026.10.11549, 65,536 tokens, keys and values of 32 numbers a head:"
found=$(for job in "llama 4,4 f16" "llama 4,4 q8_0" "llama 4,4 q4_0" "gemma2 2,2 f16" "deci 4,1,1,1 f16"; do
  echo "$job: $(ask $job | paste -sd, )"; done)
echo "$found"
diff - <(echo "$found") <<'T'
llama 4,4 f16: forecast 64.00 MiB,engine 64.00 MiB
llama 4,4 q8_0: forecast 32.00 MiB,engine 34.00 MiB
llama 4,4 q4_0: forecast 16.00 MiB,engine 18.00 MiB
gemma2 2,2 f16: forecast 32.00 MiB,engine 16.38 MiB
deci 4,1,1,1 f16: forecast 128.00 MiB,engine 56.00 MiB
T
