"""Start-up logs as servers print them: the figures of public issues (vllm#10517, #15815, #21348, #40691), of SGLang
0.5.23's and vLLM 0.33.0's own planners, and of llama.cpp run here."""

from pathlib import Path

import pytest

from core.engines.logs import MOST_CHARACTERS, LogError, ServerLog, read_log
from core.engines.logs.lines import number

DATA = Path(__file__).parents[2] / "data" / "engines"
GIB, MIB = 2**30, 2**20


def logged(name: str) -> ServerLog:
    return read_log((DATA / "logs" / f"{name}.log").read_text())


def values(log: ServerLog, *names: str) -> list[float]:
    return [log.figures[name].value for name in names]


def test_a_start_of_vllm_0_33_says_tokens_and_requests_in_one_line():
    log = logged("vllm-0.33-qwen3-next")
    assert (log.engine, log.version) == ("vllm", "0.33.0")
    assert values(log, "available_bytes", "capacity_tokens", "max_concurrency", "context_length", "block_size") == [
        40 * GIB, 1_506_335, 45.97, 32_768, 576,
    ]  # fmt: skip
    assert log.figures["weight_bytes"].value == 75.83 * GIB
    assert log.model == "Qwen/Qwen3-Next-80B-A3B-Instruct"
    assert log.settings == {
        "tensor_parallel": 1, "context_length": 32_768, "prefix_caching": True, "cache_type": "auto",
        "max_batched_tokens": 2048,
    }  # fmt: skip


def test_a_start_of_vllm_0_19_says_them_in_two():
    log = logged("vllm-0.19-qwen3.5-27b")
    assert log.version == "0.19.0"
    assert values(log, "capacity_tokens", "max_concurrency", "block_size") == [290_864, 33.04, 784]
    assert log.settings["prefix_caching"] is False


def test_a_start_of_vllm_0_8_says_blocks_and_every_part_of_the_memory():
    log = logged("vllm-0.8-qwen2.5-32b-tp2")
    assert values(log, "blocks", "max_concurrency", "context_length") == [3947, 6.32, 10_000]
    gib = [value / GIB for value in values(log, "available_bytes", "weight_bytes", "outside_bytes", "activation_bytes")]
    assert gib == pytest.approx([7.71, 30.71, 0.30, 1.26])
    assert log.figures["available_bytes"].half_step == pytest.approx(0.005 * GIB)
    assert log.settings["tensor_parallel"] == 2


def test_a_start_of_vllm_0_6():
    log = logged("vllm-0.6-llama-3.1-8b")
    assert log.version == "0.6.4"
    assert values(log, "blocks", "max_concurrency", "context_length") == [1952, 1.56, 20_000]
    assert log.figures["available_bytes"].value / GIB == pytest.approx(3.81)


def test_every_rank_of_sglang_prints_its_pool_and_one_counts():
    log = logged("sglang-0.4-qwen3-235b-tp4")
    assert values(log, "capacity_tokens", "pool_tokens", "max_running_requests", "context_length") == [
        367_404, 367_404, 4096, 40_960,
    ]  # fmt: skip
    assert log.figures["available_bytes"].value / GIB == pytest.approx(16.46)  # 8.23 + 8.23, of one rank
    assert log.model == "Qwen/Qwen3-235B-A22B-FP8"
    assert log.settings == {"tensor_parallel": 4, "cache_type": "auto", "prefix_caching": True}


def test_states_of_sglang_stand_beside_its_tokens():
    log = logged("sglang-0.5.23-qwen3-next")
    assert values(log, "state_slots", "capacity_tokens", "max_running_requests") == [262, 920_754, 52]
    assert log.figures["available_bytes"].value / GIB == pytest.approx(0.42 + 18.49 + 10.54 + 10.54)
    assert log.settings["mamba_full_memory_ratio"] == 0.9


def test_what_sglang_shares_out_is_what_the_weights_and_the_fraction_leave():
    text = (
        "[2026-11-20 07:40:10] server_args=ServerArgs(model_path='a', mem_fraction_static=0.9, tp_size=1)\n"
        "[2026-11-20 07:40:20] Load weight begin. avail mem=78.00 GB\n"
        "[2026-11-20 07:40:40] Load weight end. elapsed=20.00 s, type=A, avail mem=60.00 GB, mem usage=18.00 GB.\n"
        "[2026-11-20 07:40:41] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 100, KV size: 52.20 GB\n"
    )
    log = read_log(text)
    assert log.figures["available_bytes"].value / GIB == pytest.approx(60 - 78 * 0.1)
    assert log.figures["weight_bytes"].value == 18 * GIB


