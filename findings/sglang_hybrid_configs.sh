#!/usr/bin/env bash
# SGLang 0.5.23 reads two hybrids by classes of its own, and they decide otherwise than transformers 5.19, which it pins.
# 1. A Qwen3-Next config.json that transformers' own save_pretrained wrote cannot be served: it names layer_types and no
#    full_attention_interval, and SGLang's class knows the interval alone, so it raises AttributeError at start.
# 2. A Granite-4 hybrid config.json without layer_types has no attention in transformers and, in SGLang, attention in every
#    sixth layer: the same file is another model, and only one of the two keeps keys and values.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.19.0
"$work/venv/bin/pip" download -q --no-deps --only-binary :all: -d "$work" sglang==0.5.23
cd "$work"; python3 -m zipfile -e sglang-0.5.23-*.whl sglang_wheel
"$work/venv/bin/python" - <<'P'
import importlib.util, json, sys
from pathlib import Path
from unittest.mock import MagicMock

from transformers import GraniteMoeHybridConfig, Qwen3NextConfig

for absent in ("mamba_utils", "update_config"):  # they compute state shapes with torch, which nothing here asks for
    sys.modules[f"sglang.srt.configs.{absent}"] = MagicMock()
for absent in ("sglang", "sglang.srt", "sglang.srt.configs", "sglang.srt.runtime_context", "sglang.srt.utils"):
    sys.modules.setdefault(absent, MagicMock())

def sglangs(module, name):
    spec = importlib.util.spec_from_file_location(module, f"sglang_wheel/sglang/srt/configs/{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name)

Qwen3NextConfig(num_hidden_layers=8).save_pretrained("saved")
saved = json.loads(Path("saved/config.json").read_text())
print("transformers 5.19.0 saved: layer_types", saved.get("layer_types"), "full_attention_interval",
      saved.get("full_attention_interval", "absent"))
try:
    said = sglangs("qwen3_next", "Qwen3NextConfig").from_pretrained("saved").full_attention_layer_ids
except AttributeError as error:
    said = f"AttributeError: {error}"
print("sglang 0.5.23 reads its attention layers as:", said)

theirs = GraniteMoeHybridConfig(num_hidden_layers=12)
attention = [i for i, kind in enumerate(theirs.layer_types) if "attention" in kind and "linear" not in kind]
own = sglangs("granitemoehybrid", "GraniteMoeHybridConfig")(num_hidden_layers=12).full_attention_layer_ids
print("granitemoehybrid of 12 layers without layer_types, attention in: transformers", attention, "sglang", own)
sys.exit(0 if str(said).startswith("AttributeError") and "full_attention_interval" in str(said)
         and "full_attention_interval" not in saved and attention == [] and own == [5, 11] else 1)
P
