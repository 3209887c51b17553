"""In which format the weights are stored: its input, and what the job takes of it."""

from typing import Any

import streamlit as st

from core.parameters.formats import NAMED, PUBLISHED

AS_PUBLISHED = "As published"
BY_BITS = "All at the bits beside"
LABELS = {named.label: named.id for named in NAMED.values()}


def format_input() -> None:
    """The selectbox; every choice is in the URL."""
    st.selectbox(
        "Weights stored as",
        [AS_PUBLISHED, BY_BITS, *LABELS],
        key="size_weight_format",
        bind="query-params",
        help="As published: what the repository's files hold, else what quantization_config says, else the bits "
        "beside. A format by name counts its scales, and embeddings, head, norms, routers and biases at 16 bits.",
    )


def weight_format(state: Any = None) -> str | None:
    """The job's weight_format."""
    chosen = (st.session_state if state is None else state)["size_weight_format"]
    return PUBLISHED if chosen == AS_PUBLISHED else LABELS.get(chosen)


def take(job_format: str | None) -> None:
    """Sets the input to a job's format, such as that of a way to fit."""
    names = {named: label for label, named in LABELS.items()}
    label = AS_PUBLISHED if job_format == PUBLISHED else names.get(job_format or "", BY_BITS)
    st.session_state["size_weight_format"] = label
