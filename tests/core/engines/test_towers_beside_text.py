"""Types that transformers decodes only beside a picture or sound: their text model alone, on the meta device.

Kosmos-2 asks for a picture, Voxtral Realtime for sound, Kyutai's speech to text for a token of each codebook, so that
the check of `core.engines.transformers_release` cannot ask them. Step-3.5 has no class of its own: Step-3.7 nests it.
"""

from importlib import import_module
from typing import Any

import pytest

from core.engines.release_cases import small
from core.engines.transformers_release import EXACT, look_at
from core.models.attention import GroupedAttention
from core.models.spec import read_config

pytestmark = pytest.mark.torch
CODEBOOKS = {"num_codebooks": 2, "codebook_vocab_size": 16, "audio_pad_token_id": 15, "audio_bos_token_id": 14}


def key_shapes(module: str, name: str, config: Any, ids: tuple[int, ...], **inputs: Any) -> set[tuple[int, ...]]:
    """Shapes of the keys (batch, heads, tokens, width) that the class keeps of these token ids."""
    import torch

    from core.engines.transformers_check_worker import _shapes_only

    made = getattr(import_module(f"transformers.models.{module}.modeling_{module}"), name)
    with torch.device("meta"), _shapes_only():
        given = {key: torch.zeros(shape) for key, shape in inputs.items()}
        output = made(config).eval()(input_ids=torch.zeros(ids, dtype=torch.long), use_cache=True, **given)
    cache = getattr(output, "cache", None) or output.past_key_values  # "cache" since 5.24
    return {tuple(layer.keys.shape) for layer in cache.layers}


def made_of(config: dict[str, Any]) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return CONFIG_MAPPING[config["model_type"]](**{key: value for key, value in config.items() if key != "model_type"})


def test_kosmos_2_keeps_a_head_for_each_query_head() -> None:
    config = small("kosmos-2")
    text = made_of(config).text_config
    assert key_shapes("kosmos2", "Kosmos2TextForCausalLM", text, (2, 40)) == {(2, 8, 40, 16)}
    assert set(read_config(config).layers) == {
        GroupedAttention(num_query_heads=8, num_kv_heads=8, head_dim=16, value_dim=16)
    }


def test_voxtral_realtime_keeps_a_window_of_its_text_heads() -> None:
    config = small("voxtral_realtime")
    text = made_of(config).text_config
    kept = key_shapes("voxtral_realtime", "VoxtralRealtimeTextModel", text, (2, 40), t_cond=(1, 1, 128))
    assert kept == {(2, 2, 15, 24)}  # the growing cache keeps one token less than the window
    assert set(read_config(config).layers) == {
        GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=24, value_dim=24, window=16)
    }


def test_kyutai_speech_to_text_keeps_a_window_of_the_text_that_it_writes() -> None:
    config = small("kyutai_speech_to_text") | CODEBOOKS
    kept = key_shapes("kyutai_speech_to_text", "KyutaiSpeechToTextModel", made_of(config), (2, 40, 3))
    assert kept == {(2, 2, 15, 24)}
    assert set(read_config(config).layers) == {
        GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=24, value_dim=24, window=16)
    }


def test_step_3_5_is_read_as_step_3_7_that_nests_it() -> None:
    config = small("step3p7")
    assert look_at("step3p7", "small", config).verdict == EXACT
    alone = read_config(small("step3p5"))
    assert alone.layers == read_config({"model_type": "step3p7", "text_config": small("step3p5")}).layers
    assert alone.layers == (GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=24, value_dim=24),) * 6
