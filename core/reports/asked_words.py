"""What an input of an address is called: 'layouts_g64' is 'KV heads G', as the page labels it.

Most pages call the same thing by the same end of its key; where an end means something else on one page, the whole key
stands here. A key that nobody named is spelled out.
"""

import re

WORDS = {
    "accelerator": "Accelerator", "against": "Loss against", "answer": "Answer", "b": "Bytes a number",
    "batch": "Batch", "bits": "Bits", "block": "Block size, tokens", "budget": "Budget, tokens",
    "candidate": "G looked at", "cell_bits": "Bits of the cell", "cell_g": "G of the cell", "choice": "G chosen",
    "choice_bits": "KV bits chosen", "chunk": "Prefill tokens in the same step", "context": "Context, tokens",
    "d": "head_dim", "detail": "Model read in full", "device": "Accelerator", "engine": "Engine",
    "example": "Example", "families": "Families", "find": "Word sought", "follow": "Token to ask for",
    "freed": "Freed parameters", "full": "Layers that keep everything", "g": "KV heads G",
    "ghosts": "What MHA would keep",
    "gpus": "GPUs, split by heads", "group": "Group, elements", "h": "Query heads H", "hand_batch": "Sequences by hand",
    "hand_tokens": "Tokens by hand", "hard": "Reasoning or long inputs matter", "held": "Freed parameters",
    "idea": "Idea", "kept": "Tokens kept", "kind": "Layout", "kv_bits": "KV bits", "l": "Layers L",
    "large": "More than a few billion parameters", "level": "Worked out for one", "limit": "Context limit, tokens",
    "live": "Mean length, %", "ll_swa": "Windows in full", "ll_ubatch": "ubatch, tokens",
    "ll_unified": "One pool for all slots", "marked": "Marked token", "method": "Method", "model": "Model",
    "moment": "Loss taken", "output": "Median answer, tokens", "percent": "Uptraining, %", "pick": "Models compared",
    "prompt": "Prompt", "pull": "Pulled from the Hub", "question": "Question", "rank_g": "G of the split layer",
    "ranks": "GPUs, split by heads", "recorded": "Uptraining of the recorded runs, %", "roof": "Roof of",
    "room": "Room for tokens", "sample": "Group on the sample, elements", "scale": "Scale", "seed": "Seed",
    "sg_most": "Running requests at most", "sg_prefix": "Radix cache", "sg_states": "State memory ratio",
    "sg_window": "Window to full tokens", "show": "Shown", "sinks": "Sinks", "size": "Model size at least, 10^9",
    "split": "Split by heads over two or more GPUs", "spread": "Spread of lengths", "step": "Step",
    "steps": "Training steps", "task": "Task", "tokens": "Tokens", "topic": "Topic", "tp": "GPUs (tensor parallel)",
    "try_batch": "Batch tried", "try_context": "Context tried, tokens", "try_g": "G tried",
    "vllm_batched": "Tokens batched at most", "vllm_prefix": "Prefix caching", "vllm_type": "Cache type",
    "weights": "Weights, bits", "window": "Window, tokens", "windows": "Windows", "number": "Question",
}  # fmt: skip
OF_ONE_PAGE = {
    "bench_batch": "Batch, sequences", "bench_contexts": "Context lengths", "bench_device": "Device",
    "bench_dtype": "Number format", "bench_experts": "Experts", "bench_experts_taken": "Experts a token",
    "bench_ffn": "FFN size", "bench_head_dim": "head_dim", "bench_heads": "Query heads H",
    "bench_hidden": "Hidden size", "bench_kv_heads": "KV heads G measured", "bench_layers": "Layers L",
    "bench_mean": "Mean context at the end, tokens", "bench_other": "Compared with",
    "bench_p95": "Context that 95 % end below, tokens", "bench_recorded": "Recorded run", "bench_run": "Run",
    "bench_run_size": "Size of the run", "bench_seconds": "Time limit, s", "bench_share": "Share generated",
    "bench_sweep_batches": "Batches of the sweep", "bench_sweep_contexts": "Contexts of the sweep, tokens",
    "bench_sweep_devices": "Devices of the sweep", "bench_sweep_dtypes": "Arithmetic of the sweep",
    "bench_sweep_size": "Size of the sweep's runs", "bench_tab": "Tab",
    "bench_vocab": "Vocabulary", "bench_whole": "A whole decode step too",
    "case-mqa_bits": "A low-bit cache is planned", "faq_kind": "Models shown", "faq_open": "Question open",
    "levers_kept": "Kept, %", "models_context": "Tokens", "size_run_size": "Size of the run",
    "latent_g": "G of the GQA layer", "uptraining_mine_against": "Loss of this run against",
    "uptraining_recorded_against": "Loss of the recorded runs against",
}  # fmt: skip


def words_for(key: str) -> str:
    """The words of a key; a key that nobody named is its own end, spelled out."""
    if key in OF_ONE_PAGE:
        return OF_ONE_PAGE[key]
    end = key.split("_", 1)[1] if "_" in key else key
    if end in WORDS:
        return WORDS[end]
    if heads := re.fullmatch(r"g(\d+)", end):
        return f"KV heads G of {heads[1]}"
    if strokes := re.fullmatch(r"(mha|gqa|mqa)(\d+)_(\d+)", end):
        return f"Strokes of {strokes[1].upper()}, {strokes[2]} heads on {strokes[3]}"
    if key.startswith("declares_"):
        return "File"
    if end.split("_")[0] in WORDS:  # the end of a step's own control is the step's name
        return WORDS[end.split("_")[0]]
    said = end.replace("_", " ")
    return f"{said[:1].upper()}{said[1:]}"
