// Attention of one new token over a span of keys, tile by tile, and the merging of spans by maximum and sum.
#pragma once
#include "quads.h"
#include "tiled.h"

namespace {

constexpr float MASKED = -1e30f;  // finite, so that its exponential is 0 without infinity minus infinity
constexpr float LOG2_E = 1.44269504088896341f;

struct Shape {
  int sequences, heads, rows, dim, capacity, spans, threads;
  float scale;
};

inline void store_weights(floats p, float* to) { store(to, p); }
inline void store_weights(floats p, uint32_t* to) {
#if defined(PAIRS_BY_INSTRUCTION)
  *(__m256i_u*)to = (__m256i)_mm512_cvtneps_pbh((__m512)p);
#else
  for (int i = 0; i < WIDTH / 2; ++i) to[i] = pair_of(p[2 * i], p[2 * i + 1]);
#endif
}

// Scores of one row become weights; the row's maximum, sum and output follow the greatest score seen so far.
template <class Q>
inline void soften(float* scores, int live, float scale, int dim, Q* weights, float* out, float& top, float& total) {
  constexpr int CHAINS = 4, TOGETHER = CHAINS * WIDTH;  // four vectors at a time, that none waits for the one before
  const int whole = (live + LANES * CHAINS - 1) / (LANES * CHAINS) * LANES * CHAINS;
  for (int i = live; i < whole; ++i) scores[i] = MASKED;
  floats high[CHAINS];
  for (floats& x : high) x = splat(MASKED);
  for (int i = 0; i < whole; i += TOGETHER)
#pragma GCC unroll 4
    for (int j = 0; j < CHAINS; ++j) high[j] = greater_of(load(scores + i + j * WIDTH), high[j]);
  const floats highest = greater_of(greater_of(high[0], high[1]), greater_of(high[2], high[3]));
  const float found = greatest(highest) * scale, peak = found > top ? found : top, shrink = std::exp2(top - peak);
  if (shrink != 1.0f)
    for (int i = 0; i < dim; i += WIDTH) store(out + i, load(out + i) * shrink);
  floats sums[CHAINS] = {};
  constexpr int PER_WEIGHT = std::is_same<Q, float>::value ? 1 : 2;  // weights of bf16 are stored in pairs
  for (int i = 0; i < whole; i += TOGETHER)
#pragma GCC unroll 4
    for (int j = 0; j < CHAINS; ++j) {
      const floats p = exp2_of(load(scores + i + j * WIDTH) * scale - peak);
      sums[j] += p;
      store_weights(p, weights + (i + j * WIDTH) / PER_WEIGHT);
    }
  total = total * shrink + sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
  top = peak;
}

// Rows of many passes: what must be widened is widened once, into the first cache, and read from there.
template <class F>
inline bool widened_once(int rows) { return rows > F::DIRECT_ROWS; }
constexpr int WIDE_COLUMNS = 64;  // of SUB tokens' values widened at a time: 16 KB, which stay in the first cache

template <class F>
inline void widen_keys(const uint8_t* block, int dim, float* to) {  // 16 keys -> [dim][16]
  for (int i = 0; i < dim / F::STEP; ++i) {
    const uint8_t* at = block + scale_bytes<F>(dim) + size_t(i) * F::BYTES;
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; ++part) {
      floats scale = splat(1);
      if constexpr (F::SCALED)
        scale = halves_at(block + (size_t(i) * F::STEP / GROUP * LANES + part * WIDTH) * 2);
      float* row = to + size_t(i) * F::STEP * LANES + part * WIDTH;
      floats x[F::SUBS];  // all of them first: a store might change what the next is made of
      each_sub<F>([&](auto j) __attribute__((always_inline)) { x[j] = F::template get<decltype(j)::value>(at, part); });
#pragma GCC unroll 4
      for (int j = 0; j < F::SUBS; ++j) store(row + j * LANES, x[j] * scale);
    }
  }
}

