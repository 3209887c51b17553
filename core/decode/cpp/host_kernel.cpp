// Decode attention for one new token per sequence, on the host's CPU, reading every key and value byte once.
//
// A work item is (sequence, KV head, span of keys): it streams the span in tiles of KEYS keys, keeps the scores of all
// query rows of the group in cache, and leaves a running maximum, a sum and an output per row; merge() combines spans.
// Layout, as an engine may store it (a token's key is scattered once, when it is appended), in blocks of 16 tokens:
//   keys    [seq][head][S/16] of { scales [D/32][16] where scaled; [D/STEP][16][STEP] elements }
//   values  [seq][head][S/16] of { scales [D/32][16] where scaled; [16/STEP][D][STEP] elements }
// with STEP = 2 for bf16 and 4 bits, else 1; in fours as digits.h and fours.h say. S is a multiple of 16; keys at or past a
// sequence's length are masked.
// Arithmetic and sums are float32. Kinds: 0 float32, 1 bfloat16, 2 float16, 3 fp8 (e4m3), 4 int8 and 5 int4 with a
// float16 scale for 32 elements of one token, the numbers of llama.cpp's q8_0 and q4_0 (ggml-common.h).
#include "multiply.h"
#include "probes.h"

namespace {

// Queries of kind 0 as they are; 1 and 2, bfloat16 and float16, widened once for all that read them
inline const float* widened_queries(int kind, const void* query, size_t count) {
  static Buffer<float> wide;
  if (kind == 0) return (const float*)query;
  wide.resize(count);
  const uint16_t* from = (const uint16_t*)query;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = uint32_t(from[i]) << 16;
    if (kind == 1) std::memcpy(&wide[i], &bits, 4);
    else wide[i] = half_of(from[i]);
  }
  return wide.data();
}

template <class F>
void decode(const float* query, Cache keys, Cache values, const int64_t* lengths, const Shape& s, const float* key_scales,
            const float* value_scales, Parallel parallel, float* result) {
  const int groups = s.sequences * s.heads, items = groups * s.spans;
  const size_t rd = size_t(s.rows) * s.dim, per_group = size_t(s.capacity) / LANES;
  static Buffer<float> outs, tops, totals;
  outs.resize(items * rd);
  tops.resize(size_t(items) * s.rows);
  totals.resize(size_t(items) * s.rows);
  Shares shares(items, s.threads);
  auto work = [&] {
    shares.take([&](int item) {
      const int group = item / s.spans, span = item % s.spans;
      const int64_t length = lengths[group / s.heads], blocks = (length + LANES - 1) / LANES;
      const int first = int(blocks * span / s.spans) * LANES;
      const int64_t end = (blocks * (span + 1) / s.spans) * LANES;
      const float scale = s.scale * F::FACTOR * (key_scales ? key_scales[group % s.heads] : 1.0f);
      attend<F>(query + group * rd, from_block<F>(keys, group * per_group, s.dim),
                from_block<F>(values, group * per_group, s.dim), first, int(end < length ? end : length), s, scale,
                &outs[item * rd], &tops[size_t(item) * s.rows], &totals[size_t(item) * s.rows]);
    });
  };
  on_threads(s.threads, parallel, work);
  for (int group = 0; group < groups; ++group)
    merge(&outs[group * s.spans * rd], &tops[size_t(group) * s.spans * s.rows], &totals[size_t(group) * s.spans * s.rows],
          s, F::FACTOR * (value_scales ? value_scales[group % s.heads] : 1.0f), result + group * rd);
}

}  // namespace

extern "C" const char* headroom_level() { return level_name(); }

// 1 where this kind and shape are multiplied by AMX's tiles, on this processor and as this system allows
extern "C" int headroom_by_tiles(int kind, int rows, int dim) { return kind == 1 && by_tiles<Bf16>(rows, dim); }

// What takes a cache of this kind four bytes at a time, laid out for it by core/decode/host_kernel.py: VNNI, GFNI, or nothing
extern "C" const char* headroom_in_fours(int kind) {
#if defined(QUADS)
  if (kind == 4 || kind == 5) return "VNNI";
#endif
#if defined(FOURS)
  if (kind == 3) return "GFNI";
#endif
  return "";
}

