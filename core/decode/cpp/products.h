// The two products of attention over blocks of 16 tokens: scores of query rows, and values weighed into outputs.
#pragma once
#include "formats.h"

namespace {

constexpr int SUB = 64;    // keys whose values stay in the first cache while every row passes over them

// Where one row of 16 or 32 bits is multiplied, AVX2 keeps up with the hardware's own prefetching, and fetches are work
// beside it: a step takes 9 % less without them in float32, 5 % less in bfloat16 (benchmarks/decode.md).
template <class F, int ROWS>
constexpr bool fetches() { return WIDTH != 8 || ROWS > 1 || F::BYTES < 32 * F::STEP; }

// Who fetches what comes next: NOBODY, the only pass over the rows, each STEP its own lines, or each pass a SHARE of them.
enum Fetching { NOBODY, STEP, SHARE };

// scores[ROWS][BLOCKS x 16] of blocks of 16 keys, `block` bytes from one to the next; q is [factors][ROWS]. SPLIT chains of
// sums hide a product's latency.
template <class F, int ROWS, int BLOCKS, int SPLIT, Fetching FETCH>
inline void score_blocks(Cache keys, size_t block, const typename F::query* q, int dim, float* scores, Lines& next) {
  constexpr int VECTORS = BLOCKS * PARTS, STEPS = SPLIT > 4 ? SPLIT : 4, PER_LINE = 64 / F::BYTES;
  const uint8_t* k = keys.bytes;
  const size_t before = scale_bytes<F>(dim);
  const int group = F::SCALED ? GROUP : dim;
  floats sums[SPLIT][ROWS][VECTORS] = {};
  // A group's scale meets its sums rather than each of its numbers, where registers hold both sums of a few rows.
  constexpr bool LATE = F::SCALED && ROWS > 2 && (SPLIT + 1) * ROWS * VECTORS <= (MANY_REGISTERS ? 24 : 0);
  floats whole[LATE ? ROWS : 1][VECTORS] = {};
  for (int g = 0; g < dim / group; ++g) {
    floats scale[VECTORS];
    if constexpr (F::SCALED)
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; ++v)
        scale[v] = halves_at(k + v / PARTS * block + (size_t(g) * LANES + v % PARTS * WIDTH) * 2);
    for (int i = g * group / F::STEP; i < (g + 1) * group / F::STEP; i += STEPS) {
      if constexpr (FETCH == SHARE) next.turn();
      if constexpr (F::LOOKS) {
        static_assert(STEPS * F::STEP == LANES, "what is taken together is a square of each block");
        auto lines = [&](auto small) __attribute__((always_inline)) {
#pragma GCC unroll 8
          for (int j = 0; j < STEPS; ++j) {
            const uint8_t* at = k + size_t(i + j) * F::BYTES;
            if constexpr (FETCH == STEP)
#pragma GCC unroll 2
              for (int b = 0; b < BLOCKS; ++b) fetch(at + b * block);
            F::template lines<ROWS, VECTORS, decltype(small)::value>(
                sums[j % SPLIT], at, block, [&](int r, int n) __attribute__((always_inline)) {
                  return q[(size_t(i + j) * F::SUBS + n) * ROWS + r];
                });
          }
        };
        const uint8_t* square = keys.small + i / STEPS;
        if (square[0] | square[block ? (BLOCKS - 1) * dim / LANES : 0]) lines(std::true_type{});
        else lines(std::false_type{});
        continue;
      }
#pragma GCC unroll 8
      for (int j = 0; j < STEPS; ++j) {
        const uint8_t* at = k + before + size_t(i + j) * F::BYTES;
        if constexpr (FETCH == STEP && fetches<F, ROWS>())
#pragma GCC unroll 2
          for (int b = 0; b < BLOCKS; ++b)
            if (PER_LINE <= 1 || j % (PER_LINE > 0 ? PER_LINE : 1) == 0) fetch(at + b * block);
        auto factor = [&](auto place) __attribute__((always_inline)) {
          constexpr int J = decltype(place)::value;
          typename F::lanes x[VECTORS];
#pragma GCC unroll 8
          for (int v = 0; v < VECTORS; ++v) {
            x[v] = F::template get<J>(at + v / PARTS * block, v % PARTS);
            if constexpr (F::SCALED && !LATE) x[v] *= scale[v];
          }
#pragma GCC unroll 8
          for (int r = 0; r < ROWS; ++r) {
            const auto with = F::all(q[(size_t(i + j) * F::SUBS + J) * ROWS + r]);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) sums[j % SPLIT][r][v] = F::step(sums[j % SPLIT][r][v], x[v], with);
          }
        };
        each_sub<F>(factor);
      }
    }
    if constexpr (LATE)
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) {
          floats sum = sums[0][r][v];
#pragma GCC unroll 8
          for (int j = 1; j < SPLIT; ++j) sum += sums[j][r][v];
          whole[r][v] += sum * scale[v];
#pragma GCC unroll 8
          for (int j = 0; j < SPLIT; ++j) sums[j][r][v] = floats{};
        }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) {
      floats sum = sums[0][r][v];
#pragma GCC unroll 8
      for (int j = 1; j < SPLIT; ++j) sum += sums[j][r][v];
      if constexpr (LATE) sum = whole[r][v];
      store(scores + size_t(r) * KEYS + v * WIDTH, sum);
    }
}

