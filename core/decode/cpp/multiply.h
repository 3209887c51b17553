// One token's products with weights: x [batch][columns], weights [rows][columns], each weight read once for the batch.
#pragma once
#include "attend.h"
#include "threads.h"

namespace {

constexpr int MOST_BATCH = 8;  // sequences whose products share one read of the weights
constexpr int PIECE = 32;      // rows of weights that a thread takes at a time

// out[BATCH][rows] = x[BATCH][columns] . weights[rows][columns], rows first to last: one stream of weights, read once.
// Weights lie as torch stores them; a factor of a pair meets the same factor of x, whatever the order in between.
template <class F, int BATCH>
void multiply_rows(const uint8_t* weights, const uint8_t* x, int first, int last, int rows, int columns, float* out) {
  constexpr int ELEMENT = F::BYTES / LANES / F::STEP, VECTOR = WIDTH * F::STEP, MOST = MANY_REGISTERS ? 16 : 8;
  constexpr int CHAINS = BATCH == 1 ? 8 : BATCH * 4 <= MOST ? 4 : BATCH * 2 <= MOST ? 2 : 1;
  for (int n = first; n < last; ++n) {
    const uint8_t* w = weights + size_t(n) * columns * ELEMENT;
    floats sums[BATCH][CHAINS] = {};
    for (int k = 0; k < columns; k += CHAINS * VECTOR)
#pragma GCC unroll 8
      for (int j = 0; j < CHAINS; ++j) {
        const int at = k + j * VECTOR;
        if (at >= columns) break;
        if (VECTOR * ELEMENT == 64 || j % (64 / (VECTOR * ELEMENT)) == 0) fetch(w + at * ELEMENT);
        auto factor = [&](auto place) __attribute__((always_inline)) {
          constexpr int J = decltype(place)::value;
          const auto with = F::template get<J>(w + at * ELEMENT, 0);
#pragma GCC unroll 8
          for (int b = 0; b < BATCH; ++b)
            sums[b][j] = F::step(sums[b][j], with, F::template get<J>(x + (size_t(b) * columns + at) * ELEMENT, 0));
        };
        factor(std::integral_constant<int, 0>{});
        if constexpr (F::SUBS == 2) factor(std::integral_constant<int, 1>{});
      }
    for (int b = 0; b < BATCH; ++b) {
      floats sum = sums[b][0];
      for (int j = 1; j < CHAINS; ++j) sum += sums[b][j];
      out[size_t(b) * rows + n] = sum_of(sum);
    }
  }
}

template <class F, int BATCH = MOST_BATCH>
void multiply(const uint8_t* weights, const uint8_t* x, int batch, int rows, int columns, int threads,
              Parallel parallel, float* out) {
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
