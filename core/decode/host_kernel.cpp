// Decode attention for one new token per sequence, on the host's CPU, reading every key and value byte once.
//
// A work item is (sequence, KV head, span of keys): it streams the span in tiles of KEYS keys, keeps the scores of all
// query rows of the group in cache, and leaves a running maximum, a sum and an output per row; merge() combines spans.
// Layout, as an engine may store it (a token's key is scattered once, when it is appended):
//   bf16  keys  [seq][head][S/16][D/2][16][2]   values [seq][head][S/2][D][2]    pairs, what vdpbf16ps multiplies
//   else  keys  [seq][head][S/16][D][16]        values [seq][head][S][D]
// S is a multiple of 16; keys at or past a sequence's length are masked. Arithmetic and sums are float32.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int KEYS = 512;            // keys per tile: the scores of 40 rows are 80 KB, and a row's sums are formed seldom
constexpr int SUB = 64;              // keys whose values stay in the first cache while every row passes over them
constexpr int SCORED = 8;            // most query rows of one pass over keys, and over values: what fits the registers
constexpr int WEIGHED = 6;
constexpr int AHEAD = 16384;         // bytes fetched ahead: hardware prefetching stops at each 4 KB page
constexpr int MOST_BATCH = 8;        // sequences whose products share one read of the weights
constexpr int PIECE = 32;            // rows of weights that a thread takes at a time
constexpr float MASKED = -1e30f;     // finite, so that its exponential is 0 without infinity minus infinity
constexpr float LOG2_E = 1.44269504088896341f;
typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t ints __attribute__((vector_size(64), aligned(4)));
typedef uint32_t words __attribute__((vector_size(64), aligned(4)));
// GCC has 16-bit floats in C++ from 12 on, on Arm from 13 on, where it names their limits before it has them.
#if defined(__FLT16_MAX__) && (defined(__clang__) || !defined(__aarch64__) || __GNUC__ >= 13)
#define HALVES
typedef _Float16 halves __attribute__((vector_size(32), aligned(2)));
#endif

inline floats splat(float x) { return floats{} + x; }
inline floats load(const float* p) { return *(const floats*)p; }
#if defined(HALVES)
inline floats load(const _Float16* p) { return __builtin_convertvector(*(const halves*)p, floats); }
#endif
inline void store(float* p, floats x) { *(floats*)p = x; }

// Into the second cache: fetched into the first, the same lines arrive a fifth slower (benchmarks/decode.md).
inline void fetch(const void* p) { __builtin_prefetch((const char*)p + AHEAD, 0, 2); }

// 2^t for t <= 0: t = n + f with |f| <= 1/2, a polynomial for 2^f (relative error below 2e-7), n added to its exponent
inline floats exp2_of(floats t) {
#if defined(__AVX512F__)
  const __m512 n = _mm512_roundscale_ps((__m512)t, 0);
  const floats f = t - (floats)n;
#else
  t = t < splat(-126.0f) ? splat(-126.0f) : t;
  const ints n = __builtin_convertvector(t - 0.5f, ints);  // truncation of a value <= 0: rounds to nearest
  const floats f = t - __builtin_convertvector(n, floats);
#endif
  floats p = f * 1.32647e-3f + 9.67151e-3f;
  p = p * f + 5.550734e-2f;
  p = p * f + 2.4022242e-1f;
  p = p * f + 6.9314698e-1f;
  p = p * f + 1.0f;
#if defined(__AVX512F__)
  return (floats)_mm512_scalef_ps((__m512)p, n);
#else
  return (floats)((ints)p + (n << 23));
#endif
}

inline float greatest(floats x) {
  float found = x[0];
  for (int i = 1; i < LANES; ++i) found = x[i] > found ? x[i] : found;
  return found;
}
inline float sum_of(floats x) {
  float sum = 0;
  for (int i = 0; i < LANES; ++i) sum += x[i];
  return sum;
}

inline uint16_t to_bf16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}
inline uint32_t pair_of(float a, float b) { return to_bf16(a) | (uint32_t(to_bf16(b)) << 16); }

