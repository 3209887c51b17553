"""Published figures: literal changes against the papers' tables, and a file that is refused with entry and field."""

import copy
from pathlib import Path

import pytest
import yaml

from core.evidence.records import CONFIDENCES, PATH, EvidenceError, load, parse
from core.evidence.studies import all_dots, evidence_for, findings_for, published, range_text, signed
from core.figures.evidence import quality_alt_text, quality_chart, quality_rows
from core.figures.palette import LIGHT


@pytest.fixture
def document():
    return copy.deepcopy(yaml.safe_load(PATH.read_text(encoding="utf-8")))


def change(study: str, num_kv_heads: int | None) -> float:
    return next(dot.change for dot in all_dots() if (dot.study.id, dot.num_kv_heads) == (study, num_kv_heads))


@pytest.mark.parametrize(
    ("study", "num_kv_heads", "expected"),
    [
        ("llama2-30b", 1, -0.39),  # 43.76 - 44.15, means over Table 18
        ("llama2-30b", 8, 0.13),  # 44.28 - 44.15
        ("deepseek-v2-7b", 1, -8.22),  # 33.93 - 42.15, means over Table 8
        ("deepseek-v2-7b", 8, -3.92),  # 38.23 - 42.15
        ("t5-xxl", 1, -0.6),  # 46.6 - 47.2 as printed in Table 1
        ("t5-xxl", 8, -0.1),  # 47.1 - 47.2
        ("gemma2-9b", None, 0.5),  # 50.8 - 50.3, Table 8
        ("gla-1.47b", 4, -1.0571),  # 10.202 / 10.311 - 1
        ("gla-183m", 1, 1.5375),  # 16.972 / 16.715 - 1
        ("cla-1b", 4, 1.5970),  # 13.36 / 13.15 - 1
        ("cla-1b", 2, 2.8137),  # 13.52 / 13.15 - 1
        ("shazeer-wmt", 1, 1.5113),  # exp(1.439 - 1.424) - 1
        ("shazeer-lm1b", 1, 1.0033),  # 30.2 / 29.9 - 1
    ],
)
def test_changes_against_mha(study, num_kv_heads, expected):
    assert change(study, num_kv_heads) == pytest.approx(expected, abs=5e-4)


def test_better_means_more_points_or_less_perplexity():
    better = {(dot.study.id, dot.variant) for dot in all_dots() if dot.better}
    assert better == {
        ("llama2-30b", "GQA-8"), ("gemma2-9b", "GQA"), ("gla-1.47b", "GQA-4"), ("gla-876m", "GQA-4"),
        ("gla-876m", "MQA"), ("gla-433m", "GQA-4"), ("gla-183m", "GQA-4"),
    }  # fmt: skip


def test_what_is_shown_has_a_source_a_caveat_and_a_known_reading():
    for record in (*published().comparisons, *published().findings):
        assert record.confidence in CONFIDENCES
        assert record.caveat
        assert str(record.link).startswith("https://")
    assert {finding.id for finding in published().findings if finding.approximate} == {"t5-groups-shape"}
    assert published().comparisons[0].link == "https://arxiv.org/abs/2307.09288"


def test_the_headline_choice_has_its_evidence():
    mqa = evidence_for(40, 1)
    assert mqa.sentence == (
        "Against MHA, in published studies: MQA −8.22 to −0.39 points (3 comparisons); "
        "−0.8 to +3.0 % perplexity (6 comparisons)."
    )
    assert [dot.study.id for dot in mqa.dots[:3]] == ["llama2-30b", "t5-xxl", "deepseek-v2-7b"]
    assert "mqa-instability" in {finding.id for finding in mqa.findings}


def test_a_choice_that_nobody_studied_gets_its_neighbours():
    between = evidence_for(40, 5)
    assert between.sentence.startswith("No study listed here has G = 5. The nearest, against MHA: GQA-4")
    assert {dot.num_kv_heads for dot in between.dots} == {4, 8}
    assert {dot.num_kv_heads for dot in evidence_for(40, 2).dots} == {1, 2, 4}  # one study alone has G = 2
    assert {dot.num_kv_heads for dot in evidence_for(40, 20).dots} == {8}
    assert evidence_for(40, 40).dots == ()
    with pytest.raises(ValueError, match=r"G = 3 does not divide H = 40"):
        evidence_for(40, 3)


def test_findings_by_precision_never_lean_on_more_bits():
    assert findings_for("kv_quantisation", bits=8)[0].id == "vllm-fp8-kv"
    assert [finding.id for finding in findings_for("kv_quantisation", bits=4)][:2] == ["kivi-4bit", "kivi-longbench"]
    assert all(finding.bits <= 4 for finding in findings_for("weight_quantisation", bits=4))
    for topic in ("kv_quantisation", "window", "fewer_kv_heads", "weight_quantisation", "tensor_parallel"):
        assert findings_for(topic)
    with pytest.raises(ValueError, match="'tea' is not one of"):
        findings_for("tea")


