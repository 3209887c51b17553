#!/usr/bin/env bash
# Keras-Hub 0.32 lets the odd layers of gpt-oss slide, transformers 5.23 the even ones. Keras-Hub's config.json holds one
# sliding_window and no list of layers, so its class decides; read by transformers' rule, every layer is the other kind.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
pip download -q --no-deps --only-binary :all: -d "$work" keras-hub==0.32.0 transformers==5.23.0
cd "$work"; python3 -m zipfile -e keras_hub-0.32.0-*.whl . ; python3 -m zipfile -e transformers-5.23.0-*.whl .
python3 - <<'P'
import ast, sys
from pathlib import Path

def expression(path, test):
    """The first expression of the file that `test` accepts, as its author wrote it."""
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if test(node):
            return ast.unparse(node)

keras = expression("keras_hub/src/models/gpt_oss/gpt_oss_backbone.py",
                   lambda n: isinstance(n, ast.IfExp) and ast.unparse(n.body) == "sliding_window")
hugging = expression("transformers/models/gpt_oss/configuration_gpt_oss.py",
                     lambda n: isinstance(n, ast.IfExp) and "sliding_attention" in ast.unparse(n.body))
slides_keras = [eval(keras, {"sliding_window": 128, "i": i, "bool": bool}) is not None for i in range(4)]
slides_hugging = [eval(hugging, {"i": i, "bool": bool}) == "sliding_attention" for i in range(4)]
print("keras-hub 0.32.0:", keras, slides_keras)
print("transformers 5.23.0:", hugging, slides_hugging)
sys.exit(0 if slides_keras == [False, True, False, True] and slides_hugging == [True, False, True, False] else 1)
P
