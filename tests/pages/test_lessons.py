"""The lessons' pages through AppTest: every step opens, the walk goes on and back, answers and drills are kept."""

from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from core.learning.drills import KINDS, cache_question, config_question
from core.learning.figures import texts
from core.learning.glossary import linked
from core.learning.lessons import ORDER, fill, lesson, lessons
from core.learning.techniques.texts import topics
from core.units import format_binary
from tests.dashboard import ROOT

STEPS = [(shown.key, number) for shown in lessons() for number in range(1, len(shown.steps) + 1)]


@pytest.fixture
def open_page():
    """Like the shared fixture, for pages whose address is not their file's name: the frame runs once before."""

    def opened(script, /, **query):
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
        for key, value in query.items():
            app.query_params[key] = value
        app.switch_page(script).run()
        assert not app.exception, app.exception
        return app

    return opened


def words(app: AppTest) -> str:
    kinds = (app.markdown, app.title, app.caption, app.success, app.info, app.warning, app.error)
    return " ".join(element.value for group in kinds for element in group)


@pytest.mark.parametrize(("key", "number"), STEPS)
def test_every_step_opens_from_its_link(open_page, key, number):
    app = open_page(lesson(key).script, **{key: str(number)})
    step = lesson(key).steps[number - 1]
    assert app.title[0].value == fill(step.title, texts())
    assert not app.error, [error.value for error in app.error]
    if step.text:
        assert linked(fill(step.text, texts())) in [element.value for element in app.markdown]
    for chart in app.get("vega_lite_chart"):
        assert len(chart.proto.alt) > 40


@pytest.mark.parametrize("bad", ["0", "99", "-1", "two", "1.5", "", "²"])
def test_a_step_that_does_not_exist_opens_the_first(open_page, bad):
    app = open_page("learn/bottleneck.py", bottleneck=bad)
    assert app.title[0].value == lesson("bottleneck").steps[0].title


def test_next_and_back_turn_the_steps(open_page):
    app = open_page("learn/formula.py")
    app.button(key="formula_next_step").click().run()
    assert app.title[0].value == "Redo it on paper"
    app.button(key="formula_next_step").click().run()
    assert app.title[0].value == "What is not in it"
    app.button(key="formula_back_step").click().run()
    assert app.title[0].value == "Redo it on paper"


def test_turns_in_a_hurry_hold_against_what_a_control_sends_late(open_page):
    """A slider moved just before them sends its value, and with it the step that stood then."""
    app = open_page("learn/formula.py")
    app.button(key="formula_next_step").click().run()
    app.button(key="formula_next_step").click().run()
    for late in (1, 2):
        app.segmented_control(key="formula").set_value(late).run()
        assert app.title[0].value == "What is not in it"


@pytest.mark.parametrize("key", ORDER)
def test_each_lesson_offers_the_arrow_keys(open_page, key):
    app = open_page(lesson(key).script)
    shortcuts = [
        button.proto.shortcut for button in app.button if button.key.startswith((f"{key}_back", f"{key}_next"))
    ]
    assert shortcuts == ["left", "right"]


def test_the_last_step_goes_on_to_the_next_lesson(open_page):
    app = open_page("learn/bottleneck.py", bottleneck="5")
    assert app.button(key="bottleneck_next_lesson").label == "Next lesson"
    app.button(key="bottleneck_next_lesson").click().run()
    assert app.title[0].value == lesson("formula").steps[0].title
    app.button(key="formula_back_lesson").click().run()
    assert app.title[0].value == lesson("bottleneck").steps[4].title, "where it was left"


def test_the_ends_of_the_walk_go_to_the_map(open_page):
    first = open_page("learn/bottleneck.py")
    first.button(key="bottleneck_back_lesson").click().run()
    assert first.title[0].value == "Lesson map"
    last = open_page("learn/pick.py", pick="7")
    last.button(key="pick_next_lesson").click().run()
    assert last.title[0].value == "Lesson map"


def test_the_map_lists_every_lesson_with_its_promise_and_what_stands_beside(open_page):
    app = open_page("learn/map.py")
    links = [link.proto.label for link in app.get("page_link")]
    assert links[: len(ORDER)] == [f"**{number}. {shown.title}**" for number, shown in enumerate(lessons(), start=1)]
    assert links[len(ORDER) :] == [
        "The three layouts", *(topic.title for topic in topics()), "Watch it decode", "After G",
        "When memory stops binding", "Quiz of 25 questions",
    ]  # fmt: skip
    for shown in lessons():
        assert shown.promise in words(app)


