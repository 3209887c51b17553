"""The walk as a document: no step leaves without something to look at, and answers stay with the presenter."""

import pytest

from core.figures.palette import LIGHT
from core.learning.figures import texts
from core.learning.lessons import lesson, lessons
from core.reports.exports import Section
from core.reports.step_tables import StepTable, step_table
from core.reports.walk import walk_sections


def walked(key: str, **query: str) -> tuple[Section, ...]:
    return walk_sections([lesson(key)], figures=texts(), seen={}, query=query, colours=LIGHT)


def table(key: str, slug: str, **query: str) -> StepTable:
    made = step_table(key, slug, query)
    assert made is not None
    return made


@pytest.mark.parametrize("key", [lesson.key for lesson in lessons()])
def test_no_step_leaves_as_words_alone(key: str) -> None:
    assert [part.title for part in walked(key) if part.picture is None and part.table is None] == []


def test_a_step_s_table_stands_with_its_words_and_its_note() -> None:
    counts = walked("declares")[0]
    assert counts.text.startswith("Two keys decide")
    assert counts.note.startswith("The presence of the key says nothing.")
    assert "Gemma 2B: G = 1 is MQA" in counts.note


def test_files_become_the_lines_that_decide() -> None:
    """Their config.json files: Falcon-7B has a switch, DBRX a nested count, DeepSeek-V3 a latent."""
    switches = table("declares", "switches").table[1]
    assert switches[0] == ("Falcon-7B", "multi_query: true\nnew_decoder_architecture: false", "MQA, G = 1")
    assert switches[4] == ("MPT-7B", 'attn_config.attn_type: "multihead_attention"\nn_heads: 32', "MHA, G = 32")
    assert ("DBRX", "attn_config.kv_n_heads: 8\nn_heads: 48", "GQA, G = 8") in table("declares", "counts").table[1]
    assert table("declares", "latent").table[1][0][2] == "MLA"


def test_the_questions_are_on_the_slide_and_the_answers_in_the_note() -> None:
    """Query head 11 of 32 with G = 8: 11 / (32 / 8) = 2.75, rounded up 3. 15 of 32 with G = 4: 15 / 8 = 1.9, so 2."""
    asked = table("draw", "yours")
    assert asked.table[1][:2] == (("32", "8", "11", "?"), ("32", "4", "15", "?"))
    assert asked.note.startswith("Answers: 11 of 32 with G = 8 reads KV head 3, 15 of 32 with G = 4 reads KV head 2,")
    assert table("draw", "yours", draw_question="2").table[1][0] == ("32", "4", "15", "?")


def test_a_link_chooses_the_question_of_a_drill() -> None:
    """Question 1: 60 layers x 2 x 128 x 1 B = 15 KiB a token, x 32,768 = 480 MiB as MQA."""
    usual = table("headmath", "drill")
    assert usual.table[1][0] == ("Layers L", "60")
    assert usual.table[1][5:] == (
        ("Tokens", "32,768"), ("Sequences", "1"), ("Cache as MQA", "?"), ("Cache as GQA", "?"), ("Cache as MHA", "?")
    )  # fmt: skip
    assert "That is MQA, one KV head: 480 MiB." in usual.note
    assert dict(table("headmath", "drill", headmath_level="token").table[1])["Tokens"] == "1"
    assert table("headmath", "drill", headmath_level="zebra", headmath_question="-4") == usual
    assert table("headmath", "drill", headmath_question="2") != usual


def test_a_file_to_be_read_is_not_named_but_in_the_note() -> None:
    asked = table("spot", "drill")
    shown = " ".join(" ".join(row) for row in asked.table[1])
    assert "num_key_value_heads 8" in shown
    assert "Qwen3 32B" not in shown
    assert asked.note.startswith("Answer: Qwen3 32B is GQA, G = 8.")
    assert "G = 8" not in asked.says + shown


def test_the_mqa_verdict_by_its_conditions() -> None:
    assert dict(table("case-mqa", "answer").table[1]) == {
        "Split by heads over two or more GPUs": "Push back",
        "More than a few billion parameters": "Test first",
        "Reasoning or long inputs matter": "Test first",
        "A low-bit cache is planned": "Test first",
        "Two or more of the last three": "Push back",
        "None of these": "Agree",
    }


def test_the_decision_is_weighed_with_what_costs_the_same() -> None:
    """Cache of one head in 16 bits, two in 8, four in 4: 40 GiB = 42.9 GB; G = 8 in 8 bits is four times that."""
    made = table("pick", "decide")
    assert made.table[0][1] == "Takes of 77.0 GB a GPU"
    assert [row[0] for row in made.table[1]] == [
        "G = 1, 16 bits", "G = 2, 8 bits, chosen", "G = 4, 4 bits", "G = 8, 8 bits"
    ]  # fmt: skip
    assert [row[2] for row in made.table[1]] == ["fits", "fits", "fits", "does not fit"]
    assert made.says.startswith("**G = 2 in 8 bits fits**")
    own = table("pick", "decide", pick_choice="40", pick_choice_bits="16", pick_live="25")
    assert own.table[1][-1][0] == "G = 40, 16 bits, chosen"
    assert "A mean length of 16,384 tokens, 25 % of the longest" in own.says


@pytest.mark.parametrize("nonsense", ["0", "3", "999999999", "zebra", "-1"])
def test_whatever_a_link_says_there_is_a_table(nonsense: str) -> None:
    for key, slug in (("draw", "yours"), ("headmath", "drill"), ("spot", "drill"), ("pick", "decide")):
        names = ("question", "level", "choice", "choice_bits", "weights", "freed", "live", "gpus", "windows")
        assert table(key, slug, **{f"{key}_{name}": nonsense for name in names}).table[1]


def test_a_step_that_draws_has_no_table() -> None:
    assert step_table("bottleneck", "price", {}) is None
    assert step_table("draw", "mha", {}) is None


def test_a_link_to_a_job_that_cannot_be_is_said_on_its_slide():
    table = step_table("pick", "decide", {"pick_gpus": "3"})
    assert table is not None
    assert table.says.startswith("The link's own job cannot be had: tensor_parallel is 3, which does not divide 40")
    assert "As the lesson opens: **G = 2 in 8 bits fits**" in table.says
