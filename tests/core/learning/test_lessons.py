"""The lessons' text: files are read strictly, every figure is computed or cited, and no number is typed by hand."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import SizingError
from core.evidence.studies import published
from core.learning import arithmetic as sums
from core.learning.figures import (
    CAPSTONE,
    CAPSTONE_CHOICES,
    COST_OPTIMAL_CONTEXT,
    GEMMA3_DEFAULT,
    LLAMA3_HEADS,
    MISTRAL_DEFAULT,
    MISTRAL_TRAINED_ON,
    TRANSFORMERS_VERSION,
    figures,
    milliseconds,
    node_sequences,
    texts,
)
from core.learning.lessons import (
    FOLDER,
    ORDER,
    PHASES,
    Lesson,
    LessonError,
    fill,
    lesson,
    lessons,
    neighbours,
    parse_lesson,
)
from core.learning.record import Conditions, decision_record, sizing_query, verdict_sentence
from core.learning.techniques.quantisation import stored_bits
from core.learning.verdicts import MqaPlan, verdict_on_mqa
from core.models.head_sharing import PRESETS
from core.models.registry import load_registry
from core.parameters import count_by_rule
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.roofline import decode_bound

ROOT = Path(__file__).parents[3]


def everything(shown: Lesson) -> list[str]:
    """Every piece of text of a lesson that a person can read."""
    pieces = [shown.title, shown.promise]
    for step in shown.steps:
        pieces += [step.title, step.text, step.note]
        if step.question:
            pieces.append(step.question.text)
            pieces += [part for answer in step.question.answers for part in (answer.text, answer.reply)]
    return pieces


# --- the files -------------------------------------------------------------------------------------------------------


def test_every_file_is_a_lesson_of_the_walk_and_has_its_page() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(ORDER)
    for shown in lessons():
        assert (ROOT / "pages" / shown.script).exists(), shown.script


def test_the_walk_goes_phase_by_phase_without_a_gap() -> None:
    phases = [shown.phase for shown in lessons()]
    assert list(dict.fromkeys(phases)) == list(PHASES)
    assert phases == sorted(phases, key=list(PHASES).index)
    assert neighbours(ORDER[0])[0] is None
    assert neighbours(ORDER[-1])[1] is None
    for first, second in pairwise(ORDER):
        assert neighbours(first)[1] == lesson(second)
        assert neighbours(second)[0] == lesson(first)


def test_a_step_is_found_by_its_number_and_else_it_is_the_first() -> None:
    shown = lesson("bottleneck")
    assert shown.step(2) is shown.steps[1] is shown.step("2")
    assert shown.step("99") is shown.step(None) is shown.step("roof; drop") is shown.steps[0]


def test_an_unknown_lesson_is_refused_by_name() -> None:
    with pytest.raises(LessonError, match="no lesson 'nothing'"):
        lesson("nothing")


GOOD = """---
key: sample
phase: why
title: A title
promise: A promise.
minutes: 3
---
# one: First
Text with {figure}.

? A question
- Wrong | Because.
* Right | Because so.
evidence: a-b, c
say: A note.

