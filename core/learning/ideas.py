"""What came after G: which factor of `2 · L · G · head_dim · context · batch · bytes` each later idea attacks.

An idea says the keys of config.json that declare it, what G still means beside it, and what is published of its
quality, by table. `standing` reads from a model's layers which ideas it takes part in; every kind of layer that
core.models.attention knows has its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes, pool_share_bytes
from core.engines.plan import EngineError
from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.registry import RegisteredModel, load_registry
from core.models.spec import ModelSpec, read_config

CONTEXT = 32_768
FACTORS = ("2", "L", "G", "head_dim", "context", "batch", "bytes", "reads")
ENGINES = ("vllm", "sglang", "llama.cpp", "mlx")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure of a paper, with the table that it stands in."""

    says: str
    where: str  # paper, table
    arxiv: str


@dataclass(frozen=True, kw_only=True)
class Idea:
    """One idea. model is a registry model that ships it; elements_by_paper a paper's shape where none does."""

    key: str
    name: str
    factors: tuple[str, ...]
    does: str
    keys: tuple[str, ...]  # of config.json
    g_means: str
    model: str | None = None
    paper_bytes: Mapping[str, int] | None = None  # a token and layer, by variant, as the paper's table prints them
    paper_shape: str = ""
    published: tuple[Published, ...] = ()


