"""gguf-dump's output, as text and as JSON (printed by gguf 0.19.0 for a small file made with its writer)."""

import json

import pytest

from core.models.formats.document import read_document
from core.models.gguf.dump import read_dump
from core.models.gguf.header import Skipped
from core.models.gguf.metadata import read_metadata
from core.models.gguf.spotted import looks_like_dump
from core.models.rules.facts import UnsupportedConfig
from tests.core.models.gguf.files import LLAMA, header, tokens

TEXT = """* File is LITTLE endian, script is running on a LITTLE endian host.
* Dumping 21 key/value pair(s)
      1: UINT32     |        1 | GGUF.version = 3
      2: UINT64     |        1 | GGUF.tensor_count = 1
      3: UINT64     |        1 | GGUF.kv_count = 18
      4: STRING     |        1 | general.architecture = 'llama'
      5: STRING     |        1 | general.name = 'tiny "x"\\nline2'
      6: UINT32     |        1 | llama.block_count = 2
      7: UINT32     |        1 | llama.context_length = 4096
      8: UINT32     |        1 | llama.embedding_length = 64
      9: UINT32     |        1 | llama.feed_forward_length = 128
     10: UINT32     |        1 | llama.attention.head_count = 4
     11: [INT32]    |        2 | llama.attention.head_count_kv = [2, 1]
     12: UINT32     |        1 | llama.attention.key_length = 16
     14: FLOAT32    |        1 | llama.attention.layer_norm_rms_epsilon = 9.999999747378752e-06
     17: [INT32]    |       30 | llama.attention.long = [0, 1, 2, 3, 4, 5, ...]
     19: [STRING]   |       32 | tokenizer.ggml.tokens = ['t0', 't1', 't2', 't3', 't4', 't5', ...]
* Dumping 1 tensor(s)
      1:       2048 |    64,    32,     1,     1 | F16     | token_embd.weight
"""


def as_json(**values: object) -> str:
    fields = {key.replace("__", "."): {"index": 0, "type": "UINT32", "value": value} for key, value in values.items()}
    fields["GGUF.version"] = {"index": 0, "type": "UINT32", "offset": 4, "value": 3}
    return json.dumps({"filename": "x.gguf", "endian": "LITTLE", "metadata": fields, "tensors": {}})


def test_the_text_gives_keys_and_says_what_it_cut() -> None:
    assert looks_like_dump(TEXT)
    found = read_dump(TEXT)
    assert found["general.name"] == 'tiny "x"\nline2'
    assert found["llama.attention.head_count_kv"] == [2, 1]
    assert found["llama.attention.long"] == Skipped(count=30)
    assert "GGUF.version" not in found
    spec = read_metadata(found)
    assert [(layer.num_kv_heads, layer.head_dim) for layer in spec.layers] == [(2, 16), (1, 16)]
    assert spec.dimensions.vocab_size == 32


def test_a_cut_array_that_is_needed_is_refused_and_not_taken_for_absent() -> None:
    cut = TEXT.replace("head_count_kv = [2, 1]", "head_count_kv = [2, 1, 2, 1, 2, 1, ...]")
    with pytest.raises(UnsupportedConfig, match="head_count_kv is an array of 2 that was not read whole"):
        read_metadata(read_dump(cut))


def test_json_without_arrays_is_refused_where_one_is_needed() -> None:
    said = json.loads(as_json(general__architecture="llama", llama__block_count=2, llama__embedding_length=64))
    said["metadata"]["llama.attention.head_count"] = {"type": "UINT32", "value": 4}
    assert looks_like_dump(json.dumps(said))
    assert [layer.num_kv_heads for layer in read_metadata(read_dump(json.dumps(said))).layers] == [4, 4]
    said["metadata"]["llama.attention.head_count_kv"] = {"type": "ARRAY", "array_types": ["INT32"]}
    with pytest.raises(UnsupportedConfig, match="not read whole"):
        read_metadata(read_dump(json.dumps(said)))
    said["metadata"]["llama.attention.head_count_kv"]["value"] = [2, 1]
    assert [layer.num_kv_heads for layer in read_metadata(read_dump(json.dumps(said))).layers] == [2, 1]


def test_one_reader_takes_the_file_s_start_and_the_dump() -> None:
    """read_document: whatever is dropped or pasted."""
    for data in (header({**LLAMA, **tokens(10)}), TEXT.encode()):
        assert [layer.num_kv_heads for layer in read_document(data).layers] == [2, 1]


@pytest.mark.parametrize("text", ["", "hello", "{", "[]", '{"metadata": 1}', '{"metadata": {"a": 1}}', "[" * 10_000])
def test_text_that_is_no_dump_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedConfig):
        read_dump(text)