// A format: get() 16 lanes of the cache, all() one query element (or pair) in every lane, step() one product more.
struct Bf16 {
  typedef uint16_t element;
  typedef uint32_t query;  // pairs of bf16
  static constexpr int PER_STEP = 2;
  static inline query query_of(const float* from) { return pair_of(from[0], from[1]); }
#if defined(__AVX512BF16__)
  typedef __m512bh lanes;
  static inline lanes get(const element* p) { return (lanes)_mm512_loadu_si512(p); }
  static inline lanes all(query q) { return (lanes)_mm512_set1_epi32(q); }
  static inline floats step(floats sum, lanes x, lanes with) { return (floats)_mm512_dpbf16_ps((__m512)sum, x, with); }
#else
  typedef words lanes;
  static inline lanes get(const element* p) { return *(const words*)p; }
  static inline lanes all(query q) { return words{} + q; }
  static inline floats step(floats sum, lanes x, lanes with) {
    sum += (floats)(x << 16) * (floats)(with << 16);
    return sum + (floats)(x & 0xffff0000u) * (floats)(with & 0xffff0000u);
  }
#endif
};
template <class T>
struct Plain {
  typedef T element;
  typedef float query;
  static constexpr int PER_STEP = 1;
  static inline query query_of(const float* from) { return from[0]; }
  typedef floats lanes;
  static inline lanes get(const element* p) { return load(p); }
  static inline lanes all(query q) { return splat(q); }
  static inline floats step(floats sum, lanes x, lanes with) { return sum + x * with; }
};

// scores[ROWS][BLOCKS x 16] of blocks of 16 keys; q is [steps][ROWS]. SPLIT chains of sums hide a product's latency.
template <class F, int ROWS, int BLOCKS, int SPLIT, bool FIRST>
inline void score_blocks(const typename F::element* k, const typename F::query* q, int dim, float* scores) {
  const size_t block = size_t(LANES) * dim;
  floats sums[SPLIT][ROWS][BLOCKS] = {};
  for (int i = 0; i < dim / F::PER_STEP; i += SPLIT) {
#pragma GCC unroll 8
    for (int j = 0; j < SPLIT; ++j) {
      typename F::lanes x[BLOCKS];
#pragma GCC unroll 2
      for (int b = 0; b < BLOCKS; ++b) {
        const auto* at = k + size_t(i + j) * LANES * F::PER_STEP + b * block;
        if (FIRST) fetch(at);
        x[b] = F::get(at);
      }
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r) {
        const auto with = F::all(q[size_t(i + j) * ROWS + r]);
#pragma GCC unroll 2
        for (int b = 0; b < BLOCKS; ++b) sums[j][r][b] = F::step(sums[j][r][b], x[b], with);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; ++b) {
      floats sum = sums[0][r][b];
#pragma GCC unroll 8
      for (int j = 1; j < SPLIT; ++j) sum += sums[j][r][b];
      store(scores + size_t(r) * KEYS + b * LANES, sum);
    }
}

// out[ROWS][dim] += weights[ROWS][steps] . values[steps][dim], VECS vectors of 16 columns at a time
template <class F, int ROWS, int VECS, bool FIRST>
inline void weigh_block(const typename F::element* values, const typename F::query* w, int steps, int dim, float* out) {
  for (int c = 0; c < dim; c += VECS * LANES) {
    floats sums[ROWS][VECS];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VECS; ++v) sums[r][v] = load(out + size_t(r) * dim + c + v * LANES);
    for (int i = 0; i < steps; ++i) {
      typename F::lanes x[VECS];
#pragma GCC unroll 8
      for (int v = 0; v < VECS; ++v) {
        const auto* at = values + (size_t(i) * dim + c + v * LANES) * F::PER_STEP;
        if (FIRST) fetch(at);
        x[v] = F::get(at);
      }
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r) {
        const auto with = F::all(w[size_t(r) * (KEYS / F::PER_STEP) + i]);
#pragma GCC unroll 8
        for (int v = 0; v < VECS; ++v) sums[r][v] = F::step(sums[r][v], x[v], with);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VECS; ++v) store(out + size_t(r) * dim + c + v * LANES, sums[r][v]);
  }
}

// Query rows of the pass that begins at `first`: passes of even size, 7 + 7 + 6 rather than 8 + 8 + 4.
inline int rows_of_pass(int rows, int most, int first) {
  const int left = rows - first, passes = (left + most - 1) / most;
  return (left + passes - 1) / passes;
}

