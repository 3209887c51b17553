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
#include <vector>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int KEYS = 256;  // keys per tile: 40 rows x 256 scores are 40 KB
constexpr int SUB = 64;    // keys whose values stay in the first cache while every row passes over them
typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t ints __attribute__((vector_size(64), aligned(4)));
typedef uint32_t words __attribute__((vector_size(64), aligned(4)));
typedef uint16_t shorts __attribute__((vector_size(32), aligned(2)));
typedef _Float16 halves __attribute__((vector_size(32), aligned(2)));

inline floats splat(float x) { return floats{} + x; }
inline floats load(const float* p) { return *(const floats*)p; }
inline floats load(const _Float16* p) { return __builtin_convertvector(*(const halves*)p, floats); }

// 2^x by range reduction and a degree-6 polynomial; relative error below 1e-7 where x <= 0.
inline floats exp_of(floats x) {
  x = x < splat(-87.0f) ? splat(-87.0f) : x;
  floats t = x * 1.44269504088896341f;
  ints n = __builtin_convertvector(t - 0.5f, ints);  // truncation of a value <= 0: rounds to nearest
  floats whole = __builtin_convertvector(n, floats);
  floats f = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
  floats p = f * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  return p * (floats)((n + 127) << 23);
}

inline uint16_t to_bf16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}
inline uint32_t pair_of(float a, float b) { return to_bf16(a) | (uint32_t(to_bf16(b)) << 16); }

// acc += pairs . (a, b), the pair splatted: two bf16 products per lane
inline floats dot_pairs(floats acc, words pairs, uint32_t with) {
#if defined(__AVX512BF16__)
  return (floats)_mm512_dpbf16_ps((__m512)acc, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32(with));
#else
  floats low = (floats)(pairs << 16), high = (floats)(pairs & 0xffff0000u);
  uint32_t a = with << 16, b = with & 0xffff0000u;
  float x, y;
  std::memcpy(&x, &a, 4);
  std::memcpy(&y, &b, 4);
  return acc + low * x + high * y;
#endif
}

struct Bf16 {
  typedef uint16_t element;
  typedef uint32_t query;  // pairs of bf16
  static constexpr int PER_STEP = 2;
  static inline floats step(floats acc, const element* p, query with) { return dot_pairs(acc, *(const words*)p, with); }
};
template <class T>
struct Plain {
  typedef T element;
  typedef float query;
  static constexpr int PER_STEP = 1;
  static inline floats step(floats acc, const T* p, query with) { return acc + load(p) * with; }
};

constexpr int AHEAD = 8192;  // bytes: hardware prefetching stops at each 4 KB page, these do not

// scores[ROWS][KEYS] of one block of 16 keys; SPLIT chains of accumulators a row hide the latency of a product
template <class F, int ROWS, int SPLIT>
inline void score_block(const typename F::element* k, const typename F::query* q, int steps, bool fetch, float* scores) {
  floats acc[ROWS][SPLIT] = {};
  for (int i = 0; i < steps; i += SPLIT)
    for (int j = 0; j < SPLIT; ++j) {
      const auto* at = k + size_t(i + j) * LANES * F::PER_STEP;
      if (fetch) __builtin_prefetch((const char*)at + AHEAD);
      for (int r = 0; r < ROWS; ++r) acc[r][j] = F::step(acc[r][j], at, q[size_t(r) * steps + i + j]);
    }
  for (int r = 0; r < ROWS; ++r) {
    floats sum = acc[r][0];
    for (int j = 1; j < SPLIT; ++j) sum += acc[r][j];
    *(floats*)(scores + size_t(r) * KEYS) = sum;
  }
}

