"""The technique pages: they open and answer their controls; the experiment is started, watched, cancelled."""

import re
from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.learning.techniques import texts as techniques
from core.learning.techniques.figures import filled
from core.uptraining import results, runs
from core.uptraining.recipe import Recipe

OpenPage = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.header, *app.title))


SECTIONS = [(topic.key, number) for topic in techniques.topics() for number in range(1, len(topic.sections) + 1)]


@pytest.mark.parametrize(("key", "number"), SECTIONS)
def test_every_section_opens_from_its_link(open_page: OpenPage, key: str, number: int) -> None:
    app = open_page(f"learn/{key}.py", **{key: str(number)})
    topic = techniques.topic(key)
    section = topic.sections[number - 1]
    shown = said(app)
    assert [title.value for title in app.title] == [filled(section.title)]
    assert topic.title in shown
    assert (topic.promise in shown) is (number == 1)
    assert "{" not in re.sub(r"\$[^$]*\$", "", shown)
    assert (
        app.get("vega_lite_chart")
        or app.table
        or (key, section.slug) in {("uptraining", "live"), ("uptraining", "cost")}
    )
    assert not app.error


@pytest.mark.parametrize("key", techniques.ORDER)
def test_in_a_room_a_page_is_whole_so_that_presenter_mode_can_cut_it(open_page: OpenPage, key: str) -> None:
    app = open_page(f"learn/{key}.py", present="1")
    topic = techniques.topic(key)
    assert [title.value for title in app.title] == [topic.title]
    assert [header.value for header in app.header] == [filled(section.title) for section in topic.sections]
    assert all(f"[{filled(section.title)}](#{section.slug})" in said(app) for section in topic.sections)


@pytest.mark.parametrize("key", techniques.ORDER)
def test_next_turns_every_section_and_has_the_arrow_key(open_page: OpenPage, key: str) -> None:
    app = open_page(f"learn/{key}.py")
    for section in techniques.topic(key).sections:
        assert app.title[0].value == filled(section.title)
        turns = {button.key.split("_")[1]: button for button in app.button if button.key.startswith(f"{key}_")}
        assert (turns["back"].proto.shortcut, turns["next"].proto.shortcut) == ("left", "right")
        turns["next"].click().run()
        assert not app.exception


STOPS = ["Lesson map", *(filled(topic.sections[0].title) for topic in techniques.topics()), "Lesson map"]


@pytest.mark.parametrize(("place", "key"), list(enumerate(techniques.ORDER, start=1)))
def test_past_its_ends_a_page_leads_to_its_neighbours_and_the_map(open_page: OpenPage, place: int, key: str) -> None:
    app = open_page(f"learn/{key}.py")
    app.button(key=f"{key}_back_lesson").click().run()
    assert app.title[0].value == STOPS[place - 1]
    app = open_page(f"learn/{key}.py", **{key: str(len(techniques.topic(key).sections))})
    app.button(key=f"{key}_next_lesson").click().run()
    assert app.title[0].value == STOPS[place + 1]


def test_paging_and_fewer_heads_multiply(open_page: OpenPage) -> None:
    """40 GB hold 48,828 tokens of 819,200 B; 96.3 / 38.2 = 2.52 and 96.3 / 20.4 = 4.72; G = 8 is 5 times the slots."""
    app = open_page("learn/paging.py", paging="3")
    assert (
        "**5 times the slots with G = 8, and with paging 2.5 to 4.7 times as many of them live**: 12.6 to 23.6 times"
        in said(app)
    )
    assert "Paging alone: 2.5 to 4.7 times" in said(open_page("learn/paging.py", paging="3", paging_g="40"))


def test_a_budget_and_fewer_heads_save_the_same_bytes(open_page: OpenPage) -> None:
    """819,200 B x 8,192 = 6.25 GiB; a quarter of the tokens or a quarter of the heads leave 1.5625 GiB."""
    app = open_page("learn/eviction.py", eviction="2", eviction_show="what is saved")
    assert "2,048 of 8,192 tokens under MHA take 1.56 GiB. **G = 10 takes 1.56 GiB and keeps every token.**" in said(
        app
    )


def test_the_pool_follows_its_step(open_page: OpenPage) -> None:
    app = open_page("learn/paging.py", paging_step="5")
    assert "**Step 5.** B is done: its 2 blocks are free again." in said(app)
    app.slider(key="paging_step").set_value(6).run()
    assert "D takes blocks 2, 4" in said(app)


def test_longer_limits_waste_more(open_page: OpenPage) -> None:
    """A median of 100 without spread: 100 prompt tokens and 1 answer of 200 are 50.5 %, of 1,000 are 10.1 %."""
    query = {"paging_prompt": "100", "paging_output": "1", "paging_spread": "0.0"}
    assert "uses **50.5%**" in said(open_page("learn/paging.py", paging="2", **query, paging_limit="200"))
    assert "uses **10.1%**" in said(open_page("learn/paging.py", paging="2", **query, paging_limit="1000"))


