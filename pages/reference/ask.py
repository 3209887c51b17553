"""Ask: passages of the lessons that answer a question, with links; off-topic questions are declined."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.figures.comparison import plain
from core.learning import ask, ask_model
from core.learning.ask_passages import Passage
from core.learning.memory_answer import memory_answers
from pages.shell import cached, share

if TYPE_CHECKING:
    from core.reports.closing import Rests

EXAMPLES = (
    "Why is the KV cache the bottleneck?",
    "What happens to MQA on 8 GPUs?",
    "How is GQA made from MHA?",
    "How many bits does a 4-bit cache take?",
    "How much memory does Qwen3 32B need?",
)


def passage(number: int, found: Passage) -> None:
    """One passage in its own words, and the way to it."""
    with st.container(border=True):
        st.markdown(f"**{number}. {found.title}**  \n:small[{found.page_title}]")
        st.markdown(found.text)
        st.page_link(
            found.script,
            label=f"Read it in: {found.page_title}",
            icon=":material/arrow_forward:",
            query_params=dict(found.query) or None,
        )


def in_a_models_words(question: str, passages: tuple[Passage, ...]) -> None:
    """A grounded answer where a model is configured; without one, nothing."""
    try:
        model = ask_model.configured()
        if model is None:
            return
        with st.spinner(f"{model.model} reads the passages"):
            grounded = ask_model.answer(question, passages, model)
    except ask_model.ModelError as failed:
        st.warning(str(failed))
        return
    st.markdown(ask_model.as_words(grounded.text))
    st.caption(f"Written by {model.model} from passages {', '.join(map(str, grounded.cited))} below. Check them.")


def of_the_registry(question: str) -> list[str]:
    """What the models that the question names take, where it asks for memory."""
    found = memory_answers(question, cached.registered_models())
    for answer in found:
        with st.container(border=True):
            st.markdown(answer.sentence)
            st.page_link(
                "tools/size/size.py",
                label=f"Size a job for {answer.model}",
                icon=":material/memory:",
                query_params={
                    "size_model": answer.model,
                    "size_job": "Serve a model",
                    "size_serve_context": str(answer.context_length),
                },
            )
    return [answer.sentence for answer in found]


def rests(passages: tuple[Passage, ...], computed: list[str], _colours: object) -> "Rests":
    """What answers the question, for a file."""
    from core.reports.rests.reading import ask_rests  # noqa: PLC0415  with the first file

    return ask_rests(passages, computed)


def answered(question: str, found: ask.Answer, computed: bool) -> str:
    """The question, and in a few words what answers it."""
    if found.is_declined:
        return f"{question.strip()} {'Computed for the registry.' if computed else ask.DECLINED}"
    if found.asks_for_a_prediction:
        return f"{question.strip()} {ask.NO_PREDICTION}"
    return f"{question.strip()} {found.passages[0].title}"


st.title("Ask")
st.markdown(
    "Answers come from the text of the lessons, the FAQ, the glossary and the evidence, in their own words. A question "
    "that they do not answer is declined. Nothing leaves this machine unless a model's server is configured."
)
question = st.text_input("Your question", key="ask_question", bind="query-params", max_chars=ask.MAX_QUESTION)
if not question.strip():
    st.markdown("For example:")
    for example in EXAMPLES:
        st.page_link("reference/ask.py", label=example, icon="", query_params={"ask_question": example})
else:
    try:
        answer = ask.ask(question)
    except ask.AskError as refused:
        st.error(str(refused))
        st.stop()
    computed = of_the_registry(question)
    if answer.is_declined:
        if not computed:
            st.info(ask.DECLINED)
            if meant := ask.as_it_may_be_meant(question):
                label = f"Did you mean: {plain(meant)}"
                st.page_link("reference/ask.py", label=label, icon="", query_params={"ask_question": meant})
    elif answer.asks_for_a_prediction:
        st.info(ask.NO_PREDICTION)
    else:
        in_a_models_words(question, answer.passages)
    said = answered(question, answer, bool(computed))
    share.remember_answer(said, partial(rests, answer.passages, computed))
    for number, found in enumerate(answer.passages, start=1):
        passage(number, found)
with st.expander("What this cannot do"):
    st.markdown(
        "It finds passages by their words. It does not combine them, do arithmetic or know what the lessons do not "
        "say. It does not predict what a change of G does to your costs or to your model's quality: "
        "the sizing page computes, the benchmark measures, and quality needs training.\n\n"
        "Without a model the passages themselves are the answer. `HEADROOM_ASK_MODEL`, and `HEADROOM_ASK_URL` for one "
        "on a server, in the environment or in Streamlit's secrets, let a model word it."
    )