// out[ROWS][dim] += weights[ROWS][steps] . values[steps][dim], VECS vectors of 16 columns at a time
template <class F, int ROWS, int VECS>
inline void value_block(const typename F::element* values, const typename F::query* w, int w_stride, int steps, int dim,
                        bool fetch, float* out) {
  for (int c = 0; c < dim; c += VECS * LANES) {
    floats acc[ROWS][VECS];
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < VECS; ++v) acc[r][v] = load(out + size_t(r) * dim + c + v * LANES);
    for (int i = 0; i < steps; ++i)
      for (int v = 0; v < VECS; ++v) {
        const auto* at = values + (size_t(i) * dim + c + v * LANES) * F::PER_STEP;
        if (fetch) __builtin_prefetch((const char*)at + AHEAD);
        for (int r = 0; r < ROWS; ++r) acc[r][v] = F::step(acc[r][v], at, w[size_t(r) * w_stride + i]);
      }
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < VECS; ++v) *(floats*)(out + size_t(r) * dim + c + v * LANES) = acc[r][v];
  }
}

// Rows in batches of eight, and what remains in one batch of its own: a tile is passed over as seldom as can be.
template <class F, int ROWS>
void score_rows(const typename F::element* k, const typename F::query* q, int steps, int rows, bool fetch, float* scores) {
  if constexpr (ROWS > 0) {
    constexpr int SPLIT = ROWS == 1 ? 8 : ROWS <= 4 ? 4 : 2;
    if (rows >= ROWS) {
      score_block<F, ROWS, SPLIT>(k, q, steps, fetch, scores);
      if (rows > ROWS) score_rows<F, ROWS>(k, q + ROWS * steps, steps, rows - ROWS, false, scores + ROWS * KEYS);
      return;
    }
    score_rows<F, ROWS - 1>(k, q, steps, rows, fetch, scores);
  }
}

template <class F, int ROWS>
void value_rows(const typename F::element* v, const typename F::query* w, int w_stride, int steps, int dim, int rows,
                bool fetch, float* out) {
  if constexpr (ROWS > 0) {
    constexpr int VECS = ROWS <= 2 ? 8 : ROWS <= 6 ? 4 : 2;
    if (rows >= ROWS) {
      if (dim % (VECS * LANES) == 0) value_block<F, ROWS, VECS>(v, w, w_stride, steps, dim, fetch, out);
      else value_block<F, ROWS, 1>(v, w, w_stride, steps, dim, fetch, out);
      if (rows > ROWS) value_rows<F, ROWS>(v, w + ROWS * w_stride, w_stride, steps, dim, rows - ROWS, false, out + ROWS * dim);
      return;
    }
    value_rows<F, ROWS - 1>(v, w, w_stride, steps, dim, rows, fetch, out);
  }
}

struct Shape {
  int sequences, heads, rows, dim, capacity, spans, threads;
  float scale;
};

inline void store_weights(floats p, float* to) { *(floats*)to = p; }
inline void store_weights(floats p, uint32_t* to) {
#if defined(__AVX512BF16__)
  *(__m256i_u*)to = (__m256i)_mm512_cvtneps_pbh((__m512)p);
#else
  for (int i = 0; i < LANES / 2; ++i) to[i] = pair_of(p[2 * i], p[2 * i + 1]);
#endif
}

