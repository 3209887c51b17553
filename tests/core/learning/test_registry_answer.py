"""Which models use GQA: from the registry, model by model."""

from dataclasses import replace

from core.learning.registry_answer import by_kv_heads, kinds_by_model, sentence
from core.models.registry import load_registry


def test_known_models_by_hand() -> None:
    """Their config.json files: Falcon-7B has 71 heads and multi_query, Mistral-7B 32 and 8, DeepSeek-V3 a latent."""
    rows = {row.name: row for row in kinds_by_model(load_registry())}
    falcon, mistral = rows["Falcon-7B"], rows["Mistral-7B v0.1"]
    assert (falcon.kind, falcon.kv_heads, falcon.query_heads) == ("MQA", "1", "71")
    assert (mistral.kind, mistral.kv_heads, mistral.query_heads) == ("GQA", "8", "32")
    assert {row.kind for name, row in rows.items() if name.startswith("DeepSeek-V3")} == {"MLA"}
    later = rows["DeepSeek-V4-Pro"]  # one key and value for its 128 heads (num_attention_heads)
    assert (later.kind, later.kv_heads, later.query_heads) == ("MQA", "1", "128")


def test_every_registered_model_has_a_row_and_none_is_unreadable() -> None:
    registry = load_registry()
    rows = kinds_by_model(registry)
    assert sorted(row.name for row in rows) == sorted(model.name for model in registry)
    assert not [row.name for row in rows if row.kind == "unreadable"]


def test_the_sentence_follows_the_registry() -> None:
    by_name = {model.name: model for model in load_registry()}
    mistral, falcon = by_name["Mistral-7B v0.1"], by_name["Falcon-7B"]
    rows = kinds_by_model([mistral, falcon, replace(mistral, name="Another")])
    assert sentence(rows) == "**2 of 3 models here use GQA on their attention layers**, most often G = 8 in 2."


def test_a_model_that_cannot_be_read_says_why() -> None:
    odd = replace(load_registry()[0], config={"model_type": "no-such-architecture"})
    (row,) = kinds_by_model([odd])
    assert row.kind == "unreadable"
    assert row.shown_kind == "other"
    assert "no-such-architecture" in row.source


def test_a_room_reads_how_many_have_which_g() -> None:
    """Mistral-7B and its copies have G = 8, Gemma-3 4B has 4, Mamba-Codestral no KV heads at all."""
    by_name = {model.name: model for model in load_registry()}
    mistral = by_name["Mistral-7B v0.1"]
    copies = [replace(mistral, name=name) for name in ("A", "B", "C")]
    rows = kinds_by_model([mistral, by_name["Gemma-3 4B"], by_name["Mamba-Codestral 7B"], *copies])
    assert by_kv_heads(rows, "GQA") == [
        {"G": "8", "models": "4", "for example": "A, B, C"},
        {"G": "4", "models": "1", "for example": "Gemma-3 4B"},
    ]
    assert by_kv_heads(rows, "other") == [{"G": "none", "models": "1", "for example": "Mamba-Codestral 7B"}]
    assert by_kv_heads(rows, "MLA") == []
    assert by_kv_heads(rows, "GQA", lines=1) == [
        {"G": "other", "models": "5", "for example": "A (8), B (8), C (8)"},
    ]