@pytest.mark.parametrize("key", [key for key in ORDER if any(step.question for step in lesson(key).steps)])
def test_a_question_replies_to_each_answer_and_marks_the_one_argued_for(open_page, key):
    number, step = next((n, s) for n, s in enumerate(lesson(key).steps, start=1) if s.question)
    app = open_page(lesson(key).script, **{key: str(number)})
    for choice, answer in enumerate(step.question.answers):
        app.radio(key=f"{key}_{step.slug}_answer").set_value(choice).run()
        said = app.success if answer.argued else app.info
        assert fill(answer.reply, texts()) in [element.value for element in said]


def test_a_case_remembers_the_first_answer_to_its_end(open_page):
    app = open_page("learn/case_llama.py")
    app.radio(key="case-llama_situation_answer").set_value(2).run()
    for _ in range(4):
        app.button(key="case-llama_next_step").click().run()
    assert app.title[0].value == "A reasoned answer"
    assert "You answered at first: 16: closer to MHA, so safer." in words(app)


def test_figures_say_where_they_come_from(open_page):
    app = open_page("learn/bottleneck.py")
    assert "13,015,864,320 parameters × 2 bytes" in words(app)
    assert "26.03 GB / 3.35 TB/s" in words(app)


def test_a_control_moves_picture_and_sentence(open_page):
    app = open_page("learn/bottleneck.py", bottleneck_batch="8")
    assert "26.8 GB of cache" in words(app)
    app.select_slider(key="bottleneck_batch").set_value(32).run()
    assert "107.4 GB of cache" in words(app)
    app.button(key="bottleneck_next_step").click().run()
    assert "weights at 32 FLOPs" in words(app), "the job stays as it was set"


def test_findings_are_shown_with_source_and_caveat(open_page):
    app = open_page("learn/case_mqa.py", **{"case-mqa": "3"})
    assert "660 tokens of context" in words(app)
    assert "https://arxiv.org/abs/2211.05102" in words(app)


def test_the_verdict_on_mqa_follows_the_ticks(open_page):
    app = open_page("learn/case_mqa.py", **{"case-mqa": "6"})
    assert "Test first." in app.info[0].value
    app.toggle(key="case-mqa_split").set_value(True).run()
    assert "Push back." in app.warning[0].value
    app.toggle(key="case-mqa_split").set_value(False).run()
    app.toggle(key="case-mqa_large").set_value(False).run()
    assert "Agree." in app.success[0].value


# --- drills ----------------------------------------------------------------------------------------------------------


def drill(open_page, number=5, level="sequence"):
    return open_page("learn/headmath.py", headmath="2", headmath_question=str(number), headmath_level=level)


def give(app, name, answers):
    for kind in KINDS:
        app.text_input(key=f"{name}-{kind}").set_value(answers[kind])
    return app.button(key="FormSubmitter:headmath_form-Check").click().run()


def test_right_answers_in_any_unit_count_and_are_explained(open_page):
    app = drill(open_page)
    asked = cache_question(5, "sequence")
    exact = {kind: asked.exact_bytes(kind) for kind in KINDS}
    typed = {"MQA": f"{exact['MQA']:,} B", "GQA": format_binary(exact["GQA"], 3), "MHA": f"{exact['MHA'] / 1e12:.4f}T"}
    app = give(app, "headmath-sequence-5", typed)
    assert len(app.success) == 3
    assert "The shortcut" in words(app)
    assert "Streak **1** · **1 of 1** right" in words(app)


def test_a_wrong_answer_breaks_the_streak_and_says_what_it_looks_like(open_page):
    app = drill(open_page)
    exact = {kind: cache_question(5, "sequence").exact_bytes(kind) for kind in KINDS}
    app = give(app, "headmath-sequence-5", {**{kind: f"{n} B" for kind, n in exact.items()}, "MQA": "a lot"})
    assert len(app.success) == 2
    assert "'a lot' is not a size" in app.warning[0].value
    assert "Streak **0** · **0 of 1** right" in words(app)


