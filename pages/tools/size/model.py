"""Which model the sizing page sizes: of the registry, of the Hub, or a shape typed in; and its parameters."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import SizingError
from core.figures.comparison import plain
from core.models.formats.document import FILE_TYPES, read_document
from core.models.gguf.metadata import read_metadata
from core.models.hub.pulls import repository_at
from core.models.registry import RegisteredModel
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.reports.exports import Section
from core.serving.typed_shape import typed_shape
from core.serving.weights import ParameterCount, typed_count
from pages.shell import cached, share
from pages.tools.gguf_inputs import header_inputs, headers
from pages.tools.size import without_hub
from pages.tools.size.count import counted, from_hub, hub_count, registered_count

if TYPE_CHECKING:
    from core.serving.from_hub import HubModel

HEADLINE = "Llama-2 13B"
OWN_SHAPE = "A shape of your own"
OWN_FILE = "A file of your own"


@dataclass(frozen=True, kw_only=True)
class ChosenModel:
    """A model by name, its layers, and its parameters (None where the config says them by rule)."""

    name: str
    spec: ModelSpec
    count: ParameterCount | None
    file_bytes: int | None = None  # what its published weight files hold


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
        type=FILE_TYPES,
        key="size_upload",
    )
    without_hub.paste_input()
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


def chosen_model(name: str, typed_parameters: int, state: Any = None) -> ChosenModel:
    """The model of that name: registered, the shape typed in, else a repository id of the Hub.

    Raises SizingError, UnsupportedConfig or HubError where it cannot be sized, StillWaiting where the Hub has yet to
    answer or a class is being built.
    """
    if name in (OWN_SHAPE, OWN_FILE):
        spec = chosen_spec(name, state)
        return ChosenModel(name=name, spec=spec, count=counted(spec, typed_parameters))
    registered = {model.name: model for model in cached.registered_models()}.get(name)
    if registered is None:
        if without_hub.pasted(name) is not None:
            spec = chosen_spec(name, state)
            return ChosenModel(name=name, spec=spec, count=counted(spec, typed_parameters))
        found = from_hub(_asked_of_hub(name))
        spec = _of_hub(found)  # before any count: a file that does not read is said by its field
        exact = typed_count(typed_parameters) if typed_parameters else hub_count(found)
        return ChosenModel(name=name, spec=spec, count=exact, file_bytes=found.file_bytes)
    spec = _of_registry(registered)
    return ChosenModel(name=name, spec=spec, count=registered_count(spec, registered, typed_parameters))


def chosen_spec(name: str, state: Any = None) -> ModelSpec:
    """The layers of that model, without its count; a typed shape is state's. Raises as chosen_model does."""
    if name == OWN_SHAPE:
        return _own_shape(st.session_state if state is None else state)
    if name == OWN_FILE:
        return _own_file()
    if (text := without_hub.pasted(name)) is not None and name not in {m.name for m in cached.registered_models()}:
        return _of_file(text)
    registered = {model.name: model for model in cached.registered_models()}.get(name)
    return _of_hub(from_hub(_asked_of_hub(name))) if registered is None else _of_registry(registered)


def _asked_of_hub(name: str) -> str:
    """The repository's id, or the address that was typed where it names a revision. Raises HubError."""
    repository, revision = repository_at(name)
    return repository if revision is None else name.strip()


def _of_hub(found: "HubModel") -> ModelSpec:
    from core.serving.from_hub import spec_of_hub  # noqa: PLC0415  the Hub's client loads with its first answer

    stale = f"{found.pulled_at} {found.stale_because}" if found.stale_because else ""
    text = json.dumps(found.config, sort_keys=True, default=str)
    return cached.read_model(f"{text} {stale}", lambda: spec_of_hub(found))


def _of_registry(model: RegisteredModel) -> ModelSpec:
    return cached.read_model(f"registry {model.name}", lambda: read_config(model.config))


def _of_file(text: bytes) -> ModelSpec:
    return cached.read_model(text, lambda: read_document(text))


def say_caution(spec: ModelSpec) -> None:
    """Above the figures: what the file leaves to its class, where that is the whole shape, and an older copy of it."""
    if spec.caution is not None:
        st.warning(plain(spec.caution))
    if spec.kept_because:
        st.warning(plain(spec.kept_because, links=True), icon=":material/history:")
    if spec.remarks:
        text = "\n\n".join(spec.remarks)
        share.remember_table("remarks", lambda: Section(title="What the model's file says", text=text))


def _own_file() -> ModelSpec:
    file = st.session_state.get("size_upload")
    if file is None:
        if (text := without_hub.pasted(None)) is not None:
            return _of_file(text)
        for header in headers("size"):
            if header.metadata is None:
                raise UnsupportedConfig(f"{header.name}: {header.problem}")
            return read_metadata(header.metadata)
        raise SizingError(
            "no file is there yet: upload or paste a model's config.json, or the file that another tool wrote"
        )
    return read_document(file.getvalue())


def _own_shape(state: Any) -> ModelSpec:
    return typed_shape(
        num_layers=state["size_layers"],
        num_query_heads=state["size_heads"],
        head_dim=state["size_head_dim"],
        hidden_size=state["size_hidden"],
        intermediate_size=state["size_ffn"],
        vocab_size=state["size_vocab"],
        tied_embeddings=state["size_tied"],
    )
