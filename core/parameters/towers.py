"""Vision towers: patches to vectors, layers, and what merges them.

Each gives its parameters and the width of what it hands on. Read from transformers 5.23.0,
models/<type>/modeling_<type>.py. A convolution over patches weighs channels x patch area x width.
"""

from collections.abc import Callable, Mapping

from core.parameters.tally import gated, linear, plain
from core.parameters.values import NotByRule, Values

Tower = Callable[[Values], int]


def _patches(c: Values, width: int, bias: bool, channels: str = "num_channels") -> int:
    return linear(c.size(channels) * c.size("patch_size") ** 2, width, bias)


def _encoder(c: Values, width: int) -> int:
    """Layers of CLIP's and SigLIP's build: attention with biases, two matrices, two LayerNorms."""
    layers = c.layers("num_hidden_layers")
    return layers * (4 * linear(width, width, True) + plain(width, c.size("intermediate_size"), True) + 4 * width)


def clip(c: Values) -> int:
    """CLIP: a class vector, positions for it too, a norm before and after."""
    width = c.size("hidden_size")
    positions = (c.size("image_size") // c.size("patch_size")) ** 2 + 1
    return _patches(c, width, False) + width + positions * width + 4 * width + _encoder(c, width)


def siglip(c: Values) -> int:
    """SigLIP: no class vector; a pooling head where vision_use_head."""
    width = c.size("hidden_size")
    positions = (c.size("image_size") // c.size("patch_size")) ** 2
    return _patches(c, width, True) + positions * width + 2 * width + _encoder(c, width) + _pooling_head(c, width)


def siglip2(c: Values) -> int:
    """SigLIP 2: as many positions as num_patches says."""
    width = c.size("hidden_size")
    return (
        _patches(c, width, True)
        + c.size("num_patches") * width
        + 2 * width
        + _encoder(c, width)
        + _pooling_head(c, width)
    )


def _pooling_head(c: Values, width: int) -> int:
    if not c.flag_or("vision_use_head", True):
        return 0
    return width + 4 * linear(width, width, True) + 2 * width + plain(width, c.size("intermediate_size"), True)


def idefics3(c: Values) -> int:
    """SigLIP without a head, its image size counted in whole patches."""
    width = c.size("hidden_size")
    positions = (c.size("image_size") // c.size("patch_size")) ** 2
    return _patches(c, width, True) + positions * width + 2 * width + _encoder(c, width)


def pixtral(c: Values) -> int:
    """Pixtral: RMS norms, gated FFN, no biases, rotary positions."""
    width = c.size("hidden_size")
    each = 4 * width * width + gated(width, c.size("intermediate_size")) + 2 * width
    return _patches(c, width, False) + width + c.layers() * each


def _video_patches(c: Values, width: int, bias: bool) -> int:
    return linear(c.size("in_channels") * c.size("temporal_patch_size") * c.size("patch_size") ** 2, width, bias)


def _merger(width: int, unit: int, out: int, norm: int) -> int:
    """Neighbouring patches, unit of them side by side, to one vector of the text's width."""
    return norm + linear(width * unit, width * unit, True) + linear(width * unit, out, True)


def qwen2_vl(c: Values) -> int:
    width, unit = c.size("embed_dim"), c.size("spatial_merge_size") ** 2
    ratio = c.get("mlp_ratio")
    if not isinstance(ratio, int | float) or isinstance(ratio, bool) or ratio <= 0:
        raise NotByRule("mlp_ratio is no number")
    each = 4 * linear(width, width, True) + plain(width, int(width * ratio), True) + 4 * width
    blocks = c.layers("depth") * each
    return _video_patches(c, width, False) + blocks + _merger(width, unit, c.size("hidden_size"), 2 * width)


def qwen2_5_vl(c: Values) -> int:
    width, unit = c.size("hidden_size"), c.size("spatial_merge_size") ** 2
    each = 4 * linear(width, width, True) + gated(width, c.size("intermediate_size"), True) + 2 * width
    blocks = c.layers("depth") * each
    return _video_patches(c, width, False) + blocks + _merger(width, unit, c.size("out_hidden_size"), width)


def qwen3_vl(c: Values) -> int:
    """With a merger more for each layer whose features go into the text's first layers (deepstack)."""
    width, unit, out = c.size("hidden_size"), c.size("spatial_merge_size") ** 2, c.size("out_hidden_size")
    each = 4 * linear(width, width, True) + plain(width, c.size("intermediate_size"), True) + 4 * width
    total = _video_patches(c, width, True) + c.size("num_position_embeddings") * width + c.layers("depth") * each
    deep = len(c.numbers("deepstack_visual_indexes"))
    return total + _merger(width, unit, out, 2 * width) + deep * _merger(width, unit, out, 2 * width * unit)


def glm4v(c: Values) -> int:
    width, out = c.size("hidden_size"), c.size("out_hidden_size")
    positions = (c.size("image_size") // c.size("patch_size")) ** 2
    attention = linear(width, 3 * width, c.flag("attention_bias")) + width * width
    blocks = c.layers("depth") * (attention + gated(width, out) + 2 * width)
    down = linear(width * c.size("spatial_merge_size") ** 2, out, True)
    merger = out * out + 2 * out + gated(out, c.size("intermediate_size"))
    return _video_patches(c, width, True) + positions * width + blocks + down + 2 * width + merger


def gemma4(c: Values) -> int:
    """Gemma 4: head-wide norms of Q and K, four norms a layer, positions by row and by column."""
    width, heads, dim = c.size("hidden_size"), c.size("num_attention_heads"), c.size("head_dim")
    groups = c.size_or_none("num_key_value_heads") or heads
    attention = 2 * width * heads * dim + 2 * width * groups * dim + 2 * dim
    each = attention + gated(width, c.size("intermediate_size")) + 4 * width
    patches = 3 * c.size("patch_size") ** 2 * width + 2 * c.size("position_embedding_size") * width
    return patches + c.layers() * each


def minimax_m3(c: Values) -> int:
    """MiniMax-M3: CLIP's layers over patches of two frames, a norm before them and none after, rotary positions."""
    width = c.size("hidden_size")
    patches = c.size("num_channels") * c.size("temporal_patch_size") * c.size("patch_size") ** 2
    return linear(patches, width) + 2 * width + _encoder(c, width)


def glm5_next(c: Values) -> int:
    """GLM-5.3-Flash: gated layers with norms of Q and K, neighbours merged by a convolution, a gated FFN behind."""
    width, out, bias = c.size("hidden_size"), c.size("out_hidden_size"), c.flag("attention_bias")
    attention = linear(width, 3 * width, bias) + linear(width, width, bias) + 2 * (width // c.size("num_heads"))
    blocks = c.layers("depth") * (attention + gated(width, c.size("intermediate_size"), bias) + 2 * width)
    down = linear(width * c.size("spatial_merge_size") ** 2, out, True)
    merger = out * out + 2 * out + gated(out, c.size("projection_intermediate_size"))
    return _video_patches(c, width, True) + blocks + width + down + merger


MOBILENET_V5 = 294_126_912  # mobilenetv5_300m_enc of timm 1.0.31, as transformers 5.24.0 builds it on the meta device


def gemma3n_vision(c: Values) -> int:
    """Gemma 3n: MobileNet-V5, a network of timm's with one size."""
    if c.get("architecture") != "mobilenetv5_300m_enc" or c.get("model_args", None) is not None:
        raise NotByRule(f"{c.path}architecture: the rule knows mobilenetv5_300m_enc alone")
    c.ignore("vocab_size", "hidden_size")  # of what stands between it and the text
    return MOBILENET_V5


def gemma3n_audio(c: Values) -> int:
    """Gemma 3n's conformer: two convolutions that halve time and frequency, then layers of FFN, attention, convolution
    and FFN again."""
    hidden, layers, kernels = c.size("hidden_size"), c.layers("conf_num_hidden_layers"), c.get("sscp_conv_kernel_size")
    channels, strides = c.numbers("sscp_conv_channel_size"), c.get("sscp_conv_stride_size")
    if len(channels) != 2 or kernels != [[3, 3], [3, 3]] or strides != [[2, 2], [2, 2]]:
        raise NotByRule(f"{c.path}sscp_conv_channel_size, _kernel_size, _stride_size: the rule does not follow them")
    frequencies = (c.size("input_feat_size") + 3) // 4
    first = 9 * channels[0] + channels[0] + 9 * channels[0] * channels[1] + channels[1]
    feed_forward = 2 * (8 * hidden * hidden + 2 * hidden)
    attention = 5 * hidden * hidden + hidden // c.size("conf_num_attention_heads") + 2 * hidden
    convolution = 3 * hidden * hidden + hidden * c.size("conf_conv_kernel_size") + 2 * hidden
    c.ignore("vocab_size")
    c.check()
    return first + channels[1] * frequencies * hidden + layers * (feed_forward + attention + convolution + hidden)


def kimi_k3(c: Values) -> int:
    """Kimi-K3's MoonViT, as the shapes of its files say: RMS norms, no biases, heads wider than their share."""
    if c.get("mlp_type") != "mlp2" or c.get("norm_type") != "rmsnorm":
        raise NotByRule(f"{c.path}mlp_type, norm_type: the rule does not follow them")
    if any(c.flag(name) for name in ("attn_bias", "linear_bias", "patch_embed_proj_bias")):
        raise NotByRule(f"{c.path}attn_bias, linear_bias, patch_embed_proj_bias: the rule does not follow them")
    width, inner = c.size("vt_hidden_size"), c.size("qkv_hidden_size")
    positions = c.size("init_pos_emb_height") * c.size("init_pos_emb_width")
    each = 4 * width * inner + plain(width, c.size("vt_intermediate_size")) + 2 * width
    patches = 3 * c.size("patch_size") ** 2 * width
    return patches + positions * width + c.layers("vt_num_hidden_layers") * each + width


TOWERS: Mapping[str, Tower] = {
    "clip_vision_model": clip,
    "siglip_vision_model": siglip,
    "siglip2_vision_model": siglip2,
    "idefics3_vision": idefics3,
    "smolvlm_vision": idefics3,
    "pixtral": pixtral,
    "gemma4_vision": gemma4,
    "qwen2_vl_vision": qwen2_vl,
    "qwen2_5_vl_vision": qwen2_5_vl,
    "qwen3_vl_vision": qwen3_vl,
    "qwen3_vl_moe_vision": qwen3_vl,
    "glm4v_vision": glm4v,
    "minimax_m3_vl_vision": minimax_m3,
    "kimi_k3_vision": kimi_k3,
    "gemma3n_vision": gemma3n_vision,
    "glm5_next_vision": glm5_next,
    "glm4v_moe_vision": glm4v,
}


def tower(c: Values) -> int:
    """Parameters of the tower that this object describes. Raises NotByRule for a type without a rule."""
    rule = TOWERS.get(c.model_type)
    if rule is None:
        raise NotByRule(f"{c.path}model_type is {c.model_type!r}: no rule")
    total = rule(c)
    c.ignore("vocab_size", "head_dim", "projection_dim")  # of the text beside it, and computed; no tower's own
    c.check()
    return total