// out[ROWS][dim] += weights[ROWS][tokens] . values[tokens][dim], over blocks of 16 tokens, VECTORS of columns at a time;
// rows of out lie `stride` apart
template <class F, int ROWS, int VECTORS, Fetching FETCH>
inline void weigh_blocks(Cache values, const typename F::query* w, int blocks, int dim, float* out, int stride,
                         Lines& next) {
  constexpr int PER = elements_per_query<F>(), STEPS = LANES / F::STEP, LANE_BYTES = F::BYTES / LANES;
  constexpr int COLUMNS = VECTORS * WIDTH, LINE = 64 / LANE_BYTES / WIDTH ? 64 / LANE_BYTES / WIDTH : 1;
  constexpr int GROUPS = COLUMNS > GROUP ? COLUMNS / GROUP : 1;
  for (int c = 0; c < dim; c += COLUMNS) {
    floats sums[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; ++v) sums[r][v] = load(out + size_t(r) * stride + c + v * WIDTH);
    for (int b = 0; b < blocks; ++b) {
      if constexpr (FETCH == SHARE) next.turn();
      const uint8_t* block = values.bytes + b * block_bytes<F>(dim);
      if constexpr (F::LOOKS) {
        auto lines = [&](auto small) __attribute__((always_inline)) {
          for (int i = 0; i < STEPS; ++i) {
            const uint8_t* at = block + (size_t(i) * dim + c) * LANE_BYTES;
            if constexpr (FETCH == STEP)
#pragma GCC unroll 8
              for (int v = 0; v < VECTORS; ++v) fetch(at + v * 64);
            F::template lines<ROWS, VECTORS, decltype(small)::value>(
                sums, at, 64, [&](int r, int n) __attribute__((always_inline)) {
                  return w[size_t(r) * KEYS + b * LANES + i * F::SUBS + n];
                });
          }
        };
        const uint8_t* squares = values.small + (size_t(b) * dim + c) / LANES;
        bool small = false;
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) small |= squares[v] != 0;
        if (small) lines(std::true_type{});
        else lines(std::false_type{});
        continue;
      }
      float scaled[ROWS][GROUPS][LANES];
      if constexpr (F::SCALED)
        for (int g = 0; g < GROUPS; ++g)
          for (int p = 0; p < PARTS; ++p) {
            const floats scale = halves_at(block + (size_t(c / GROUP + g) * LANES + p * WIDTH) * 2);
#pragma GCC unroll 8
            for (int r = 0; r < ROWS; ++r)
              store(&scaled[r][g][p * WIDTH], load((const float*)w + size_t(r) * KEYS + b * LANES + p * WIDTH) * scale);
          }
      for (int i = 0; i < STEPS; ++i) {
        const uint8_t* at = block + scale_bytes<F>(dim) + (size_t(i) * dim + c) * LANE_BYTES;
        if constexpr (FETCH == STEP && fetches<F, ROWS>())
#pragma GCC unroll 8
          for (int v = 0; v < VECTORS; v += LINE) fetch(at + v * WIDTH * LANE_BYTES);
        auto factor = [&](auto place) __attribute__((always_inline)) {
          constexpr int J = decltype(place)::value;
          typename F::lanes x[VECTORS];
#pragma GCC unroll 8
          for (int v = 0; v < VECTORS; ++v) x[v] = F::template get<J>(at, v);
#pragma GCC unroll 8
          for (int r = 0; r < ROWS; ++r) {
            if constexpr (F::SCALED) {
#pragma GCC unroll 8
              for (int v = 0; v < VECTORS; ++v)
                sums[r][v] = F::step(sums[r][v], x[v], splat(scaled[r][v * WIDTH / GROUP][i * F::SUBS + J]));
            } else {
              const auto with = F::all(w[size_t(r) * (KEYS / PER) + (size_t(b) * STEPS + i) * F::SUBS + J]);
#pragma GCC unroll 8
              for (int v = 0; v < VECTORS; ++v) sums[r][v] = F::step(sums[r][v], x[v], with);
            }
          }
        };
        each_sub<F>(factor);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; ++v) store(out + size_t(r) * stride + c + v * WIDTH, sums[r][v]);
  }
}