def test_a_check_of_nothing_is_no_miss(open_page):
    app = give(drill(open_page), "headmath-sequence-5", {"MQA": " ", "GQA": "", "MHA": ""})
    assert [note.value for note in app.info] == ["Type at least one size first."]
    assert "The shortcut" not in words(app)
    assert "**0 of 0** right" in words(app)
    app = open_page("learn/spot.py", spot_question="1")
    app.button(key="FormSubmitter:spot_form-Check").click().run()
    assert [note.value for note in app.info] == ["Choose a kind first."]
    assert "decides" not in app.code[0].value
    assert "**0 of 0** right" in words(app)


def test_a_question_counts_once_and_keeps_what_was_typed(open_page):
    app = drill(open_page)
    exact = {kind: f"{cache_question(5, 'sequence').exact_bytes(kind)} B" for kind in KINDS}
    app = give(app, "headmath-sequence-5", exact)
    app = give(app, "headmath-sequence-5", exact)
    assert "**1 of 1** right" in words(app)
    app.button(key="headmath_more").click().run()
    assert app.number_input(key="headmath_question").value == 6
    assert not app.success
    app.number_input(key="headmath_question").set_value(5).run()
    assert app.text_input(key="headmath-sequence-5-MHA").value == exact["MHA"]
    assert len(app.success) == 3


@pytest.mark.parametrize("number", ["0", "-4", "999999999", "x"])
def test_a_question_number_out_of_range_still_shows_a_question(open_page, number):
    app = drill(open_page, number=number)
    assert "Layers L" in words(app)


def test_a_number_that_the_widget_would_not_send_is_drawn_back(open_page):
    app = drill(open_page)
    app.number_input(key="headmath_question").set_value(10**9).run()
    assert not app.exception
    assert "Layers L" in words(app)


def test_spotting_marks_the_deciding_lines_only_after_the_answer(open_page):
    number = next(n for n in range(1, 60) if config_question(n - 1).model == "Falcon-7B")
    app = open_page("learn/spot.py", spot_question=str(number))
    assert "decides" not in app.code[0].value
    app.get("button_group")[-1].set_value("MQA")
    app.number_input(key=f"spot-{number}-g").set_value(1)
    app.button(key="FormSubmitter:spot_form-Check").click().run()
    assert "MQA, G = 1." in app.success[0].value
    assert '"multi_query": true,' in app.code[0].value
    assert "← decides" in app.code[0].value


def test_spotting_the_wrong_kind_is_told_the_truth(open_page):
    number = next(n for n in range(1, 60) if config_question(n - 1).model == "Llama-2 7B")
    app = open_page("learn/spot.py", spot_question=str(number))
    app.get("button_group")[-1].set_value("GQA")
    app.number_input(key=f"spot-{number}-g").set_value(8)
    app.button(key="FormSubmitter:spot_form-Check").click().run()
    assert "MHA, G = 32." in app.warning[0].value


def test_drawing_adds_a_stroke_and_starts_over_at_the_end(open_page):
    app = open_page("learn/draw.py", draw="2")
    assert "Stroke 1 of 11" in words(app)
    app.button(key="draw_mqa8_1_more").click().run()
    assert "Stroke 2 of 11: **One pair of key and value, in the middle.**" in words(app)
    app.slider(key="draw_mqa8_1").set_value(11).run()
    assert app.button(key="draw_mqa8_1_more").label == "Start over"
    app.button(key="draw_mqa8_1_more").click().run()
    assert "Stroke 1 of 11" in words(app)


# --- the capstone ----------------------------------------------------------------------------------------------------


def test_the_capstone_ends_in_a_record_and_the_same_job_on_the_sizing_page(open_page):
    app = open_page("learn/pick.py", pick="7")
    app.text_area(key="pick_reason").set_value("Two heads are steadier.").run()
    assert "Two heads are steadier." in words(app)
    assert "67.0 GB" in words(app)
    (link,) = app.get("page_link")
    assert "size_g=2" in link.proto.query_string
    assert "size_kv_bits=8" in link.proto.query_string


def test_a_choice_that_does_not_fit_is_recorded_as_such(open_page):
    app = open_page("learn/pick.py", pick="7", pick_choice="8", pick_choice_bits="16")
    assert "does not fit" in words(app)