GLA_XL = "Zadouri, Strauss, Dao 2025, Table 5 (1.471B)"
GLA_BYTES = {"MHA": 8192, "GQA-4": 2048, "GTA-4": 1152, "GLA-2": 1152, "MLA": 1152}
IDEAS: tuple[Idea, ...] = (
    Idea(
        key="grouped", name="Fewer KV heads", factors=("G",), model="Llama-3.1 8B",
        does="MQA and GQA: query heads share key and value heads.",
        keys=("num_key_value_heads", "multi_query", "num_kv_heads"),
        g_means="Everything that the other pages say.",
        published=(
            Published(says="Mean of eleven tasks at 30B: MHA 44.15, GQA with G = 8 44.28, MQA 43.76.",
                      where="Llama 2, Table 18", arxiv="2307.09288"),
        ),
    ),
    Idea(
        key="latent", name="A latent (MLA)", factors=("2", "G", "head_dim"), model="DeepSeek-V3",
        does="One vector a token and layer, from which keys and values of all heads are computed.",
        keys=("kv_lora_rank", "qk_rope_head_dim"),
        g_means="Nothing: num_key_value_heads is in the file and counts no cache. Each GPU of a split model "
        "holds the whole latent.",
        published=(
            Published(says="MMLU of a 16B: MLA 50.0, MHA 48.7, with 15.6K against 110.6K elements a token.",
                      where="DeepSeek-V2, Table 9", arxiv="2405.04434"),
        ),
    ),
    Idea(
        key="gla", name="Grouped latents (GLA)", factors=("2", "G", "head_dim"), paper_bytes=GLA_BYTES,
        does="The latent cut into a few, each read by its own query heads, so that ranks need not each hold all of it.",
        keys=(), paper_shape="16 query heads of width 128, 16 bits, a token and layer on one rank",
        g_means="It is back: as the number of latents, and as what tensor parallelism divides.",
        published=(
            Published(says="Validation perplexity at 1.471B: GLA-2 10.218, MLA 10.256, GQA-4 10.202.",
                      where=GLA_XL, arxiv="2505.21487"),
        ),
    ),
    Idea(
        key="tied", name="K = V (GTA)", factors=("2",), paper_bytes=GLA_BYTES,
        does="One tensor serves as key and value; only a small rotary part of the key is kept beside it.",
        keys=(), paper_shape="16 query heads of width 128, 16 bits, a token and layer on one rank",
        g_means="The same as before: GTA-4 has four KV heads. The 2 in front of it is nearly gone.",
        published=(
            Published(says="Validation perplexity at 1.471B: GTA-4 10.129, GQA-4 10.202, MHA 10.311.",
                      where=GLA_XL, arxiv="2505.21487"),
        ),
    ),
    Idea(
        key="fewer-layers", name="Fewer layers that cache", factors=("L",), model="Qwen3-Next 80B-A3B",
        does="Some layers hold a state of constant size, or no attention at all; the others keep keys and values.",
        keys=("layer_types", "full_attention_interval", "attn_layer_period", "block_configs"),
        g_means="It counts in the layers that are left: a factor on a smaller L. The state does not know it.",
        published=(
            Published(says="Mean of eight tasks at 128k tokens, 48B: all layers MLA 52.2, one in four 54.5; with "
                      "another linear layer 51.2.", where="Kimi Linear, Table 5", arxiv="2510.26692"),
        ),
    ),
    Idea(
        key="shorter", name="Windows, chunks, sinks", factors=("context",), model="gpt-oss-20b",
        does="Some layers keep only the last tokens, or the last chunk. A sink keeps the first ones too.",
        keys=("sliding_window", "layer_types", "sliding_window_pattern", "attention_chunk_size"),
        g_means="As before, in every layer; but past the window a smaller G saves a constant.",
        published=(
            Published(says="A window alone, not trained for: perplexity 5158.07; with four first tokens kept 5.40.",
                      where="StreamingLLM, Table 1 (Llama-2-13B)", arxiv="2309.17453"),
        ),
    ),
    Idea(
        key="compressed", name="Compressed entries", factors=("context",),
        does="Every few tokens become one entry; a short window is kept as it is.",
        keys=("compress_ratios", "sliding_window", "index_topk"),
        g_means="It is 1 by construction: one vector is key and value for all query heads.",
    ),
    Idea(
        key="shared", name="Layers share a cache", factors=("L",), model="Gemma-3n E4B",
        does="A layer reads the keys and values of an earlier one (CLA, YOCO, Gemma-3n) and keeps none.",
        keys=("num_kv_shared_layers",),
        g_means="As before in the layers that keep; a smaller G and sharing multiply.",
        published=(
            Published(says="Validation perplexity at 1B: GQA-4 13.36, the same with pairs of layers sharing 13.48.",
                      where="Brandon et al. 2024, Table 1", arxiv="2405.12981"),
        ),
    ),
    Idea(
        key="sparse", name="Sparse reads", factors=("reads",), model="DeepSeek-V3.2",
        does="An index picks the tokens that a step attends to. Reads fall; storage does not, and grows by index keys.",
        keys=("index_topk", "index_head_dim", "index_n_heads"),
        g_means="What is stored still goes with it, or with the latent. What is read goes with index_topk.",
        published=(
            Published(says="Mean of nine tasks at 27B, trained so from the start: sparse 0.456, full attention 0.443.",
                      where="Native Sparse Attention, Table 1", arxiv="2502.11089"),
        ),
    ),
    Idea(
        key="bits", name="Fewer bits", factors=("bytes",), model="Llama-3.1 8B",
        does="FP8, MXFP4, NVFP4: fewer bits a number, and a scale for a block of them.",
        keys=("kv_cache_scheme", "kv_cache_quant_algo"),
        g_means="One budget with it: G = 8 at 4 bits takes what G = 2 takes at 16, but for the scales.",
        published=(
            Published(says="CoQA at 4 bits: Llama-2-13B 66.37 to 66.38; at 2 bits Falcon-7B (G = 1) 59.83 to 57.48.",
                      where="KIVI, Table 3", arxiv="2402.02750"),
        ),
    ),
)  # fmt: skip
# name: bits of a number, numbers that share a scale, bits of the scale
FORMATS = {"16 bits": (16, 0, 0), "FP8": (8, 0, 0), "MXFP4": (4, 32, 8), "NVFP4": (4, 16, 8)}


def idea(key: str) -> Idea:
    """The idea of that key. Raises KeyError for an unknown one."""
    return {found.key: found for found in IDEAS}[key]


def of_layer(layer: Layer) -> tuple[str, ...]:
    """Keys of the ideas that this layer carries out; empty for plain MHA over the whole context."""
    match layer:
        case GroupedAttention():
            found = ["grouped"] if layer.num_kv_heads < layer.num_query_heads else []
            found += ["shorter"] if layer.window is not None else []
            return (*found, *(["sparse"] if layer.index_topk is not None else []))
        case LatentAttention():
            found = ["latent", *(["shorter"] if layer.window is not None else [])]
            return (*found, *(["sparse"] if layer.index_topk is not None else []))
        case CompressedAttention():
            found = ["grouped", "shorter", "compressed", "tied"]
            return (*found, *(["sparse"] if layer.index_topk is not None else []))
        case SharedCache():
            return ("shared",)
        case RecurrentState() | NoAttention():
            return ("fewer-layers",)
        case ParallelLayer():
            return of_layer(layer.attention)  # it keeps keys and values as well as a state: no layer less


