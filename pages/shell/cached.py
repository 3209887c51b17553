"""Every st.cache_* of the project, each with its ttl and bound. Caches are shared by all viewers.

Pictures are kept as resources: every session draws, and holds, the one spec, which nobody changes. As data each run
would unpickle its own, 60 to 170 KiB for one layout, and keep it for what is exported. So their bounds are lower: a
spec as it stands takes six times the memory of a pickled one.
"""

import gc
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from core.evidence.studies import Dot
    from core.figures.comparison import ComparedModel
    from core.figures.evidence import Scale
    from core.figures.lessons import Picture
    from core.figures.palette import Palette
    from core.hardware.accelerators import HostAccelerator
    from core.learning.ideas import IdeaBytes
    from core.learning.registry_answer import ModelKind
    from core.models.registry import RegisteredModel
    from core.models.spec import ModelSpec
    from core.parameters import ParameterCount
    from core.serving.from_hub import HubModel
    from core.serving.job import ServingJob
    from core.serving.traffic import Traffic
    from core.serving.traffic_fit import TrafficFit
    from pages.shell.style import AnyChart


def _written(chart: "AnyChart") -> dict[str, Any]:
    from core.figures.drawing import written  # noqa: PLC0415  altair loads with the first picture, not the page

    return written(chart)


@st.cache_resource(ttl=86_400, max_entries=128, show_spinner=False)
def layout_spec(num_query_heads: int, num_kv_heads: int, head_dim: int, theme: str, width_px: int) -> dict[str, Any]:
    """The Vega-Lite picture of one layout: building it costs more than the rest of the page together."""
    from core.figures.layouts import layout_chart  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415
    from core.models.head_sharing import Layout  # noqa: PLC0415

    layout = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    height_px = {600: 340, 900: 300}.get(width_px, 280)  # with 900 all of the page's figures are in its first screen
    return _written(layout_chart(layout, palette(theme), width_px=width_px, height_px=height_px))


@st.cache_resource(ttl=86_400, max_entries=4, show_spinner=False)
def headline(theme: str) -> tuple[dict[str, Any], str]:
    """The overview's Vega-Lite picture and the verdict in words: always the same job, in two themes."""
    from core.figures.overview import headline_chart  # noqa: PLC0415
    from core.figures.palette import palette  # noqa: PLC0415
    from core.serving.headline import headline_points, headline_sentence  # noqa: PLC0415

    points = headline_points()
    return _written(headline_chart(points, palette(theme))), headline_sentence(points)


@st.cache_resource(ttl=86_400, max_entries=256, show_spinner=False)
def lesson_picture(name: str, theme: str, **inputs: Any) -> "Picture":
    """One picture of a lesson: its spec, its sentence and its alt text."""
    from core.figures.lessons import picture  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415

    return picture(name, palette(theme), **inputs)


@st.cache_resource(ttl=86_400, max_entries=1, show_spinner=False)
def registered_models() -> "tuple[RegisteredModel, ...]":
    """model_registry.yaml, parsed once. Raises core.models.registry.RegistryError."""
    from core.models.registry import load_registry  # noqa: PLC0415

    return load_registry()


@st.cache_resource(ttl=86_400, max_entries=2, show_spinner=False)
def kinds_by_model(names: tuple[str, ...], _models: "Sequence[RegisteredModel]") -> "tuple[ModelKind, ...]":
    """Each model's kind and G, read once for all sessions. names are those of _models, which say what is read."""
    from core.learning import registry_answer  # noqa: PLC0415

    return registry_answer.kinds_by_model(_models)


@st.cache_resource(ttl=86_400, max_entries=256, show_spinner=False)
def read_model(text: str | bytes, _read: "Callable[[], ModelSpec]") -> "ModelSpec":
    """The model of a file, read once for all sessions: the same object, by which core remembers what follows from it.

    text says the whole file. Raises what _read raises, and remembers no error.
    """
    return _read()


