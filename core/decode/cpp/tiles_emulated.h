// AMX's instructions in plain C++, as Intel's manual (volume 2, TDPBF16PS and others) defines them: for tests alone.
#pragma once
#include <atomic>
#include <cfloat>

namespace {

std::atomic<long> multiplied{0};  // products so far, of all threads

struct Tiles {
  TileConfig config{};
  uint8_t data[8][TILE_ROWS][TILE_BYTES];
};
inline Tiles& tiles() {
  static thread_local Tiles of_this_thread;
  return of_this_thread;
}

inline bool tiles_allowed() { return true; }
inline void configure_tiles(const TileConfig& wanted) {
  tiles().config = wanted;
  std::memset(tiles().data, 0, sizeof tiles().data);
}
inline void release_tiles() { configure_tiles(TileConfig{0}); }
template <int T>
inline void tile_zero() { std::memset(tiles().data[T], 0, sizeof tiles().data[T]); }
template <int T>
inline void tile_load(const void* from, size_t stride) {
  tile_zero<T>();
  for (int row = 0; row < tiles().config.rows[T]; ++row)
    std::memcpy(tiles().data[T][row], (const char*)from + row * stride, tiles().config.bytes[T]);
}
template <int T>
inline void tile_store(void* to, size_t stride) {
  for (int row = 0; row < tiles().config.rows[T]; ++row)
    std::memcpy((char*)to + row * stride, tiles().data[T][row], tiles().config.bytes[T]);
}

inline float flushed(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }
inline float element(const uint8_t* row, int at) {  // bf16, a subnormal one as zero
  uint16_t half;
  std::memcpy(&half, row + 2 * at, 2);
  const uint32_t word = uint32_t(half) << 16;
  float x;
  std::memcpy(&x, &word, 4);
  return flushed(x);
}

// Even and odd elements of the pairs are summed apart, then both with the sum; each step rounds, subnormals are zero.
// Shapes that the processor would refuse give no number.
template <int SUM, int ROWS, int PAIRS>
inline void tile_products() {
  ++multiplied;
  const TileConfig& c = tiles().config;
  const bool fits = c.palette == 1 && c.rows[SUM] == c.rows[ROWS] && c.bytes[SUM] == c.bytes[PAIRS] &&
                    c.bytes[ROWS] == 4 * c.rows[PAIRS] && c.rows[SUM] && c.rows[SUM] <= TILE_ROWS &&
                    c.bytes[SUM] <= TILE_BYTES && c.bytes[ROWS] <= TILE_BYTES;
  for (int m = 0; m < TILE_ROWS; ++m)
    for (int n = 0; n < TILE_BYTES / 4; ++n) {
      float even = 0, odd = 0, sum;
      for (int k = 0; k < c.bytes[ROWS] / 4; ++k) {
        const uint8_t *row = tiles().data[ROWS][m], *pairs = tiles().data[PAIRS][k];
        even = flushed(std::fma(element(row, 2 * k), element(pairs, 2 * n), even));
        odd = flushed(std::fma(element(row, 2 * k + 1), element(pairs, 2 * n + 1), odd));
      }
      uint8_t* at = tiles().data[SUM][m] + 4 * n;
      std::memcpy(&sum, at, 4);
      sum = fits ? flushed(flushed(sum) + flushed(even + odd)) : NAN;
      std::memcpy(at, &sum, 4);
    }
}

}  // namespace

extern "C" long headroom_tile_products() { return multiplied.exchange(0); }
