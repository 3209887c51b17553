"""The models that torchtune 0.6.1 builds by name: figures of each builder's own call, and the names' synonyms.

Source: torchtune/models/*/_model_builders.py of the wheel. lora_ and qlora_ builders build the same shape with
adapters beside it; llama3_3_70b is llama3_1_70b, and phi4's and Qwen 2.5's builders call phi3 and qwen2.
"""

# layers, query heads, KV heads, embed_dim, head_dim (None: embed_dim / heads), vocabulary, FFN width, context
Row = tuple[int, int, int, int, int | None, int, int | None, int]
BUILDERS: dict[str, Row] = {
    "code_llama2.code_llama2_7b": (32, 32, 32, 4096, None, 32016, 11008, 16384),
    "code_llama2.code_llama2_13b": (40, 40, 40, 5120, None, 32016, 13824, 16384),
    "code_llama2.code_llama2_70b": (80, 64, 8, 8192, None, 32016, 28672, 16384),
    "gemma.gemma_2b": (18, 8, 1, 2048, 256, 256000, 16384, 8192),
    "gemma.gemma_7b": (28, 16, 16, 3072, 256, 256000, 24576, 8192),
    "gemma2.gemma2_2b": (26, 8, 4, 2304, 256, 256000, 9216, 8192),
    "gemma2.gemma2_9b": (42, 16, 8, 3584, 256, 256000, 14336, 8192),
    "gemma2.gemma2_27b": (46, 32, 16, 4608, 128, 256000, 36864, 8192),
    "llama2.llama2_7b": (32, 32, 32, 4096, None, 32000, None, 4096),
    "llama2.llama2_13b": (40, 40, 40, 5120, None, 32000, 13824, 4096),
    "llama2.llama2_70b": (80, 64, 8, 8192, None, 32000, 28672, 4096),
    "llama2.llama2_reward_7b": (32, 32, 32, 4096, None, 32000, None, 4096),
    "llama3.llama3_8b": (32, 32, 8, 4096, None, 128256, 14336, 8192),
    "llama3.llama3_70b": (80, 64, 8, 8192, None, 128256, 28672, 8192),
    "llama3_1.llama3_1_8b": (32, 32, 8, 4096, None, 128256, 14336, 131072),
    "llama3_1.llama3_1_70b": (80, 64, 8, 8192, None, 128256, 28672, 131072),
    "llama3_1.llama3_1_405b": (126, 128, 8, 16384, None, 128256, 53248, 131072),
    "llama3_2.llama3_2_1b": (16, 32, 8, 2048, None, 128256, 8192, 131072),
    "llama3_2.llama3_2_3b": (28, 24, 8, 3072, None, 128256, 8192, 131072),
    "llama3_2_vision.llama3_2_vision_11b": (32, 32, 8, 4096, None, 128256, 14336, 131072),
    "llama3_2_vision.llama3_2_vision_90b": (80, 64, 8, 8192, None, 128256, 28672, 131072),
    "mistral.mistral_7b": (32, 32, 8, 4096, None, 32000, 14336, 32768),
    "mistral.mistral_reward_7b": (32, 32, 8, 4096, None, 32000, 14336, 32768),
    "phi3.phi3_mini": (32, 32, 32, 3072, None, 32064, 8192, 4096),
    "phi4.phi4_14b": (40, 40, 10, 5120, None, 100352, 17920, 16384),
    "qwen2.qwen2_7b": (28, 28, 4, 3584, None, 152064, 18944, 32768),
    "qwen2.qwen2_0_5b": (24, 14, 2, 896, None, 151936, 4864, 32768),
    "qwen2.qwen2_1_5b": (28, 12, 2, 1536, None, 151936, 8960, 32768),
    "qwen2_5.qwen2_5_0_5b": (24, 14, 2, 896, None, 151936, 4864, 32768),
    "qwen2_5.qwen2_5_1_5b_base": (28, 12, 2, 1536, None, 151936, 8960, 131072),
    "qwen2_5.qwen2_5_1_5b_instruct": (28, 12, 2, 1536, None, 151936, 8960, 32768),
    "qwen2_5.qwen2_5_3b": (36, 16, 2, 2048, None, 151936, 11008, 32768),
    "qwen2_5.qwen2_5_7b_base": (28, 28, 4, 3584, None, 152064, 18944, 131072),
    "qwen2_5.qwen2_5_7b_instruct": (28, 28, 4, 3584, None, 152064, 18944, 32768),
    "qwen2_5.qwen2_5_14b_base": (48, 40, 8, 5120, None, 152064, 13824, 131072),
    "qwen2_5.qwen2_5_14b_instruct": (48, 40, 8, 5120, None, 152064, 13824, 32768),
    "qwen2_5.qwen2_5_32b_base": (64, 40, 8, 5120, None, 152064, 27648, 131072),
    "qwen2_5.qwen2_5_32b_instruct": (64, 40, 8, 5120, None, 152064, 27648, 32768),
    "qwen2_5.qwen2_5_72b_base": (80, 64, 8, 8192, None, 152064, 29568, 131072),
    "qwen2_5.qwen2_5_72b_instruct": (80, 64, 8, 8192, None, 152064, 29568, 32768),
    "llama3_3.llama3_3_70b": (80, 64, 8, 8192, None, 128256, 28672, 131072),
}
# Gemma 2: even layers slide (gemma2/_component_builders.py)
WINDOWED = {"gemma2.gemma2_2b": 4096, "gemma2.gemma2_9b": 4096, "gemma2.gemma2_27b": 4096}
# Llama 3.2 Vision: a layer that attends to the picture before every fourth
FUSED = {"llama3_2_vision.llama3_2_vision_11b": 4, "llama3_2_vision.llama3_2_vision_90b": 4}
