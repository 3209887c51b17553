// The two products of attention where one KV head serves several query heads, by tiles: bf16 as it lies in the cache.
// 32 elements of 16 keys, and 32 tokens of 16 columns of values, are each a tile of pairs as the processor multiplies it.
#pragma once
#include <type_traits>
#include <vector>
#include "products.h"
#include "tiles.h"

namespace {

constexpr int LEAST_TILED = 4;      // query rows: fewer are bound by reads on vectors too
constexpr int TILED_ELEMENTS = 32;  // of a row that one product takes

template <class F>
inline bool by_tiles(int rows, int dim) {
#if defined(TILES)
  if constexpr (std::is_same<F, PairedBf16>::value)
    return rows >= LEAST_TILED && dim % TILED_ELEMENTS == 0 && tiles_allowed();
#endif
  return false;
}

#if defined(TILES)

constexpr int ROW_TILES = 3;                      // of sums (0 to 2) and of query rows (3 to 5); 6 holds keys or values
constexpr int MOST_TILED = ROW_TILES * TILE_ROWS; // query rows of one pass
constexpr int SUMS = 0, ROWS_AT = ROW_TILES, PAIRS_AT = 2 * ROW_TILES;
constexpr int CHUNK = 128;                        // tokens whose values stay in the first cache for all columns

// How the rows of a pass lie in row tiles: evenly, 14 + 13 + 13 rather than 16 + 16 + 8.
struct RowTiles {
  int rows, count, first[ROW_TILES + 1] = {};
  explicit RowTiles(int rows) : rows(rows), count((rows + TILE_ROWS - 1) / TILE_ROWS) {
    for (int t = 0; t < ROW_TILES; ++t)
      first[t + 1] = t < count ? first[t] + rows_of_pass(rows, TILE_ROWS, first[t]) : rows;
  }
  void configure() const {
    TileConfig config;
    for (int t = 0; t < count; ++t)
      for (int at : {SUMS + t, ROWS_AT + t}) config.rows[at] = first[t + 1] - first[t], config.bytes[at] = TILE_BYTES;
    config.rows[PAIRS_AT] = TILE_ROWS, config.bytes[PAIRS_AT] = TILE_BYTES;
    configure_tiles(config);
  }
};

template <int COUNT, int T = 0, class Each>
inline void each_tile(Each each) {
  if constexpr (T < COUNT) {
    each(std::integral_constant<int, T>{});
    each_tile<COUNT, T + 1>(each);
  }
}

// sums of COUNT row tiles += their rows, `line` bytes apart, with the tile of pairs
template <int COUNT>
inline void multiply_tiles(const RowTiles& tiles, const uint32_t* rows, size_t line, const uint8_t* pairs, size_t stride) {
  tile_load<PAIRS_AT>(pairs, stride);
  each_tile<COUNT>([&](auto t) __attribute__((always_inline)) {
    constexpr int T = decltype(t)::value;
    tile_load<ROWS_AT + T>((const uint8_t*)rows + tiles.first[T] * line, line);
    tile_products<SUMS + T, ROWS_AT + T, PAIRS_AT>();
  });
}

// scores [rows][KEYS] of `blocks` blocks of 16 keys; q [rows][dim / 2] pairs
template <int COUNT>
inline void score_tiles(const RowTiles& tiles, const uint8_t* keys, const uint32_t* q, int dim, int blocks, float* scores) {
  for (int b = 0; b < blocks; ++b) {
    each_tile<COUNT>([&](auto t) { tile_zero<SUMS + decltype(t)::value>(); });
    for (int d = 0; d < dim; d += TILED_ELEMENTS) {
      const uint8_t* at = keys + b * block_bytes<PairedBf16>(dim) + size_t(d) / 2 * TILE_BYTES;
#pragma GCC unroll 16
      for (int line = 0; line < TILE_ROWS; ++line) fetch(at + line * TILE_BYTES);
      multiply_tiles<COUNT>(tiles, q + d / 2, size_t(dim) * 2, at, TILE_BYTES);
    }
    each_tile<COUNT>([&](auto t) __attribute__((always_inline)) {
      constexpr int T = decltype(t)::value;
      tile_store<SUMS + T>(scores + size_t(tiles.first[T]) * KEYS + b * LANES, KEYS * 4);
    });
  }
}

// out [rows][dim] += weights [rows][KEYS / 2 pairs] . values, over `tokens` tokens, a multiple of 32. Each column's values
// lie far apart: those of the chunk after this one are fetched in the order of memory.
template <int COUNT>
inline void weigh_tiles(const RowTiles& tiles, const uint8_t* values, const uint32_t* w, int dim, int tokens, float* out) {
  const size_t token = size_t(dim) * 2;
  const uint8_t* next = values + tokens * token - AHEAD;  // fetch() adds it again
  for (int c = 0; c < dim; c += LANES) {
    auto sums = [&](auto t) { return out + size_t(tiles.first[decltype(t)::value]) * dim + c; };
    each_tile<COUNT>([&](auto t) { tile_load<SUMS + decltype(t)::value>(sums(t), size_t(dim) * 4); });
    for (int i = 0; i < tokens; i += TILED_ELEMENTS) {
#pragma GCC unroll 16
      for (int line = 0; line < TILE_ROWS; ++line, next += TILE_BYTES) fetch(next);
      multiply_tiles<COUNT>(tiles, w + i / 2, KEYS * 2, values + i * token + size_t(c) * 4, 2 * token);
    }
    each_tile<COUNT>([&](auto t) { tile_store<SUMS + decltype(t)::value>(sums(t), size_t(dim) * 4); });
  }
}

template <class Work>
inline void with_count(int count, Work work) {
  if (count == 1) work(std::integral_constant<int, 1>{});
  else if (count == 2) work(std::integral_constant<int, 2>{});
  else work(std::integral_constant<int, 3>{});
}

inline void score_by_tiles(const RowTiles& tiles, const uint8_t* keys, const uint32_t* q, int dim, int blocks, float* scores) {
  with_count(tiles.count, [&](auto n) { score_tiles<decltype(n)::value>(tiles, keys, q, dim, blocks, scores); });
}

// Over `blocks` blocks of 16 tokens; the last of an odd number is multiplied beside a block of zeros.
inline void weigh_by_tiles(const RowTiles& tiles, const uint8_t* values, uint32_t* w, int dim, int blocks, float* out) {
  static thread_local std::vector<uint8_t> padded;
  const size_t block = block_bytes<PairedBf16>(dim);
  const int whole = blocks / 2 * 2 * LANES;
  with_count(tiles.count, [&](auto n) {
    for (int at = 0; at < whole; at += CHUNK)
      weigh_tiles<decltype(n)::value>(tiles, values + at / LANES * block, w + at / 2, dim,
                                      whole - at < CHUNK ? whole - at : CHUNK, out);
    if (blocks % 2 == 0) return;
    padded.assign(2 * block, 0);
    std::memcpy(padded.data(), values + whole / LANES * block, block);
    for (int r = 0; r < tiles.rows; ++r)
      std::memset(w + size_t(r) * (KEYS / 2) + (whole + LANES) / 2, 0, LANES * 2);
    weigh_tiles<decltype(n)::value>(tiles, padded.data(), w + whole / 2, dim, TILED_ELEMENTS, out);
  });
}
#endif

}  // namespace
