"""What people ask about a server's numbers: each question's job holds what the question says, whatever stood before."""

from streamlit.testing.v1 import AppTest

from pages.tools.size.questions import QUESTIONS
from tests.pages.conftest import more_inputs

SAID = (
    ("52 requests at 512 tokens", "5 slots are set aside for each request, however short it is"),
    ("132 requests at 512 tokens", "takes 38.6 times its keys and values on vLLM 0.33.0"),
    ("2 requests at 32,768 tokens", "SGLang keeps every token in every attention layer of this class"),
    ("2,560 requests at 2,048 tokens", "passes no cache type on: its cache keeps the model's own 16 bits"),
    ("45 requests at 32,768 tokens", "13 prompts of 32,768 tokens that stay cached with a state at every block"),
)


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.warning])


def test_each_question_s_job_answers_it(open_page):
    """The first from an open page on which everything else was moved: what it sets aside is its own."""
    app = open_page("tools/size/size.py", size_engine="SGLang", size_sg_states="0.5", size_parameters="7000000000")
    assert more_inputs(app).number_input(key="size_sg_states").value == 0.5
    for number, (question, expected) in enumerate(zip(QUESTIONS, SAID, strict=True)):
        app.menu_button(key="size_question").click_index(number).run()
        assert [words for words in expected if words not in said(app)] == [], question.text
        assert app.selectbox(key="size_model").value == question.model
    assert more_inputs(app).number_input(key="size_parameters").value == 0


def test_gemma_s_two_engines_stand_beside_each_other(open_page):
    app = open_page("tools/size/size.py")
    app.menu_button(key="size_question").click_index(2).run()
    engines = next(table.value for table in app.table if "Requests at once" in table.value)
    requests = engines["Requests at once"].tolist()
    assert requests[:2] == ["8", "2"]  # vLLM, SGLang
