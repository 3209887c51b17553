"""The decision record and the benchmark plan: the headline's figures in them, links that work, nothing fetched."""

import re

import pytest

from core.evidence.studies import evidence_for
from core.figures.house import dress
from core.figures.palette import LIGHT
from core.figures.sizing import options_alt_text, options_chart
from core.models.spec import read_config
from core.reports.benchmark_plan import benchmark_plan
from core.reports.decision_record import Decision, document_html, document_markdown, markdown_table, record_document
from core.reports.exports import Picture
from core.serving.calibrated import calibrated
from core.serving.draft import Draft
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.offload import Offload
from core.serving.options import option_grid
from core.serving.roofline import decode_bound
from core.serving.traffic import lognormal_traffic
from core.serving.traffic_fit import fit_traffic
from core.serving.ways_to_fit import ways_to_fit
from core.serving.weights import typed_count
from core.units import GIB

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536)
GRID = option_grid(JOB)
LINK = "http://localhost:8501/size?size_batch=32&size_g=1"


def decided(num_kv_heads: int = 1, kv_bits: int = 16, **changes) -> Decision:
    option = GRID.at(num_kv_heads, kv_bits)
    values = {
        "model_name": "Llama-2 13B",
        "grid": GRID,
        "option": option,
        "evidence": evidence_for(40, num_kv_heads),
        "bound": decode_bound(option.plan.job),
        "wished": 8,
        "ways": ways_to_fit(JOB.where(num_kv_heads=8)),
        "link": LINK,
        "written": "2026-11-22",
        "price_per_gpu_hour": 2.5,
    }
    return Decision(**{**values, **changes})


@pytest.fixture(scope="module")
def text() -> str:
    return document_markdown(record_document(decided()))


def test_the_choice_and_why(text):
    assert text.startswith("# Decision record: G = 1 for Llama-2 13B\n")
    assert "It needs 66.89 GB of a budget of 76.97 GB and leaves 10.08 GB." in text
    assert "It is the largest G that fits: G = 2 lacks 32.98 GB." in text  # 109.95 - 76.97
    assert "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4." in text


def test_the_job_the_options_and_every_line(text):
    assert "| Sequences × tokens | 32 × 65,536 |" in text
    assert "| 40 | bf16 | 13,015,864,320 | 26.03 | 1,717.99 | 1,746.02 | −1,669.05 | no |" in text
    assert len(re.findall(r"^\| \d+ \| (?:bf16|8 bits|4 bits) \|", text, re.M)) == 8 * 3
    assert "| 40 × 1 × 256 × 65,536 × 32 × 16 / 8 / 1 | 42,949,672,960 | 42.95 | 40.00 |" in text


def test_the_evidence_has_sources_and_caveats(text):
    assert "Llama 2, 30B | MQA | −0.39 points | 150 B tokens, from scratch | yes |" in text
    assert "https://arxiv.org/abs/2405.04434" in text
    assert "The strongest published evidence against a free GQA-8" in text
    assert "diverged at once when fine-tuned on long inputs" in text


def test_ways_speed_and_the_link(text):
    assert "## What would make G = 8 fit" in text
    assert "takes at least 19.3 ms (memory-bound)" in text  # (21.94 - 0.33 + 42.95) GB / 3.35 TB/s
    assert "At 2.5 per GPU-hour, a million tokens cost at least 0.42." in text
    assert f"The view: {LINK}" in text


def test_what_the_decision_does_not_have_is_left_out():
    bare = document_markdown(record_document(decided(ways=(), price_per_gpu_hour=None)))
    assert "What would make" not in bare
    assert "GPU-hour" not in bare
    assert "Under real traffic" not in bare


def test_a_choice_that_does_not_fit_says_so():
    text = document_markdown(record_document(decided(8, 8)))
    assert "**G = 8 with an 8-bit cache.** It needs 196.47 GB and" in text
    assert "lacks 119.51 GB: it is recorded here for comparison, it does not fit." in text  # 196.47 - 76.97


