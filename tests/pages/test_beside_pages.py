"""The pages beside the lessons: they open and answer their controls; the experiment is started, watched, cancelled."""

import re
import sys
from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.neighbours import texts as neighbours
from core.uptraining import results, runs
from core.uptraining.recipe import Recipe

OpenPage = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.header, *app.title))


@pytest.mark.parametrize("key", neighbours.ORDER)
def test_every_page_shows_its_whole_text_and_a_picture(open_page: OpenPage, key: str) -> None:
    app = open_page(f"learn/{key}.py")
    topic = neighbours.topic(key)
    shown = said(app)
    assert app.title[0].value == topic.title
    assert topic.promise in shown
    assert len(app.header) == len(topic.sections)
    assert "{" not in re.sub(r"\$[^$]*\$", "", shown)
    assert app.get("vega_lite_chart")
    assert not app.error


def test_the_pool_follows_its_step(open_page: OpenPage) -> None:
    app = open_page("learn/paging.py", paging_step="5")
    assert "**Step 5.** B is done: its 2 blocks are free again." in said(app)
    app.slider(key="paging_step").set_value(6).run()
    assert "D takes blocks 2, 4" in said(app)


def test_longer_limits_waste_more(open_page: OpenPage) -> None:
    """A median of 100 without spread: 100 prompt tokens and 1 answer of 200 are 50.5 %, of 1,000 are 10.1 %."""
    query = {"paging_prompt": "100", "paging_output": "1", "paging_spread": "0.0"}
    assert "uses **50.5%**" in said(open_page("learn/paging.py", **query, paging_limit="200"))
    assert "uses **10.1%**" in said(open_page("learn/paging.py", **query, paging_limit="1000"))


def test_impossible_lengths_are_named_and_kept(open_page: OpenPage) -> None:
    app = open_page("learn/paging.py", paging_prompt="5000", paging_limit="2048")
    assert app.error[0].value == "the median prompt is 5000: give a whole number from 1 to 2,048."
    assert app.number_input(key="paging_prompt").value == 5000


def test_the_marked_token_is_followed(open_page: OpenPage) -> None:
    app = open_page("learn/eviction.py", eviction_marked="2")
    assert "token 2 is still there under: **keep everything; sinks and window; heavy hitters and window**" in said(app)
    app.slider(key="eviction_sinks").set_value(0).run()
    assert "under: **keep everything; heavy hitters and window**" in said(app)


def test_scales_are_counted(open_page: OpenPage) -> None:
    app = open_page("learn/quantisation.py", quantisation_group="16")
    table = app.dataframe[0].value
    assert list(table["with scales"]) == ["16", "10", "6", "5", "4"]  # bits + 32 / 16
    assert list(table["G = 8"])[2] == "48.0 KiB"  # 128 KiB x 6 / 16


def test_kivi_is_shown_for_the_chosen_task(open_page: OpenPage) -> None:
    """Changes at 2 bits on GSM8K: -0.76, -1.90, -2.35 (Mistral), -1.14; on CoQA Falcon falls most, 59.83 to 57.48."""
    assert "Falcon-7B falls most on CoQA, by 2.35" in said(open_page("learn/quantisation.py"))
    assert "Mistral-7B falls most on GSM8K, by 2.35" in said(
        open_page("learn/quantisation.py", quantisation_task="GSM8K")
    )


def test_mla_is_compared_on_one_and_on_more_gpus(open_page: OpenPage) -> None:
    """2,048 / 576 = 3.6 on one GPU; 576 / 256 = 2.25 over eight."""
    shown = said(open_page("learn/latent.py"))
    assert "On one GPU, MLA keeps **3.6 times less than** GQA with G = 8." in shown
    assert "On each of 8 GPUs, MLA keeps **2.2 times as much as** GQA with G = 8." in shown


# the experiment


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    runs.stop_all()
    runs._current = None
    yield
    runs.stop_all()
    runs._current = None


def test_recorded_runs_are_shown_first(open_page: OpenPage) -> None:
    app = open_page("learn/uptraining.py", uptraining_recorded="40")
    found = tuple(run for run in results.recorded() if run.recipe.uptrain_percent == 40)
    assert results.finding(found) in said(app)
    assert "This illustrates the mechanism. It predicts no large model's quality." in said(app)
    assert results.agreement(found) in said(app)


def test_right_after_conversion_is_another_picture(open_page: OpenPage) -> None:
    app = open_page("learn/uptraining.py", uptraining_moment="right after conversion")
    assert "Lowest loss right after conversion" in said(app)


def test_a_recipe_out_of_range_falls_back_to_the_default(open_page: OpenPage) -> None:
    app = open_page("learn/uptraining.py", uptraining_steps="999999")
    assert app.number_input(key="uptraining_steps").value == 800


WAITS = (sys.executable, "-c", "import sys; sys.stdin.read()")


def test_start_watch_and_cancel(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "start", lambda recipe: monkeypatch.setattr(runs, "_current", runs.Run(recipe, WAITS)))
    app = open_page("learn/uptraining.py")
    app.button(key="uptraining_start").click().run()
    assert app.progress[0].text == "starting · 0 results so far"
    app.button(key="uptraining_cancel").click().run()
    run = runs.current()
    assert run is not None
    assert run.snapshot().status == "cancelled"
    assert app.button(key="uptraining_start")


def test_another_viewer_sees_the_run_and_cannot_end_it(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_current", runs.Run(Recipe(seed=7), WAITS))
    app = open_page("learn/uptraining.py")
    assert "Another viewer started this run" in said(app)
    with pytest.raises(KeyError):
        app.button(key="uptraining_cancel")


def test_a_finished_recipe_answers_at_once(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = next(run for run in results.recorded() if run.recipe.uptrain_percent == 5 and run.recipe.seed == 0)
    monkeypatch.setitem(runs._remembered, Recipe(uptrain_percent=5), ran)
    app = open_page("learn/uptraining.py", uptraining_percent="5")
    assert "seed 0: **G = 4" in said(app)


def test_a_failed_run_says_so(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = runs.Run(Recipe(), (sys.executable, "-c", "import sys; sys.exit(3)"))
    dead.wait(30)
    monkeypatch.setattr(runs, "_current", dead)
    app = open_page("learn/uptraining.py")
    assert "ended early with status 3" in app.error[0].value