// One or two blocks of 16 keys for `rows` rows; a memory-bound few rows go block by block, one stream at a time.
template <class F, int ROWS, bool FIRST>
void score_rows(const typename F::element* k, const typename F::query* q, int dim, int rows, int blocks, float* scores) {
  if constexpr (ROWS > 0) {
    if (rows != ROWS) return score_rows<F, ROWS - 1, FIRST>(k, q, dim, rows, blocks, scores);
    constexpr int ONE = ROWS == 1 ? 8 : ROWS <= 4 ? 4 : ROWS <= 6 ? 2 : 1, TWO = ROWS <= 4 ? 2 : 1;
    if (ROWS > 2 && blocks == 2) return score_blocks<F, ROWS, 2, TWO, FIRST>(k, q, dim, scores);
    for (int b = 0; b < blocks; ++b)
      score_blocks<F, ROWS, 1, ONE, FIRST>(k + size_t(b) * LANES * dim, q, dim, scores + b * LANES);
  }
}

template <class F, int ROWS, bool FIRST>
void weigh_rows(const typename F::element* v, const typename F::query* w, int steps, int dim, int rows, float* out) {
  if constexpr (ROWS > 0) {
    if (rows != ROWS) return weigh_rows<F, ROWS - 1, FIRST>(v, w, steps, dim, rows, out);
    constexpr int VECS = ROWS <= 2 ? 8 : 4;
    if (dim % (VECS * LANES) == 0) weigh_block<F, ROWS, VECS, FIRST>(v, w, steps, dim, out);
    else weigh_block<F, ROWS, 1, FIRST>(v, w, steps, dim, out);
  }
}

struct Shape {
  int sequences, heads, rows, dim, capacity, spans, threads;
  float scale;
};

inline void store_weights(floats p, float* to) { store(to, p); }
inline void store_weights(floats p, uint32_t* to) {
#if defined(__AVX512BF16__)
  *(__m256i_u*)to = (__m256i)_mm512_cvtneps_pbh((__m512)p);
#else
  for (int i = 0; i < LANES / 2; ++i) to[i] = pair_of(p[2 * i], p[2 * i + 1]);
#endif
}

// Scores of one row become weights; the row's maximum, sum and output follow the greatest score seen so far.
template <class Q>
inline void soften(float* scores, int live, float scale, int dim, Q* weights, float* out, float& top, float& total) {
  const int whole = (live + LANES - 1) / LANES * LANES;
  for (int i = live; i < whole; ++i) scores[i] = MASKED;
  floats high = splat(MASKED);
  for (int i = 0; i < whole; i += LANES) {
    const floats x = load(scores + i);
    high = x > high ? x : high;
  }
  const float found = greatest(high) * scale, peak = found > top ? found : top, shrink = std::exp2(top - peak);
  if (shrink != 1.0f)
    for (int i = 0; i < dim; i += LANES) store(out + i, load(out + i) * shrink);
  floats sum = {};
  constexpr int PER_WEIGHT = std::is_same<Q, float>::value ? 1 : 2;  // weights of bf16 are stored in pairs
  for (int i = 0; i < whole; i += LANES) {
    const floats p = exp2_of(load(scores + i) * scale - peak);
    sum += p;
    store_weights(p, weights + i / PER_WEIGHT);
  }
  total = total * shrink + sum_of(sum);
  top = peak;
}