def test_sglang_s_window_pool_is_read_apart():
    text = (
        "Use sliding window memory pool. full_layer_tokens=1000, swa_layer_tokens=800\n"
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 1000, K size: 1.00 GB, V size: 1.00 GB\n"
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 800, K size: 0.80 GB, V size: 0.80 GB\n"
    )
    log = read_log(text)
    assert values(log, "pool_tokens", "second_pool_tokens", "window_capacity_tokens") == [1000, 800, 800]
    assert log.figures["available_bytes"].value / GIB == pytest.approx(3.6)


def test_llama_cpp_says_cells_streams_and_types():
    log = read_log((DATA / "llama_cpp_llama-2slots.log").read_bytes())
    assert log.engine == "llama.cpp"
    assert [(at.cells, at.streams, at.layers, at.mib.value) for at in log.caches] == [(2048, 2, 8, 8.0)]
    assert log.settings == {
        "n_ctx": 4096, "n_seq_max": 2, "n_batch": 2048, "n_ubatch": 512, "slot_context": 2048, "flash_attn": "auto",
        "kv_unified": False, "type_k": "f16", "type_v": "f16",
    }  # fmt: skip
    assert log.figures["compute_bytes"].value == 3.39 * MIB


def test_a_shared_pool_with_windows_has_two_caches():
    log = read_log((DATA / "llama_cpp_gemma3-shared.log").read_text())
    assert [(at.cells, at.streams, at.layers) for at in log.caches] == [(8192, 1, 1), (2560, 1, 7)]
    assert log.settings["kv_unified"] is True


def test_an_old_build_of_llama_cpp_says_kv_self_size():
    log = logged("llama.cpp-2025-01-mistral-7b")
    assert (log.version, log.caches) == ("build 4458", ())
    assert log.figures["cache_bytes"].value == 4096 * MIB
    assert log.figures["compute_bytes"].value == 2144 * MIB
    assert log.settings["flash_attn"] == "off"


def test_the_last_start_counts_unless_it_stopped_early():
    first = (DATA / "logs" / "vllm-0.8-qwen2.5-32b-tp2.log").read_text()
    second = (DATA / "logs" / "vllm-0.33-qwen3-next.log").read_text()
    assert read_log(first + second).version == "0.33.0"
    assert "blocks" not in read_log(first + second).figures
    stopped = second[: second.index("(EngineCore pid=502) INFO 11-20 09:14:22")]
    assert read_log(first + stopped).figures["blocks"].value == 3947


def test_ten_megabytes_around_a_start_change_nothing():
    start = (DATA / "logs" / "vllm-0.33-qwen3-next.log").read_text()
    text = start + "INFO 11-20 10:00:00 [loggers.py:248] Engine 000: GPU KV cache usage: 3.1%\n" * 140_000
    assert len(text) > 10_000_000
    assert read_log(text).figures["capacity_tokens"].value == 1_506_335


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "is empty"),
        ("2026-11-20 nginx: worker process 12 started\n" * 200, "No line of a start"),
        (b"\x7fELF\x02\x01\x01\x00" * 100, "binary file"),
        (bytes(range(128, 256)) * 40, "binary file"),
        ("x" * (MOST_CHARACTERS + 1), "at most 16,777,216 are read"),
        ("a line\n" * 1_500_000, "No line of a start"),
        ("KV cache size: many tokens\n# blocks: none\n", "No line of a start"),
    ],
)
def test_a_text_that_is_no_log_is_refused_in_a_sentence(data: str | bytes, said: str):
    with pytest.raises(LogError, match=said):
        read_log(data)


@pytest.mark.parametrize(
    "setting", ["swa_full_tokens_ratio=0.0.8", "mem_fraction_static=0.8.8", f"tp_size={'9' * 5_000}"]
)
def test_a_setting_that_is_no_number_is_refused(setting: str):
    lines = (
        f"server_args=ServerArgs({setting})\n"
        "Load weight begin. avail mem=9.00 GB\nLoad weight end. type=Llama, avail mem=8.00 GB, mem usage=1.00 GB.\n"
        "KV Cache is allocated. #tokens: 4096, K size: 0.50 GB, V size: 0.50 GB\n"
    )
    with pytest.raises(LogError, match="A number in the log cannot be read"):
        read_log(lines)


def test_a_figure_that_is_no_number_is_named():
    with pytest.raises(LogError, match=r"'8\.28\.23' is no number, in the line"):
        number("8.28.23", line="Available KV cache memory: 8.28.23 GiB")
