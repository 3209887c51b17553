"""Every registered model can be sized: its payload is the cache that the reader adds up, and every question answers."""

import pytest

from core.errors import SizingError
from core.models.registry import RegisteredModel, load_registry
from core.models.spec import read_config
from core.serving.inverse import fewest_accelerators, largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.roofline import decode_bound
from core.serving.ways_to_fit import WayToFit, ways_to_fit
from core.serving.weights import ParameterCount, analytic_count

SOME_COUNT = ParameterCount(total=100_000_000_000, source="typed", sentence="Typed in.")


@pytest.mark.parametrize("model", load_registry(), ids=lambda model: model.name)
def test_every_registered_model_is_sized(model: RegisteredModel) -> None:
    spec = read_config(model.config)
    job = ServingJob(model=spec, batch_size=3, context_length=50_000, parameter_count=_count(model))
    found = plan(job)
    assert found.kv_payload_bytes == spec.cache_bytes(context_length=50_000, batch_size=3)
    assert found.state_bytes == spec.state_bytes(batch_size=3)
    if not any(getattr(layer, "index_topk", None) for layer in spec.layers):  # an index reads the chosen tokens alone
        assert decode_bound(job).kv_read_bytes >= found.kv_payload_bytes
    assert largest_batch(job).sentence
    assert fewest_accelerators(job).sentence
    assert all(isinstance(way, WayToFit) for way in ways_to_fit(job))


def _count(model: RegisteredModel) -> ParameterCount:
    if model.leaves_out:
        return SOME_COUNT
    try:
        return analytic_count(read_config(model.config))
    except SizingError:
        return SOME_COUNT
