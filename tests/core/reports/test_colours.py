"""A mark has one colour: what the page's spec says is what a PNG on a slide holds, pixel for pixel, in both themes."""

import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from core.figures.engine_pages import pages_chart
from core.figures.house import dress
from core.figures.layouts import layout_chart
from core.figures.lesson_bytes import share
from core.figures.palette import DARK, LIGHT, Palette, mixed
from core.figures.serve_memory import memory_chart
from core.figures.sizing import options_chart
from core.figures.technique_pictures import picture as technique
from core.learning.lessons import lessons
from core.models.head_sharing import Layout
from core.reports.pictures import as_png, chart_svg
from core.reports.walk import opening_pictures
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.options import option_grid
from core.serving.serve import serve

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536)
ROOM = (1_000, 520)
LARGE_PX = 40  # of one colour: a mark that is an edge alone has none of it unmixed


def options(colours: Palette) -> dict[str, Any]:
    return options_chart(option_grid(JOB), colours, chosen=8, width_bits=16).to_dict()


def memory(colours: Palette) -> dict[str, Any]:
    tight = ServingJob(model=LLAMA_2_13B, batch_size=1, context_length=65_536, memory_utilization=0.4)
    return memory_chart(serve(tight), colours).to_dict()


def layout(colours: Palette) -> dict[str, Any]:
    return layout_chart(Layout(num_query_heads=8, num_kv_heads=2), colours).to_dict()


def batch(colours: Palette) -> dict[str, Any]:
    return share(colours, batch_size=32, num_kv_heads=8, context_length=4_096).spec


FADED = {"options": options, "memory": memory, "layout": layout, "batch": batch}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", FADED)
def test_every_fill_is_in_the_png_as_the_spec_says_it(name: str, colours: Palette):
    spec = dress(FADED[name](colours), colours)
    png = Image.open(BytesIO(as_png(chart_svg(spec, room=ROOM, background=colours.background), scale=2))).convert("RGB")
    seen = Counter(png.get_flattened_data())
    fills = filled(chart_svg(spec, room=ROOM))
    assert fills
    for fill in fills:
        assert seen[tuple(bytes.fromhex(fill[1:]))] > LARGE_PX, f"{fill} of {name} is not in its PNG"


def filled(svg: str) -> set[str]:
    """The colours of shapes, of words none: a thin letter is all edge."""
    paths = re.findall(r"<path[^>]*>", svg)
    return {found[1] for path in paths if (found := re.search(r'fill="(#[0-9a-f]{6})"', path))}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_what_does_not_fit_is_pale_orange_and_not_khaki(colours: Palette):
    faded = mixed(colours.cache, colours.background, 0.34)
    assert faded == {LIGHT: "#eccaad", DARK: "#5c412c"}[colours]  # 0.34 x c8 + 0.66 x ff = ec, and so on
    assert faded in filled(chart_svg(dress(options(colours), colours), room=ROOM))


def test_a_slide_s_png_has_no_transparent_pixel():
    svg = chart_svg(dress(layout(DARK), DARK), room=ROOM, background=DARK.background)
    png = Image.open(BytesIO(as_png(svg)))
    assert png.convert("RGBA").getextrema()[3] == (255, 255)


def test_no_picture_leaves_the_mixing_of_colours_to_what_draws_it():
    specs = {f"{lesson.key} {step.slug}": made.spec for lesson in lessons() for step in lesson.steps
             for made in opening_pictures(lesson.key, step, {}, LIGHT)}  # fmt: skip
    specs |= {name: dress(make(LIGHT), LIGHT) for name, make in FADED.items()}
    specs["pool"] = dress(technique("pool", LIGHT, step=3).spec, LIGHT)
    asked = serve(JOB.where(engine="vllm", batch_size=1)).plan.engine_plan
    assert asked is not None
    specs["pages"] = dress(pages_chart(asked, LIGHT).to_dict(), LIGHT)
    assert len(specs) > 40
    for name, spec in specs.items():
        found = [at for at in opacities(spec) if at[1] not in (0, 1)]
        assert not found, f"{name}: mix the colour beforehand (palette.mixed) where {found} is set"


def opacities(spec: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every opacity that the spec sets, with its place; of data rows none."""
    for key, value in spec.items() if isinstance(spec, dict) else enumerate(spec):
        if isinstance(key, str) and "opacity" in key.lower():
            yield f"{path}.{key}", value
        elif isinstance(value, dict | list) and key not in ("values", "datasets"):
            yield from opacities(value, f"{path}.{key}")