def test_traffic_in_the_record():
    traffic = lognormal_traffic(mean=16_384, p95=40_000, output_share=0.25, longest_context=65_536)
    fit = fit_traffic(GRID.at(1, 16).plan.job, traffic)
    text = document_markdown(record_document(decided(traffic=(traffic, fit))))
    assert "With 32 sequences no overflow in 20,000 trials" in text
    assert "static allocation holds 39." in text


def test_the_html_is_one_file_with_its_picture_and_links():
    chart = options_chart(GRID, LIGHT, chosen=1, width_bits=16)
    picture = Picture(sentence="", alt_text=options_alt_text(GRID), spec=dress(chart.to_dict(), LIGHT))
    html = document_html(record_document(decided(picture=picture)), LIGHT)
    assert html.startswith("<!doctype html>")
    assert "<svg" in html
    assert f'<a href="{LINK.replace("&", "&amp;")}">' in html
    assert '<a href="https://arxiv.org/abs/2307.09288">' in html
    assert "<script" not in html
    assert not re.search(r'<(?:link|img|iframe)\b|src="|@import|url\(', html)


def test_names_are_escaped_in_both_forms():
    hostile = "<script>alert(1)</script> | x"
    document = record_document(decided(model_name=hostile))
    assert "<script>" not in document_html(document, LIGHT)
    assert markdown_table((("a",), (("x | y",),))) == "| a |\n| --- |\n| x \\| y |"


def test_the_benchmark_plan_says_what_to_expect():
    plan = benchmark_plan(model_name="Llama-2 13B", grid=GRID, option=GRID.at(1, 16), link=LINK, written="2026-11-22")
    assert "Expect 42.95 GB of KV cache and 21.94 GB of weights on each accelerator" in plan
    assert "| 1 | 65,536 | 32 | 19.27 |  |" in plan
    assert "| 2 | 65,536 | 32 | 32.13 |  |" in plan  # (22.05 - 0.33 + 85.90) GB / 3.35 TB/s
    assert "--query-heads 40 --kv-heads 40,20,10,8,5,4,2,1 --head-dim 128 --context 65536 --batch 32" in plan
    # three mixes of 32,768 tokens on average; uniform on 0..65,536 deviates by 65,536 / sqrt(12)
    assert "| uniform | 0 to 65,536 | 18,919 |" in plan
    assert "1/8 at 65,536, 7/8 at 28,086" in plan


def test_the_benchmark_plan_asks_about_the_bits_that_are_served():
    plan = benchmark_plan(model_name="m", grid=GRID, option=GRID.at(4, 4), link=LINK, written="2026-11-22")
    assert "The 4-bit cache against bf16 on the same checkpoint" in plan
    assert "--dtype int4" in plan
    eight = benchmark_plan(model_name="m", grid=GRID, option=GRID.at(2, 8), link=LINK, written="2026-11-22")
    assert "--dtype float8_e4m3fn" in eight


def test_the_command_of_the_plan_is_one_that_the_terminal_takes():
    from core.decode.__main__ import parser

    plan = benchmark_plan(model_name="m", grid=GRID, option=GRID.at(2, 8), link=LINK, written="2026-11-22")
    command = re.search(r"python -m core\.decode (.*)", plan)[1].split()
    assert parser().parse_args(command).context == 65_536


def test_what_a_file_leaves_to_its_class_travels_with_both_papers():
    spec = read_config({"model_type": "llama"})
    grid = option_grid(JOB.where(model=spec, parameter_count=typed_count(6_738_415_616)))
    option = grid.options[0]
    decision = decided(grid=grid, option=option, wished=None, ways=(), evidence=None)
    assert spec.remarks[0] in document_markdown(record_document(decision))
    papers = benchmark_plan(model_name="mine", grid=grid, option=option, link=LINK, written="2026-11-22")
    assert spec.remarks[0] in papers


