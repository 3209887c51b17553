#!/usr/bin/env bash
# LMDeploy 0.18's PyTorch engine has one list of blocks for all layers of a sequence and drops from it what lies behind the window, also
# where only some layers have a window. Gemma 2's full layers, every other one, are left with 65 blocks of 64 tokens of a context of 8,192;
# Gemma-3-1B's (32,768 tokens) with 9 blocks, 576 tokens; so are the first max_window_layers of a Qwen2 with windows. LMDeploy's own layers
# say that they have no window, gpt-oss and Gemma 3 with pictures are exempt, since not all of their layers have one, and
# nothing is logged. The prompt is read whole (up to 8,192 tokens at once): the loss begins with the answer's second token.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/v"
"$work/v/bin/pip" install -q torch==2.13.0 transformers==5.23.0 numpy==2.4.6 mmengine-lite==0.10.7 apache-tvm-ffi==0.1.11 psutil==7.2.2 \
  pillow==13.0.0 requests==2.34.2 pybase64==1.5.1 pyzmq==27.3.0 shortuuid==1.0.13
"$work/v/bin/pip" install -q --no-deps lmdeploy==0.18.0 xgrammar==0.2.9  # what decides on blocks needs no GPU, and neither triton nor ray
cd "$work"
HF_HUB_OFFLINE=1 v/bin/python - > log 2>&1 <<'P'
from types import SimpleNamespace
import lmdeploy, torch
from lmdeploy.pytorch.config import CacheConfig, ModelConfig, SchedulerConfig
from lmdeploy.pytorch.engine.executor.base import ExecutorBase
from lmdeploy.pytorch.messages import SequenceMeta, UpdateTokenMode
from lmdeploy.pytorch.paging.scheduler import Scheduler
from lmdeploy.pytorch.strategies.ar.sequence import ARSequenceStrategy
from transformers import AutoConfig

PROMPT, BLOCK = 8000, 64
found = open("found", "w")
print("LMDeploy", lmdeploy.__version__, f"a prompt of {PROMPT:,} tokens, blocks of {BLOCK}", file=found)
for name, kind, arch, fields in (
    ("Gemma 2", "gemma2", "Gemma2ForCausalLM", {}),
    ("Gemma-3-1B", "gemma3_text", "Gemma3ForCausalLM", {"sliding_window": 512, "num_hidden_layers": 26}),
    ("Qwen2 with windows", "qwen2", "Qwen2ForCausalLM", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 16}),
    ("Mistral-7B-v0.1", "mistral", "MistralForCausalLM", {}),
    ("Gemma 3 with pictures", "gemma3", "Gemma3ForConditionalGeneration", {}),
    ("gpt-oss", "gpt_oss", "GptOssForCausalLM", {}),
):
    config = AutoConfig.for_model(kind, **fields)
    config.architectures = [arch]
    model = ModelConfig.from_hf_config(config)
    cache = CacheConfig(max_batches=1, block_size=BLOCK, num_cpu_blocks=0, num_gpu_blocks=1000)
    ExecutorBase("", model, cache, None, SimpleNamespace(dp=1, world_size=1), None)  # hands the model's window to the cache
    scheduler = Scheduler(SchedulerConfig(max_batches=1, max_session_len=32768), cache, SequenceMeta(BLOCK, strategy=ARSequenceStrategy()))
    scheduler.add_session(0)
    sequence = scheduler.sessions[0].add_sequence(torch.zeros(PROMPT, dtype=torch.long))
    scheduler.schedule(is_prefill=True)
    before = len(sequence.logical_blocks)
    sequence.update_token_ids(torch.zeros(1, dtype=torch.long), mode=UpdateTokenMode.PREFILL)  # the answer's first token
    scheduler.block_manager.allocate(sequence)
    text = config.get_text_config()
    full = text.layer_types.count("full_attention") if getattr(text, "layer_types", None) else 0
    print(f"{name}: {full} of {model.num_layers} layers see everything; all layers have {before} blocks for the prompt,",
          f"{len(sequence.logical_blocks)} for the answer ({type(scheduler.block_manager).__name__}), {sequence.num_ignored_history:,} tokens dropped", file=found)
P
echo "lines of the log on windows: $(grep -ci "window" log || true)" >> found
cat found
diff found - <<'T'
LMDeploy 0.18.0 a prompt of 8,000 tokens, blocks of 64
Gemma 2: 13 of 26 layers see everything; all layers have 125 blocks for the prompt, 65 for the answer (WindowBlockManager), 3,904 tokens dropped
Gemma-3-1B: 4 of 26 layers see everything; all layers have 125 blocks for the prompt, 9 for the answer (WindowBlockManager), 7,488 tokens dropped
Qwen2 with windows: 16 of 32 layers see everything; all layers have 125 blocks for the prompt, 65 for the answer (WindowBlockManager), 3,904 tokens dropped
Mistral-7B-v0.1: 0 of 32 layers see everything; all layers have 125 blocks for the prompt, 65 for the answer (WindowBlockManager), 3,904 tokens dropped
Gemma 3 with pictures: 4 of 26 layers see everything; all layers have 125 blocks for the prompt, 126 for the answer (DefaultBlockManager), 0 tokens dropped
gpt-oss: 18 of 36 layers see everything; all layers have 125 blocks for the prompt, 126 for the answer (DefaultBlockManager), 0 tokens dropped
lines of the log on windows: 0
T
