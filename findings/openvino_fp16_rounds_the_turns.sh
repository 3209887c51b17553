#!/usr/bin/env bash
# A checkpoint in float16 loses nothing in a file of float16, one would think. "optimum-cli export openvino --weight-format fp16" (optimum-intel
# 2.2, OpenVINO 2026.4) stores the inverse frequencies of the rotary embedding in float16 too, and the runtime multiplies them by positions:
# 0.7499 becomes 0.75, an error of 0.65 radians at a distance of 4,096 tokens that grows with it, and below 0.00006 digits go one by one: the
# last pair of Llama 3.2 turns 27 % too fast. Far tokens are so met at other angles than the model learnt, and nothing is said. An export to
# int8 loses more of every weight and keeps the frequencies: past a thousand tokens of a model with Llama 2's or Mixtral's turns it is nearer
# to the model than fp16 is. openvino.save_model rounds them by default as well (compress_to_fp16).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q torch==2.13.0 transformers==5.5.4 openvino==2026.4.1 nncf==3.4.0 numpy==2.4.6 requests==2.34.2 setuptools==84.2.1
"$work/v/bin/pip" install -q --no-deps optimum-intel==2.2.0 optimum==2.3.0 openvino-tokenizers==2026.4.1.0  # of images it needs nothing here
cd "$work"
HF_HUB_OFFLINE=1 v/bin/python - 2> log <<'P' > found || { tail -3 log; exit 1; }
import subprocess, sys
from importlib.metadata import version
from pathlib import Path
import numpy as np, openvino, torch
from transformers import AutoConfig, AutoModelForCausalLM

WORDS, TEXT, PARTS = 97, 4096, ((0, 256), (256, 1024), (1024, 4096))
torch.set_grad_enabled(False)
ids = torch.randint(3, WORDS, (1, TEXT), generator=torch.Generator().manual_seed(1))
place = np.arange(TEXT)[None]
given = {"input_ids": ids.numpy(), "attention_mask": np.ones_like(place), "position_ids": place, "beam_idx": np.zeros(1, np.int32)}

def export(folder, form):
    subprocess.run([Path(sys.executable).with_name("optimum-cli"), "export", "openvino", "-m", folder, "--task", "text-generation-with-past",
                    "--weight-format", form, folder / form], check=True, stdout=sys.stderr)
    return folder / form / "openvino_model.xml"

def first(path):  # the first choice at each token
    made = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"})
    return torch.from_numpy(made(given)[0][0].argmax(-1))

def turns(path, pairs):  # the inverse frequencies that lie in the file
    return next(node for node in openvino.Core().read_model(path).get_ops() if node.get_type_name() == "Constant"
                and sorted(node.get_output_shape(0))[-1:] == [pairs] and np.prod(node.get_output_shape(0)) == pairs)

print("optimum-intel", version("optimum-intel"), "openvino", version("openvino"))
for title, kind, width, rope in (
        ("Llama 2's turns", "llama", 64, {"rope_type": "default", "rope_theta": 10000.0}),
        ("Llama 3.2's", "llama", 64, {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
                                      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
        ("Mixtral's", "mistral", 128, {"rope_type": "default", "rope_theta": 1e6})):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(
        kind, vocab_size=WORDS, hidden_size=128, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=width, max_position_embeddings=131072, sliding_window=None, rope_parameters=rope), dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        drawn = torch.randn(weight.shape, generator=draw) * 0.2
        weight.copy_((1 + drawn / 2 if "norm" in name else drawn).half().float())  # numbers that float16 holds
    folder = Path(kind + str(rope["rope_theta"]))
    model.save_pretrained(folder)
    true, own = model(ids).logits[0].argmax(-1), model.model.rotary_emb.inv_freq.clone()
    print(title)
    for form in ("fp32", "fp16", "int8"):
        path = export(folder, form)
        said, stored = first(path), turns(path, width // 2)
        held = torch.from_numpy(np.array(stored.data, dtype=np.float32).ravel())
        print(f"  {form}: frequencies in {stored.get_element_type().get_type_name()},",
              f"off by up to {(held - own).abs().max() * 4096:.2f} radians at 4,096 tokens, the last {float(held[-1] / own[-1] - 1):+.1%};",
              "first choices kept:", ", ".join(f"to {b:,} {(said == true)[a:b].double().mean():.0%}" for a, b in PARTS))
        if form == "fp16":
            model.model.rotary_emb.inv_freq.copy_(own.half().float())
            print(f"  transformers with its frequencies rounded: the choices of fp16 {(said == model(ids).logits[0].argmax(-1)).double().mean():.0%}")
            model.model.rotary_emb.inv_freq.copy_(own)
    saved = folder / "saved.xml"
    openvino.save_model(openvino.Core().read_model(folder / "fp32" / "openvino_model.xml"), saved)
    print("  openvino.save_model of fp32: frequencies in", turns(saved, width // 2).get_element_type().get_type_name())
P
cat found
diff found - <<'T'
optimum-intel 2.2.0 openvino 2026.4.1
Llama 2's turns
  fp32: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 100%, to 1,024 100%, to 4,096 100%
  fp16: frequencies in f16, off by up to 0.65 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 98%, to 1,024 91%, to 4,096 68%
  transformers with its frequencies rounded: the choices of fp16 100%
  int8: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 84%, to 1,024 85%, to 4,096 87%
  openvino.save_model of fp32: frequencies in f16
Llama 3.2's
  fp32: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 100%, to 1,024 100%, to 4,096 100%
  fp16: frequencies in f16, off by up to 0.26 radians at 4,096 tokens, the last +26.6%; first choices kept: to 256 99%, to 1,024 95%, to 4,096 89%
  transformers with its frequencies rounded: the choices of fp16 100%
  int8: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 87%, to 1,024 88%, to 4,096 88%
  openvino.save_model of fp32: frequencies in f16
Mixtral's
  fp32: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 100%, to 1,024 100%, to 4,096 100%
  fp16: frequencies in f16, off by up to 0.73 radians at 4,096 tokens, the last +0.9%; first choices kept: to 256 98%, to 1,024 93%, to 4,096 73%
  transformers with its frequencies rounded: the choices of fp16 100%
  int8: frequencies in f32, off by up to 0.00 radians at 4,096 tokens, the last +0.0%; first choices kept: to 256 88%, to 1,024 87%, to 4,096 87%
  openvino.save_model of fp32: frequencies in f16
T
