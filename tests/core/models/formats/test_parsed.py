"""Hostile bytes: refused in words, before anything expands them."""

import pytest

from core.api import UnsupportedConfig, read_document
from core.models.formats.parsed import MAX_YAML_BYTES, parse

BOMB = b"a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % ((letter, letter) + (letter - 1,) * 9)
    for letter in range(ord("b"), ord("k"))
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"a" * (10 * 2**20), "limit for YAML"),
        (b'{"a": "' + b"a" * (10 * 2**20) + b'"}', "bytes"),
        (b"[" * 100_000, "levels deep"),
        (b"a: " + b"[" * 100_000, "levels deep"),
        (b"- " * 5_000, "levels deep"),
        (b"? " * 5_000, "levels deep"),
        (b"a:\n" + b"- x\n" * 110_000, "YAML nodes"),
        (BOMB, "aliases written out"),
        (b"a: &a [*a]", "never ends"),
        (b"a: &a\n  <<: *a\n", "never ends"),
        (b"model_type: \xff\xfe", "UTF-8"),
        (b"\x89PNG\r\n", "picture"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
        (b"a: !!python/object/apply:os.system ['true']", "neither JSON nor YAML"),
        (b"a: [1, 2", "neither JSON nor YAML"),
        (b"a: *missing", "neither JSON nor YAML"),
        (b"just some words", "no YAML mapping"),
        (b"- 1\n- 2", "no YAML mapping"),
        (b"meta-llama/Llama-2-13b-hf\n", '"meta-llama/Llama-2-13b-hf" is the name or address of a repository, not its'),
        (b"https://huggingface.co/tiiuae/falcon-7b/blob/main/config.json", "repository, not its file. Type it where"),
        (b"a: 1\n---\nb: 2\n", "2 YAML documents"),
        (b"n_layer: .nan\nn_head: 1\nn_embd: 1\nblock_size: 1", "n_layer is nan"),
        (b'{"n_layer": NaN, "n_head": 1, "n_embd": 1, "block_size": 1}', "n_layer is nan"),
        (b"? {a: 1}\n: 2", "neither JSON nor YAML"),
        (b"a: 0x" + b"f" * 100_000, "model_type is absent"),
        (b"a: " + b"9" * 100_000, "neither JSON nor YAML"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedConfig, match=words) as error:
        read_document(data)
    assert len(str(error.value)) < 500


def test_an_alias_of_a_small_list_is_read() -> None:
    # PyYAML itself writes aliases where one object stands twice
    assert parse(b"a: &id001 [0.9, 0.98]\nb: *id001\n") == {"a": [0.9, 0.98], "b": [0.9, 0.98]}


def test_tags_of_other_tools_become_plain_nodes() -> None:
    assert parse(b"a: !mine {b: 1}\nc: !other [1]\n") == {"a": {"b": 1}, "c": [1]}
    assert parse(b"n: !env 8\n") == {"n": "!env 8"}  # never a number that nobody checked


def test_yaml_has_a_tighter_limit() -> None:
    assert MAX_YAML_BYTES == 524_288
