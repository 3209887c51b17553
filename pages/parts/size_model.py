"""Which model the sizing page sizes: one of the registry, or a shape typed in; and how many parameters it has."""

from dataclasses import dataclass

import streamlit as st

from core import parameter_counts
from core.model_registry import RegisteredModel
from core.model_spec import ModelSpec, read_config
from core.sizing_error import SizingError
from core.typed_shape import typed_shape
from core.weights import ParameterCount, analytic_count, typed_count
from pages import cached

HEADLINE = "Llama-2 13B"
OWN_SHAPE = "A shape of your own"


@dataclass(frozen=True, kw_only=True)
class ChosenModel:
    """A model by name, its layers, and its parameters (None where they are added up from the shapes)."""

    name: str
    spec: ModelSpec
    count: ParameterCount | None


class StillCounting(Exception):
    """The parameters of the model are being counted in the background; the message says so."""

    def __init__(self, model: RegisteredModel) -> None:
        super().__init__(
            f"The parameters of {model.name} cannot be added up from its shapes alone, so its architecture is being "
            "built without memory to count them. This takes some seconds, once. An exact count among More inputs "
            "replaces it."
        )
        self.model = model


@st.fragment(run_every=1.0)
def wait_for_count(model: RegisteredModel) -> None:
    """Nothing is drawn: when the count is there, the page is."""
    if cached.meta_device_count(model.config_text).done():
        st.rerun()


def model_names() -> list[str]:
    """The registry's names, the headline's first."""
    return [HEADLINE, *(model.name for model in cached.registered_models() if model.name != HEADLINE), OWN_SHAPE]


def own_shape_inputs() -> None:
    """The seven fields of a shape typed in; they open on the headline's."""
    fields = (
        ("Layers", 40, "size_layers"), ("Query heads H", 40, "size_heads"), ("head_dim", 128, "size_head_dim"),
        ("Hidden size", 5120, "size_hidden"), ("FFN width", 13824, "size_ffn"), ("Vocabulary", 32000, "size_vocab"),
    )  # fmt: skip
    columns = st.columns(3)
    for place, (label, value, key) in enumerate(fields):
        columns[place % 3].number_input(label, value=value, step=1, key=key, bind="query-params")
    st.toggle("Input and output embeddings are one matrix", key="size_tied", bind="query-params")


def chosen_model(name: str, typed_parameters: int) -> ChosenModel:
    """The model of that name. Raises SizingError or UnsupportedConfig where it cannot be sized, StillCounting where
    its exact count is not there yet."""
    if name == OWN_SHAPE:
        spec, registered = _own_shape(), None
    else:
        registered = next(model for model in cached.registered_models() if model.name == name)
        spec = read_config(registered.config)
    return ChosenModel(name=name, spec=spec, count=_count(spec, registered, typed_parameters))


def _own_shape() -> ModelSpec:
    state = st.session_state
    return typed_shape(
        num_layers=state["size_layers"],
        num_query_heads=state["size_heads"],
        head_dim=state["size_head_dim"],
        hidden_size=state["size_hidden"],
        intermediate_size=state["size_ffn"],
        vocab_size=state["size_vocab"],
        tied_embeddings=state["size_tied"],
    )


def _count(spec: ModelSpec, registered: RegisteredModel | None, typed_parameters: int) -> ParameterCount | None:
    """Typed in, else added up from the shapes (None says so), else counted before, else counted in the background."""
    if typed_parameters:
        return typed_count(typed_parameters)
    try:
        analytic_count(spec)
    except SizingError:
        if registered is None:
            raise
    else:
        return None
    recorded = parameter_counts.recorded_count(registered.repository)
    if recorded is not None:
        return recorded
    counting = cached.meta_device_count(registered.config_text)
    if not counting.done():
        raise StillCounting(registered)
    return counting.result()