// One decode step as it is asked for again and again: where all of it lies, for DecodeStep of core/decode/host_library.py.
struct DecodeStep {
  int32_t kind, query_kind, sequences, heads, rows, dim, capacity, spans, threads;  // query_kind: 0, 1 or 2
  float scale;
  const void *query, *keys, *values;  // query [seq][head][rows][dim]
  const int64_t* lengths;
  const float *key_scales, *value_scales;  // [head], or null
  const void *small_keys, *small_values;   // of fp8 in fours a byte for each square of a Cache, else null
  float* result;                           // as query, in float32
  void* parallel;                          // may be null
};

extern "C" void headroom_decode(const DecodeStep* asked) {
  const DecodeStep& a = *asked;
  const Shape s{a.sequences, a.heads, a.rows, a.dim, a.capacity, a.spans, a.threads, a.scale};
  const auto work = a.kind == 1   ? decode<Bf16>
                    : a.kind == 2 ? decode<Half>
                    : a.kind == 3 ? decode<CachedFp8>
                    : a.kind == 4 ? decode<CachedInt8>
                    : a.kind == 5 ? decode<CachedInt4>
                                  : decode<Float>;
  const float* query = widened_queries(a.query_kind, a.query, size_t(a.sequences) * a.heads * a.rows * a.dim);
  const Cache keys{(const uint8_t*)a.keys, (const uint8_t*)a.small_keys};
  const Cache values{(const uint8_t*)a.values, (const uint8_t*)a.small_values};
  work(query, keys, values, a.lengths, s, a.key_scales, a.value_scales, (Parallel)a.parallel, a.result);
}

// Tokens' products with matrices, or with the experts that each drew: x [tokens][columns], weights [..][rows][columns],
// out [tokens][rows] in float32; tokens first[g] to first[g + 1] meet matrix which[g]. Kinds 0 to 2, columns a multiple
// of 32 (bfloat16) or 16.
extern "C" void headroom_multiply(int kind, const void* weights, const void* x, int groups, const int64_t* which,
                                  const int64_t* first, int rows, int columns, int threads, float* out, void* parallel) {
  const auto work = kind == 1 ? multiply<Bf16> : kind == 2 ? multiply<Half> : multiply<Float>;
  work((const uint8_t*)weights, (const uint8_t*)x, groups, which, first, rows, columns, threads, (Parallel)parallel, out);
}

// way: 0 as the processor fetches by itself, 1 with fetches ahead, 2 with them and in turns of two halves, each a multiple
// of 256 bytes.
extern "C" uint32_t headroom_read(const void* data, size_t bytes, int way, int threads, void* parallel) {
  return read_all((const uint8_t*)data, bytes, way > 0, way == 2, threads, (Parallel)parallel);
}

// FLOPs of the products, on the threads that took part: kind 1 as bfloat16 is multiplied by vectors here, 2 by tiles and
// 3 by bytes (only where headroom_by_tiles and headroom_in_fours say so), else float32, which every widened format becomes.
extern "C" int64_t headroom_products(int kind, int64_t times, int threads, void* parallel) {
#if defined(TILES)
  if (kind == 2 && tiles_allowed()) {
    const int taken = multiply_tiles_in_cache(times, threads, (Parallel)parallel);
    return 2 * int64_t(MOST_TILED) * 2 * LANES * PROBE_DIM * times * taken;
  }
#endif
#if defined(QUADS)
  if (kind == 3) {
    const int taken = multiply_quads_in_cache(times, threads, (Parallel)parallel);
    return 2 * int64_t(ROWS_OF_QUADS) * 2 * LANES * PROBE_DIM * times * taken;
  }
#endif
  const int taken = kind == 1 ? multiply_in_cache<Bf16>(times, threads, (Parallel)parallel)
                              : multiply_in_cache<Float>(times, threads, (Parallel)parallel);
  return 2 * int64_t(SCORED) * 2 * LANES * PROBE_DIM * times * taken;
}

extern "C" int64_t headroom_exponentials(int64_t times, int threads, void* parallel) {
  return 4096 * times * exponentials(times, threads, (Parallel)parallel);
}
