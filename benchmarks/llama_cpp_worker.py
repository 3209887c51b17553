"""Run by benchmarks.llama_cpp_log with another Python: makes a tiny GGUF model, loads it, completes a prompt.

python llama_cpp_worker.py MODEL.gguf JOB_AS_JSON. Needs xllamacpp and gguf, and nothing of ours; the log goes to
stderr.
"""

import json
import sys

import gguf  # type: ignore[import-not-found]  # in the other interpreter
import numpy as np
import xllamacpp  # type: ignore[import-not-found]

WIDTH, HEADS, KV_HEADS, HEAD_DIM, FFN, LAYERS = 64, 4, 2, 32, 128, 8
WINDOW = 512  # Gemma-3's layers, but each sixth


def make(path: str, architecture: str) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_layer_norm_rms_eps(1e-5)
    if architecture == "gemma3":
        writer.add_sliding_window(WINDOW)
    words = _vocabulary(writer)
    _weights(writer, architecture, words)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer: "gguf.GGUFWriter") -> int:
    """Three control words, every byte and four letters: the least that llama.cpp's tokenizer of this kind takes."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "b", "c", "d"]
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * 4)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(words)


def _weights(writer: "gguf.GGUFWriter", architecture: str, words: int) -> None:
    generator = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(f"{name}.weight", (generator.standard_normal((rows, columns)) * 0.05).astype(np.float32))

    def ones(name: str, count: int) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(count, np.float32))

    matrix("token_embd", words, WIDTH)
    matrix("output", words, WIDTH)
    ones("output_norm", WIDTH)
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        matrix(at + "attn_q", HEADS * HEAD_DIM, WIDTH)
        matrix(at + "attn_k", KV_HEADS * HEAD_DIM, WIDTH)
        matrix(at + "attn_v", KV_HEADS * HEAD_DIM, WIDTH)
        matrix(at + "attn_output", WIDTH, HEADS * HEAD_DIM)
        matrix(at + "ffn_gate", FFN, WIDTH)
        matrix(at + "ffn_up", FFN, WIDTH)
        matrix(at + "ffn_down", WIDTH, FFN)
        for norm in ("attn_norm", "ffn_norm"):
            ones(at + norm, WIDTH)
        if architecture == "gemma3":
            for norm, count in (("attn_q_norm", HEAD_DIM), ("attn_k_norm", HEAD_DIM), ("post_attention_norm", WIDTH),
                                ("post_ffw_norm", WIDTH)):  # fmt: skip
                ones(at + norm, count)


def run(path: str, job: dict[str, object]) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.verbosity = 4  # the lines of llama_kv_cache are among those of level 'info'
    params.n_ctx = job["n_ctx"]
    params.n_parallel = job.get("n_seq_max", 1)
    params.n_ubatch = job.get("n_ubatch", 512)
    params.kv_unified = job.get("kv_unified", False)
    types = {"f16": xllamacpp.ggml_type.GGML_TYPE_F16, "q8_0": xllamacpp.ggml_type.GGML_TYPE_Q8_0}
    params.cache_type_k = types[str(job.get("type_k", "f16"))]
    params.cache_type_v = types[str(job.get("type_v", "f16"))]
    if job.get("flash_attn") == "off":
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(json.dumps(server.handle_completions({"prompt": "abc", "max_tokens": 2})))


if __name__ == "__main__":
    wanted = json.loads(sys.argv[2])
    make(sys.argv[1], wanted["arch"])
    run(sys.argv[1], wanted)
