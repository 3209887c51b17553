#!/usr/bin/env bash
# A checkpoint whose quantization_config has a kv_cache_scheme (llm-compressor writes them) holds k_scale and v_scale, and transformers
# quantises its cache by compressed-tensors. compressed-tensors 0.20.1 (transformers>=4.45.0, it says) takes for a layer with a cache one
# whose forward names past_key_values. transformers 5.24 calls that parameter "cache": no layer is found, keys and values stay as they
# are, the scales are called unexpected and to be ignored, and a model saved again still names the scheme and has lost its scales. With
# transformers 5.23 the layers of Llama, Qwen3, Gemma 3, gpt-oss and DeepSeek-V3 are found; of GPT-2, GPT-NeoX, Falcon, BLOOM and JetMoE none.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q compressed-tensors==0.20.1 torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cd "$work"; export HF_HUB_OFFLINE=1
cat > make.py <<'P'
import json, torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
torch.manual_seed(0)
config = AutoConfig.for_model("llama", hidden_size=128, num_hidden_layers=2, intermediate_size=128, num_attention_heads=4, head_dim=32,
                              num_key_value_heads=2, vocab_size=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained("hf")
scales = {f"model.layers.{i}.self_attn.{x}_scale": torch.tensor([0.01]) for i in range(2) for x in "kv"}
save_file(load_file("hf/model.safetensors") | scales, "hf/model.safetensors", metadata={"format": "pt"})
written = json.load(open("hf/config.json"))
written["quantization_config"] = {"quant_method": "compressed-tensors", "format": "dense", "quantization_status": "frozen", "config_groups": {},
                                  "ignore": [], "kv_cache_scheme": {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False}}
json.dump(written, open("hf/config.json", "w"))
P
cat > run.py <<'P'
import json, torch, transformers
from importlib.metadata import version
from safetensors.torch import load_file
from compressed_tensors.quantization.lifecycle.initialize import is_cached_attention_module
from transformers import AutoConfig, AutoModelForCausalLM
print("compressed-tensors", version("compressed-tensors"), "transformers", transformers.__version__)
model = AutoModelForCausalLM.from_pretrained("hf", dtype=torch.float32).eval()
with torch.no_grad():
    keys = model(torch.arange(3, 60)[None]).past_key_values.layers[0].keys
print(f"  {keys.unique().numel():,} different numbers among {keys.numel():,} cached of the keys")
model.save_pretrained("again")
scheme = json.load(open("again/config.json"))["quantization_config"]["kv_cache_scheme"]
print("  saved again:", scheme["num_bits"], scheme["type"], "by its kv_cache_scheme,", sum("scale" in n for n in load_file("again/model.safetensors")), "scales")
found = {}
for kind in "llama qwen3 gemma3_text gpt_oss deepseek_v3 gpt2 gpt_neox falcon bloom jetmoe".split():
    with torch.device("meta"):
        other = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, num_hidden_layers=2))
    found[kind] = sum(map(is_cached_attention_module, other.modules()))
print("  layers found of 2:", ", ".join(f"{k} {n}" for k, n in found.items()))
P
v/bin/python make.py 2> log
v/bin/python run.py 2> new > found
echo "  its log: $(grep -c UNEXPECTED new) lines with UNEXPECTED, $(grep -ciE "kv.cache" new || true) that name a KV cache" >> found
v/bin/pip install -q transformers==5.23.0
v/bin/python run.py 2>> log >> found
cat found
diff found - <<'T'
compressed-tensors 0.20.1 transformers 5.24.0
  3,648 different numbers among 3,648 cached of the keys
  saved again: 8 float by its kv_cache_scheme, 0 scales
  layers found of 2: llama 0, qwen3 0, gemma3_text 0, gpt_oss 0, deepseek_v3 0, gpt2 0, gpt_neox 0, falcon 0, bloom 0, jetmoe 0
  its log: 3 lines with UNEXPECTED, 0 that name a KV cache
compressed-tensors 0.20.1 transformers 5.23.0
  154 different numbers among 3,648 cached of the keys
  saved again: 8 float by its kv_cache_scheme, 4 scales
  layers found of 2: llama 2, qwen3 2, gemma3_text 2, gpt_oss 2, deepseek_v3 2, gpt2 0, gpt_neox 0, falcon 0, bloom 0, jetmoe 0
T
