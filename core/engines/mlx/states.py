"""Recurrent states in mlx-lm 0.32.2: kernel - 1 taps of each convolution in the model's type, and the recurrence.

transformers keeps kernel taps; mlx-lm keeps those before the next token. Mamba-2, the delta rules and lightning
attention recur in float32, Mamba (1) and RG-LRU in the model's own type (mamba.py, recurrent_gemma.py, gated_delta.py,
ssm.py).
"""

from collections.abc import Mapping
from typing import Any

from core.engines.mlx.caches import ELEMENT_BYTES
from core.engines.plan import EngineError
from core.models.attention import RecurrentState

KERNEL_KEYS = (
    "conv_kernel",
    "mamba_d_conv",
    "linear_conv_kernel_dim",
    "short_conv_kernel_size",
    "conv_L_cache",
    "d_conv",
)
IN_MODEL_TYPE = ("Mamba", "RG-LRU")  # the recurrence is not kept in float32


def state_bytes(module: str, config: Mapping[str, Any], layer: RecurrentState) -> int:
    """Bytes of one layer's states for one sequence. Raises EngineError for widths that the config does not name."""
    if module == "bailing_hybrid":
        heads, width = _number(config, "num_attention_heads"), _number(config, "head_dim")
        return heads * width * width * 4
    recurrent = layer.float32_elements
    convolved = layer.state_elements - recurrent
    if convolved and layer.mechanism != "RG-LRU":
        kernel = _kernel(config, 3 if layer.mechanism == "short convolution" else 4)
        convolved = convolved // kernel * (kernel - 1)
    return convolved * ELEMENT_BYTES + recurrent * (ELEMENT_BYTES if layer.mechanism in IN_MODEL_TYPE else 4)


def _kernel(config: Mapping[str, Any], otherwise: int) -> int:
    nested = config.get("linear_attn_config")
    places = (nested, config) if isinstance(nested, Mapping) else (config,)
    for place in places:
        for key in KERNEL_KEYS:
            if isinstance(place.get(key), int):
                return max(1, int(place[key]))
    return otherwise


def _number(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EngineError(f"mlx: {key} is {value!r}: it has to be a whole number above 0. Mend the config.")
    return value
