"""Which model the sizing page sizes: of the registry, of the Hub, or a shape typed in; and its parameters."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import SizingError
from core.figures.comparison import plain
from core.models.formats.document import read_document, spec_of
from core.models.gguf.metadata import read_metadata
from core.models.hub.pulls import HubError, repository_id
from core.models.registry import RegisteredModel
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.serving import parameter_counts
from core.serving.typed_shape import typed_shape
from core.serving.weights import ParameterCount, analytic_count, typed_count
from pages.shell import cached
from pages.tools.gguf_inputs import header_inputs, headers

if TYPE_CHECKING:
    from core.serving.from_hub import HubModel

HEADLINE = "Llama-2 13B"
OWN_SHAPE = "A shape of your own"
OWN_FILE = "A file of your own"


@dataclass(frozen=True, kw_only=True)
class ChosenModel:
    """A model by name, its layers, and its parameters (None where they are added up from the shapes)."""

    name: str
    spec: ModelSpec
    count: ParameterCount | None


class StillAsking(Exception):
    """The Hub is being asked in the background; the message says so."""

    def __init__(self, repository: str, mirror: str | None = None) -> None:
        super().__init__(
            f"Asking the Hub for {repository}: its config.json, and its exact parameters from safetensors metadata. "
            "This takes some seconds, once. A count typed among More inputs needs no asking for a registered model."
        )
        self.repository = repository
        self.mirror = mirror


@st.fragment(run_every=1.0)
def wait_for_hub(waiting: StillAsking) -> None:
    """Nothing is drawn: when the answer is there, the page is."""
    if cached.hub_model(waiting.repository, waiting.mirror).done():
        st.rerun()


def model_names() -> list[str]:
    """The registry's names, the headline's first."""
    return [
        HEADLINE,
        *(model.name for model in cached.registered_models() if model.name != HEADLINE),
        OWN_SHAPE,
        OWN_FILE,
    ]


def own_file_input() -> None:
    """Where a model's file is uploaded; it stays on this server and out of the link."""
    st.file_uploader(
        "config.json, params.json, or the JSON or YAML of another tool (MLC, TensorRT-LLM, LitGPT, Megatron-core, …)",
        key="size_upload",
    )
    header_inputs("size")


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
    """The model of that name: registered, the shape typed in, else a repository id of the Hub.

    Raises SizingError, UnsupportedConfig or HubError where it cannot be sized, StillAsking where the Hub has yet to
    answer.
    """
    if name in (OWN_SHAPE, OWN_FILE):
        count = typed_count(typed_parameters) if typed_parameters else None
        return ChosenModel(name=name, spec=chosen_spec(name), count=count)
    registered = {model.name: model for model in cached.registered_models()}.get(name)
    if registered is None:
        found = _from_hub(repository_id(name))
        exact = typed_count(typed_parameters) if typed_parameters else found.count
        return ChosenModel(name=name, spec=spec_of(found.config), count=exact)
    spec = read_config(registered.config)
    return ChosenModel(name=name, spec=spec, count=_registered_count(spec, registered, typed_parameters))


def chosen_spec(name: str) -> ModelSpec:
    """The layers of that model, without its count. Raises as chosen_model does."""
    if name == OWN_SHAPE:
        return _own_shape()
    if name == OWN_FILE:
        return _own_file()
    registered = {model.name: model for model in cached.registered_models()}.get(name)
    return read_config(registered.config) if registered is not None else spec_of(_from_hub(repository_id(name)).config)


def say_caution(spec: ModelSpec) -> None:
    """Above the figures: what the file leaves to its class, where that is the whole shape."""
    if spec.caution is not None:
        st.warning(plain(spec.caution))


def _own_file() -> ModelSpec:
    file = st.session_state.get("size_upload")
    if file is None:
        for header in headers("size"):
            if header.metadata is None:
                raise UnsupportedConfig(f"{header.name}: {header.problem}")
            return read_metadata(header.metadata)
        raise SizingError("no file is there yet: upload a model's config.json, or the file that another tool wrote")
    return read_document(file.getvalue())


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


def _registered_count(spec: ModelSpec, registered: RegisteredModel, typed_parameters: int) -> ParameterCount | None:
    """Typed in, else added up from the shapes (None says so), else counted before, else what the Hub says.

    The registry holds attention facts alone, so no architecture is built from them: its count would be wrong.
    """
    if typed_parameters:
        return typed_count(typed_parameters)
    try:
        analytic_count(spec)
    except SizingError:
        recorded = parameter_counts.recorded_count(registered.repository)
        return recorded if recorded is not None else _hub_count(registered)
    return None


def _hub_count(registered: RegisteredModel) -> ParameterCount:
    try:
        return _from_hub(registered.repository, registered.mirror).count
    except HubError as error:
        raise SizingError(
            f"The parameters of {registered.name} are neither added up nor recorded, and the Hub did not give them: "
            f"{error} Or type the exact count among More inputs."
        ) from error


def _from_hub(repository: str, mirror: str | None = None) -> "HubModel":
    """What the Hub gave. A failure is raised once and asked again at the next run: it may have passed."""
    asking = cached.hub_model(repository, mirror)
    if not asking.done():
        raise StillAsking(repository, mirror)
    if asking.exception() is not None:
        cached.hub_model.clear(repository, mirror)
    return asking.result()