template <class F>
inline void widen_values(const uint8_t* block, int dim, int first, int columns, float* to) {  // -> [16][columns]
  float scales[LANES];
  for (int c = first; c < first + columns; c += LANES) {
    if constexpr (F::SCALED)
      for (int part = 0; part < PARTS; ++part)
        store(scales + part * WIDTH, halves_at(block + (size_t(c / GROUP) * LANES + part * WIDTH) * 2));
    for (int i = 0; i < LANES / F::STEP; ++i) {
      const uint8_t* at = block + scale_bytes<F>(dim) + (size_t(i) * dim + c) * F::BYTES / LANES;
#pragma GCC unroll 4
      for (int part = 0; part < PARTS; ++part) {
        float* row = to + size_t(i) * F::STEP * columns + c - first + part * WIDTH;
        floats x[F::SUBS];
        each_sub<F>([&](auto j) __attribute__((always_inline)) { x[j] = F::template get<decltype(j)::value>(at, part); });
#pragma GCC unroll 4
        for (int j = 0; j < F::SUBS; ++j) {
          if constexpr (F::SCALED) x[j] *= scales[i * F::STEP + j];
          store(row + j * columns, x[j]);
        }
      }
    }
  }
}

template <class F, class Q>
void score_tile(Cache keys, const Q* q, const Shape& s, int blocks, int factors, float* scores) {
  for (int b = 0; b < blocks; b += 2) {
    const int some = blocks - b < 2 ? 1 : 2;
    for (int r = 0, n; r < s.rows; r += n) {
      n = rows_of_pass(s.rows, SCORED, r);
      const auto* rows = q + size_t(r) * factors;
      const Cache k = from_block<F>(keys, b, s.dim);
      float* to = scores + size_t(r) * KEYS + b * LANES;
      if (n == s.rows) score_rows<F, SCORED, STEP>(k, rows, s.dim, n, some, to, {});
      else {
        const Lines next(k.bytes, some * block_bytes<F>(s.dim), r, n, s.rows, score_turns<F>(s.dim));
        score_rows<F, SCORED, SHARE>(k, rows, s.dim, n, some, to, next);
      }
    }
  }
}

template <class F>
void score_widened(const uint8_t* keys, const float* q, const Shape& s, int blocks, float* wide, float* scores) {
  for (int b = 0; b < blocks; b += 2) {  // two at once, as keys that need no widening are taken
    const int some = blocks - b < 2 ? 1 : 2;
    const uint8_t* k = keys + b * block_bytes<F>(s.dim);
    for (int i = 0; i < some; ++i) widen_keys<F>(k + i * block_bytes<F>(s.dim), s.dim, wide + size_t(i) * LANES * s.dim);
    for (int r = 0, n; r < s.rows; r += n) {
      n = rows_of_pass(s.rows, SCORED, r);
      const Lines next(k, some * block_bytes<F>(s.dim), r, n, s.rows, score_turns<Float>(s.dim));
      score_rows<Float, SCORED, SHARE>({(const uint8_t*)wide}, q + size_t(r) * s.dim, s.dim, n, some,
                                       scores + size_t(r) * KEYS + b * LANES, next);
    }
  }
}

template <class F, class Q>
void weigh_tile(Cache values, const Q* w, const Shape& s, int blocks, float* out) {
  constexpr int PER = elements_per_query<F>(), MOST = SUB / LANES;
  for (int b = 0; b < blocks; b += MOST) {
    const int some = blocks - b < MOST ? blocks - b : MOST;
    for (int r = 0, n; r < s.rows; r += n) {
      n = rows_of_pass(s.rows, WEIGHED, r);
      const auto* weights = w + size_t(r) * (KEYS / PER) + b * LANES / PER;
      const Cache v = from_block<F>(values, b, s.dim);
      float* to = out + size_t(r) * s.dim;
      if (n == s.rows) weigh_rows<F, WEIGHED, STEP>(v, weights, some, s.dim, n, to, s.dim, {});
      else {
        const Lines next(v.bytes, some * block_bytes<F>(s.dim), r, n, s.rows, weigh_turns(some, s.dim));
        weigh_rows<F, WEIGHED, SHARE>(v, weights, some, s.dim, n, to, s.dim, next);
      }
    }
  }
}