// Query rows of the pass that begins at `first`: passes of even size, 7 + 7 + 6 rather than 8 + 8 + 4.
inline int rows_of_pass(int rows, int most, int first) {
  const int left = rows - first, passes = (left + most - 1) / most;
  return (left + passes - 1) / passes;
}

// Fewest rows of a pass: where several share the rows, more than a pass takes are divided evenly, and a probe takes the most.
template <Fetching FETCH>
constexpr int least_rows(int most) { return FETCH == NOBODY ? most : FETCH == SHARE ? most / 2 : 1; }

// One or two blocks of 16 keys for `rows` rows; a memory-bound few rows go block by block, one stream at a time.
template <class F, int ROWS, Fetching FETCH>
void score_rows(Cache k, const typename F::query* q, int dim, int rows, int blocks, float* scores, Lines next) {
  if constexpr (ROWS >= least_rows<FETCH>(SCORED)) {
    if (rows != ROWS) return score_rows<F, ROWS - 1, FETCH>(k, q, dim, rows, blocks, scores, next);
    const size_t block = block_bytes<F>(dim);
    if constexpr (MANY_REGISTERS && ROWS > 2) {
      // A last one by itself is taken twice; where the other's scores go, no token lives.
      score_blocks<F, ROWS, 2, ROWS <= 4 ? 2 : 1, FETCH>(k, blocks == 2 ? block : 0, q, dim, scores, next);
    } else {
      constexpr int WIDE = ROWS == 1 ? (F::STEP == 4 ? 4 : 8) : 4, NARROW = ROWS == 1 ? 4 : ROWS <= 3 ? 2 : 1;
      for (int b = 0; b < blocks; ++b)
        score_blocks<F, ROWS, 1, MANY_REGISTERS ? WIDE : NARROW, FETCH>(from_block<F>(k, b, dim), block, q, dim,
                                                                        scores + b * LANES, next);
    }
  }
}

template <class F, int ROWS, Fetching FETCH>
void weigh_rows(Cache v, const typename F::query* w, int blocks, int dim, int rows, float* out, int stride,
                Lines next) {
  if constexpr (ROWS >= least_rows<FETCH>(WEIGHED)) {
    if (rows != ROWS) return weigh_rows<F, ROWS - 1, FETCH>(v, w, blocks, dim, rows, out, stride, next);
    constexpr int WIDE = ROWS <= 2 ? 8 : 4, NARROW = ROWS == 1 ? 4 : ROWS <= 3 ? 2 : 1;  // blocks of 16 columns
    constexpr int COLUMNS = MANY_REGISTERS ? WIDE : NARROW;
    if (dim % (COLUMNS * LANES) == 0) weigh_blocks<F, ROWS, COLUMNS * PARTS, FETCH>(v, w, blocks, dim, out, stride, next);
    else weigh_blocks<F, ROWS, PARTS, FETCH>(v, w, blocks, dim, out, stride, next);
  }
}

// How often a pass comes to its lines: over one block of keys or two at once, and over `blocks` of values.
template <class F>
inline int score_turns(int dim) { return dim / F::STEP / 4; }
inline int weigh_turns(int blocks, int dim) { return blocks * (dim > 64 ? dim / 64 : 1); }

}  // namespace