// One span: out[rows][dim], top[rows] the maximum, total[rows] the sum of exponentials
template <class F>
void attend(const float* query, const typename F::element* keys, const typename F::element* values, int first, int last,
            const Shape& s, float* out, float* top, float* total) {
  typedef typename F::query query_t;
  const int per = F::PER_STEP, steps = s.dim / per, w_stride = KEYS / per;
  static thread_local std::vector<query_t> q, w;
  static thread_local std::vector<float> scores;
  q.resize(size_t(s.rows) * steps);
  w.resize(size_t(s.rows) * w_stride);
  scores.resize(size_t(s.rows) * KEYS);
  for (int i = 0; i < s.rows * steps; ++i) {
    if constexpr (per == 2) q[i] = pair_of(query[2 * i], query[2 * i + 1]);
    else q[i] = query[i];
  }
  for (int r = 0; r < s.rows; ++r) top[r] = -INFINITY, total[r] = 0;
  std::memset(out, 0, sizeof(float) * s.rows * s.dim);
  for (int at = first; at < last; at += KEYS) {
    const int live = last - at < KEYS ? last - at : KEYS;
    const int blocks = (live + LANES - 1) / LANES;
    const auto* k = keys + size_t(at) * s.dim;
    for (int b = 0; b < blocks; ++b)
      score_rows<F, 8>(k + size_t(b) * LANES * s.dim, q.data(), steps, s.rows, true, &scores[b * LANES]);
    const int whole = blocks * LANES;
    for (int r = 0; r < s.rows; ++r) {
      float* row = &scores[size_t(r) * KEYS];
      for (int i = live; i < whole; ++i) row[i] = -INFINITY;
      floats high = splat(-INFINITY);
      for (int i = 0; i < whole; i += LANES) {
        floats x = load(row + i);
        high = x > high ? x : high;
      }
      float peak = top[r];
      for (int i = 0; i < LANES; ++i) peak = high[i] * s.scale > peak ? high[i] * s.scale : peak;
      const float shrink = std::exp(top[r] - peak);
      if (shrink != 1.0f)
        for (int i = 0; i < s.dim; i += LANES) *(floats*)(out + size_t(r) * s.dim + i) = load(out + size_t(r) * s.dim + i) * shrink;
      floats sum = {};
      for (int i = 0; i < whole; i += LANES) {
        floats p = exp_of(load(row + i) * s.scale - peak);
        if (i + LANES > live)
          for (int lane = live - i; lane < LANES; ++lane) p[lane] = 0;
        sum += p;
        store_weights(p, &w[size_t(r) * w_stride + i / per]);
      }
      float added = 0;
      for (int i = 0; i < LANES; ++i) added += sum[i];
      total[r] = total[r] * shrink + added;
      top[r] = peak;
    }
    const auto* v = values + size_t(at) * s.dim;
    const int n = (live + per - 1) / per, some = SUB / per;
    for (int i = 0; i < n; i += some)
      value_rows<F, 6>(v + size_t(i) * s.dim * per, w.data() + i, w_stride, n - i < some ? n - i : some, s.dim, s.rows, true, out);
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
      const float weight = std::exp(tops[c * s.rows + r] - peak);
      sum += weight * totals[c * s.rows + r];
      for (int i = 0; i < s.dim; ++i) to[i] += weight * outs[c * rd + size_t(r) * s.dim + i];
    }
    for (int i = 0; i < s.dim; ++i) to[i] /= sum;
  }
}

template <class F>
void decode(const float* query, const typename F::element* keys, const typename F::element* values, const int64_t* lengths,
            const Shape& s, float* result) {
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
      const int64_t length = lengths[group / s.heads];
      const int64_t tiles = (length + KEYS - 1) / KEYS;
      const int first = int(tiles * span / s.spans) * KEYS;
      const int64_t end = (tiles * (span + 1) / s.spans) * KEYS;
      attend<F>(query + group * rd, keys + group * per_group, values + group * per_group, first,
                int(end < length ? end : length), s, &outs[item * rd], &tops[size_t(item) * s.rows], &totals[size_t(item) * s.rows]);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < s.threads; ++i) others.emplace_back(work);
  work();
  for (auto& t : others) t.join();
  for (int group = 0; group < groups; ++group)
    merge(&outs[group * s.spans * rd], &tops[size_t(group) * s.spans * s.rows], &totals[size_t(group) * s.spans * s.rows], s,
          result + group * rd);
}

}  // namespace

// kind: 0 float32, 1 bfloat16, 2 float16. query [seq][head][rows][dim] and result are float32.
extern "C" void headroom_decode(int kind, const float* query, const void* keys, const void* values, const int64_t* lengths,
                                int sequences, int heads, int rows, int dim, int capacity, int spans, int threads,
                                float scale, float* result) {
  const Shape s{sequences, heads, rows, dim, capacity, spans, threads, scale};
  if (kind == 1) decode<Bf16>(query, (const uint16_t*)keys, (const uint16_t*)values, lengths, s, result);
  else if (kind == 2) decode<Plain<_Float16>>(query, (const _Float16*)keys, (const _Float16*)values, lengths, s, result);
  else decode<Plain<float>>(query, (const float*)keys, (const float*)values, lengths, s, result);
}