template <class F>
void weigh_widened(const uint8_t* values, const float* w, const Shape& s, int blocks, float* wide, float* out) {
  const int columns = s.dim % WIDE_COLUMNS == 0 ? WIDE_COLUMNS : s.dim, most = columns == WIDE_COLUMNS ? SUB / LANES : 2;
  for (int b = 0; b < blocks; b += most) {
    const int some = blocks - b < most ? blocks - b : most;
    const uint8_t* v = values + b * block_bytes<F>(s.dim);
    const size_t bytes = some * block_bytes<F>(s.dim) * columns / s.dim;
    for (int c = 0; c < s.dim; c += columns) {
      for (int i = 0; i < some; ++i)
        widen_values<F>(v + i * block_bytes<F>(s.dim), s.dim, c, columns, wide + size_t(i) * LANES * columns);
      for (int r = 0, n; r < s.rows; r += n) {
        n = rows_of_pass(s.rows, WEIGHED, r);
        const Lines next(v + bytes * (c / columns), bytes, r, n, s.rows, weigh_turns(some, columns));
        weigh_rows<Float, WEIGHED, SHARE>({(const uint8_t*)wide}, w + size_t(r) * KEYS + b * LANES, some, columns, n,
                                          out + size_t(r) * s.dim + c, s.dim, next);
      }
    }
  }
}

#if defined(TILES)
// One tile of keys and values for every row, by the processor's tiles, in as many passes as its registers need
template <class Soften>
inline void attend_tile_by_tiles(const uint8_t* keys, const uint8_t* values, const uint32_t* q, uint32_t* w, float* scores,
                                 const Shape& s, int blocks, float* out, Soften soften_row) {
  for (int r = 0, n; r < s.rows; r += n) {
    n = rows_of_pass(s.rows, MOST_TILED, r);
    const RowTiles tiles(n);
    tiles.configure();
    score_by_tiles(tiles, keys, q + size_t(r) * s.dim / 2, s.dim, blocks, scores + size_t(r) * KEYS);
    for (int i = r; i < r + n; ++i) soften_row(i);
    weigh_by_tiles(tiles, values, w + size_t(r) * (KEYS / 2), s.dim, blocks, out + size_t(r) * s.dim);
  }
}
#endif

// One span: out[rows][dim], top[rows] the maximum in powers of two, total[rows] the sum of exponentials
template <class F>
void attend(const float* query, Cache keys, Cache values, int first, int last, const Shape& s, float scale, float* out,
            float* top, float* total) {
  constexpr int PER = elements_per_query<F>(), STRIDE = KEYS / PER;
  const int factors = s.dim / PER;
  const bool once = widened_once<F>(s.rows), tiled = by_tiles<F>(s.rows, s.dim);
  static thread_local Buffer<typename F::query> q, w;
  static thread_local Buffer<float> scores, wide;
  q.resize(size_t(s.rows) * factors);
  w.resize(size_t(s.rows) * STRIDE);
  scores.resize(size_t(s.rows) * KEYS);
  wide.resize(once ? size_t(2) * LANES * (s.dim > 2 * WIDE_COLUMNS ? s.dim : 2 * WIDE_COLUMNS) : 0);
  for (int r = 0, n; r < s.rows; r += n) {
    n = tiled ? 1 : rows_of_pass(s.rows, SCORED, r);  // tiles take rows that lie one behind the other
    auto* to = &q[size_t(r) * factors];
    for (int i = 0; i < factors; ++i)
      for (int row = 0; row < n; ++row) *to++ = F::query_of(query + size_t(r + row) * s.dim + i * PER);
  }
  for (int r = 0; r < s.rows; ++r) top[r] = -INFINITY, total[r] = 0;
  std::memset(out, 0, sizeof(float) * s.rows * s.dim);
  for (int at = first; at < last; at += KEYS) {
    const int live = last - at < KEYS ? last - at : KEYS, blocks = (live + LANES - 1) / LANES;
    const Cache k = from_block<F>(keys, at / LANES, s.dim), v = from_block<F>(values, at / LANES, s.dim);
    if constexpr (F::LOOKS)  // a branch that waits for what it looks at would have gone the wrong way for long
      for (int i = 0, next = KEYS / LANES * s.dim / LANES; i < next; i += 64)
        for (const Cache& from : {k, v}) __builtin_prefetch(from.small + next + i);
    auto soften_row = [&](int r) {
      soften(&scores[size_t(r) * KEYS], live, scale * LOG2_E, s.dim, &w[size_t(r) * STRIDE], out + size_t(r) * s.dim,
             top[r], total[r]);
    };
#if defined(TILES)
    if constexpr (std::is_same<F, PairedBf16>::value)
      if (tiled) {
        attend_tile_by_tiles(k.bytes, v.bytes, q.data(), w.data(), scores.data(), s, blocks, out, soften_row);
        continue;
      }
#endif
    if constexpr (F::DIRECT_ROWS < ANY_ROWS) {
      if (once && !F::SCORED_DIRECT) score_widened<F>(k.bytes, q.data(), s, blocks, wide.data(), scores.data());
      else score_tile<F>(k, q.data(), s, blocks, factors, scores.data());
    } else score_tile<F>(k, q.data(), s, blocks, factors, scores.data());
    for (int r = 0; r < s.rows; ++r) soften_row(r);
    if constexpr (F::DIRECT_ROWS < ANY_ROWS) {
      if (once) weigh_widened<F>(v.bytes, w.data(), s, blocks, wide.data(), out);
      else weigh_tile<F>(v, w.data(), s, blocks, out);
    } else weigh_tile<F>(v, w.data(), s, blocks, out);
  }
#if defined(TILES)
  if (tiled) release_tiles();  // a core with tiles in use sleeps less deeply, and switches threads more slowly
#endif
}

