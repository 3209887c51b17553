"""What a class of transformers takes and builds no model of: such a file has no shape, so it is refused by name.

Which fields take no null at all the annotations of a class say (`ConfigPart.refuse_nulls`). These are the others: the
class takes the value, and its own check, its model or the first forward of it fails (transformers 5.24, on the meta
device; `python -m core.engines.transformers_release TYPE` prints them as not built). Only fields that decide what is
cached stand here: a null number of experts changes no cache.
"""

from collections.abc import Iterator

from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart

LATENT = {
    "axk1", "axk2", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa",
    "longcat_flash", "minicpm3", "sarvam_mla", "youtu",
}  # fmt: skip
WITHOUT_ROPE = {"dots3_note_text", "glm5_next_text", "kimi_linear", "mistral4", "mistral_large4_text"}  # take 0 of it
NULLS = {  # field -> types whose class takes null there
    "attention_types": {"gpt_neo"},
    "head_dim": {"afmoe", "glm", "hunyuan_v1_dense", "hunyuan_v1_moe", "ministral"},
    "indexer_n_heads": {"qwen4_exp_text"},
    "layer_types": {"bamba", "falcon_h1", "falcon_mamba", "jamba", "mamba", "mamba2", "nemotron_h", "recurrent_gemma"},
    "num_hidden_layers": {"longcat_flash"},
    "q_lora_rank": {"dots3_note_text"},
    "sliding_window": {"cohere_compass_text"},  # Ministral with null is how formats without a window are read
    "v_head_dim": {"deepseek_v3", "kimi_linear", "mistral4", "sarvam_mla"},
}
ZEROS = {  # field -> types whose class takes 0 there
    "head_dim": {"dots3_note_text", "glm4_moe_lite", "longcat_flash"},
    "num_key_value_heads": LATENT | WITHOUT_ROPE,
    "qk_rope_head_dim": LATENT | {"hy_v4", "hy_v4_vl_text"},
}


def _by_type() -> Iterator[tuple[str, tuple[str, int | None]]]:
    for value, table in ((None, NULLS), (0, ZEROS)):
        for name, types in table.items():
            yield from ((model_type, (name, value)) for model_type in types)


BY_TYPE: dict[str, list[tuple[str, int | None]]] = {}
for _model_type, _refused in _by_type():
    BY_TYPE.setdefault(_model_type, []).append(_refused)


def refuse_unbuilt(part: ConfigPart) -> None:
    """Raise UnsupportedConfig for a value of the file that the class takes and builds no model of."""
    for name, value in BY_TYPE.get(part.model_type, ()):
        key = part.key(name)
        if key is not None and type(part.raw[key]) is type(value) and part.raw[key] == value:
            raise UnsupportedConfig(
                f"{part.path}{key} is {shown(value)}: {part.model_class.name} takes it, and transformers builds no "
                f"model of it. Give another value, or leave it out."
            )