// One span: out[rows][dim], top[rows] the maximum in powers of two, total[rows] the sum of exponentials
template <class F>
void attend(const float* query, const typename F::element* keys, const typename F::element* values, int first, int last,
            const Shape& s, float* out, float* top, float* total) {
  constexpr int PER = F::PER_STEP, STRIDE = KEYS / PER;
  const int steps = s.dim / PER;
  static thread_local std::vector<typename F::query> q, w;
  static thread_local std::vector<float> scores;
  q.resize(size_t(s.rows) * steps);
  w.resize(size_t(s.rows) * STRIDE);
  scores.resize(size_t(s.rows) * KEYS);
  for (int r = 0, n; r < s.rows; r += n) {
    n = rows_of_pass(s.rows, SCORED, r);
    for (int i = 0; i < n * steps; ++i)
      q[size_t(r) * steps + i] = F::query_of(query + size_t(r + i % n) * s.dim + i / n * PER);
  }
  for (int r = 0; r < s.rows; ++r) top[r] = -INFINITY, total[r] = 0;
  std::memset(out, 0, sizeof(float) * s.rows * s.dim);
  for (int at = first; at < last; at += KEYS) {
    const int live = last - at < KEYS ? last - at : KEYS, blocks = (live + LANES - 1) / LANES;
    for (int b = 0; b < blocks; b += 2) {
      const auto* k = keys + (size_t(at) + b * LANES) * s.dim;
      const int some = blocks - b < 2 ? 1 : 2;
      for (int r = 0, n; r < s.rows; r += n) {
        n = rows_of_pass(s.rows, SCORED, r);
        const auto* rows = q.data() + size_t(r) * steps;
        float* to = &scores[size_t(r) * KEYS + b * LANES];
        if (r == 0) score_rows<F, SCORED, true>(k, rows, s.dim, n, some, to);
        else score_rows<F, SCORED, false>(k, rows, s.dim, n, some, to);
      }
    }
    for (int r = 0; r < s.rows; ++r)
      soften(&scores[size_t(r) * KEYS], live, s.scale * LOG2_E, s.dim, &w[size_t(r) * STRIDE], out + size_t(r) * s.dim,
             top[r], total[r]);
    for (int i = 0; i < live; i += SUB) {
      const auto* v = values + size_t(at + i) * s.dim;
      const int some = ((live - i < SUB ? live - i : SUB) + PER - 1) / PER;
      for (int r = 0, n; r < s.rows; r += n) {
        n = rows_of_pass(s.rows, WEIGHED, r);
        const auto* weights = w.data() + size_t(r) * STRIDE + i / PER;
        float* to = out + size_t(r) * s.dim;
        if (r == 0) weigh_rows<F, WEIGHED, true>(v, weights, some, s.dim, n, to);
        else weigh_rows<F, WEIGHED, false>(v, weights, some, s.dim, n, to);
      }
    }
  }
}

void merge(const float* outs, const float* tops, const float* totals, const Shape& s, float* result) {
  const size_t rd = size_t(s.rows) * s.dim;
  for (int r = 0; r < s.rows; ++r) {
    float peak = -INFINITY, sum = 0;
    for (int c = 0; c < s.spans; ++c) peak = std::fmax(peak, tops[c * s.rows + r]);
    float* to = result + size_t(r) * s.dim;
    std::memset(to, 0, sizeof(float) * s.dim);
    for (int c = 0; c < s.spans; ++c) {
      if (totals[c * s.rows + r] == 0) continue;
      const float weight = std::exp2(tops[c * s.rows + r] - peak);
      sum += weight * totals[c * s.rows + r];
      for (int i = 0; i < s.dim; ++i) to[i] += weight * outs[c * rd + size_t(r) * s.dim + i];
    }
    for (int i = 0; i < s.dim; ++i) to[i] /= sum;
  }
}

typedef void (*Parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel of torch's own OpenMP

// `work` on every thread: on torch's pool where it is given, since two pools would spin against each other for the cores
template <class Work>
void on_threads(int threads, Parallel parallel, Work& work) {
  if (parallel) return parallel([](void* it) { (*(Work*)it)(); }, &work, threads, 0);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&] { work(); });
  work();
  for (auto& t : others) t.join();
}

template <class F>
void decode(const float* query, const typename F::element* keys, const typename F::element* values, const int64_t* lengths,
            const Shape& s, Parallel parallel, float* result) {
  const int groups = s.sequences * s.heads, items = groups * s.spans;
  const size_t rd = size_t(s.rows) * s.dim, per_group = size_t(s.capacity) * s.dim;
  static std::vector<float> outs, tops, totals;
  outs.resize(items * rd);
  tops.resize(size_t(items) * s.rows);
  totals.resize(size_t(items) * s.rows);
  std::atomic<int> next{0};
  auto work = [&] {
    for (int item; (item = next++) < items;) {
      const int group = item / s.spans, span = item % s.spans;
      const int64_t length = lengths[group / s.heads], blocks = (length + LANES - 1) / LANES;
      const int first = int(blocks * span / s.spans) * LANES;
      const int64_t end = (blocks * (span + 1) / s.spans) * LANES;
      attend<F>(query + group * rd, keys + group * per_group, values + group * per_group, first,
                int(end < length ? end : length), s, &outs[item * rd], &tops[size_t(item) * s.rows], &totals[size_t(item) * s.rows]);
    }
  };
  on_threads(s.threads, parallel, work);
  for (int group = 0; group < groups; ++group)
    merge(&outs[group * s.spans * rd], &tops[size_t(group) * s.spans * s.rows], &totals[size_t(group) * s.spans * s.rows], s,
          result + group * rd);
}