#if defined(QUADS)
// The same over a cache whose bytes the processor multiplies as they lie
template <class F>
void attend_by_quads(const float* query, const uint8_t* keys, const uint8_t* values, int first, int last, const Shape& s,
                     float scale, float* out, float* top, float* total) {
  static thread_local std::vector<Fixed> queries;
  static thread_local Fixed fixed;
  static thread_local Buffer<float> scores;
  queries.resize((s.rows + ROWS_OF_QUADS - 1) / ROWS_OF_QUADS);
  scores.resize(size_t(s.rows) * KEYS);
  for (int r = 0, n, pass = 0; r < s.rows; r += n) {
    n = rows_of_pass(s.rows, ROWS_OF_QUADS, r);
    fix_queries<F>(query + size_t(r) * s.dim, n, s.dim, queries[pass++]);
  }
  for (int r = 0; r < s.rows; ++r) top[r] = -INFINITY, total[r] = 0;
  std::memset(out, 0, sizeof(float) * s.rows * s.dim);
  for (int at = first; at < last; at += KEYS) {
    const int live = last - at < KEYS ? last - at : KEYS, blocks = (live + LANES - 1) / LANES;
    const size_t from = at / LANES * block_bytes<F>(s.dim);
    score_by_quads<F>(keys + from, queries, s.rows, s.dim, blocks, scores.data());
    for (int r = 0; r < s.rows; ++r) {
      float* row = &scores[size_t(r) * KEYS];  // each score gives way to its weight
      soften(row, live, scale * LOG2_E, s.dim, row, out + size_t(r) * s.dim, top[r], total[r]);
    }
    weigh_by_quads<F>(values + from, scores.data(), s.rows, s.dim, blocks, fixed, out);
  }
}
template <>
void attend<Quads8>(const float* query, Cache keys, Cache values, int first, int last, const Shape& s, float scale,
                    float* out, float* top, float* total) {
  attend_by_quads<Quads8>(query, keys.bytes, values.bytes, first, last, s, scale, out, top, total);
}
template <>
void attend<Quads4>(const float* query, Cache keys, Cache values, int first, int last, const Shape& s, float scale,
                    float* out, float* top, float* total) {
  attend_by_quads<Quads4>(query, keys.bytes, values.bytes, first, last, s, scale, out, top, total);
}
#endif

inline void merge(const float* outs, const float* tops, const float* totals, const Shape& s, float factor, float* result) {
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
    for (int i = 0; i < s.dim; ++i) to[i] *= factor / sum;
  }
}

}  // namespace
