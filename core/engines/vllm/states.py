"""Bytes of a recurrent state on one rank, and how vLLM pages it.

States vllm/model_executor/layers/mamba/mamba_utils.py and the model classes of vLLM 0.33.0. vLLM keeps kernel - 1 taps
of a convolution (transformers keeps kernel), in the model's own 16 bits, and the recurrent part in 16 bits too, but for
Nemotron-H, Qwen3.5 and Kimi, whose files or classes ask for float32.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.engines.plan import EngineError
from core.models.rules.fields import ConfigPart

MODEL_BYTES = 2
STATE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
ASKS_A_TYPE = ("qwen3_5_text", "qwen3_5_moe_text", "qwen4_exp_text")  # by mamba_ssm_dtype
DELTA_ALIGNMENT = 64  # FLASHINFER_GDN_CHECKPOINT_ALIGNMENT: tokens between states that the prefill kernel can export


@dataclass(frozen=True, kw_only=True)
class State:
    """One layer's state on one rank."""

    state_bytes: int
    tap_bytes: int = 0  # of one more tap of the convolution, which every speculated token adds (0: none does)
    checkpoint: bool = False  # prefill exports one more state, which prefix caching keeps
    alignment: int = 1  # blocks are a multiple of this many tokens while prefixes are cached


def shared_out(name: str, whole: int, ranks: int) -> int:
    if whole % ranks:
        raise EngineError(
            f"tensor_parallel is {ranks}: vLLM cannot share out {name} ({whole:,}) over so many ranks. "
            "Choose a tensor_parallel that divides it."
        )
    return whole // ranks


def _mamba1(part: ConfigPart, channels: int, states: str, kernel: str, ranks: int) -> State:
    width = shared_out("the state's channels", channels, ranks)
    elements = width * (part.integer(kernel).value - 1) + width * part.integer(states).value
    return State(state_bytes=elements * MODEL_BYTES)


def mamba1(part: ConfigPart, ranks: int) -> State:
    """Mamba and FalconMamba: intermediate_size channels (expand x hidden where the file has none)."""
    channels = part.raw.get("intermediate_size") or part.integer("expand").value * part.integer("hidden_size").value
    return _mamba1(part, channels, "state_size", "conv_kernel", ranks)


def jamba(part: ConfigPart, ranks: int) -> State:
    """Jamba: the same under mamba_ keys."""
    channels = part.integer("mamba_expand").value * part.integer("hidden_size").value
    return _mamba1(part, channels, "mamba_d_state", "mamba_d_conv", ranks)


def _mamba2(
    part: ConfigPart,
    ranks: int,
    *,
    channels: int,
    names: tuple[str, str, str],
    width: int,
    kernel: str,
    scan_bytes: int = MODEL_BYTES,
) -> State:
    """mamba2_state_shape: B and C of each group are convolved too; groups are repeated until every rank has one."""
    groups, heads, states = (part.integer(name).value for name in names)
    if groups % ranks and groups > 1:
        raise EngineError(
            f"tensor_parallel is {ranks}: vLLM 0.33 cannot share out {groups} Mamba-2 groups ({names[0]}) over so many "
            "ranks. Choose one that divides them."
        )
    groups = max(groups, ranks) if groups == 1 else groups
    convolved = shared_out("the convolved channels", channels + 2 * groups * states, ranks)
    scanned = shared_out(names[1], heads, ranks) * width * states
    taps = part.integer(kernel).value - 1
    tap_bytes = convolved * MODEL_BYTES
    return State(state_bytes=tap_bytes * taps + scanned * scan_bytes, tap_bytes=tap_bytes, checkpoint=True)


def mamba2(part: ConfigPart, ranks: int) -> State:
    """Mamba-2 alone: expand x hidden channels."""
    channels = part.integer("expand").value * part.integer("hidden_size").value
    names = ("n_groups", "num_heads", "state_size")
    width = part.integer("head_dim").value
    return _mamba2(part, ranks, channels=channels, names=names, width=width, kernel="conv_kernel")


