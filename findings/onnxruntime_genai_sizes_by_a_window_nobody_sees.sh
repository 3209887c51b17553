#!/usr/bin/env bash
# onnxruntime-genai 0.18 converts a Mistral with a sliding_window (7B-v0.1, Zephyr) to a model whose layers all attend to everything, as
# their config.json has no layer_types; its genai_config.json names the window and no layers that have it, "layers": [], which the
# engine takes for all. So the cache is allocated for the window and 16 tokens more, nothing drops out of it, and text past that ends in
# an error, for a prompt and in the midst of an answer; up to there tokens out of the window are still seen. Qwen2 with windows, whose
# class derives layer_types, is right. The option windowed_kv_cache=false leaves the Mistral without any window, and working.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q onnxruntime-genai==0.18.0 onnxruntime==1.32.0 onnx==1.23.2 onnx-ir==1.1.0 torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cd "$work"; export HF_HUB_OFFLINE=1
cat > make.py <<'P'
import json, sys
import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
WORDS = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, 96)}}
PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(WORDS, unk_token="<unk>")), unk_token="<unk>", bos_token="<s>",
                        eos_token="</s>", pad_token="<unk>").save_pretrained("hf")
config = AutoConfig.for_model(sys.argv[1], hidden_size=64, num_hidden_layers=2, intermediate_size=64, num_attention_heads=4, vocab_size=96,
                              num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=512,
                              **json.loads(sys.argv[2]))
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
draw = torch.Generator().manual_seed(0)
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.randn(p.shape, generator=draw) * 0.2 if p.dim() > 1 else torch.ones(p.shape))
model.save_pretrained("hf")
P
cat > run.py <<'P'
import json, sys
import numpy as np, onnx, onnxruntime_genai as og, torch
from onnx import helper
from transformers import AutoModelForCausalLM
graph = onnx.load("out/model.onnx", load_external_data=False).graph
windows = [helper.get_attribute_value(a) for n in graph.node if n.op_type == "GroupQueryAttention" for a in n.attribute if a.name == "local_window_size"]
said = json.load(open("out/genai_config.json"))["model"]["decoder"].get("sliding_window", {})
print(f"  window {said.get('window_size')} of layers {said.get('layers')} in genai_config.json, windows {windows} in the graph")
engine = og.Model("out")
own = AutoModelForCausalLM.from_pretrained("hf", dtype=torch.float32).eval()
ids = np.random.default_rng(0).integers(3, 96, 120).tolist()

def start():
    settings = og.GeneratorParams(engine); settings.set_search_options(max_length=200, do_sample=False)
    return og.Generator(engine, settings)

longest, same = 0, 0
for n in range(1, 121):
    generator = start()
    try:
        generator.append_tokens(ids[:n])
    except RuntimeError:
        break
    longest = n
    with torch.no_grad():
        theirs = own(torch.tensor([ids[:n]])).logits[0, -1].numpy()
    same += same == n - 1 and np.abs(generator.get_logits()[0, -1] - theirs).max() < 1e-3
print(f"  of prompts of 1 to 120 tokens those up to {longest} are read, those up to {same} as transformers does")
generator = start(); generator.append_tokens(ids[:6])
try:
    while generator.token_count() < 120 and not generator.is_done():
        generator.generate_next_token()
    print("  an answer goes on")
except RuntimeError:
    print("  an answer ends in a RuntimeError at", generator.token_count(), "tokens")
P
echo "onnxruntime-genai $(venv/bin/pip list 2> /dev/null | awk '$1 == "onnxruntime-genai" {print $2}')" > found
ask() {  # class, fields, options of the builder
  rm -rf hf out; echo "$*" >> found
  venv/bin/python make.py "$1" "$2" 2>> log
  venv/bin/python -m onnxruntime_genai.models.builder -m hf -o out -p fp32 -e cpu -c cache ${3:+--extra_options "$3"} >> log 2>&1
  venv/bin/python run.py 2>> log >> found
}
ask mistral '{"sliding_window": 8}'
ask mistral '{"sliding_window": 64}'
ask mistral '{"sliding_window": 64}' windowed_kv_cache=false
ask mistral '{"sliding_window": null}'
ask qwen2 '{"use_sliding_window": true, "sliding_window": 64, "max_window_layers": 1}'
cat found
diff found - <<'T'
onnxruntime-genai 0.18.0
mistral {"sliding_window": 8}
  window 8 of layers [] in genai_config.json, windows [-1, -1] in the graph
  of prompts of 1 to 120 tokens those up to 24 are read, those up to 8 as transformers does
  an answer ends in a RuntimeError at 25 tokens
mistral {"sliding_window": 64}
  window 64 of layers [] in genai_config.json, windows [-1, -1] in the graph
  of prompts of 1 to 120 tokens those up to 80 are read, those up to 64 as transformers does
  an answer ends in a RuntimeError at 81 tokens
mistral {"sliding_window": 64} windowed_kv_cache=false
  window None of layers None in genai_config.json, windows [-1, -1] in the graph
  of prompts of 1 to 120 tokens those up to 120 are read, those up to 64 as transformers does
  an answer goes on
mistral {"sliding_window": null}
  window None of layers None in genai_config.json, windows [-1, -1] in the graph
  of prompts of 1 to 120 tokens those up to 120 are read, those up to 120 as transformers does
  an answer goes on
qwen2 {"use_sliding_window": true, "sliding_window": 64, "max_window_layers": 1}
  window 64 of layers [1] in genai_config.json, windows [-1, 64] in the graph
  of prompts of 1 to 120 tokens those up to 120 are read, those up to 120 as transformers does
  an answer goes on
T
