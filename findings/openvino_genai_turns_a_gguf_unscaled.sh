#!/usr/bin/env bash
# OpenVINO GenAI 2026.4.1 opens a GGUF file itself (LLMPipeline("model.gguf"): llama, qwen2 and qwen3) and reads how fast heads turn from
# rope.freq_base alone. The tensor rope_freqs.weight, by which a GGUF of Llama 3.1 to 3.3 says that its slow pairs turn 8 or 32 times slower,
# is not used, and rope.scaling of any type (linear: Vicuna 16k, DeepSeek Coder; yarn: Qwen3 for 131,072 tokens) is not read. Such a model
# answers as the one that was never stretched, a Llama 3.2 for 131,072 tokens as one for 8,192, in short texts too, and nothing warns.
# Biases of queries and keys in a file of architecture llama (attention_bias) are added in the file's order, pairs as neighbours, to weights
# that were put in the other order, halves; those of qwen2, which lie in halves, are right, and so is a model that needs none of all this.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q openvino-genai==2026.4.1.0 gguf==0.19.0 torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 v/bin/python - 2> log <<'P' > found || { tail -3 log; exit 1; }
from importlib.metadata import version
from pathlib import Path
import gguf, openvino, openvino_genai, torch
from transformers import AutoConfig, AutoModelForCausalLM

WORDS, LAYERS, HALF = 97, 2, gguf.GGMLQuantizationType.F16
PARTS = [range(20, 257, 20), range(257, 1025, 64), range(1025, 4097, 256)]
torch.set_grad_enabled(False)
ids = torch.randint(3, WORDS, (1, 4096), generator=torch.Generator().manual_seed(1))

def model(kind, rope, **more):
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(
        kind, vocab_size=WORDS, hidden_size=256, intermediate_size=128, num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        head_dim=64, max_position_embeddings=131072, tie_word_embeddings=False, rope_parameters=rope, **more), dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(0)
    for name, weight in made.named_parameters():
        drawn = torch.randn(weight.shape, generator=draw) * 0.2
        weight.copy_((1 + drawn / 2 if "norm" in name else drawn).half().float())
    return made

