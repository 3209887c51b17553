"""Holds one causal model of transformers and answers prompts, a JSON line each way, until its input ends or it is idle.

`python -m core.learning.ask_local_worker 900` reads {"model", "may_download", "prompt", "max_tokens", "time_limit_s"}
from standard input and writes {"text"} or {"error"}. Weights come from safetensors, so that loading runs no pickle, and
no repository's code is run. Decoding is greedy. Started by core.learning.ask_local, as a process of its own.
"""

import contextlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from time import monotonic
from typing import Any

SHARE_OF_LIMIT = 0.9  # loading and writing together: who asked ends this process at the whole of it


def main() -> None:
    """Answer line by line; end with the input, or after the idle seconds of the first argument."""
    idle_s = float(sys.argv[1])
    answer = sys.stdout
    held: dict[str, Any] = {}
    idle = _ends_after(idle_s)
    with contextlib.redirect_stdout(sys.stderr):
        while line := sys.stdin.readline():
            idle.cancel()
            answer.write(json.dumps(answer_to(json.loads(line), held)) + "\n")
            answer.flush()
            idle = _ends_after(idle_s)


def _ends_after(seconds: float) -> threading.Timer:
    """Ends this process unless it is cancelled: no system but Linux and macOS waits for a pipe for so long and no
    longer."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
    return timer


def answer_to(question: Mapping[str, Any], held: dict[str, Any]) -> dict[str, str]:
    """The text, or the reason why there is none. held keeps the model that was loaded last."""
    began = monotonic()
    try:
        wanted = (question["model"], question["may_download"])
        if held.get("wanted") != wanted:
            held.clear()
            held.update(load(*wanted), wanted=wanted)
        left_s = max(1.0, SHARE_OF_LIMIT * question["time_limit_s"] - (monotonic() - began))
        return {"text": write(held["model"], held["tokenizer"], question, left_s)}
    except Exception as error:  # noqa: BLE001 - whatever a model's files or code raise is why it cannot answer
        said = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {said[0] if said else 'no reason given'}"[:400]}


def load(name: str, may_download: bool) -> dict[str, Any]:
    """Tokenizer and model, on the GPU where there is one. Raises what transformers raises."""
    if not may_download:
        os.environ["HF_HUB_OFFLINE"] = "1"
    import torch  # noqa: PLC0415, TID251 - this process exists to load it
    import transformers  # noqa: PLC0415, TID251

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    local = {"local_files_only": not may_download, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **local)
    model = transformers.AutoModelForCausalLM.from_pretrained(name, dtype="auto", use_safetensors=True, **local)
    return {"tokenizer": tokenizer, "model": model.to("cuda" if torch.cuda.is_available() else "cpu").eval()}


def write(model: Any, tokenizer: Any, question: Mapping[str, Any], left_s: float) -> str:
    """What the model writes within left_s seconds. Raises ValueError where the prompt is longer than its context."""
    import torch  # noqa: PLC0415, TID251 - this process exists to load it

    asked = _as_asked(tokenizer, question["prompt"])
    ids = tokenizer(asked, return_tensors="pt")["input_ids"].to(model.device)
    longest = getattr(model.config, "max_position_embeddings", None)
    needed = ids.shape[1] + question["max_tokens"]
    if longest is not None and needed > longest:
        raise ValueError(f"it takes {longest:,} tokens and this question needs {needed:,}; choose one that takes more.")
    with torch.no_grad():
        written = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            num_beams=1,
            max_new_tokens=question["max_tokens"],
            max_time=left_s,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )
    text: str = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
    return without_thought(text, asked)


def without_thought(text: str, asked: str) -> str:
    """The answer after the thought; nothing where the thought was cut off, since a thought is no answer."""
    if "</think>" in text:
        return text.rsplit("</think>", 1)[1].strip()
    return "" if "<think>" in text or asked.rstrip().endswith("<think>") else text.strip()


def _as_asked(tokenizer: Any, prompt: str) -> str:
    """In the tokenizer's chat format, or plain where it has none."""
    if tokenizer.chat_template is None:
        return f"{prompt}\n\nAnswer:"
    turns = [{"role": "user", "content": prompt}]
    asked: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return asked


if __name__ == "__main__":
    main()
