// What this processor can do at most, in the kernels' own instructions: reads, products over data in cache, exponentials.
#pragma once
#include "attend.h"
#include "threads.h"

namespace {

constexpr size_t STRETCH = 1 << 21;  // bytes that a thread reads before it takes the next
constexpr size_t TURN = 1 << 17;     // of them from each of two halves, as a kernel reads keys and values in turns

// Every byte once; `ahead` fetches lines into the second cache first, as the kernels do. Returns a sum, so that it is read.
inline uint32_t read_stretch(const uint8_t* from, size_t bytes, bool ahead) {
  constexpr int VECTORS = 64 / (WIDTH * 4);
  words sums[4][VECTORS] = {};
  for (size_t at = 0; at < bytes; at += 256)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const uint8_t* line = from + at + i * 64;
      if (ahead) fetch(line);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] += *(const words*)(line + v * WIDTH * 4);
    }
  uint32_t found = 0;
  for (auto& row : sums)
    for (words& sum : row)
      for (int lane = 0; lane < WIDTH; ++lane) found += sum[lane];
  return found;
}

// A thread reads one stretch after another, or with `halves` TURN bytes of each half in turns.
inline uint32_t read_all(const uint8_t* data, size_t bytes, bool ahead, bool halves, int threads, Parallel parallel) {
  const size_t end = halves ? bytes / 2 : bytes, turn = halves ? TURN : STRETCH;
  std::atomic<size_t> next{0};
  std::atomic<uint32_t> found{0};
  auto work = [&] {
    uint32_t mine = 0;
    for (size_t first; (first = next.fetch_add(STRETCH)) < end;)
      for (size_t at = first; at < end && at < first + STRETCH; at += turn) {
        const size_t some = end - at < turn ? end - at : turn;
        mine += read_stretch(data + at, some, ahead);
        if (halves) mine += read_stretch(data + end + at, some, ahead);
      }
    found += mine;
  };
  on_threads(threads, parallel, work);
  return found;
}

// Each of these gives back on how many threads it was done. What it finds goes to an atomic: else it need not be computed.
constexpr int PROBE_DIM = 128;  // two blocks of 16 keys and their queries stay in the first cache

// `times` products of SCORED query rows with 32 keys on every thread: 2 x SCORED x 32 x PROBE_DIM FLOPs each.
// Formats that are widened once for many rows multiply as float32 does.
template <class F>
int multiply_in_cache(int64_t times, int threads, Parallel parallel) {
  std::atomic<int> total{0};
  auto work = [&] {
    Buffer<uint8_t> keys(2 * block_bytes<F>(PROBE_DIM), 0);
    Buffer<typename F::query> q(size_t(SCORED) * PROBE_DIM);
    Buffer<float> scores(size_t(SCORED) * KEYS);
    for (int64_t i = 0; i < times; ++i) {
      q[0] = typename F::query(i);
      score_rows<F, SCORED, NOBODY>({keys.data()}, q.data(), PROBE_DIM, SCORED, 2, scores.data(), {});
      asm volatile("" ::: "memory");  // else what does not change from turn to turn is multiplied once
    }
    total += scores[0] > 0;
  };
  return on_threads(threads, parallel, work);
}

#if defined(TILES)
// `times` products of MOST_TILED query rows with 32 keys on every thread, by the processor's tiles
inline int multiply_tiles_in_cache(int64_t times, int threads, Parallel parallel) {
  std::atomic<int> total{0};
  auto work = [&] {
    const Buffer<uint8_t> keys(2 * block_bytes<PairedBf16>(PROBE_DIM), 0);
    const Buffer<uint32_t> q(size_t(MOST_TILED) * PROBE_DIM / 2);
    Buffer<float> scores(size_t(MOST_TILED) * KEYS);
    const RowTiles tiles(MOST_TILED);
    tiles.configure();
    for (int64_t i = 0; i < times; ++i) score_by_tiles(tiles, keys.data(), q.data(), PROBE_DIM, 2, scores.data());
    release_tiles();
    total += scores[0] > 0;
  };
  return on_threads(threads, parallel, work);
}
#endif

#if defined(QUADS)
// `times` products of ROWS_OF_QUADS query rows with 32 keys of 8 bits on every thread, by the processor's byte products
inline int multiply_quads_in_cache(int64_t times, int threads, Parallel parallel) {
  std::atomic<int> total{0};
  auto work = [&] {
    const Buffer<uint8_t> keys(2 * block_bytes<Quads8>(PROBE_DIM), 0);
    const Buffer<float> query(size_t(ROWS_OF_QUADS) * PROBE_DIM);
    Buffer<float> scores(size_t(ROWS_OF_QUADS) * KEYS);
    Fixed q;
    fix_queries<Quads8>(query.data(), ROWS_OF_QUADS, PROBE_DIM, q);
    for (int64_t i = 0; i < times; ++i) {
      Lines nothing;
      q.digits[0] = uint32_t(i);
      score_rows_by_quads<Quads8, ROWS_OF_QUADS>(keys.data(), q, PROBE_DIM, ROWS_OF_QUADS, 2, scores.data(), nothing);
      asm volatile("" ::: "memory");
    }
    total += scores[0] > 0;
  };
  return on_threads(threads, parallel, work);
}
#endif

// `times` times 4,096 exponentials on every thread
inline int exponentials(int64_t times, int threads, Parallel parallel) {
  constexpr int COUNT = 4096;
  std::atomic<int> total{0};
  auto work = [&] {
    Buffer<float> x(COUNT);
    for (int i = 0; i < COUNT; ++i) x[i] = -float(i % 97) / 8;
    floats sums[4] = {};
    for (int64_t i = 0; i < times; ++i) {
      const float shift = float(i & 7);
      asm volatile("" ::: "memory");
      for (int at = 0; at < COUNT; at += 4 * WIDTH)
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) sums[j] += exp2_of(load(&x[at + j * WIDTH]) - shift);
    }
    total += sum_of(sums[0] + sums[1] + sums[2] + sums[3]) > 0;
  };
  return on_threads(threads, parallel, work);
}

}  // namespace