def mamba2_in_hybrid(part: ConfigPart, ranks: int) -> State:
    """Granite 4 and Falcon-H1: mamba_ keys; Falcon-H1 may state its channels as mamba_d_ssm."""
    inner = part.optional_integer("mamba_d_ssm") if part.model_type == "falcon_h1" else None
    channels = inner.value if inner else part.integer("mamba_expand").value * part.integer("hidden_size").value
    names = ("mamba_n_groups", "mamba_n_heads", "mamba_d_state")
    stated = part.value("mamba_d_head")
    width = channels // part.integer("mamba_n_heads").value if stated == "auto" else part.integer("mamba_d_head").value
    return _mamba2(part, ranks, channels=channels, names=names, width=width, kernel="mamba_d_conv")


def zamba2(part: ConfigPart, ranks: int) -> State:
    """Zamba2: mamba_expand x hidden channels over n_mamba_heads."""
    channels = part.integer("mamba_expand").value * part.integer("hidden_size").value
    names = ("mamba_ngroups", "n_mamba_heads", "mamba_d_state")
    width = part.value("mamba_headdim") or channels // part.integer("n_mamba_heads").value
    return _mamba2(part, ranks, channels=channels, names=names, width=width, kernel="mamba_d_conv")


def nemotron_h(part: ConfigPart, ranks: int) -> State:
    """Nemotron-H: the scan in float32 unless mamba_ssm_cache_dtype says otherwise (NemotronHForCausalLMConfig)."""
    width = part.integer("mamba_head_dim").value
    groups = "mamba_n_groups" if "mamba_n_groups" in part.raw else "n_groups"
    kernel = "mamba_d_conv" if "mamba_d_conv" in part.raw else "conv_kernel"
    return _mamba2(
        part,
        ranks,
        channels=part.integer("mamba_num_heads").value * width,
        names=(groups, "mamba_num_heads", "ssm_state_size"),
        width=width,
        kernel=kernel,
        scan_bytes=_asked(part, "mamba_ssm_cache_dtype", "float32"),
    )


def _asked(part: ConfigPart, key: str, default: str) -> int:
    name = part.raw.get(key, default)
    if name not in STATE_BYTES:
        raise EngineError(f"{key} is {name!r}: vLLM 0.33 keeps states in {', '.join(STATE_BYTES)}. Correct the file.")
    return STATE_BYTES[name]


def gated_delta(part: ConfigPart, ranks: int) -> State:
    """Qwen3-Next and kin: keys twice and values convolved; value heads x key x value widths recur.

    The state is exported from inside a prefill by FlashInfer's kernel, 64 tokens apart, on an H100.
    """
    names = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim")
    key_heads, value_heads, key_width, value_width = (_linear(part, name) for name in names)
    channels = shared_out("the convolved channels", 2 * key_heads * key_width + value_heads * value_width, ranks)
    taps = part.integer("linear_conv_kernel_dim").value - 1
    recurrent = shared_out("linear_num_value_heads", value_heads, ranks) * key_width * value_width
    asked = part.model_type in ASKS_A_TYPE and part.raw.get("mamba_ssm_dtype")
    recurrent_bytes = _asked(part, "mamba_ssm_dtype", "bfloat16") if asked else MODEL_BYTES
    tap_bytes = channels * MODEL_BYTES
    total = tap_bytes * taps + recurrent * recurrent_bytes
    if part.model_type == "olmo_hybrid":  # its own layer (olmo_hybrid.py), which exports no state from a prefill
        return State(state_bytes=total, tap_bytes=tap_bytes)
    return State(state_bytes=total, tap_bytes=tap_bytes, checkpoint=True, alignment=DELTA_ALIGNMENT)


def _linear(part: ConfigPart, name: str) -> int:
    """OLMo-Hybrid leaves these null: heads as of attention, keys 3/4 of hidden, values twice that (transformers)."""
    found = part.optional_integer(name)
    if found is not None or part.model_type != "olmo_hybrid":
        return int(part.integer(name).value)
    if name.startswith("linear_num"):
        return int(part.integer("num_attention_heads").value)
    stated = part.optional_integer("linear_key_head_dim")
    heads = _linear(part, "linear_num_key_heads")
    width = stated.value if stated else int(0.75 * part.integer("hidden_size").value / heads)
    return width if name == "linear_key_head_dim" else 2 * width


