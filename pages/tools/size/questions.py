"""What people ask in public about a server's numbers, each a job whose answer it is: two clicks in a menu.

The job is put on "Serve a model" with a memory for the cache that a log could name, so that the answer is the server's
count and hangs on no accelerator; the Engine tab below says why.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from core.serving.engine_words import NAMES
from pages.tools.size import inputs, pinned

LEFT_GIB = 40.0


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the job that answers it; tokens of one request."""

    text: str
    model: str
    engine: str
    tokens: int
    kv_bits: int = 16


QUESTIONS = (
    Question(text="Why does Qwen3-Next serve 52 requests on SGLang, however short they are?",
             model="Qwen3-Next 80B-A3B", engine="sglang", tokens=512),
    Question(text="Why does a short request of Nemotron-H take 38.6 times its keys and values on vLLM?",
             model="Nemotron-H 8B", engine="vllm", tokens=512),
    Question(text="Why does Gemma-3 serve 8 long requests on vLLM and 2 on SGLang?",
             model="Gemma-3 27B", engine="sglang", tokens=32_768),
    Question(text="Why does an FP8 cache save Falcon nothing on vLLM?",
             model="Falcon-7B", engine="vllm", tokens=2_048, kv_bits=8),
    Question(text="Why are fewer prompts of Qwen3-Next cached than vLLM's log says requests?",
             model="Qwen3-Next 80B-A3B", engine="vllm", tokens=32_768),
)  # fmt: skip


def menu() -> None:
    """The menu; what is chosen sets the inputs before the page runs again."""
    st.menu_button(
        "Questions that people ask", QUESTIONS, key="size_question", type="tertiary", icon=":material/help:",
        format_func=lambda question: question.text, on_click=_ask, width="content",
    )  # fmt: skip


def job_of(question: Question) -> str:
    """The job that answers it, written as a pinned one; every other input is the page's default."""
    said = {
        "model": question.model,
        "job": inputs.SERVE,
        "engine": NAMES[question.engine],
        "serve_context": question.tokens,
        "kv_bits": question.kv_bits,
        "left": LEFT_GIB,
    }
    return urlencode(said)


def _ask() -> None:
    asked = st.session_state["size_question"]
    if asked is not None:
        pinned.stand(job_of(asked))
        pinned.put("size_serve_tab", "Engine")
