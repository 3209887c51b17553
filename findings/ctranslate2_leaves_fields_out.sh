#!/usr/bin/env bash
# CTranslate2 4.8.5 converts a Gemma 2 to the same bytes whatever its sliding_window, query_pre_attn_scalar and two soft caps say: every
# layer attends to everything, caps are gone, and the 27B's scores are scaled for 128 numbers a head in place of 144. A Gemma 3 keeps its
# window and loses query_pre_attn_scalar (168 in the 27B) and the factor 8 by which the 4B, 12B and 27B turn their full layers. Windows
# of Qwen 2 and 3 go too, while Mistral's stays. Nothing is said; a scaling that it does not know (YaRN) is an error.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q ctranslate2==4.8.5 torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 venv/bin/python - 2> log <<'P' | tee found
import shutil
from pathlib import Path
import ctranslate2, torch, transformers
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

WORDS = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, 64)}}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(WORDS, unk_token="<unk>")), unk_token="<unk>",
                                    bos_token="<s>", eos_token="</s>", pad_token="<unk>")
SHAPE = dict(hidden_size=64, num_hidden_layers=6, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             vocab_size=64, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=512)

def converted(kind, fields):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE, **fields), dtype=torch.float32)
    model.save_pretrained("hf"); tokenizer.save_pretrained("hf")
    ctranslate2.converters.TransformersConverter("hf").convert("ct2", force=True)
    data = Path("ct2/model.bin").read_bytes()
    shutil.rmtree("hf")
    return data

def turned(factor):
    full = {"rope_type": "linear", "factor": factor} if factor > 1 else {"rope_type": "default"}
    return {"rope_parameters": {"full_attention": full | {"rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}

print("CTranslate2", ctranslate2.__version__, "transformers", transformers.__version__)
window = lambda n: {"use_sliding_window": True, "sliding_window": n, "max_window_layers": 0}
for kind, what, one, other in (
    ("mistral", "sliding_window 8, 16", {"sliding_window": 8}, {"sliding_window": 16}),
    ("qwen2", "sliding_window 8, 16", window(8), window(16)), ("qwen3", "sliding_window 8, 16", window(8), window(16)),
    ("gemma2", "sliding_window 8, 16", {"sliding_window": 8}, {"sliding_window": 16}),
    ("gemma2", "query_pre_attn_scalar 128, 144", {"query_pre_attn_scalar": 128}, {"query_pre_attn_scalar": 144}),
    ("gemma2", "attn_logit_softcapping 50, none", {"attn_logit_softcapping": 50.0}, {"attn_logit_softcapping": None}),
    ("gemma2", "final_logit_softcapping 30, none", {"final_logit_softcapping": 30.0}, {"final_logit_softcapping": None}),
    ("gemma3_text", "sliding_window 8, 16", {"sliding_window": 8}, {"sliding_window": 16}),
    ("gemma3_text", "query_pre_attn_scalar 128, 168", {"query_pre_attn_scalar": 128}, {"query_pre_attn_scalar": 168}),
    ("gemma3_text", "factor of the full layers' turns 1, 8", turned(1), turned(8)),
    ("llama", "factor of the turns 1, 8", {}, {"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4}}),
):
    print(f"{kind}, {what}:", "the same bytes" if converted(kind, one) == converted(kind, other) else "two models", flush=True)
P
echo "lines of the log that name such a field: $(grep -cE "sliding_window|query_pre_attn|softcapping" log || true)" | tee -a found
diff found - <<'T'
CTranslate2 4.8.5 transformers 5.24.0
mistral, sliding_window 8, 16: two models
qwen2, sliding_window 8, 16: the same bytes
qwen3, sliding_window 8, 16: the same bytes
gemma2, sliding_window 8, 16: the same bytes
gemma2, query_pre_attn_scalar 128, 144: the same bytes
gemma2, attn_logit_softcapping 50, none: the same bytes
gemma2, final_logit_softcapping 30, none: the same bytes
gemma3_text, sliding_window 8, 16: two models
gemma3_text, query_pre_attn_scalar 128, 168: the same bytes
gemma3_text, factor of the full layers' turns 1, 8: the same bytes
llama, factor of the turns 1, 8: two models
lines of the log that name such a field: 0
T
