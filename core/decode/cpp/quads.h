// The two products over caches of 8 and 4 bits by the processor's products of bytes: digits.h says of what.
#pragma once
#include "digits.h"
#include "products.h"

#if defined(QUADS)
namespace {

// From the sums of each digit to the number's: the top one by itself, for together they exceed 32 bits
inline floats joined(const ints (&sums)[2]) { return __builtin_convertvector(sums[0] + (sums[1] << 8), floats); }
inline floats joined(const ints (&sums)[DIGITS]) {
  const floats low = __builtin_convertvector(sums[0] + (sums[1] << 8), floats);
  return __builtin_convertvector(sums[2], floats) * 65536.0f + low;
}

// Sums are of all three digits, or of the upper two
template <int ROWS, int VECTORS, int COUNT>
inline void start_sums(ints (&sums)[ROWS][VECTORS][COUNT], const int32_t* starts) {
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v)
#pragma GCC unroll 3
      for (int i = 0; i < COUNT; ++i) sums[r][v][i] = ints{} + starts[r * QUAD + DIGITS - COUNT + i];
}

// Line I of 16 numbers, of each of VECTORS `apart` bytes from the next, with the digits of every row
template <class F, int I, int ROWS, int VECTORS, int COUNT>
inline void add_lines(ints (&sums)[ROWS][VECTORS][COUNT], const uint8_t* line, size_t apart, const uint32_t* digits) {
  auto half = [&](auto place) __attribute__((always_inline)) {
    constexpr int J = decltype(place)::value;
    words x[VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) x[v] = F::template get<J>(line + v * apart);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 3
      for (int i = 0; i < COUNT; ++i) {
        const uint32_t& with = digits[(r * QUAD + I * F::SUBS + J) * QUAD + DIGITS - COUNT + i];
        if constexpr (VECTORS == 1) {
          sums[r][0][i] = with_products(sums[r][0][i], x[0], &with);
          continue;
        }
        const words all = all_of(with);
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) sums[r][v][i] = with_products(sums[r][v][i], x[v], all);
      }
  };
  half(std::integral_constant<int, 0>{});
  if constexpr (F::SUBS == 2) half(std::integral_constant<int, 1>{});
}

template <int COUNT, int I = 0, class Each>
inline void each_line(Each each) {
  if constexpr (I < COUNT) {
    each(std::integral_constant<int, I>{});
    each_line<COUNT, I + 1>(each);
  }
}

// scores[ROWS][VECTORS x 16] of as many blocks of 16 keys, by COUNT digits of the queries
template <class F, int ROWS, int VECTORS, int COUNT>
inline void score_quads(const uint8_t* k, const Fixed& q, int dim, float* scores, Lines& next) {
  constexpr int LINES = LANES / F::STEP;
  constexpr float UNIT = COUNT == DIGITS ? 1 : 256;
  const uint32_t* digits = q.digits.data();
  const size_t block = block_bytes<F>(dim);
  const uint8_t* line = k + scale_bytes<F>(dim);
  floats totals[ROWS][VECTORS] = {};
  for (int g = 0; g < dim / GROUP; ++g) {
    ints sums[ROWS][VECTORS][COUNT];
    start_sums(sums, &q.starts[size_t(g) * ROWS * QUAD]);
#pragma GCC unroll 2
    for (int i = 0; i < GROUP / LANES; ++i, line += LINES * F::BYTES, digits += ROWS * LANES)
      each_line<LINES>([&](auto place) __attribute__((always_inline)) {
        constexpr int I = decltype(place)::value;
        next.turn();
        add_lines<F, I>(sums, line + I * F::BYTES, block, digits);
      });
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) {
      const floats scale = halves_at(k + v * block + size_t(g) * LANES * 2);
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r) totals[r][v] += joined(sums[r][v]) * scale;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) store(scores + size_t(r) * KEYS + v * LANES, totals[r][v] * (q.units[r] * UNIT));
}

// scores += what the lowest digits of the queries add where they are few
template <class F, int BLOCKS>
inline void add_rests(const uint8_t* k, const Fixed& q, int dim, float* scores) {
  const size_t block = block_bytes<F>(dim), codes = scale_bytes<F>(dim);
  for (const Rest& rest : q.rests) {
    const uint8_t* line = k + codes + size_t(rest.quad / F::SUBS) * F::BYTES;
    const uint8_t* scale = k + size_t(rest.group) * LANES * 2;
    float* to = scores + size_t(rest.row) * KEYS;
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; ++b, line += block, scale += block, to += LANES) {
      const words x = F::SUBS == 1 || rest.quad % 2 == 0 ? F::template get<0>(line) : F::template get<1>(line);
      const floats sum = __builtin_convertvector(with_products(ints{} + rest.start, x, all_of(rest.digits)), floats);
      store(to, load(to) + sum * (halves_at(scale) * q.units[rest.row]));
    }
  }
}