def test_g_8_fits_once_the_job_is_questioned(open_page):
    app = open_page("learn/pick.py", pick="5")
    assert "119.5 GB too much" in words(app)
    app.select_slider(key="pick_live").set_value(25).run()
    assert "G = 8, it fits" in words(app)


def sizing_link(app: AppTest) -> dict[str, str]:
    (link,) = app.get("page_link")
    return dict(parse_qsl(link.proto.query_string))


def test_what_step_5_found_is_what_is_decided_under(open_page):
    app = open_page("learn/pick.py", pick="5")
    app.select_slider(key="pick_gpus").set_value(4).run()
    app.button(key="pick_next_step").click().run()
    app.button(key="pick_next_step").click().run()
    assert app.title[0].value == "Decide, and write it down"
    assert app.select_slider(key="pick_gpus").value == 4
    app.segmented_control(key="pick_choice").set_value(8).run()
    # a GPU of four: 32 x 65,536 tokens x 81,920 B / 4 = 42.9 GB of cache, 5.7 GB of weights, 2 GB of reserve
    assert "**G = 8 in 8 bits fits under these conditions**: 50.6 GB of 77.0 GB a GPU." in words(app)
    assert "4 GPUs with tensor parallelism" in words(app)
    assert sizing_link(app)["size_tp"] == "4"


@pytest.mark.parametrize(
    ("conditions", "says", "needs"),
    [
        ({}, "does not fit", "needs 196.47 GB and lacks 119.51 GB"),  # as the picture of step 5 has it: 119.5 too much
        ({"pick_gpus": "4"}, "fits under these conditions", "needs 50.62 GB and leaves"),
        # a quarter of 171.8 GB of cache is 42.9, beside 22.7 of weights and 2 of reserve
        ({"pick_live": "25"}, "fits under these conditions", "needs 67.63 GB and leaves"),
        ({"pick_windows": "7 full + 33 of 1,024"}, "fits under these conditions", "needs 56.99 GB and leaves"),
        ({"pick_weights": "8", "pick_freed": "spent"}, "does not fit under these conditions", "and lacks"),
    ],
)
def test_the_sizing_page_reads_the_same_verdict_under_the_same_conditions(open_page, conditions, says, needs):
    end = open_page("learn/pick.py", pick="7", pick_choice="8", **conditions)
    assert f"**G = 8 in 8 bits {says}**" in words(end)
    size = open_page("tools/size/size.py", **sizing_link(end))
    assert not size.error
    (told,) = [part.value for part in size.markdown if part.value.startswith("G = 8 with an 8-bit cache")]
    assert needs in told


def test_a_g_that_the_gpus_cannot_share_is_refused_and_stays_chosen(open_page):
    app = open_page("learn/pick.py", pick="7", pick_choice="5", pick_gpus="4")
    assert "over which 5 KV heads neither divide nor repeat evenly" in app.error[0].value
    assert app.select_slider(key="pick_gpus").value == 4


def test_any_divisor_has_its_evidence(open_page):
    app = open_page("learn/pick.py", pick="4")
    for g in (1, 2, 4, 5, 8, 10, 20, 40):
        app.select_slider(key="pick_candidate").set_value(g).run()
        assert not app.exception
        assert not app.error
    assert "MHA is what the studies compare against" in words(app)


def test_another_batch_and_context_can_be_looked_at_and_the_job_stays(open_page):
    app = open_page("learn/pick.py", pick="1")
    # 2 x 40 layers x 8 heads x 128 x 2 B = 163,840 B; x 2,097,152 = 343.6 GB
    assert "**G = 8** keeps 163,840 bytes a token in 16 bits: 343.6 GB (320.0 GiB) for 2,097,152 tokens." in words(app)
    assert "The job stays" not in words(app)
    app.select_slider(key="pick_try_batch").set_value(1).run()
    app.select_slider(key="pick_try_g").set_value(1).run()
    # 20,480 B x 65,536 = 1.342 GB = 1.25 GiB
    assert "**G = 1** keeps 20,480 bytes a token in 16 bits: 1.3 GB" in words(app)
    assert "The job stays 32 × 65,536." in words(app)
    assert "for 65,536 tokens" in words(app)