def test_scales_are_never_mixed():
    assert (
        range_text([dot for dot in all_dots() if dot.study.id == "llama2-30b"])
        == "−0.39 to +0.13 points (2 comparisons)"
    )
    assert range_text([]) == ""
    assert (signed(-8.222, 2), signed(0.5, 1), signed(-0.004, 2)) == ("−8.22", "+0.5", "0.00")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["comparisons"][0].update(mhaa=1), "comparison 'llama2-30b': unknown field 'mhaa'"),
        (lambda d: d["comparisons"][0].pop("caveat"), "comparison 'llama2-30b': field 'caveat' is missing"),
        (lambda d: d["comparisons"][0].update(mha="44"), "field 'mha' is '44', it must be float or int"),
        (lambda d: d["comparisons"][0].update(parameters_held_equal=1), "field 'parameters_held_equal' is 1"),
        (lambda d: d["comparisons"][0].update(mha=0), "field 'mha' is 0, it must be above 0"),
        (lambda d: d["comparisons"][0].update(unit="elo"), "'llama2-30b': field 'unit' is 'elo'"),
        (lambda d: d["comparisons"][0].update(results=[]), "field 'results' is empty"),
        (lambda d: d["comparisons"][0]["results"][0].update(num_kv_heads=0), "field 'num_kv_heads' is 0"),
        (lambda d: d["comparisons"][0]["results"][0].update(value=True), "field 'value' is True"),
        (lambda d: d["findings"][0].update(confidence="unverified"), "field 'confidence' is 'unverified'"),
        (lambda d: d["findings"][0].update(topics=["tea"]), "field 'topics' is 'tea'"),
        (lambda d: d["findings"][0].update(topics=[]), "field 'topics' is empty"),
        (lambda d: d["findings"][0].update(arxiv="2305"), "field 'arxiv' is '2305'"),
        (lambda d: d["findings"][0].update(arxiv=2305.13245), "field 'arxiv' is 2305.13245"),
        (lambda d: d["findings"][0].update(arxiv=None), "field 'url' must be an https address"),
        (lambda d: d["findings"][0].update(statement=" "), "field 'statement' is empty"),
        (lambda d: d["findings"][1].update(id="mqa-instability"), "id 'mqa-instability' is used more than once"),
        (lambda d: d.update(findings={}), "'findings' is {}, it must be a list"),
        (lambda d: d.pop("findings"), "exactly the lists 'comparisons' and 'findings'"),
        (lambda d: d["findings"].append("text"), "an entry is 'text', it must be a mapping"),
    ],
)
def test_a_wrong_file_names_entry_and_field(document, edit, message):
    edit(document)
    with pytest.raises(EvidenceError) as caught:
        parse(document)
    assert message in str(caught.value)


def test_a_file_that_is_not_yaml(tmp_path: Path):
    path = tmp_path / "evidence.yaml"
    path.write_text("comparisons: [")
    with pytest.raises(EvidenceError, match=r"evidence\.yaml is not valid YAML"):
        load(path)


def test_the_picture_has_one_dot_a_result_and_no_curve():
    spec = quality_chart(all_dots(), "points", LIGHT).to_dict()
    rows = quality_rows(all_dots(), "points")
    assert len(rows) == 7  # Llama 2, DeepSeek-V2 and T5 twice, Gemma 2 once
    assert rows[0]["study"] == "Llama 2, 30B|150 B tokens, from scratch|parameters held equal"
    lines = [layer for layer in spec["layer"] if layer["mark"]["type"] == "line"]
    assert [layer["encoding"]["detail"]["field"] for layer in lines] == ["study"]  # a range per study
    assert "DeepSeek-V2 study, 7B: GQA-8 −3.92 points" in quality_alt_text(all_dots(), "points")


def test_words_at_the_zero_line_have_room_on_the_better_side():
    """From -8.22 to +0.50: 0.12 of 8.72 beyond the worst, 0.3 of it beyond the best, which a room of 320 px needs."""
    spec = quality_chart(all_dots(), "points", LIGHT).to_dict()
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == pytest.approx([-9.2664, 3.116])


def test_better_is_to_the_right_on_both_scales():
    def reversed_axis(scale) -> bool:
        spec = quality_chart(all_dots(), scale, LIGHT).to_dict()
        return spec["layer"][0]["encoding"]["x"]["scale"]["reverse"]

    assert not reversed_axis("points")
    assert reversed_axis("perplexity")