def test_the_job_is_the_one_that_the_option_was_counted_for():
    """Q4_K_M by name, an 8-bit cache and vLLM's blocks: not the 16 bits and the block of the inputs beside them."""
    job = JOB.where(engine="vllm", weight_format="gguf-q4_k_m", block_size=32)
    grid = option_grid(job)
    made = document_markdown(record_document(decided(grid=grid, option=grid.at(1, 8))))
    assert re.search(r"\| Weights and KV cache \| .*, 4\.\d+ bits a weight and 8 bits an element \|", made)
    assert "| Engine | vLLM 0.33.0 |" in made
    assert "| Block and prefill chunk | 16 and 8,192 tokens |" in made


def test_a_width_that_all_weights_have_is_said_once():
    grid = option_grid(JOB.where(weight_format="published"))  # Llama-2 13B's file names no format
    made = document_markdown(record_document(decided(grid=grid, option=grid.at(1, 8))))
    assert "| Weights and KV cache | 16 bits a weight and 8 bits an element |" in made


def test_the_job_holds_what_a_server_does_besides_and_its_own_memory():
    small = read_config({"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 2, "num_attention_heads": 16,
                         "intermediate_size": 4096, "vocab_size": 32_000})  # fmt: skip
    job = JOB.where(
        batch_size=2, context_length=4_096, shared_prefix=1_024, draft=Draft(method="draft_model", model=small),
        offload=Offload(num_bytes=100 * 10**9, bandwidth_bytes_per_s=64e9),
    )  # fmt: skip
    grid = option_grid(calibrated(job, 20 * GIB))
    option = grid.at(40, 16)
    text = document_markdown(record_document(decided(grid=grid, option=option, bound=decode_bound(option.plan.job))))
    for row in (
        "| Memory for the cache, by the server's log | 20 GiB |",
        "| Draft | a plain draft, llama, 3 tokens a step |",
        "| Shared prefix | 1,024 tokens |",
        "| Cache offload | 100 GB beside each accelerator, over 64 GB/s |",
    ):
        assert row in text


def test_an_engine_that_cannot_be_asked_is_named_in_the_record_and_the_plan():
    """vLLM has no cache of 4 bits by that name: what was counted is the payload."""
    grid = option_grid(JOB.where(engine="vllm", batch_size=2, context_length=1_024))
    option = grid.at(40, 4)
    text = document_markdown(record_document(decided(grid=grid, option=option, bound=decode_bound(option.plan.job))))
    plan = benchmark_plan(model_name="m", grid=grid, option=option, link=LINK, written="2026-11-22")
    assert "| Engine | vLLM, counted as payload |" in text
    for said in (text, plan):
        assert "Counted as payload. cache_bits is 4: vLLM 0.33 has a cache of 16 bits" in said


def test_the_benchmark_plan_of_a_job_that_does_not_fit_says_so():
    plan = benchmark_plan(model_name="m", grid=GRID, option=GRID.at(40, 16), link=LINK, written="2026-11-22")
    assert "1,746.02 GB in all, of 76.97 GB. **It does not fit, for 1,669.05 GB more than there are" in plan


def test_the_benchmark_plan_of_one_token_spreads_nothing_and_names_the_dtype_it_measures():
    grid = option_grid(JOB.where(batch_size=1, context_length=1, kv_bits=2))
    plan = benchmark_plan(model_name="m", grid=grid, option=grid.at(8, 2), link=LINK, written="2026-11-22")
    assert "With one token in each sequence there is nothing to spread." in plan
    assert "No kernel here reads this 2-bit cache: it is measured in bfloat16." in plan
    assert "--dtype bfloat16" in plan


def test_ways_of_a_model_without_a_dial_name_no_g():
    text = document_markdown(record_document(decided(wished=None)))
    assert "## Ways to make it fit" in text
    assert "G = None" not in text
