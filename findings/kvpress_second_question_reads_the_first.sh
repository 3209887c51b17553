#!/usr/bin/env bash
# kvpress 0.5.5 answers several questions about one text that it read once, and takes each question and its answer out of the cache before
# the next, so that none sees another. With the QuantizedCache that its manual offers for the text, it cuts the part that is quantised and
# leaves what came last, where question and answer lie: the second question is answered after the first one and its answer, the third after
# both. Change the first question and the others get other answers; asked alone, a question gets another one again. The cut has a second
# effect: a slice of quantised numbers is an ordinary tensor, so from the first answer on the 4-bit cache is as large as one that was never
# quantised, and keeps the loss of 4 bits. Nothing is said, compressed or not. A DynamicCache is cut back to the text each time.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q torch==2.13.0 kvpress==0.5.5 transformers==5.2.0 optimum-quanto==0.2.7 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 v/bin/python - 2> log <<'P' > found || { tail -3 log; exit 1; }
from contextlib import nullcontext
from importlib.metadata import version
import torch
from kvpress import KnormPress, KVPressTextGenerationPipeline
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, QuantizedCache

WORDS, TEXT, STEPS = 97, 300, 20
words = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, WORDS)}}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>")
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, hidden_size=256, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                     num_key_value_heads=2, initializer_range=0.2, eos_token_id=None)).eval()
draw = lambda n: " ".join(f"t{i}" for i in torch.randint(3, WORDS, (n,)).tolist())
text, questions, other = draw(TEXT), [draw(8) for _ in range(4)], draw(8)
pipe = KVPressTextGenerationPipeline(model=model, tokenizer=tokenizer)

def held(tensor):  # the bytes that a tensor, or what a quantised one is made of, takes
    if type(tensor) is torch.Tensor:
        return tensor.numel() * tensor.element_size()
    return sum(held(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])

def size(cache):  # of the text's keys and values, without the few in full precision behind them
    names = ("_quantized_keys", "_quantized_values") if isinstance(cache, QuantizedCache) else ("keys", "values")
    return sum(held(getattr(layer, name)) for layer in cache.layers for name in names)

print("kvpress", version("kvpress"), "transformers", version("transformers"), "a text of", TEXT, "tokens")
for kind, new in (("DynamicCache", lambda: DynamicCache()), ("QuantizedCache, 4 bits", lambda: QuantizedCache("quanto", model.config, nbits=4))):
    for press in (None, KnormPress(0.5)):
        def ask(questions):
            cache = new()
            return pipe(text, questions=questions, press=press, cache=cache, max_new_tokens=STEPS)["answers"], cache
        alone = [ask([question])[0][0] for question in questions]
        print(f"{kind}, {'compressed by half' if press else 'as it is'}")
        together, _ = ask(questions)
        print("  answered together as alone:", [a == b for a, b in zip(together, alone)])
        changed, _ = ask([other, *questions[1:]])
        print("  questions 2 to 4 keep their answers if the first is another:", [a == b for a, b in zip(changed[1:], together[1:])])
        print("  tokens in the cache after 1, 2, 3, 4 questions:", [ask(questions[:n])[1].get_seq_length() for n in (1, 2, 3, 4)])
        ids, read = tokenizer("<s> " + text, return_tensors="pt").input_ids, new()
        with torch.no_grad(), press(model) if press else nullcontext():
            model.model(ids, past_key_values=read)
        print(f"  the text's keys and values: {size(read):,} bytes when read, {size(ask(questions[:1])[1]):,} after the first answer")
P
cat found
diff found - <<'T'
kvpress 0.5.5 transformers 5.2.0 a text of 300 tokens
DynamicCache, as it is
  answered together as alone: [True, True, True, True]
  questions 2 to 4 keep their answers if the first is another: [True, True, True]
  tokens in the cache after 1, 2, 3, 4 questions: [301, 301, 301, 301]
  the text's keys and values: 616,448 bytes when read, 616,448 after the first answer
DynamicCache, compressed by half
  answered together as alone: [True, True, True, True]
  questions 2 to 4 keep their answers if the first is another: [True, True, True]
  tokens in the cache after 1, 2, 3, 4 questions: [150, 150, 150, 150]
  the text's keys and values: 307,200 bytes when read, 307,200 after the first answer
QuantizedCache, 4 bits, as it is
  answered together as alone: [True, False, False, False]
  questions 2 to 4 keep their answers if the first is another: [False, False, False]
  tokens in the cache after 1, 2, 3, 4 questions: [328, 355, 382, 409]
  the text's keys and values: 96,320 bytes when read, 616,448 after the first answer
QuantizedCache, 4 bits, compressed by half
  answered together as alone: [True, False, False, False]
  questions 2 to 4 keep their answers if the first is another: [False, False, False]
  tokens in the cache after 1, 2, 3, 4 questions: [177, 204, 231, 258]
  the text's keys and values: 48,000 bytes when read, 307,200 after the first answer
T
