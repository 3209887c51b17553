"""How many parameters the sized model has: by rule at once, else by building its class in the background."""

import json
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import streamlit as st

from core.errors import SizingError
from core.models.formats.document import spec_of
from core.models.hub.pulls import HubError
from core.models.registry import RegisteredModel
from core.models.spec import ModelSpec
from core.serving.weights import ParameterCount, analytic_count, counts_alone, typed_count
from pages.shell import cached

if TYPE_CHECKING:
    from core.serving.from_hub import HubModel

REFUSED_SECONDS = 30.0  # longer than the Hub's client waits: of two refusals none is asked again while the other comes
_refused_at: "WeakKeyDictionary[Future[Any], float]" = WeakKeyDictionary()


class StillWaiting(Exception):
    """Something is worked out in the background; the message says what, and done() whether it is there."""

    def __init__(self, message: str, answer: "Future[Any]") -> None:
        super().__init__(message)
        self.done = answer.done


@st.fragment(run_every=1.0)
def wait_for(waiting: StillWaiting) -> None:
    """Nothing is drawn: when the answer is there, the page is."""
    if waiting.done():
        st.rerun()


def counted(spec: ModelSpec, typed_parameters: int) -> ParameterCount | None:
    """Typed in, else by rule or kept from before (None says so: the job finds it again), else built on the meta device.

    Raises SizingError with the reason where it cannot be built, StillWaiting while it is.
    """
    if typed_parameters:
        return typed_count(typed_parameters)
    try:
        analytic_count(spec)
    except SizingError:
        if not spec.config or spec.uncounted:
            raise
        return _built(spec)
    return None


def _built(spec: ModelSpec) -> ParameterCount:
    key = json.dumps(spec.config, sort_keys=True, default=str)
    building = cached.built_count(key, spec.config)
    if _stood_its_time(building):
        cached.built_count.clear(key, spec.config)
        building = cached.built_count(key, spec.config)
    if not building.done():
        raise StillWaiting(
            f"No rule adds up a {spec.model_type} model, so transformers builds its class without memory, in a process "
            "of its own, to count it. The first takes some seconds; the answer is kept.",
            building,
        )
    return building.result()


def registered_count(spec: ModelSpec, registered: RegisteredModel, typed_parameters: int) -> ParameterCount | None:
    """Typed in, else by rule (None says so) or built where the recorded facts suffice, else what the Hub says."""
    if typed_parameters:
        return typed_count(typed_parameters)
    if counts_alone(registered, spec):
        return None
    if not registered.leaves_out:
        return counted(spec, 0)
    try:
        return hub_count(from_hub(registered.repository, registered.mirror))
    except HubError as error:
        raise SizingError(
            f"The facts recorded of {registered.name} do not say its size, and the Hub did not give it: {error} Or "
            "type the exact count among More inputs."
        ) from error


def from_hub(repository: str, mirror: str | None = None) -> "HubModel":
    """What the Hub gave. A refusal stands for REFUSED_SECONDS and is asked again then: it may have passed.

    Asked again at once it would never be shown: a page asks several times a run, and runs again with each answer.
    """
    asking = cached.hub_model(repository, mirror)
    if _stood_its_time(asking):
        cached.hub_model.clear(repository, mirror)
        asking = cached.hub_model(repository, mirror)
    if not asking.done():
        raise StillWaiting(
            f"Asking the Hub for {repository}: its config.json, and its exact parameters from safetensors metadata. "
            "This takes some seconds, once. A count typed among More inputs needs no asking for a registered model.",
            asking,
        )
    return asking.result()


def hub_count(found: "HubModel") -> ParameterCount:
    """How many parameters the repository's model has, built in the background where its class must be.

    Raises SizingError with the reason where nothing says it, StillWaiting while it is built.
    """
    if found.count is not None:
        return found.count
    from core.serving.from_hub import counted_beside  # noqa: PLC0415  the Hub's client loads with its first answer

    spec = spec_of(found.config)
    try:
        return counted_beside(found, counted(spec, 0) or analytic_count(spec))
    except SizingError:
        if found.files is None:
            raise
        return found.files


def _stood_its_time(asking: "Future[Any]") -> bool:
    """Whether it is a refusal that was first met long enough ago, or was broken off."""
    if asking.cancelled():
        return True
    if not asking.done() or asking.exception() is None:
        return False
    return monotonic() - _refused_at.setdefault(asking, monotonic()) > REFUSED_SECONDS