// out[ROWS][dim] += weights [ROWS][KEYS] . values over `blocks` blocks of tokens, VECTORS x 16 columns at a time, the
// weights made digits for a group of columns before those
template <class F, int ROWS, int VECTORS>
inline void weigh_quads(const uint8_t* values, const float* weights, int blocks, int dim, Fixed& w, float* out, Lines& next) {
  constexpr int LINES = LANES / F::STEP;
  constexpr int GROUPS = VECTORS * LANES > GROUP ? VECTORS * LANES / GROUP : 1, EACH = VECTORS / GROUPS;
  const size_t block = block_bytes<F>(dim), of_group = size_t(blocks) * LANES * ROWS;
  const auto fix = blocks == F::WINDOW ? fix_weights<F, true> : fix_weights<F, false>;
  for (int c = 0; c < dim; c += VECTORS * LANES) {
    if (c % GROUP == 0) fix(weights, values, ROWS, dim, c / GROUP, GROUPS, blocks, w, next);
    ints sums[GROUPS][ROWS][EACH][DIGITS];
#pragma GCC unroll 2
    for (int n = 0; n < GROUPS; ++n) start_sums(sums[n], &w.starts[size_t(n) * ROWS * QUAD]);
    const uint8_t* line = values + scale_bytes<F>(dim) + size_t(c) * F::BYTES / F::STEP;
    const uint32_t* digits = w.digits.data();
    for (int b = 0; b < blocks; ++b, line += block, digits += ROWS * LANES) {
      next.turn();
      each_line<LINES>([&](auto place) __attribute__((always_inline)) {
        constexpr int I = decltype(place)::value;
#pragma GCC unroll 2
        for (int n = 0; n < GROUPS; ++n)
          add_lines<F, I>(sums[n], line + (n * EACH * LINES + I) * F::BYTES, LINES * F::BYTES, digits + n * of_group);
      });
    }
#pragma GCC unroll 2
    for (int n = 0; n < GROUPS; ++n)
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < EACH; ++v) {
          float* to = out + size_t(r) * dim + c + (n * EACH + v) * LANES;
          store(to, load(to) + joined(sums[n][r][v]) * w.units[size_t(n) * ROWS + r]);
        }
  }
}

// One or two blocks of 16 keys for the pass of `rows` rows
template <class F, int ROWS>
void score_rows_by_quads(const uint8_t* k, const Fixed& q, int dim, int rows, int blocks, float* scores, Lines& next) {
  if constexpr (ROWS > 0) {
    if (rows != ROWS) return score_rows_by_quads<F, ROWS - 1>(k, q, dim, rows, blocks, scores, next);
    if (q.few_rests && blocks == 2) {
      score_quads<F, ROWS, 2, DIGITS - 1>(k, q, dim, scores, next);
      return add_rests<F, 2>(k, q, dim, scores);
    }
    constexpr int VECTORS = ROWS <= 2 ? 2 : 1;  // else too few sums are in work at once
    for (; blocks >= VECTORS; blocks -= VECTORS, k += VECTORS * block_bytes<F>(dim), scores += VECTORS * LANES)
      score_quads<F, ROWS, VECTORS, DIGITS>(k, q, dim, scores, next);
    if (blocks) score_quads<F, ROWS, 1, DIGITS>(k, q, dim, scores, next);
  }
}

// Vectors of columns that a pass over values takes at once
constexpr int columns_of_quads(int rows) { return rows <= 2 ? 4 : rows == 3 ? 2 : 1; }

template <class F, int ROWS>
void weigh_rows_by_quads(const uint8_t* v, const float* w, int blocks, int dim, int rows, Fixed& fixed, float* out,
                         Lines& next) {
  if constexpr (ROWS > 0) {
    if (rows != ROWS) return weigh_rows_by_quads<F, ROWS - 1>(v, w, blocks, dim, rows, fixed, out, next);
    constexpr int VECTORS = columns_of_quads(ROWS);
    if (dim % (VECTORS * LANES) == 0) weigh_quads<F, ROWS, VECTORS>(v, w, blocks, dim, fixed, out, next);
    else weigh_quads<F, ROWS, 1>(v, w, blocks, dim, fixed, out, next);
  }
}

// Scores of every row with `blocks` blocks of keys; queries are of passes as rows_of_pass divides them
template <class F>
void score_by_quads(const uint8_t* keys, const std::vector<Fixed>& queries, int rows, int dim, int blocks, float* scores) {
  for (int b = 0; b < blocks; b += 2) {
    const int some = blocks - b < 2 ? 1 : 2;
    const uint8_t* k = keys + b * block_bytes<F>(dim);
    for (int r = 0, n, pass = 0; r < rows; r += n, ++pass) {
      n = rows_of_pass(rows, ROWS_OF_QUADS, r);
      const bool apart = n > 2 && !queries[pass].few_rests;
      Lines next(k, some * block_bytes<F>(dim), r, n, rows, (apart ? some : 1) * dim / F::STEP);
      score_rows_by_quads<F, ROWS_OF_QUADS>(k, queries[pass], dim, n, some, scores + size_t(r) * KEYS + b * LANES, next);
    }
  }
}

template <class F>
void weigh_by_quads(const uint8_t* values, const float* w, int rows, int dim, int blocks, Fixed& fixed, float* out) {
  for (int b = 0; b < blocks; b += F::WINDOW) {
    const int some = blocks - b < F::WINDOW ? blocks - b : F::WINDOW;
    const uint8_t* v = values + b * block_bytes<F>(dim);
    for (int r = 0, n; r < rows; r += n) {
      n = rows_of_pass(rows, ROWS_OF_QUADS, r);
      const int turns = some * dim / LANES / columns_of_quads(n) + dim / GROUP * n * FIX_TURNS;
      Lines next(v, some * block_bytes<F>(dim), r, n, rows, turns);
      weigh_rows_by_quads<F, ROWS_OF_QUADS>(v, w + size_t(r) * KEYS + b * LANES, some, dim, n, fixed,
                                            out + size_t(r) * dim, next);
    }
  }
}

typedef Quads8 CachedInt8;
typedef Quads4 CachedInt4;

}  // namespace
#else
namespace {
typedef Int8 CachedInt8;
typedef Int4 CachedInt4;
}  // namespace
#endif
