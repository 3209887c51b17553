#!/usr/bin/env bash
# torchtune 0.6.1 lays the window of Gemma 2's sliding layers (every other one, 4,096 tokens) on the first row of a call's mask. A prompt read
# whole is right; with setup_caches each token of the answer is a call of one row, so past the window it sees the first window of the text
# and nothing since, not even itself, and no word is said. The cache holds every KV head once for each query head that shares it, twice the
# memory in all three sizes. Two more of the model: the converter of Hugging Face files exchanges the norms before and after each MLP, and
# the final cap (30) is laid on the last hidden state, so that scores go above it. Put right by hand, an uncached pass is transformers' own.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q torch==2.13.0 torchtune==0.6.1 torchao==0.13.0 transformers==5.24.0 datasets==4.0.0 pillow==13.0.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 v/bin/python - 2> log <<'P' > found || { tail -3 log; exit 1; }
from importlib.metadata import version
import torch
from torchtune.models.gemma2 import gemma2
from torchtune.models.gemma2._convert_weights import gemma2_hf_to_tune
from transformers import Gemma2Config, Gemma2ForCausalLM

W, TOKENS, ROOM, PROMPT = 8, 24, 32, 12
torch.manual_seed(0)
torch.set_grad_enabled(False)
truth = Gemma2ForCausalLM(Gemma2Config(
    vocab_size=97, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    query_pre_attn_scalar=16, sliding_window=W, initializer_range=0.3, final_logit_softcapping=None, attn_implementation="eager")).eval()
for name, weight in truth.named_parameters():
    if "norm" in name:
        weight.normal_(std=0.3)
    if name == "model.norm.weight":
        weight.add_(2)
given = {name: weight for name, weight in truth.state_dict().items() if name != "lm_head.weight"}
BEFORE, AFTER = "pre_feedforward", "post_feedforward"
exchanged = {name.replace(AFTER if AFTER in name else BEFORE, BEFORE if AFTER in name else AFTER): weight for name, weight in given.items()}
ids = torch.randint(0, 97, (1, TOKENS))

def tuned(weights, cap):
    model = gemma2(vocab_size=97, num_layers=2, num_heads=4, head_dim=16, num_kv_heads=2, embed_dim=64, intermediate_dim=64,
                   max_seq_len=ROOM, sliding_window_size=W, query_pre_attn_scalar=16, final_capping_value=cap).eval()
    model.load_state_dict(gemma2_hf_to_tune(weights, 4, 2, 64, 16))
    return model

print("torchtune", version("torchtune"), "window", W)
real = truth(ids).logits
off = {form: float((tuned(weights, 1e9)(ids) - real).abs().max()) for form, weights in (("as they are", given), ("exchanged", exchanged))}
print("no cap, the norms round each MLP", *(f"{form}: {'transformers scores' if far < 1e-3 else 'other scores'};" for form, far in off.items()))
top = float(tuned(exchanged, 30.0)(ids).abs().max())
truth.config.final_logit_softcapping = 30.0
print(f"a final cap of 30: scores of transformers stay below it: {bool(truth(ids).logits.abs().max() < 30)}, of torchtune: {top < 30}")

model = tuned(exchanged, 1e9)
model.setup_caches(1, torch.float32, decoder_max_seq_len=ROOM)
mask, places = torch.ones(TOKENS, ROOM, dtype=torch.bool).tril()[None], torch.arange(TOKENS)[None]
def wrong(prompt):  # a prompt in one call, then token by token, with the masks of torchtune's generate
    model.reset_caches()
    cuts = [0, *range(prompt, TOKENS + 1)]
    said = torch.cat([model(ids[:, a:b], mask=mask[:, a:b], input_pos=places[:, a:b]) for a, b in zip(cuts, cuts[1:])], 1)
    return ((said - real)[0].abs().amax(-1) > 1e-3).nonzero().flatten().tolist()
for prompt in (4, PROMPT, TOKENS):
    print(f"a prompt of {prompt} of {TOKENS} tokens, the rest as an answer: other scores at {wrong(prompt) or 'no token'}")

layer, inputs = model.layers[0].attn, torch.randn(1, TOKENS, 64)
def last(sources, pieces):  # what the sliding layer gives for the last token, keys and values made of the sources
    layer.reset_cache()
    for a, b in pieces:
        said = layer(inputs[:, a:b], sources[:, a:b], mask=mask[:, a:b], input_pos=places[:, a:b])
    return said[0, -1]
for form, pieces in (("read whole", [(0, TOKENS)]), ("answered", [(0, PROMPT), *((n, n + 1) for n in range(PROMPT, TOKENS))])):
    plain, seen = last(inputs, pieces), []
    for n in range(TOKENS):
        other = inputs.clone()
        other[:, n] += 1
        if (last(other, pieces) - plain).abs().max() > 1e-6:
            seen.append(n)
    print(f"token {TOKENS - 1} of a text {form} sees {seen}")
keys = layer.kv_cache.k_cache.numel()
print(f"2 KV heads of 16 numbers, {ROOM} tokens: keys of a layer take {keys:,} numbers in place of {2 * 16 * ROOM:,}")
P
cat found
diff found - <<'T'
torchtune 0.6.1 window 8
no cap, the norms round each MLP as they are: other scores; exchanged: transformers scores;
a final cap of 30: scores of transformers stay below it: True, of torchtune: False
a prompt of 4 of 24 tokens, the rest as an answer: other scores at [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
a prompt of 12 of 24 tokens, the rest as an answer: other scores at [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
a prompt of 24 of 24 tokens, the rest as an answer: other scores at no token
token 23 of a text read whole sees [16, 17, 18, 19, 20, 21, 22, 23]
token 23 of a text answered sees [0, 1, 2, 3, 4, 5, 6, 7]
2 KV heads of 16 numbers, 32 tokens: keys of a layer take 2,048 numbers in place of 1,024
T