def test_impossible_lengths_are_named_and_kept(open_page: OpenPage) -> None:
    app = open_page("learn/paging.py", paging="2", paging_prompt="5000", paging_limit="2048")
    assert app.error[0].value == "the median prompt is 5000: give a whole number from 1 to 2,048."
    assert app.number_input(key="paging_prompt").value == 5000


def test_the_marked_token_is_followed(open_page: OpenPage) -> None:
    app = open_page("learn/eviction.py", eviction_marked="2")
    assert "token 2 is still there under: **keep everything; sinks and window; heavy hitters and window**" in said(app)
    app.slider(key="eviction_sinks").set_value(0).run()
    assert "under: **keep everything; heavy hitters and window**" in said(app)


def test_scales_are_counted(open_page: OpenPage) -> None:
    app = open_page("learn/quantisation.py", quantisation_group="16")
    table = app.table[0].value
    assert list(table["with scales"]) == ["16", "10", "6", "5", "4"]  # bits + 32 / 16
    assert list(table["G = 8"])[2] == "48.0 KiB"  # 128 KiB x 6 / 16


def test_kivi_is_shown_for_the_chosen_task(open_page: OpenPage) -> None:
    """Changes at 2 bits on GSM8K: -0.76, -1.90, -2.35 (Mistral), -1.14; on CoQA Falcon falls most, 59.83 to 57.48."""
    assert "Falcon-7B falls most on CoQA, by 2.35" in said(open_page("learn/quantisation.py", quantisation="3"))
    assert "Mistral-7B falls most on GSM8K, by 2.35" in said(
        open_page("learn/quantisation.py", quantisation="3", quantisation_task="GSM8K")
    )


def test_mla_is_compared_on_one_and_on_more_gpus(open_page: OpenPage) -> None:
    """2,048 / 576 = 3.6 on one GPU; 576 / 256 = 2.25 over eight."""
    one = said(open_page("learn/latent.py", latent="2"))
    assert "On one GPU, MLA keeps **3.6 times less than** GQA with G = 8." in one
    eight = said(open_page("learn/latent.py", latent="3"))
    assert "On each of 8 GPUs, MLA keeps **2.2 times as much as** GQA with G = 8." in eight


# the experiment


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    runs.stop_all()
    runs._current = None
    yield
    runs.stop_all()
    runs._current = None


def test_recorded_runs_are_shown_first(open_page: OpenPage) -> None:
    app = open_page("learn/uptraining.py", uptraining="2", uptraining_recorded="40")
    found = tuple(run for run in results.recorded() if run.recipe.uptrain_percent == 40)
    assert results.finding(found) in said(app)
    assert "This illustrates the mechanism. It predicts no large model's quality." in said(app)
    assert results.agreement(found) in said(app)


def test_right_after_conversion_is_another_picture(open_page: OpenPage) -> None:
    app = open_page("learn/uptraining.py", uptraining="2", uptraining_moment="right after conversion")
    assert "Lowest loss right after conversion" in said(app)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("steps", "999999", "999999"), ("steps", "-1", "-1"), ("percent", "0", "0"), ("seed", "-3", "-3")],
)
def test_a_recipe_out_of_range_is_named_and_kept(open_page: OpenPage, name: str, value: str, says: str) -> None:
    app = open_page("learn/uptraining.py", uptraining="3", **{f"uptraining_{name}": value})
    assert says in app.error[0].value
    assert app.number_input(key=f"uptraining_{name}").value == int(value)
    with pytest.raises(KeyError):
        app.button(key="uptraining_start")


WAITS = ("-c", "import sys; sys.stdin.read()")


@pytest.mark.usefixtures("with_torch")
def test_start_watch_and_cancel(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "start", lambda recipe: monkeypatch.setattr(runs, "_current", runs.Run(recipe, WAITS)))
    app = open_page("learn/uptraining.py", uptraining="3")
    app.button(key="uptraining_start").click().run()
    assert app.progress[0].text == "starting · 0 results so far"
    app.button(key="uptraining_cancel").click().run()
    run = runs.current()
    assert run is not None
    assert run.snapshot().status == "cancelled"
    assert app.button(key="uptraining_start")


def test_another_viewer_sees_the_run_and_cannot_end_it(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_current", runs.Run(Recipe(seed=7), WAITS))
    app = open_page("learn/uptraining.py", uptraining="3")
    assert "Another viewer started this run" in said(app)
    with pytest.raises(KeyError):
        app.button(key="uptraining_cancel")


def test_a_finished_recipe_answers_at_once(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = next(run for run in results.recorded() if run.recipe.uptrain_percent == 5 and run.recipe.seed == 0)
    monkeypatch.setitem(runs._remembered, Recipe(uptrain_percent=5), ran)
    app = open_page("learn/uptraining.py", uptraining="3", uptraining_percent="5")
    assert "seed 0: **G = 4" in said(app)


def test_a_failed_run_says_so(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = runs.Run(Recipe(), ("-c", "import sys; sys.exit(3)"))
    dead.wait(30)
    monkeypatch.setattr(runs, "_current", dead)
    app = open_page("learn/uptraining.py", uptraining="3")
    assert "ended with exit code 3 and without a result" in app.error[0].value