// out[BATCH][rows] = x[BATCH][columns] . weights[rows][columns], rows first to last: one stream of weights, read once
template <class F, int BATCH>
void multiply_rows(const typename F::element* weights, const typename F::element* x, int first, int last, int rows,
                   int columns, float* out) {
  constexpr int VECTOR = LANES * F::PER_STEP, CHAINS = BATCH == 1 ? 8 : BATCH <= 4 ? 4 : 2;
  for (int n = first; n < last; ++n) {
    const auto* w = weights + size_t(n) * columns;
    floats sums[BATCH][CHAINS] = {};
    for (int k = 0; k < columns; k += CHAINS * VECTOR)
#pragma GCC unroll 8
      for (int j = 0; j < CHAINS; ++j) {
        const int at = k + j * VECTOR;
        if (at >= columns) break;
        fetch(w + at);
        const auto with = F::get(w + at);
#pragma GCC unroll 8
        for (int b = 0; b < BATCH; ++b) sums[b][j] = F::step(sums[b][j], with, F::get(x + size_t(b) * columns + at));
      }
    for (int b = 0; b < BATCH; ++b) {
      floats sum = sums[b][0];
      for (int j = 1; j < CHAINS; ++j) sum += sums[b][j];
      out[size_t(b) * rows + n] = sum_of(sum);
    }
  }
}

template <class F, int BATCH = MOST_BATCH>
void multiply(const typename F::element* weights, const typename F::element* x, int batch, int rows, int columns,
              int threads, Parallel parallel, float* out) {
  if constexpr (BATCH > 0) {
    if (batch != BATCH) return multiply<F, BATCH - 1>(weights, x, batch, rows, columns, threads, parallel, out);
    std::atomic<int> next{0};
    auto work = [&] {
      for (int first; (first = next.fetch_add(PIECE)) < rows;)
        multiply_rows<F, BATCH>(weights, x, first, first + PIECE < rows ? first + PIECE : rows, rows, columns, out);
    };
    on_threads(threads, parallel, work);
  }
}

}  // namespace

// One token's matrix products: x [batch][columns], weights [rows][columns], out [batch][rows] in float32; kinds as below.
// batch is at most 8, columns a multiple of 32 (bfloat16) or 16.
extern "C" void headroom_multiply(int kind, const void* weights, const void* x, int batch, int rows, int columns,
                                  int threads, float* out, void* parallel) {
  const auto on = (Parallel)parallel;
  if (kind == 1) multiply<Bf16>((const uint16_t*)weights, (const uint16_t*)x, batch, rows, columns, threads, on, out);
#if defined(HALVES)
  else if (kind == 2) multiply<Plain<_Float16>>((const _Float16*)weights, (const _Float16*)x, batch, rows, columns, threads, on, out);
#endif
  else multiply<Plain<float>>((const float*)weights, (const float*)x, batch, rows, columns, threads, on, out);
}

extern "C" int headroom_has_halves() {
#if defined(HALVES)
  return 1;
#else
  return 0;
#endif
}

// kind: 0 float32, 1 bfloat16, 2 float16 (where headroom_has_halves). query [seq][head][rows][dim] and result are float32. parallel may be null.
extern "C" void headroom_decode(int kind, const float* query, const void* keys, const void* values, const int64_t* lengths,
                                int sequences, int heads, int rows, int dim, int capacity, int spans, int threads,
                                float scale, float* result, void* parallel) {
  const Shape s{sequences, heads, rows, dim, capacity, spans, threads, scale};
  const auto on = (Parallel)parallel;
  if (kind == 1) decode<Bf16>(query, (const uint16_t*)keys, (const uint16_t*)values, lengths, s, on, result);
#if defined(HALVES)
  else if (kind == 2) decode<Plain<_Float16>>(query, (const _Float16*)keys, (const _Float16*)values, lengths, s, on, result);
#endif
  else decode<Plain<float>>(query, (const float*)keys, (const float*)values, lengths, s, on, result);
}