def neighbours(rows):  # llama.cpp turns neighbours, not halves
    return rows.reshape(len(rows) // 64, 2, 32, -1).swapaxes(1, 2).reshape(rows.shape)

def write(path, made, keys=(), factors=None):
    config, arch = made.config, made.config.model_type
    file = gguf.GGUFWriter(path, arch)
    file.add_block_count(LAYERS), file.add_context_length(131072), file.add_embedding_length(256), file.add_feed_forward_length(128)
    file.add_head_count(4), file.add_head_count_kv(2), file.add_key_length(64), file.add_value_length(64), file.add_rope_dimension_count(64)
    file.add_layer_norm_rms_eps(config.rms_norm_eps), file.add_rope_freq_base(config.rope_parameters["rope_theta"]), file.add_file_type(1)
    for name, value in keys:
        getattr(file, name)(value)
    file.add_tokenizer_model("gpt2"), file.add_tokenizer_pre("qwen2" if arch.startswith("qwen") else "llama-bpe")
    file.add_token_list(["<unk>", "<s>", "</s>", *(f"t{i}" for i in range(3, WORDS))]), file.add_token_types([3] * 3 + [1] * (WORDS - 3))
    file.add_token_merges(["t 3", "t 4"]), file.add_bos_token_id(1), file.add_eos_token_id(2), file.add_chat_template("{{ messages }}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], LAYERS)
    for name, weight in made.state_dict().items():
        weight = weight.numpy()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            weight = neighbours(weight)
        name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        file.add_tensor(name, gguf.quants.quantize(weight, HALF), raw_dtype=HALF) if weight.ndim > 1 else file.add_tensor(name, weight)
    if factors is not None:
        file.add_tensor("rope_freqs.weight", factors)
    file.write_header_to_file(), file.write_kv_data_to_file(), file.write_tensors_to_file(), file.close()

def served(path):  # what the pipeline answers to the first n tokens, one token each time
    pipe = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_PRECISION_HINT="f32", KV_CACHE_PRECISION="f32")
    greedy = openvino_genai.GenerationConfig(max_new_tokens=1, do_sample=False, ignore_eos=True, apply_chat_template=False)
    return {n: pipe.generate(openvino.Tensor(ids[:, :n].numpy()), greedy).tokens[0][0] for part in PARTS for n in part}

def show(title, kind, rope, keys=(), factors=None, wrong="without", **more):
    whole, plain = model(kind, rope, **more), model(kind, {"rope_type": "default", "rope_theta": rope["rope_theta"]}, **more)
    if more:
        for name, weight in plain.named_parameters():
            if name.endswith(("q_proj.bias", "k_proj.bias")):
                weight.copy_(neighbours(weight.clone()))
    folder = Path(title.split(":")[0].replace(" ", "_")); folder.mkdir()
    write(folder / "model.gguf", whole, keys, factors(whole) if factors else None)
    said = served(folder / "model.gguf")
    print(title)
    for who, other in (("does with the model of the file", whole), (f"does {wrong}", plain)):
        best = other(ids).logits[0].argmax(-1).tolist()
        print(f"  answers as transformers {who}:",
              "; ".join(f"{sum(said[n] == best[n - 1] for n in part)} of {len(part)} to {part[-1]:,} tokens" for part in PARTS))

print("openvino-genai", version("openvino-genai"), "transformers", version("transformers"))
THETA = 500000.0
LLAMA = {"rope_type": "llama3", "rope_theta": THETA, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 8192}
def factors(made):
    return (THETA ** (-torch.arange(0, 64, 2) / 64) / made.model.rotary_emb.inv_freq).numpy()
SCALED, KINDS = ("add_rope_scaling_factor", 4.0), gguf.RopeScalingType
show("Qwen2: nothing to scale", "qwen2", {"rope_type": "default", "rope_theta": 1e6})
show("Llama 3.2: rope_freqs.weight", "llama", LLAMA, factors=factors)
show("Llama: rope.scaling of linear, 4", "llama", {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
     [("add_rope_scaling_type", KINDS.LINEAR), SCALED])
show("Qwen3: rope.scaling of yarn, 4", "qwen3", {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768},
     [("add_rope_scaling_type", KINDS.YARN), SCALED, ("add_rope_scaling_orig_ctx_len", 32768)])
show("Llama with attention_bias: attn_q.bias, attn_k.bias", "llama", {"rope_type": "default", "rope_theta": 10000.0},
     wrong="with these biases in the file's order", attention_bias=True)
P
cat found
diff found - <<'T'
openvino-genai 2026.4.1.0 transformers 5.24.0
Qwen2: nothing to scale
  answers as transformers does with the model of the file: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
  answers as transformers does without: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
Llama 3.2: rope_freqs.weight
  answers as transformers does with the model of the file: 10 of 12 to 240 tokens; 4 of 12 to 961 tokens; 1 of 12 to 3,841 tokens
  answers as transformers does without: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
Llama: rope.scaling of linear, 4
  answers as transformers does with the model of the file: 0 of 12 to 240 tokens; 0 of 12 to 961 tokens; 0 of 12 to 3,841 tokens
  answers as transformers does without: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
Qwen3: rope.scaling of yarn, 4
  answers as transformers does with the model of the file: 7 of 12 to 240 tokens; 6 of 12 to 961 tokens; 7 of 12 to 3,841 tokens
  answers as transformers does without: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
Llama with attention_bias: attn_q.bias, attn_k.bias
  answers as transformers does with the model of the file: 4 of 12 to 240 tokens; 4 of 12 to 961 tokens; 3 of 12 to 3,841 tokens
  answers as transformers does with these biases in the file's order: 12 of 12 to 240 tokens; 12 of 12 to 961 tokens; 12 of 12 to 3,841 tokens
T
