#!/usr/bin/env bash
# CTranslate2 4.8.5 obeys the windows of Mistral and Gemma 3 while it answers and reads a prompt past the window by other rules. It cuts
# the prompt in blocks of a window. A token of a sliding layer sees its block and all of the one before, up to twice its window. In Gemma
# 3's full layers a token of the third block or a later one sees what the second block's token at its place saw, the first window and as
# many again, and neither itself nor any within a window of it. Only the prompt's last token and the answer see what they should. A window is 512
# tokens in Gemma-3-1B, 1,024 in larger ones, 4,096 in Mistral-7B-v0.1; shorter prompts are right at any length of answer, and a text
# longer than the window cannot be scored (forward_batch: ValueError).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q ctranslate2==4.8.5 torch==2.13.0 transformers==5.24.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 venv/bin/python - 2> log <<'P' | tee found
import ctranslate2, numpy as np, torch, transformers
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

W, STEPS = 8, 20
WORDS = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, 64)}}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(WORDS, unk_token="<unk>")), unk_token="<unk>",
                                    bos_token="<s>", eos_token="</s>", pad_token="<unk>")
SHAPE = dict(hidden_size=64, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=64,
             bos_token_id=1, eos_token_id=2, pad_token_id=0, sliding_window=W, attn_implementation="eager")
print("CTranslate2", ctranslate2.__version__, "transformers", transformers.__version__, "window", W)
for kind, extra in (("mistral", {"num_hidden_layers": 2}),
                    ("gemma3_text", {"num_hidden_layers": 3, "query_pre_attn_scalar": 16,
                                     "layer_types": ["sliding_attention", "full_attention", "full_attention"]})):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE, **extra), dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=draw) * 0.2 if p.dim() > 1 else torch.full(p.shape, 1.0 if kind == "mistral" else 0.0))
    model.save_pretrained("hf"); tokenizer.save_pretrained("hf")
    ctranslate2.converters.TransformersConverter("hf").convert("ct2", force=True)
    engine = ctranslate2.Generator("ct2", device="cpu", compute_type="float32")
    ids = torch.randint(3, 64, (1, 40), generator=draw)

    @torch.no_grad()
    def after(n, slides, full):  # the scores of the next token where token i of the first n sees token k
        mask = {name: torch.tensor([[0.0 if k <= i and sees(i, k) else -1e30 for k in range(n)] for i in range(n)])[None, None]
                for name, sees in (("sliding_attention", slides), ("full_attention", full))}
        return model(ids[:, :n], attention_mask=mask if kind == "gemma3_text" else mask["sliding_attention"]).logits[0, -1].numpy()

    def answer(n, steps):
        return engine.generate_batch([[f"t{i}" for i in ids[0, :n].tolist()]], max_length=steps, sampling_topk=1, end_token="<unk>",
                                     include_prompt_in_result=False, return_logits_vocab=True)[0]

    for n in (8, 12, 17, 24, 40):
        said = np.array(answer(n, 1).logits[0])
        with torch.no_grad():
            own = model(ids[:, :n]).logits[0, -1].numpy()
        # The engine reads all tokens of a prompt but the last by blocks, then that one as it reads its own answers.
        slides = lambda i, k: k > i - W if i == n - 1 else k >= (i // W - 1) * W
        full = lambda i, k: i == n - 1 or i < 2 * W or k <= W + i % W
        same = lambda theirs: bool(np.abs(said - theirs).max() < 1e-3)
        print(f"{kind}, a prompt of {n} tokens: as transformers {same(own)},",
              f"by the first rule {same(after(n, slides, lambda i, k: True))}, by both {same(after(n, slides, full))}", flush=True)
    longer = ids[:, :W]
    with torch.no_grad():
        for _ in range(STEPS):
            longer = torch.cat((longer, model(longer).logits[:, -1:].argmax(-1)), 1)
    print(f"{kind}, a prompt of {W} and {STEPS} of answer: as transformers", answer(W, STEPS).sequences_ids[0] == longer[0, W:].tolist())
    try:
        engine.forward_batch([ids[0, :12].tolist()])
    except ValueError as e:
        print(f"{kind}, scores of 12 tokens: ValueError, {e}")
P
diff found - <<'T'
CTranslate2 4.8.5 transformers 5.24.0 window 8
mistral, a prompt of 8 tokens: as transformers True, by the first rule True, by both True
mistral, a prompt of 12 tokens: as transformers False, by the first rule True, by both True
mistral, a prompt of 17 tokens: as transformers False, by the first rule True, by both True
mistral, a prompt of 24 tokens: as transformers False, by the first rule True, by both True
mistral, a prompt of 40 tokens: as transformers False, by the first rule True, by both True
mistral, a prompt of 8 and 20 of answer: as transformers True
mistral, scores of 12 tokens: ValueError, buffer to copy is of size 12 but current storage size is 8
gemma3_text, a prompt of 8 tokens: as transformers True, by the first rule True, by both True
gemma3_text, a prompt of 12 tokens: as transformers False, by the first rule True, by both True
gemma3_text, a prompt of 17 tokens: as transformers False, by the first rule True, by both True
gemma3_text, a prompt of 24 tokens: as transformers False, by the first rule False, by both True
gemma3_text, a prompt of 40 tokens: as transformers False, by the first rule False, by both True
gemma3_text, a prompt of 8 and 20 of answer: as transformers True
gemma3_text, scores of 12 tokens: ValueError, buffer to copy is of size 12 but current storage size is 8
T
