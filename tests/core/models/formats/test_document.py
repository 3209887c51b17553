"""Files of other tools: the layers, the bytes and the keys that decided them, by hand arithmetic."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from core.api import ModelSpec, UnsupportedConfig, read_document
from core.models.attention import GroupedAttention, LatentAttention, NoAttention, RecurrentState, SharedCache
from core.models.formats.document import is_plain
from core.models.formats.lines import marked_lines
from core.models.formats.table import FORMATS, format_of
from tests.core.models.formats.files import (
    LLAMA,
    SAMPLES,
    as_bytes,
    genai,
    keras,
    litgpt,
    mlc,
    nanochat,
    nemo,
    speculator,
    torchtune,
    trt,
)


def read(document: dict[str, Any]) -> ModelSpec:
    return read_document(as_bytes(document))


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(UnsupportedConfig) as error:
        read(document)
    return str(error.value)


def keys_of(spec: ModelSpec, figure: str) -> tuple[str, ...]:
    return next(note.keys for note in spec.provenance if note.figure == figure)


def windows(spec: ModelSpec) -> list[int | None]:
    return [layer.window for layer in spec.layers if isinstance(layer, GroupedAttention)]


@pytest.mark.parametrize(
    ("document", "layers", "per_token", "kv_key"),
    [
        # gpt-oss 20B: 2 x 24 layers x 8 heads x 64 x 2 bytes
        (genai(), 24, 49_152, "model.decoder.num_key_value_heads"),
        # MQA: 2 x 24 x 1 x 64 x 2
        (genai(num_key_value_heads=1), 24, 6_144, "model.decoder.num_key_value_heads"),
        # Llama-3.1 8B: 2 x 32 x 8 x 128 x 2, in each of these formats
        (mlc("llama", **LLAMA, head_dim=128), 32, 131_072, "model_config.num_key_value_heads"),
        (mlc("llama", **LLAMA, head_dim=0), 32, 131_072, "model_config.num_key_value_heads"),
        (mlc("minicpm", **LLAMA), 32, 131_072, "model_config.num_key_value_heads"),
        (trt("LlamaForCausalLM", num_key_value_heads=8, head_size=128), 32, 131_072, "num_key_value_heads"),
        (litgpt(), 32, 131_072, "n_query_groups"),
        (nemo(num_query_groups=8), 32, 131_072, "model.num_query_groups"),
        (torchtune("torchtune.models.llama3_1.llama3_1_8b"), 32, 131_072, "model._component_"),
        (torchtune("torchtune.models.llama3_1.qlora_llama3_1_8b", lora_rank=8), 32, 131_072, "model._component_"),
        # Mistral Nemo's head width beside hidden / heads = 160: 2 x 12 x 8 x 128 x 2
        (keras("MistralBackbone", num_key_value_heads=8, head_dim=128, hidden_dim=5120, num_query_heads=32), 12, 49_152,
         "config.num_key_value_heads"),
        # a draft of one layer: 2 x 1 x 8 x 128 x 2
        (speculator("eagle3", model_type="llama", **LLAMA | {"num_hidden_layers": 1}), 1, 4_096,
         "transformer_layer_config.num_key_value_heads"),
        # nanochat d20: 2 x 20 x 10 x 128 x 2
        (nanochat(), 20, 102_400, "model_config.n_kv_head"),
        (nanochat(n_kv_head=2), 20, 20_480, "model_config.n_kv_head"),
        # Qwen 2.5 0.5B: 2 x 24 x 2 x 64 x 2
        (torchtune("torchtune.models.qwen2_5.lora_qwen2_5_0_5b"), 24, 12_288, "model._component_"),
        # the builder's arguments: 2 x 26 x 4 x 256 x 2
        (SAMPLES["torchtune figures"], 26, 106_496, "model.num_kv_heads"),
    ],
)  # fmt: skip
def test_a_format_gives_its_model(document: dict[str, Any], layers: int, per_token: int, kv_key: str) -> None:
    spec = read(document)
    assert (len(spec.layers), spec.kv_bytes_per_token(), spec.cache_bits) == (layers, per_token, None)
    assert keys_of(spec, "num_kv_heads") == (kv_key,)
    assert spec.declared_kv_heads.key == kv_key


@pytest.mark.parametrize(
    ("document", "per_token", "kv_keys"),
    [
        # MHA by null or by silence: 2 x 32 layers x 32 heads x 128 x 2 bytes
        (nemo(num_query_groups=None), 524_288, ("model.num_query_groups",)),
        (nemo(), 524_288, ("model.num_attention_heads",)),
        (litgpt(n_query_groups=None), 524_288, ("n_query_groups",)),
        (trt("GPTForCausalLM", num_key_value_heads=None, head_size=None), 524_288, ("num_key_value_heads",)),
        (trt("GPTForCausalLM"), 524_288, ("num_attention_heads",)),
        (mlc("llama", **LLAMA | {"num_key_value_heads": 0}), 524_288, ("model_config.num_key_value_heads",)),
        # MLC's Mistral without the key is MHA; transformers' class would take 8
        (mlc("mistral", num_hidden_layers=32, num_attention_heads=32, hidden_size=4096, sliding_window_size=-1),
         524_288, ("model_config.num_attention_heads",)),
        # GPT-2 small: 2 x 12 x 12 x 64 x 2
        (SAMPLES["nanogpt"], 36_864, ("model_args.n_head",)),
        (SAMPLES["nanogpt"]["model_args"], 36_864, ("n_head",)),
        # Falcon has one KV head in its paper, and as many as query heads in Keras-Hub: 2 x 12 x 16 x 128 x 2
        ({"class_name": "FalconBackbone", "config": {"num_layers": 12, "num_attention_heads": 16, "hidden_dim": 2048}},
         98_304, ("config.num_attention_heads",)),
    ],
)  # fmt: skip
def test_null_or_silence_is_what_the_tool_makes_of_it(
    document: dict[str, Any], per_token: int, kv_keys: tuple[str, ...]
) -> None:
    spec = read(document)
    assert (spec.kv_bytes_per_token(), spec.kind, str(spec.declared_kv_heads)) == (per_token, "MHA", "absent")
    assert keys_of(spec, "num_kv_heads") == kv_keys


def test_on_the_command_line_query_groups_need_their_switch() -> None:
    arguments = {"--num-layers": 48, "--hidden-size": 2048, "--num-attention-heads": 16, "--num-query-groups": 2}
    assert read({"MODEL_ARGS": arguments}).kv_bytes_per_token() == 2 * 48 * 16 * 128 * 2
    switched = read({"MODEL_ARGS": arguments | {"--group-query-attention": True}})
    assert switched.kv_bytes_per_token() == 2 * 48 * 2 * 128 * 2
    assert keys_of(switched, "num_kv_heads") == ("MODEL_ARGS.--num-query-groups",)


def test_a_switch_elsewhere_in_the_file_does_not_count() -> None:
    # Megatron-LM's gpt_config.yaml: core_config_from_args copies language_model.num_query_groups
    part = {"num_layers": 2, "hidden_size": 1024, "num_attention_heads": 16, "num_query_groups": 4}
    assert read({"language_model": part, "group_query_attention": False}).kv_bytes_per_token() == 2 * 2 * 4 * 64 * 2


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (genai(), [None] * 24),  # no sliding_window: the runtime keeps everything
        (genai(sliding_window={"window_size": 128, "layers": [0, 2]}), [128, None, 128] + [None] * 21),
        # findings/onnxruntime_genai_sizes_by_a_window_nobody_sees.sh: Mistral's, whose builder lists no layer
        (genai(sliding_window={"window_size": 128, "layers": []}), [128] * 24),
        (genai(sliding_window={"window_size": 128}), [128] * 24),
        (litgpt(n_layer=3, sliding_window_size=64), [64] * 3),
        (litgpt(n_layer=3, sliding_window_size=64, sliding_window_indices=[0, 1, 1, 1]), [None, 64, 64]),
        (nemo(num_layers=2, window_size=[127, 0]), [128, 128]),  # 127 to the left, and the token itself
        (nemo(num_layers=4, window_size=[127, 0], window_attn_skip_freq=2), [128, None] * 2),
        (nemo(num_layers=3, window_size=[127, 0], window_attn_skip_freq=[1, 0, 1]), [128, None, 128]),
        (nemo(num_layers=1, window_size=[-1, 0]), [None]),
        (trt("Gemma3ForCausalLM", num_hidden_layers=3, sliding_window=512, sliding_window_pattern=3), [512, 512, None]),
        (keras("MistralBackbone", num_layers=1), [512]),  # the class's own default
        (keras("MistralBackbone", num_layers=1, sliding_window=None), [None]),
        (keras("GemmaBackbone", num_layers=3, head_dim=128, use_sliding_window_attention=True), [4096, None, 4096]),
        (keras("GemmaBackbone", num_layers=2, head_dim=128), [None, None]),
        (keras("Gemma3Backbone", num_layers=7, head_dim=128, use_sliding_window_attention=True),
         [1024] * 5 + [None, 1024]),
        (keras("GptOssBackbone", num_layers=2, sliding_window=128), [None, 128]),  # odd layers slide
        (nanochat(n_layer=6, window_pattern="SSSL"), [1025] * 3 + [None, 1025, None]),  # the last layer is long
        ({"dim": 512, "n_layers": 4, "n_heads": 8, "sliding_window": [None, 1024]}, [None, 1024] * 2),
        ({"dim": 512, "n_layers": 2, "n_heads": 8, "sliding_window": 4096}, [4096] * 2),
        (SAMPLES["params llama 4"] | {"n_layers": 4}, [8192] * 3 + [None]),
        (mlc("mixtral", **LLAMA | {"num_hidden_layers": 1}, sliding_window_size=4096), [4096]),
        (mlc("mistral", **LLAMA | {"num_hidden_layers": 1}, sliding_window_size=-1), [None]),
        (torchtune("torchtune.models.gemma2.gemma2", num_layers=2, num_heads=8, num_kv_heads=4, embed_dim=2304,
                   head_dim=256), [4096, None]),
    ],
)  # fmt: skip
def test_the_layers_that_slide(document: dict[str, Any], expected: list[int | None]) -> None:
    assert windows(read(document)) == expected


def test_latents_are_kept_once() -> None:
    latent = LatentAttention(
        num_query_heads=32, latent_dim=512, rope_dim=64, expanded_key_dim=192, expanded_value_dim=128
    )
    for document in (SAMPLES["trt latent"], SAMPLES["nemo latent"]):
        spec = read(document)
        assert set(spec.layers) == {latent}
        assert spec.kv_bytes_per_token() == 32 * (512 + 64) * 2
    mistral = {"kv_lora_rank": 256, "qk_rope_head_dim": 64, "qk_nope_head_dim": 64, "v_head_dim": 128}
    spec = read({"dim": 4096, "n_layers": 36, "n_heads": 32, "n_kv_heads": 32, "head_dim": 128, **mistral})
    assert spec.kv_bytes_per_token() == 36 * (256 + 64) * 2
    assert read(SAMPLES["litgpt latent"]).kv_bytes_per_token() == 32 * (512 + 64) * 2
    deepseek = LLAMA | {"num_key_value_heads": 32, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert read(mlc("deepseek_v2", **deepseek)).kv_bytes_per_token() == 32 * 576 * 2


def test_hybrids_keep_keys_and_values_where_they_attend() -> None:
    lfm2 = read(SAMPLES["genai lfm2"])
    assert lfm2.kv_bytes_per_token() == 12 * 2 * 8 * 64 * 2
    assert lfm2.layers[0] == RecurrentState(mechanism="short convolution", state_elements=2880 * 3)
    mamba = read(SAMPLES["nemo mamba"])
    assert [type(layer) for layer in mamba.layers] == [RecurrentState, GroupedAttention, NoAttention, RecurrentState]
    # 128 heads of 64, state 128, and a convolution of 4 over 8192 channels + 2 groups of B and C, 8 x 128 each
    assert mamba.layers[0].state_elements == 128 * 64 * 128 + (8192 + 2 * 8 * 128) * 4
    linear = read(SAMPLES["nemo linear"])
    assert [isinstance(layer, GroupedAttention) for layer in linear.layers] == [False, False, False, True] * 8
    assert read(SAMPLES["keras qwen3.5"]).kv_bytes_per_token() == 3 * 2 * 4 * 256 * 2


@pytest.mark.parametrize(
    ("backbone", "key", "value", "source", "sentence"),
    [
        ("Gemma4Backbone", "layer_types", ["sliding_attention", "full_attention"] * 6, "rule",
         "config.layer_types in the file names the kind of each layer."),
        ("Gemma4Backbone", "sliding_window_pattern", 4, "rule",
         "config.sliding_window_pattern says after how many layers one keeps the whole context."),
        ("Gemma4Backbone", "head_dim", 256, "class default",
         "The file has no config.layer_types: Keras-Hub then keeps the whole context on every sixth layer."),
        ("Qwen3_5Backbone", "layer_types", ["linear_attention", "full_attention"] * 6, "rule",
         "config.layer_types in the file names the kind of each layer."),
        ("Qwen3_5Backbone", "head_dim", 256, "class default",
         "The file has no config.layer_types: Keras-Hub then attends on every fourth layer."),
    ],
)  # fmt: skip
def test_what_decided_the_kinds_of_layers_is_said(
    backbone: str, key: str, value: object, source: str, sentence: str
) -> None:
    spec = read(keras(backbone, **{"head_dim": 256, key: value}))
    said = next(entry for entry in spec.provenance if entry.figure == "layer_kinds")
    assert (said.source, said.sentence) == (source, sentence)
    assert said.keys == ((f"config.{key}",) if source == "rule" else ())


def test_layers_with_heads_of_their_own() -> None:
    deci = read(SAMPLES["trt deci"])
    assert deci.kv_bytes_per_token() == 2 * 4 * 128 * 2
    assert isinstance(deci.layers[1], NoAttention)
    gemma = read(SAMPLES["keras gemma4"])
    full = [layer for layer in gemma.layers if isinstance(layer, GroupedAttention) and layer.window is None]
    assert {layer.head_dim for layer in full} == {512}
    assert [isinstance(layer, SharedCache) for layer in gemma.layers].count(True) == 2
    vision = read(torchtune("torchtune.models.llama3_2_vision.llama3_2_vision_11b"))
    crossing = [index for index, layer in enumerate(vision.layers) if isinstance(layer, NoAttention)]
    assert crossing == [3, 8, 13, 18, 23, 28, 33, 38]  # as Llama 3.2 11B's own config.json lists them


def test_a_draft_is_its_own_decoder() -> None:
    mtp = read(SAMPLES["mtp"])
    assert (len(mtp.layers), mtp.kv_bytes_per_token()) == (1, 2 * 2 * 256 * 2)
    silent = {key: value for key, value in LLAMA.items() if key != "num_hidden_layers"} | {"num_hidden_layers": 1}
    spec = read(speculator("eagle3", **silent))  # no model_type: Qwen 3, whose heads are 128 wide
    assert (spec.model_type, spec.kv_bytes_per_token()) == ("qwen3", 4_096)
    assert read(SAMPLES["eagle"]).kv_bytes_per_token() == 4_096


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"peft_type": "LORA", "base_model_name_or_path": "org/base"}, ("PEFT", "org/base")),
        ({"medusa_num_heads": 2, "medusa_num_layers": 1, "base_model_name_or_path": "org/base"}, ("heads", "org/base")),
        ({"model_type": "mlp_speculator", "n_predict": 3}, ("model_type", "heads")),
        ({"producer": {"name": "modelopt"}, "quantization": {"kv_cache_quant_algo": "FP8"}}, ("hf_quant_config",)),
        (genai(num_key_value_heads=None), ("model.decoder.num_key_value_heads is null",)),
        (genai(num_key_value_heads=7), ("model.decoder.num_key_value_heads is 7", "divide")),
        (genai(inputs={"past_recurrent_names": "past.%d.recurrent"}), ("past_recurrent_names", "width")),
        (genai(state_groups=[{"kind": "fixed_conv", "layer_ids": [0]}]), ("state_groups",)),
        ({"model": {"type": "gemma4_text", "decoder": genai()["model"]["decoder"]}}, ("gemma4_text",)),
        ({"model": {"type": "whisper", "encoder": {}, "decoder": {}}}, ("encoder",)),
        (mlc("rwkv6", hidden_size=2048), ("rwkv6", "recurrent")),
        (mlc("mine", **LLAMA, kv_lora_rank=256), ("mine", "latent")),
        (trt("WhisperEncoder"), ("WhisperEncoder",)),
        (trt("EagleForCausalLM"), ("EagleForCausalLM",)),
        (trt("RecurrentGemmaForCausalLM"), ("RecurrentGemma",)),
        (trt("X", runtime_defaults={"kv_cache_config": {"max_attention_window": [512]}}), ("max_attention_window",)),
        (nemo(kv_channels="${.head}"), ("model.kv_channels",)),
        (nemo(heterogeneous_layers_config_path="blocks.json"), ("heterogeneous_layers_config_path",)),
        (nemo(hybrid_override_pattern="M*"), ("hybrid_override_pattern", "32 letters")),
        ({**nemo(), "name": "megatron_griffin"}, ("megatron_griffin",)),
        (keras("BertBackbone"), ("BertBackbone",)),
        (keras("LlamaBackbone", num_key_value_heads=None), ("config.num_key_value_heads is null",)),
        (torchtune("torchtune.models.clip.clip_vision_encoder"), ("clip_vision_encoder",)),
        (torchtune("mine.models.llama3_1_8b"), ("mine.models",)),
        (nanochat(window_pattern="SXL"), ("model_config.window_pattern",)),
        (nanochat(n_head=8, n_embd=1000, n_kv_head=3), ("n_kv_head", "divide")),
        ({"dim": 512, "n_layers": 3, "n_heads": 8, "sliding_window": [None, 1024]}, ("sliding_window", "period")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(document: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal(document)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", SAMPLES)
def test_json_and_yaml_say_the_same(name: str) -> None:
    spec = read(SAMPLES[name])
    assert read_document(yaml.safe_dump(SAMPLES[name]).encode()) == spec
    found = format_of(SAMPLES[name])
    assert found is None or found in FORMATS
    assert found is None or not is_plain(SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_key_that_decided_stands_in_the_file(name: str) -> None:
    spec = read(SAMPLES[name])
    assert spec.provenance
    for note in spec.provenance:
        for key in note.keys:
            assert _found(SAMPLES[name], key), (note.figure, key)
        assert note.sentence


def _found(document: Any, dotted: str) -> bool:
    if not dotted:
        return True
    if isinstance(document, list):
        head, _, rest = dotted.partition(".")
        return head.isdigit() and int(head) < len(document) and _found(document[int(head)], rest)
    return isinstance(document, dict) and any(
        dotted == key or (dotted.startswith(f"{key}.") and _found(value, dotted[len(key) + 1 :]))
        for key, value in document.items()
    )


WRONG = (None, True, -1, 0, 3, 10**30, 2.5, float("nan"), "x", [], {}, [None], [2**70], {"a": []})


def _broken(document: Any) -> Iterator[Any]:
    """The document with each value in turn replaced by each wrong one, and each key taken out."""
    items = document.items() if isinstance(document, dict) else enumerate(document[:2])
    for key, value in items:
        for wrong in WRONG:
            changed = copy.copy(document)
            changed[key] = wrong
            yield changed
        if isinstance(document, dict):
            yield {other: kept for other, kept in document.items() if other != key}
        if isinstance(value, dict | list):
            for inner in _broken(value):
                changed = copy.copy(document)
                changed[key] = inner
                yield changed


@pytest.mark.parametrize("name", SAMPLES)
def test_a_wrong_value_anywhere_is_read_or_refused_in_words(name: str) -> None:
    messages = []
    for changed in _broken(SAMPLES[name]):
        try:
            spec = read_document(json.dumps(changed).encode())
        except UnsupportedConfig as error:
            messages.append(str(error))
        else:
            assert spec.kv_bytes_per_token() >= 0
    assert messages
    assert all(20 < len(message) < 700 for message in messages)


def test_yaml_lines_are_marked_where_their_own_object_opens() -> None:
    text = (
        "# a comment\nother:\n  num_query_groups: 2\nmodel:\n  num_layers: 2\n  betas:\n  - 0.9\n  - {a: 1}\n"
        "  hidden_size: 512\n  num_attention_heads: 8\n  num_query_groups: 4\n"
    )
    spec = read_document(text.encode())
    marked = marked_lines(text, spec.provenance)
    assert {line: {note.figure for note in notes} for line, notes in marked.items()} == {
        5: {"layers"},
        9: {"head_dim", "value_dim"},
        10: {"num_query_heads", "head_dim", "value_dim"},
        11: {"num_kv_heads"},
    }
    assert marked_lines("a: [1", spec.provenance) == {}
    assert marked_lines(json.dumps({"model": {"num_layers": 2}}, indent=1), spec.provenance).keys() == {3}


@pytest.mark.parametrize(
    ("document", "left_out", "named"),
    [
        (litgpt(), "n_head", "n_head is absent: by its other keys this is LitGPT's model_config.yaml"),
        (
            nemo(num_query_groups=8)["model"],
            "num_layers",
            "num_layers is absent: by its other keys this is a YAML of M",
        ),
        (trt("LlamaForCausalLM"), "num_hidden_layers", "num_hidden_layers is absent: by its other keys this is a Tens"),
        (keras("LlamaBackbone"), "config", "config is absent: by its other keys this is a Keras-Hub config.json"),
        (mlc("llama", **LLAMA) | {"conv_template": {}}, "model_config", "model_config is absent: by its other keys"),
        # what MLC wrote before it kept the figures beside the model's name
        (
            {"model_lib": "m", "conv_template": "v", "model_category": "llama"},
            "",
            "model_type is absent: by its other k",
        ),
        (LLAMA, "", "model_type is absent, so nothing says how the other keys are meant"),
    ],
)
def test_a_key_that_a_format_needs_is_named_with_the_format(
    document: dict[str, Any], left_out: str, named: str
) -> None:
    cut = {key: value for key, value in document.items() if key != left_out}
    with pytest.raises(UnsupportedConfig) as refused:
        read(cut)
    assert str(refused.value).startswith(named)
    assert "give the model's config.json" in str(refused.value) or "give its config.json" in str(refused.value)