def standing(spec: ModelSpec) -> tuple[str, ...]:
    """Keys of the ideas that a model stands on, in the order of IDEAS; empty where every layer is plain MHA."""
    found = {key for layer in spec.layer_counts for key in of_layer(layer)}
    if spec.cache_bits is not None and spec.cache_bits < 16:
        found.add("bits")
    return tuple(each.key for each in IDEAS if each.key in found)


@cache
def registry() -> tuple[tuple[RegisteredModel, ModelSpec], ...]:
    """Every model of the registry, read."""
    return tuple((model, read_config(model.config)) for model in load_registry())


def models_on(key: str) -> tuple[str, ...]:
    """Names of the registry's models that stand on the idea."""
    return tuple(model.name for model, spec in registry() if key in standing(spec))


def model_of(found: Idea) -> ModelSpec | None:
    """The registry model that the idea names, read; None where it goes by a paper's shape."""
    return next((spec for model, spec in registry() if model.name == found.model), None)


def bytes_per_token(spec: ModelSpec) -> float:
    """What a token of CONTEXT tokens keeps, states included: a share."""
    return (spec.cache_bytes(context_length=CONTEXT) + spec.state_bytes()) / CONTEXT


def read_per_token(spec: ModelSpec) -> float:
    """What a step reads of the cache for each token of CONTEXT tokens."""
    return spec.cache_read_bytes(context_length=CONTEXT) / CONTEXT


def engine_bytes(spec: ModelSpec, cache_bits: int = 16) -> dict[str, float | str]:
    """What each engine takes for a token of one request of CONTEXT tokens, by its version, or why not."""
    found: dict[str, float | str] = {}
    width = {} if cache_bits == 16 else {"cache_bits": cache_bits}
    for engine in ENGINES:
        try:
            plan = plan_cache(named_class(spec), engine=engine, context_length=CONTEXT, **width)
        except EngineError as refused:
            found[engine] = str(refused)
        else:
            share = pool_share_bytes(plan, context_length=CONTEXT)
            found[plan.version] = (held_bytes(plan, batch_size=1) if share is None else share) / CONTEXT
    return found


@dataclass(frozen=True, kw_only=True)
class IdeaBytes:
    """Bytes a token of the idea's model, with CONTEXT tokens: kept, read, by format, and by engine (its version) with
    the width that the engines were asked for; refused says why an engine takes none."""

    name: str
    kept: float
    read: float
    formats: Mapping[str, float]
    engines: Mapping[str, float]
    engine_bits: int
    refused: Mapping[str, str]


def size_of(found: Idea) -> IdeaBytes | None:
    """Counted by our reader; None where no model is read for the idea."""
    spec, name = model_of(found), found.model
    if found.key == "compressed":
        name, spec = next(
            ((model.name, each) for model, each in registry() if found.key in standing(each)),
            ("deepseek_v4 with its class's defaults", read_config({"model_type": "deepseek_v4"})),
        )
    if spec is None or name is None:
        return None
    kept = bytes_per_token(spec)
    formats = {key: kept * stored_bits(key) / 16 for key in FORMATS if key != "16 bits"} if found.key == "bits" else {}
    engine_bits = 8 if found.key == "bits" else 16
    taken = engine_bytes(spec, engine_bits)
    return IdeaBytes(
        name=name,
        kept=kept,
        read=read_per_token(spec) + spec.state_bytes() / CONTEXT,
        formats=formats,
        engines={engine: count for engine, count in taken.items() if isinstance(count, float)},
        engine_bits=engine_bits,
        refused={engine: why for engine, why in taken.items() if isinstance(why, str)},
    )


def stored_bits(name: str) -> float:
    """Bits that a number takes in that format, its share of the scale included: 4 + 8 / 16 = 4.5 for NVFP4.

    MXFP4: OCP Microscaling, blocks of 32 with a scale of 8 bits; NVFP4: blocks of 16 with one in E4M3. FP8 as engines
    keep it has one scale a tensor or head, which is nothing beside the numbers.
    """
    bits, block, scale = FORMATS[name]
    return bits + (scale / block if block else 0)
