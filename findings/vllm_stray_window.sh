#!/usr/bin/env bash
# vLLM 0.33 takes sliding_window from any config.json without layer_types, also where the model's class knows no windows: one
# stray line makes every layer of a Llama file slide (and its cache shrink), while transformers' Llama class names no window at all.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
pip download -q --no-deps --only-binary :all: -d "$work" vllm==0.33.0 transformers==5.24.0
cd "$work"; unzip -q vllm-0.33.0-*.whl 'vllm/engine/arg_utils.py' 'vllm/config/model.py' 'vllm/model_executor/layers/attention/attention.py'
unzip -q transformers-5.24.0-*.whl 'transformers/models/llama/*.py'
python3 - <<'P'
import ast, sys
from pathlib import Path
from types import SimpleNamespace as Plain

def node(path, test):
    return next(n for n in ast.walk(ast.parse(Path(path).read_text())) if test(n))

def run(statements, **names):
    exec(compile(ast.Module(body=statements, type_ignores=[]), "vllm", "exec"), names)
    return names

# ModelConfig.get_sliding_window, then what the engine makes of it, then what a layer that passes no window of its own takes
read = node("vllm/config/model.py", lambda n: isinstance(n, ast.FunctionDef) and n.name == "get_sliding_window")
engine = node("vllm/engine/arg_utils.py", lambda n: isinstance(n, ast.If) and "get_sliding_window()" in ast.unparse(n.body))
layer = node("vllm/model_executor/layers/attention/attention.py",
             lambda n: isinstance(n, ast.If) and ast.unparse(n.test) == "per_layer_sliding_window is not None")
llama = Plain(model_type="llama", sliding_window=1024)  # what a LlamaConfig with the stray key looks like
get = run([read])["get_sliding_window"]
model = Plain(hf_text_config=llama, get_sliding_window=lambda: get(Plain(hf_text_config=llama)))
of_engine = run([engine], model_config=model, layer_types=None, sliding_window=None)["sliding_window"]
of_layer = run([layer], per_layer_sliding_window=None, cache_config=Plain(sliding_window=of_engine))["sliding_window"]
heeded = [p.name for p in Path("transformers/models/llama").glob("*.py") if "sliding_window" in p.read_text()]
print("vllm 0.33.0: each Llama layer's window is", of_layer)
print("transformers 5.24.0: llama files that mention sliding_window:", heeded)
sys.exit(0 if of_layer == 1024 and not heeded else 1)
P
