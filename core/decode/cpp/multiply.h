// Products of a step's tokens with weights: x [tokens][columns], weights [groups][rows][columns], each row of weights
// read once however many tokens take it. A group is one matrix, or one expert of a layer and the tokens that drew it.
#pragma once
#include "attend.h"
#include "threads.h"

namespace {

constexpr int PIECE = 32;                        // rows of weights that a thread takes at a time
// Tokens of one pass: their sums for two rows of weights fill registers. One row by itself meets few, or is the last of all.
constexpr int TOGETHER = MANY_REGISTERS ? 8 : 6, ALONE = 2;

// out[TOKENS][ROWS] += x[TOKENS][columns] . weights[ROWS][columns]; out's rows lie `stride` apart. FIRST: of the passes
// over these rows of weights, the one that finds them in memory. Weights lie as torch stores them; a factor of a pair
// meets the same factor of x, whatever the order in between.
template <class F, int TOKENS, int ROWS, bool FIRST>
inline void multiply_tile(const uint8_t* weights, const uint8_t* x, int columns, float* out, size_t stride) {
  constexpr int ELEMENT = F::BYTES / LANES / F::STEP, VECTOR = WIDTH * F::STEP, MOST = MANY_REGISTERS ? 16 : 8;
  constexpr int SUMS = TOKENS * ROWS, CHAINS = SUMS == 1 ? 8 : SUMS * 4 <= MOST ? 4 : SUMS * 2 <= MOST ? 2 : 1;
  const size_t line = size_t(columns) * ELEMENT;
  floats sums[ROWS][TOKENS][CHAINS] = {};
  for (int k = 0; k < columns; k += CHAINS * VECTOR)
#pragma GCC unroll 8
    for (int j = 0; j < CHAINS; ++j) {
      const int at = k + j * VECTOR;
      if (at >= columns) break;
      if constexpr (FIRST)
        if (VECTOR * ELEMENT == 64 || at * ELEMENT % 64 == 0)
#pragma GCC unroll 2
          for (int r = 0; r < ROWS; ++r) fetch(weights + r * line + at * ELEMENT);
      auto factor = [&](auto place) __attribute__((always_inline)) {
        constexpr int J = decltype(place)::value;
        typename F::lanes with[ROWS];
#pragma GCC unroll 2
        for (int r = 0; r < ROWS; ++r) with[r] = F::template get<J>(weights + r * line + at * ELEMENT, 0);
#pragma GCC unroll 8
        for (int t = 0; t < TOKENS; ++t) {
          const auto one = F::template get<J>(x + t * line + at * ELEMENT, 0);
#pragma GCC unroll 2
          for (int r = 0; r < ROWS; ++r) sums[r][t][j] = F::step(sums[r][t][j], with[r], one);
        }
      };
      factor(std::integral_constant<int, 0>{});
      if constexpr (F::SUBS == 2) factor(std::integral_constant<int, 1>{});
    }
  for (int t = 0; t < TOKENS; ++t)
    for (int r = 0; r < ROWS; ++r) {
      floats sum = sums[r][t][0];
      for (int j = 1; j < CHAINS; ++j) sum += sums[r][t][j];
      out[t * stride + r] = sum_of(sum);
    }
}

template <int ROWS>
constexpr int most_tokens() { return ROWS == 1 ? ALONE : TOGETHER; }
// Two rows meet more than ALONE, and a later pass no fewer than half of the most: passes are of even size.
template <int ROWS, bool FIRST>
constexpr int least_tokens() { return ROWS == 1 ? 1 : FIRST ? ALONE + 1 : TOGETHER / 2; }

template <class F, int ROWS, bool FIRST, int TOKENS = most_tokens<ROWS>()>
inline void multiply_pass(const uint8_t* weights, const uint8_t* x, int tokens, int columns, float* out, size_t stride) {
  if constexpr (TOKENS >= least_tokens<ROWS, FIRST>()) {
    if (tokens != TOKENS) return multiply_pass<F, ROWS, FIRST, TOKENS - 1>(weights, x, tokens, columns, out, stride);
    multiply_tile<F, TOKENS, ROWS, FIRST>(weights, x, columns, out, stride);
  }
}

// ROWS rows of weights with every token, as many at a time as one pass takes: from the second on the rows are in the first
// cache.
template <class F, int ROWS>
inline void multiply_rows(const uint8_t* weights, const uint8_t* x, int tokens, int columns, float* out, size_t stride) {
  constexpr int ELEMENT = F::BYTES / LANES / F::STEP;
  for (int done = 0; done < tokens;) {
    const int some = rows_of_pass(tokens, most_tokens<ROWS>(), done);
    const uint8_t* from = x + size_t(done) * columns * ELEMENT;
    float* to = out + done * stride;
    if (done == 0) multiply_pass<F, ROWS, true>(weights, from, some, columns, to, stride);
    else multiply_pass<F, ROWS, false>(weights, from, some, columns, to, stride);
    done += some;
  }
}

// Tokens of group g are first[g] to first[g + 1] of x and out; they meet matrix which[g] of weights.
template <class F>
void multiply(const uint8_t* weights, const uint8_t* x, int groups, const int64_t* which, const int64_t* first, int rows,
              int columns, int threads, Parallel parallel, float* out) {
  constexpr int ELEMENT = F::BYTES / LANES / F::STEP;
  const size_t line = size_t(columns) * ELEMENT, pieces = (rows + PIECE - 1) / PIECE;
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t item; (item = next++) < groups * pieces;) {
      const size_t group = item / pieces;
      const int begin = int(item % pieces) * PIECE, end = begin + PIECE < rows ? begin + PIECE : rows;
      const int tokens = int(first[group + 1] - first[group]);
      const uint8_t* w = weights + size_t(which[group]) * rows * line;
      const uint8_t* from = x + size_t(first[group]) * line;
      float* to = out + size_t(first[group]) * rows;
      int n = begin;
      if (tokens > ALONE)  // fewer read one stream of weights, which is what bounds them
        for (; n + 2 <= end; n += 2) multiply_rows<F, 2>(w + n * line, from, tokens, columns, to + n, rows);
      for (; n < end; ++n) multiply_rows<F, 1>(w + n * line, from, tokens, columns, to + n, rows);
    }
  };
  on_threads(threads, parallel, work);
}

}  // namespace
