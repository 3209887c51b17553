"""Text with the line ends of Windows, and with the mark that its editors put in front, says what it says without."""

import json

import pytest
import yaml

from core.api import read_document
from core.decode.__main__ import load_run
from core.decode.record_files import InvalidRecord, from_csv, from_json, to_csv, to_json
from core.models.gguf.dump import read_dump
from core.serving.traffic import csv_traffic
from tests.core.decode.records import run_record

LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 32, "vocab_size": 128_256, "intermediate_size": 14_336,
}  # fmt: skip
DUMP = (
    "* File is LITTLE endian, script is running on a LITTLE endian host.\n"
    "* Dumping 3 key/value pair(s)\n"
    "      1: STRING     |        1 | general.architecture = 'llama'\n"
    "      2: UINT32     |        1 | llama.block_count = 32\n"
    "      3: UINT32     |        1 | llama.attention.head_count_kv = 8\n"
)


def as_on_windows(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("text", [json.dumps(LLAMA, indent=2), yaml.safe_dump(LLAMA)], ids=["JSON", "YAML"])
def test_a_models_file(text):
    spec = read_document(as_on_windows(text))
    assert spec == read_document(text.encode())
    assert (spec.kind, spec.kv_bytes_per_token()) == ("GQA", 131_072)  # 2 x 8 x 128 x 2 bytes x 32 layers


def test_what_gguf_dump_prints():
    found = read_dump(DUMP.replace("\n", "\r\n"))
    assert found == read_dump(DUMP)
    assert found["llama.attention.head_count_kv"] == 8


def test_a_csv_of_requests():
    text = "prompt_tokens,output_tokens\n10,1\n100,3\n"
    traffic = csv_traffic(as_on_windows(text), longest_context=1_000)
    assert sorted(traffic.prompt_tokens) == [10, 100]
    assert sorted(traffic.output_tokens) == [1, 3]


def test_a_measured_run(tmp_path):
    record = run_record()
    assert from_csv(to_csv(record).replace("\r\n", "\n").replace("\n", "\r\n")) == record
    assert from_json(to_json(record).replace("\n", "\r\n")) == record
    for name, text in (("run.csv", to_csv(record)), ("run.json", to_json(record))):
        (tmp_path / name).write_bytes(as_on_windows(text.replace("\r\n", "\n")))
        assert load_run(str(tmp_path / name)) == record


def test_a_line_that_ends_early_is_named():
    text = to_csv(run_record())
    with pytest.raises(InvalidRecord, match="a line ends before its last column"):
        from_csv(f"{text}1,2\n")