def kimi_delta(part: ConfigPart, ranks: int) -> State:
    """Kimi Linear: queries, keys and values convolved; heads x width x width recur in float32 (kda_state_shape)."""
    nested = part.nested("linear_attn_config", {})
    heads, width = nested.integer("num_heads").value, nested.integer("head_dim").value
    taps = nested.integer("short_conv_kernel_size").value - 1
    channels = shared_out("the convolved channels", 3 * heads * width, ranks)
    recurrent = shared_out("num_heads of linear_attn_config", heads, ranks) * width * width
    return State(state_bytes=channels * taps * MODEL_BYTES + recurrent * STATE_BYTES["float32"])


def short_convolution(part: ConfigPart, ranks: int) -> State:
    """LFM2: conv_dim (hidden_size where the file has none) channels, conv_L_cache - 1 taps."""
    width = part.raw.get("conv_dim") if part.model_type == "lfm2" else None
    channels = shared_out("the convolved channels", width or part.integer("hidden_size").value, ranks)
    return State(state_bytes=channels * (part.integer("conv_L_cache").value - 1) * MODEL_BYTES)


def _whole_groups(part: ConfigPart) -> None:
    """Raises EngineError where layers are left over: vLLM 0.33 and transformers take those for different kinds."""
    layers, group = part.integer("num_hidden_layers").value, part.integer("layer_group_size").value
    if layers % group:
        raise EngineError(
            f"num_hidden_layers is {layers}, no multiple of layer_group_size {group}: which kind vLLM 0.33 makes of "
            "the layers left over is not followed here. Read it in its log."
        )


def bailing_v3(part: ConfigPart, ranks: int) -> State:
    """Ling and Ring 3 (bailing_moe_v3.py): Kimi's delta attention under the attention's own heads and width."""
    _whole_groups(part)
    heads, width = part.integer("num_attention_heads").value, part.integer("head_dim").value
    stated = part.optional_integer("short_conv_kernel_size")
    channels = shared_out("the convolved channels", 3 * heads * width, ranks)
    recurrent = shared_out("num_attention_heads", heads, ranks) * width * width
    taps, tap_bytes = (4 if stated is None else stated.value) - 1, channels * MODEL_BYTES
    return State(state_bytes=tap_bytes * taps + recurrent * STATE_BYTES["float32"], tap_bytes=tap_bytes)


def bailing_v2_5(part: ConfigPart, ranks: int) -> State:
    """Ling and Ring 2.5 (bailing_moe_linear.py): one matrix of head_dim x head_dim a head, in the model's own type."""
    _whole_groups(part)
    heads, width = part.integer("num_attention_heads").value, part.integer("head_dim").value
    return State(state_bytes=shared_out("num_attention_heads", heads, ranks) * width * width * MODEL_BYTES)


OF_CLASS: dict[str, Callable[[ConfigPart, int], State]] = {  # where one model_type is served by several classes
    "BailingMoeV2_5ForCausalLM": bailing_v2_5,
    "BailingMoeV3ForCausalLM": bailing_v3,
}
STATES: dict[str, Callable[[ConfigPart, int], State]] = {
    "falcon_h1": mamba2_in_hybrid,
    "falcon_mamba": mamba1,
    "granitemoehybrid": mamba2_in_hybrid,
    "jamba": jamba,
    "kimi_linear": kimi_delta,
    "lfm2": short_convolution,
    "lfm2_moe": short_convolution,
    "mamba": mamba1,
    "mamba2": mamba2,
    "nemotron_h": nemotron_h,
    "olmo_hybrid": gated_delta,
    "qwen3_5_moe_text": gated_delta,
    "qwen3_5_text": gated_delta,
    "qwen3_next": gated_delta,
    "zamba2": zamba2,
}


def state_of(part: ConfigPart, ranks: int, text_class: str = "", speculated: int = 0) -> State:
    """The state of one recurrent layer on one rank: a convolution keeps a tap more for each token that a draft
    speculates (mamba_utils.py, num_spec). Raises EngineError for a mechanism that is not known here."""
    known = OF_CLASS.get(text_class) or STATES.get(part.model_type)
    if known is None:
        raise EngineError(
            f"vLLM 0.33's state for model_type {part.model_type!r} is not known here. Read it in its log."
        )
    state = known(part, ranks)
    return replace(state, state_bytes=state.state_bytes + speculated * state.tap_bytes) if speculated else state