# two: Second
More.
"""


def test_a_good_file_reads_as_written() -> None:
    shown = parse_lesson(GOOD, "sample.md")
    first, second = shown.steps
    assert (first.slug, first.title, first.text, first.note) == ("one", "First", "Text with {figure}.", "A note.")
    assert first.evidence == ("a-b", "c")
    assert first.placeholders == ("figure",)
    assert first.question is not None
    assert [answer.argued for answer in first.question.answers] == [False, True]
    assert (second.text, second.question, second.evidence) == ("More.", None, ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("phase: why\n", ""), "field 'phase' is missing"),
        (("phase: why", "phase: later"), "phase 'later' is not one of"),
        (("minutes: 3", "minutes: few"), "whole number"),
        (("minutes: 3", "minutes: 3\nauthor: me"), "author"),
        (("minutes: 3", "minutes: 3\nminutes: 4"), "there twice"),
        (("key: sample", "key: other"), "must be the file's name"),
        (("# two: Second", "# one: Second"), "two steps are called 'one'"),
        (("# two: Second", "# Second"), "does not begin a step"),
        (("* Right", "- Right"), "exactly one"),
        (("- Wrong | Because.", "- Wrong"), "has no reply"),
        (("---\nkey", "key"), "between two lines"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(change: tuple[str, str], says: str) -> None:
    with pytest.raises(LessonError, match=re.escape(says)) as refused:
        parse_lesson(GOOD.replace(*change, 1), "sample.md")
    assert str(refused.value).startswith("sample.md")


def test_a_lesson_without_a_step_is_refused() -> None:
    with pytest.raises(LessonError, match="no step"):
        parse_lesson(GOOD.split("# one")[0], "sample.md")


def test_a_placeholder_without_a_figure_is_refused_by_name() -> None:
    with pytest.raises(LessonError, match="'figure'"):
        fill("Text with {figure}.", {})


# --- figures ---------------------------------------------------------------------------------------------------------


def test_every_placeholder_has_a_figure_and_every_figure_is_used() -> None:
    used = {name for shown in lessons() for step in shown.steps for name in step.placeholders}
    assert used == set(figures())
    for shown in lessons():
        for piece in everything(shown):
            assert "{" not in fill(piece, texts())


def test_every_cited_finding_is_in_the_evidence() -> None:
    known = {finding.id for finding in published().findings}
    for shown in lessons():
        for step in shown.steps:
            assert set(step.evidence) <= known, step.slug


# Worked by hand, or printed in the source named.
LITERAL = {
    "w13_bytes": "26.0 GB",  # 13,015,864,320 x 2
    "w13_read_ms": "7.8 ms",  # 26.03 / 3,350
    "w13_flop_ms": "0.026 ms",  # 26.03e9 / 989.4e12
    "w13_ffn": "65 %",  # 8,493,465,600 / 13,015,864,320
    "w13_attention": "32 %",  # 4,194,304,000
    "w13_keys": "16 %",  # 2,097,152,000
    "v3_in_experts": "97 %",  # 58 x 256 x 44,040,192 = 653,908,770,816 of 671,026,404,352
    "h100_ridge": "295",  # 989.4 / 3.35
    "share_cache_mha": "3.4 GB (3.1 GiB)",  # 819,200 x 4,096 = 3,355,443,200
    "share_cache_g8": "671.1 MB (640.0 MiB)",  # 163,840 x 4,096 = 671,088,640
    "nstar_mha": "31,777",  # 26,031,728,640 / 819,200
    "nstar_g8": "158,885",
    "nstar_mqa": "1,271,080",
    "kv13_token": "819,200",  # the 800 KiB that vLLM's paper prints for OPT-13B, of the same shape
    "kv13_token_kib": "800 KiB",
    "kv13_sequence": "3.4 GB (3.1 GiB)",
    "kv13_batch": "53.7 GB (50.0 GiB)",
    "kv70_token_kib": "320 KiB",  # 2 x 80 x 8 x 128 x 2 = 327,680
    "gqa8_range": "−3.92 to +0.13 points (3 comparisons)",  # DeepSeek 38.23 - 42.15, Llama 2 44.28 - 44.15
    "head_layer_bytes": "512",
    "head70_kib": "40 KiB",  # 80 layers x 512 B
    "l70_kv": "8",
    "gib_over_gb": "7 %",  # 1,073,741,824 / 10^9
    "dsv3_elements": "576",  # 512 + 64
    "dsv3_as_mha": "32,768",
    "dsv3_factor": "57",
    "mqa_g8_share": "21 %",  # 5.37 / 26.03
    "mqa_speedup": "1.18",  # (26.03 + 5.37) / (26.03 + 0.67)
    "paging_gain": "2.5 to 4.7",  # 96.3 / 38.2 and 96.3 / 20.4
    "l70_head_bytes": "40,960",
    "l70_node_bytes": "327,680",
    "l70_seq_g8": "346",
    "l70_seq_g16": "173",
    "l70_seq_mha": "43",
    "llama2_gqa8": "+0.13 points",
    "llama2_mqa": "−0.39 points",
    "t5_gqa8": "−0.10 points",  # printed averages 47.1 and 47.2
    "t5_mqa": "−0.60 points",  # 46.6 and 47.2
    "dsv2_gqa8": "−3.92 points",
    "dsv2_mqa": "−8.22 points",
    "mi_token": "128 KiB",
    "mi_token_mha": "512 KiB",
    "mi_long_mha": "16 GiB",
    "mi_long_both": "512 MiB",
    "mi_long_factor": "32",
    "mi_span": "131,072",  # the paper's 131K
    "fa_factor": "64",
    "fa_cache": "16.8 MB (16.0 MiB)",  # 8,192 x 2,048 = 16,777,216
    "llama7_cache": "1.1 GB (1.0 GiB)",  # 1,073,741,824
    "fa_weights": "14 GB",
    "fa_share": "7 %",  # 1.057 / 15.07
    "fa_cross": "13",  # 14 / 1.074
    "fa_coqa_16": "59.83",  # KIVI, Table 3
    "fa_coqa_4": "59.67",
    "fa_coqa_2": "57.48",
    "l7_coqa_16": "63.88",
    "l7_coqa_2": "63.05",
    "pk_left": "48.9 GB",  # 0.9 x 85.52 - 26.03 - 2.0
    "pk_group_fits": "64",  # 40 GiB x 4.5 / 4 = 48.3 GB
    "pk_group_fails": "32",  # 40 GiB x 5 / 4 = 53.7 GB
    "pk_memory": "81,559 MiB = 85.5 GB",
    "pk_head_token": "20,480",
    "pk_tokens": "2,097,152",
    "pk_head_bytes": "40 GiB",
    "pk_fits": "G = 1 in 16 bits, G = 2 in 8 bits and G = 4 in 4 bits",
}


@pytest.mark.parametrize(("name", "expected"), LITERAL.items())
def test_figures_are_what_hand_arithmetic_and_the_papers_say(name: str, expected: str) -> None:
    assert figures()[name].text == expected


def test_each_figure_says_how_it_came_about() -> None:
    for name, figure in figures().items():
        assert figure.text, name
        assert figure.how, name


def test_arithmetic_in_the_explanations_multiplies_out() -> None:
    """Every 'a × b × c' of plain numbers that names its result, or whose figure is a plain count, is redone here."""
    checked = 0
    for figure in figures().values():
        product = re.fullmatch(r"(\d[\d,]*(?: × \d[\d,]*)+)(?: = ([\d,]+) B)?", figure.how)
        if product is None:
            continue
        result = 1
        for factor in product[1].split(" × "):
            result *= int(factor.replace(",", ""))
        stated = product[2] or figure.text
        if re.fullmatch(r"[\d,]+", stated):
            assert int(stated.replace(",", "")) == result, figure
            checked += 1
    assert checked >= 6


def test_constants_from_papers_and_libraries_are_those_of_their_sources() -> None:
    findings = {finding.id: finding for finding in published().findings}
    assert f"{MISTRAL_TRAINED_ON:,}" in findings["mistral-window"].caveat
    assert COST_OPTIMAL_CONTEXT in findings["cost-optimal"].statement
    for heads in LLAMA3_HEADS:
        assert str(heads) in findings["llama3-choice"].statement
    import transformers

    assert transformers.__version__ == TRANSFORMERS_VERSION
    assert transformers.MistralConfig().num_key_value_heads == MISTRAL_DEFAULT
    assert transformers.Gemma3TextConfig().num_key_value_heads == GEMMA3_DEFAULT


def test_the_experts_of_the_lesson_are_the_registrys() -> None:
    config = next(model.config for model in load_registry() if model.repository == "deepseek-ai/DeepSeek-V3")
    count = count_by_rule(config)
    assert (count.expert_groups, count.total) == ((sums.EXPERTS_V3,), sums.PARAMETERS_V3)
    assert sums.experts_woken(1) == 8


def test_the_falcons_and_presets_are_the_registrys() -> None:
    recorded = {model.name: model for model in load_registry()}
    for name, heads, kv_heads in sums.FALCONS:
        assert recorded[name].config["num_attention_heads"] == heads
        assert recorded[name].stated.kv_heads == kv_heads
    by_name = {preset.name: preset.layout for preset in PRESETS}
    assert by_name["Llama-2 70B"] == sums.LAYOUT_70B
    assert by_name["Llama-2 13B"] == sums.LAYOUT_13B
    assert by_name["Mistral 7B"] == sums.LAYOUT_MISTRAL
    assert by_name["Falcon 7B"] == sums.LAYOUT_FALCON_7B


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("g", "batch", "context"), [(40, 1, 4_096), (8, 32, 65_536), (1, 256, 1_024)])
def test_a_lessons_step_is_the_sizing_pages_bound(g: int, batch: int, context: int) -> None:
    """The lessons' short sum against core.serving.roofline's, with freed parameters spent so that weights agree.

    The lessons count all weights as read; the bound reads a row of the embedding a sequence, not the table.
    """
    step = sums.step_13b(g, batch, context)
    job = CAPSTONE.where(num_kv_heads=g, batch_size=batch, context_length=context, freed_parameters="spent")
    bound = decode_bound(job)
    assert step.cache_bytes == bound.kv_read_bytes
    assert step.cache_flops == bound.attention_flops
    # the FFN width is a whole number, so up to one column of 40 x 3 x 5,120 parameters is left over
    unread = (32_000 - batch) * 5_120 * 2
    assert step.weight_bytes == pytest.approx(bound.weight_read_bytes + unread, rel=1e-4)
    assert step.read_seconds == pytest.approx(bound.memory_seconds, rel=0.013)


def test_a_step_of_the_capstone_takes_20_6_ms() -> None:
    # (26.03 + 42.95) GB / 3.35 TB/s
    assert milliseconds(sums.step_13b(1, 32, 65_536).read_seconds) == "20.6 ms"


@pytest.mark.parametrize(("batch", "context"), [(0, 1), (1, 0), (-3, 4)])
def test_a_step_without_tokens_is_refused(batch: int, context: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sums.step_13b(8, batch, context)


def test_a_node_keeps_the_same_bytes_up_to_g_equals_its_gpus() -> None:
    # 40,960 B a head; copies 8, 4, 2, 1, 1, 1
    at = {g: sums.node_bytes_per_token(sums.LAYOUT_70B.with_kv_heads(g), 8) for g in (1, 2, 4, 8, 16, 64)}
    assert at == {1: 327_680, 2: 327_680, 4: 327_680, 8: 327_680, 16: 655_360, 64: 2_621_440}
    assert [node_sequences(g) for g in (1, 4, 8, 16, 64)] == [346, 346, 346, 173, 43]


def test_windowed_layers_keep_what_hand_arithmetic_says() -> None:
    # 10 x 32,768 + 22 x 4,096
    assert sums.windowed_tokens(32_768, 4_096, 10, 32) == 417_792
    assert sums.windowed_tokens(2_000, 4_096, 0, 32) == 64_000
    with pytest.raises(ValueError, match="33 full layers"):
        sums.windowed_tokens(1, 1, 33, 32)


def test_exactly_the_three_choices_of_the_capstone_fit_and_nothing_larger() -> None:
    for g, bits in CAPSTONE_CHOICES:
        chosen = plan(CAPSTONE.where(num_kv_heads=g, kv_bits=bits))
        assert chosen.fits
        assert chosen.kv_payload_bytes == 40 * 2**30
        larger = next(d for d in (1, 2, 4, 5, 8, 10, 20, 40) if d > g)
        assert not plan(CAPSTONE.where(num_kv_heads=larger, kv_bits=bits)).fits


def test_scales_leave_the_third_choice_its_place_in_groups_of_64_and_not_of_32() -> None:
    # at fixed parameters and with those that G = 4 frees dropped, 48.9 and 52.7 GB are left
    for freed in ("spent", "dropped"):
        made = plan(CAPSTONE.where(num_kv_heads=4, kv_bits=4, freed_parameters=freed))
        left = made.budget_bytes - made.weight_bytes - made.runtime_bytes
        needed = {group: made.kv_payload_bytes * stored_bits(4, group) / 4 for group in (64, 32)}
        assert needed[64] <= left < needed[32]


def test_the_walk_takes_about_an_hour() -> None:
    """Reading at 180 words a minute, and most of a minute to operate each step; the two drills are what they are."""
    assert 55 <= sum(shown.minutes for shown in lessons()) <= 70
    for shown in lessons():
        words = sum(len(piece.split()) for piece in everything(shown))
        assert shown.minutes >= words / 180 + 0.3 * len(shown.steps), shown.key


def test_sequences_that_g_8_would_hold() -> None:
    # argument: 4 users in bf16 and 9 in 8 bits at fixed parameters
    eight = CAPSTONE.where(num_kv_heads=8, freed_parameters="spent")
    assert int(largest_batch(eight)) == 4
    assert int(largest_batch(eight.where(kv_bits=8))) == 9


# --- verdict and record ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ((False, False, False, False), "Agree"),
        ((True, False, False, False), "Push back"),
        ((False, True, False, False), "Test first"),
        ((False, False, True, False), "Test first"),
        ((False, True, True, False), "Push back"),
        ((False, False, True, True), "Push back"),
        ((True, True, True, True), "Push back"),
    ],
)
def test_the_verdict_on_mqa_follows_its_conditions(conditions: tuple[bool, ...], verdict: str) -> None:
    names = ("split_by_heads", "more_than_a_few_billion", "reasoning_or_long_inputs", "low_bit_cache")
    said, reasons = verdict_on_mqa(MqaPlan(**dict(zip(names, conditions, strict=True))))
    assert said == verdict
    assert len(reasons) == max(1, sum(conditions))


def test_a_record_holds_the_choice_its_arithmetic_the_evidence_and_the_reason() -> None:
    record = decision_record(num_kv_heads=2, kv_bits=8, reason="  Two heads are steadier.  ")
    assert "G = 2, 8-bit cache" in record
    assert "42.9 GB (40.0 GiB)" in record
    assert "it **fits**" in record
    assert "Two heads are steadier." in record
    assert "GQA-2 +2.8 % perplexity" in record  # CLA study, 13.52 / 13.15
    assert "calibration" in record  # the FP8 finding
    assert "## What would change it" in record


def test_a_record_of_what_does_not_fit_says_so() -> None:
    assert "it **does not fit**" in decision_record(num_kv_heads=8, kv_bits=16, reason="")
    assert "(not given)" in decision_record(num_kv_heads=8, kv_bits=16, reason=" ")


def test_a_record_states_its_conditions_and_judges_under_them() -> None:
    record = decision_record(num_kv_heads=8, kv_bits=8, reason="", conditions=Conditions(gpus=4))
    # G = 8 in 8 bits keeps 81,920 B a token: 2,097,152 tokens are 171.8 GB, a quarter 42.9. Weights: 13.016 B less
    # 4/5 of the K and V projections (40 x 2 x 5,120^2) are 11.338 B, 22.7 GB in 16 bits, a quarter 5.7.
    assert "Weights 5.7 GB, cache 42.9 GB (40.0 GiB), reserve 2.0 GB: 50.6 GB a GPU" in record
    assert "it **fits** under these conditions" in record
    assert "- 4 GPUs with tensor parallelism" in record
    assert "Fewer than 4 GPUs" in record
    told = decision_record(
        num_kv_heads=8, kv_bits=8, reason="",
        conditions=Conditions(weight_bits=8, freed="spent", live_percent=25, pattern="7 full + 33 of 1,024"),
    )  # fmt: skip
    assert "weights in 8 bits, parameters that G frees are spent on a wider feed-forward part" in told
    assert "A mean length of 16,384 tokens, 25 % of the longest" in told
    assert "7 layers keep everything, 33 the last 1,024 tokens" in told
    assert "A mean length above 16,384 tokens" in told


def test_a_record_of_the_job_as_asked_names_no_conditions() -> None:
    record = decision_record(num_kv_heads=8, kv_bits=8, reason="")
    assert "Conditions" not in record
    assert "under these conditions" not in record
    assert "weights in 16 bits, parameters that G frees are dropped" in record
    assert "196.5 GB" in record
    # 13.016 B less 39/40 of the K and V projections are 10.971 B: 21.9 GB, with 42.9 of cache and 2 of reserve 66.9
    assert verdict_sentence(num_kv_heads=1, kv_bits=16) == "**G = 1 in 16 bits fits**: 66.9 GB of 77.0 GB a GPU."


def test_the_link_to_the_sizing_page_carries_every_condition() -> None:
    conditions = Conditions(weight_bits=4, freed="spent", live_percent=50, pattern="10 full + 30 of 4,096", gpus=2)
    assert sizing_query(num_kv_heads=20, kv_bits=4, conditions=conditions) == {
        "size_g": "20", "size_wish": "20", "size_kv_bits": "4", "size_batch": "32", "size_context": "32768",
        "size_weight_bits": "4", "size_freed": "spent", "size_count": "2", "size_tp": "2", "size_traffic": "Constant",
        "size_windows": "Some layers keep a window", "size_global": "10", "size_local": "30", "size_window": "4096",
    }  # fmt: skip
    assert "size_windows" not in sizing_query(num_kv_heads=2, kv_bits=8)
    assert "size_traffic" not in sizing_query(num_kv_heads=2, kv_bits=8)


@pytest.mark.parametrize("wrong", [{"live_percent": 0}, {"live_percent": 101}, {"pattern": "all"}])
def test_conditions_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SizingError, match=r"choose one of none.* and 1 to 100 %"):
        Conditions(**wrong)  # type: ignore[arg-type]


def test_a_record_of_an_impossible_g_is_refused() -> None:
    with pytest.raises(SizingError, match="num_kv_heads is 7"):
        decision_record(num_kv_heads=7, kv_bits=16, reason="")


def test_the_capstone_is_the_job_of_the_sizing_page() -> None:
    assert isinstance(CAPSTONE, ServingJob)
    assert (CAPSTONE.batch_size, CAPSTONE.context_length, CAPSTONE.accelerator) == (32, 65_536, "h100-sxm")