@st.cache_resource(ttl=86_400, max_entries=1024, show_spinner=False)
def compared_model(
    name: str, status: str, facts: str, config_text: str, _config: "Mapping[str, Any]"
) -> "ComparedModel":
    """A config.json as it was read; config_text is the file that _config was parsed from."""
    from core.figures.comparison import compare  # noqa: PLC0415

    return compare(name, status=status, facts=facts, config=_config, config_text=config_text)


@st.cache_resource(ttl=86_400, max_entries=64, show_spinner=False)
def models_spec(
    chart: str, key: tuple[tuple[str, str], ...], theme: str, _models: "Sequence[ComparedModel]", ghosts: bool = False
) -> dict[str, Any]:
    """The Vega-Lite picture of a comparison: 'bytes', 'context' or 'layers'. key is each model's name and file."""
    from core.figures import comparison, models  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415

    if chart == "bytes":
        return _written(models.bytes_chart(comparison.bar_rows(_models), palette(theme), ghosts=ghosts))
    if chart == "context":
        return _written(models.context_chart(comparison.context_rows(_models), palette(theme)))
    layers, runs = comparison.layer_rows(_models), comparison.run_rows(_models)
    return _written(models.layers_chart(layers, runs, palette(theme)))


@st.cache_resource(ttl=86_400, max_entries=2, show_spinner=False)
def timeline(theme: str) -> "Picture":
    """Every model of the registry by its month and its bytes a token: always the same, in two themes."""
    from core.figures import timeline as figure  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.lessons import made  # noqa: PLC0415
    from core.figures.palette import palette  # noqa: PLC0415

    found = figure.dots(registered_models())
    return made(figure.timeline_chart(found, palette(theme)), figure.sentence(found), figure.alt_text(found))


@st.cache_resource(ttl=86_400, max_entries=2, show_spinner=False)
def watch_spec(theme: str) -> dict[str, Any]:
    """The picture of a decode step without its data."""
    from core.figures import watch  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415

    return {"datasets": {}, **_written(watch.chart(palette(theme)))}


@st.cache_resource(ttl=86_400, max_entries=32, show_spinner=False)
def idea_picture(key: str, theme: str) -> "Picture":
    """The layout of one idea of After G."""
    from core.figures import ideas as figure  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.lessons import made  # noqa: PLC0415
    from core.figures.palette import palette  # noqa: PLC0415
    from core.learning.ideas import idea  # noqa: PLC0415

    return made(figure.layout_chart(key, palette(theme)), f"**{idea(key).name}**", figure.layout_alt_text(key))


@st.cache_data(ttl=86_400, max_entries=16, show_spinner=False)
def idea_bytes(key: str) -> "IdeaBytes | None":
    """What a token of the idea's model keeps and what engines take for it."""
    from core.learning.ideas import idea, size_of  # noqa: PLC0415

    return size_of(idea(key))


@st.cache_resource(ttl=86_400, max_entries=2, show_spinner=False)
def idea_map(theme: str) -> "Picture":
    """Every registry model on the ideas that it stands on."""
    from core.figures import ideas as figure  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.lessons import made  # noqa: PLC0415
    from core.figures.palette import palette  # noqa: PLC0415

    return made(figure.map_chart(palette(theme)), figure.map_sentence(), figure.map_alt_text())


@st.cache_resource(ttl=86_400, max_entries=64, show_spinner=False)
def bound_picture(name: str, theme: str, **inputs: Any) -> "Picture":
    """'ridge' or 'measured', of When memory stops binding."""
    from core.figures import bound  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415

    if name == "measured":
        return bound.measured_picture(palette(theme))
    return bound.ridge_picture(palette(theme), **inputs)


