"""The reference table is core's: literals that the engines' own planners gave, and every model on every engine."""

import csv
from io import StringIO

from core.__main__ import main
from core.models.registry import load_registry
from core.serving.engine_table import COLUMNS, CONTEXTS, ENGINES, engine_table, table_csv


def of(name: str, engine: str) -> dict[int, tuple[int | None, int | None, int | None]]:
    known = [model for model in load_registry() if model.name == name]
    return {
        row.context_length: (row.request_bytes, row.requests_40_gib, row.requests_70_gib)
        for row in engine_table(known, [engine])
    }


def test_what_vllm_s_own_planner_says_of_gemma_3_27b_in_40_gib():
    """tests/data/engines/vllm_cases.json.gz: 18.225, 8.246 and 3.239 requests."""
    found = of("Gemma-3 27B", "vllm")
    assert {tokens: row[:2] for tokens, row in found.items()} == {
        4_096: (2_356_674_560, 18), 32_768: (5_208_801_280, 8), 131_072: (13_261_864_960, 3),
    }  # fmt: skip


def test_what_sglang_s_own_planner_says_of_qwen3_next():
    """262 slots / 5 = 52 requests in 40 GiB, until the tokens end: 920,754 / 32,768 = 28."""
    found = of("Qwen3-Next 80B-A3B", "sglang")
    assert [row[1] for row in found.values()] == [52, 28, 7]


def test_a_plain_model_takes_its_payload_on_every_engine():
    """Llama-3.1 8B: 131,072 bytes a token; 512 MiB at 4,096 tokens, 80 of them in 40 GiB and 140 in 70."""
    known = [model for model in load_registry() if model.name == "Llama-3.1 8B"]
    for row in engine_table(known, contexts=[4_096]):
        assert (row.request_bytes, row.times_payload, row.requests_40_gib, row.requests_70_gib) == (2**29, 1.0, 80, 140)


def test_every_model_is_on_every_engine_or_refused_in_words():
    rows = list(engine_table(contexts=[CONTEXTS[0]]))
    assert len(rows) == len(load_registry()) * len(ENGINES)
    assert all(row.refused or row.request_bytes is not None for row in rows)
    assert all(row.version for row in rows)


def test_the_command_prints_the_same_table(capsys):
    assert main(["engines", "--engine", "mlx", "--context", "4096"]) == 0
    printed = capsys.readouterr().out
    assert printed == table_csv(list(engine_table(None, ["mlx"], [4_096])))
    read = list(csv.DictReader(StringIO(printed)))
    assert tuple(read[0]) == COLUMNS
    assert next(row for row in read if row["model"] == "Llama-3.1 8B")["request_bytes"] == str(2**29)