@st.cache_data(ttl=3_600, max_entries=1, show_spinner=False)
def host_accelerator() -> "HostAccelerator | None":
    """The GPU of this host, as nvidia-smi lists it: a process, so asked once an hour."""
    from core.hardware import accelerators  # noqa: PLC0415

    return accelerators.host_accelerator()


@st.cache_resource(ttl=3_600, max_entries=256, show_spinner=False)
def hub_model(repository: str, mirror: str | None) -> "Future[HubModel]":
    """config.json of a repository and what its files weigh, in the background: the page asks whether they are there."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from core.serving.from_hub import read_hub_model  # noqa: PLC0415

    worker = ThreadPoolExecutor(max_workers=1)
    asking = worker.submit(read_hub_model, repository, mirror)
    worker.shutdown(wait=False)
    return asking


@st.cache_resource(ttl=86_400, max_entries=256, show_spinner=False)
def built_count(key: str, _config: "Mapping[str, Any]") -> "Future[ParameterCount]":
    """The parameters of the class that transformers builds from a config, in the background. key is its text."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from core.parameters import count_on_meta_device  # noqa: PLC0415

    worker = ThreadPoolExecutor(max_workers=1)
    building = worker.submit(count_on_meta_device, _config)
    worker.shutdown(wait=False)
    return building


@st.cache_resource(ttl=86_400, max_entries=128, show_spinner=False)
def chart_spec(key: str, theme: str, _chart: "Callable[[Palette], AnyChart]") -> dict[str, Any]:
    """A page's chart as Vega-Lite. key must say everything that it depends on."""
    from core.figures.palette import palette  # noqa: PLC0415

    return _written(_chart(palette(theme)))


def drawn(key: str, colours: "Palette", chart: "Callable[[Palette], AnyChart]") -> dict[str, Any]:
    """The same for a file, in those colours: a chart that its page has drawn is not built again."""
    from core.figures.palette import theme_of  # noqa: PLC0415

    spec: dict[str, Any] = chart_spec(key, theme_of(colours), chart)
    return spec


@st.cache_resource(ttl=86_400, max_entries=64, show_spinner=False)
def quality_spec(
    dots: "tuple[tuple[str, int | None], ...]", scale: "Scale", theme: str, _dots: "tuple[Dot, ...]"
) -> dict[str, Any]:
    """The Vega-Lite picture of published quality changes on one scale; dots names each by its study and its G."""
    from core.figures.evidence import quality_chart  # noqa: PLC0415  altair loads with the first picture, not the page
    from core.figures.palette import palette  # noqa: PLC0415

    return _written(quality_chart(_dots, scale, palette(theme)))


@st.cache_data(ttl=86_400, max_entries=128, show_spinner="Simulating the traffic")
def traffic_fit(key: str, _job: "ServingJob", _traffic: "Traffic") -> "TrafficFit":
    """A job under traffic: a Monte Carlo of a quarter of a second. key must say both."""
    from core.serving.traffic_fit import fit_traffic  # noqa: PLC0415

    return fit_traffic(_job, _traffic)


@st.cache_resource(ttl=86_400, max_entries=128, show_spinner=False)
def technique_picture(name: str, theme: str, **inputs: Any) -> "Picture":
    """One picture of a technique page: its spec, its sentence and its alt text."""
    from core.figures.palette import palette  # noqa: PLC0415
    from core.figures.technique_pictures import picture  # noqa: PLC0415  altair loads with the first picture

    return picture(name, palette(theme), **inputs)


@st.cache_resource(ttl=86_400, max_entries=64, show_spinner=False)
def spared_by_the_collector(num_modules: int) -> int:
    """Set aside what is alive once num_modules are imported: modules stay, and need not be searched for garbage.

    Streamlit collects garbage after each run, before the last of it is sent: about 85 ms with what pandas and Altair
    hold (benchmarks/interface.md), next to nothing without. What was set aside before is not looked through here: that
    is done once a session has gone (pages/server/between_runs.py). Returns how many objects are set aside.
    """
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()
