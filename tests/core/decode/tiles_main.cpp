// What the tests ask of the tile instructions themselves: whether this processor has them, and what the emulated do.
#include <cstdio>
#include <initializer_list>
#include "../../../core/decode/cpp/tiles.h"

#if defined(HEADROOM_TILES)
static uint16_t bf16(float x) { return to_bf16(x); }

// One product of 1 x 4 elements with 2 pairs of rows of one column, on a sum of `before`; the column's number
static float product(std::initializer_list<float> row, std::initializer_list<float> column, float before, int rows = 2) {
  uint16_t a[4], b[4];
  int i = 0;
  for (float x : row) a[i++] = bf16(x);
  i = 0;
  for (float x : column) b[i++] = bf16(x);
  TileConfig config;
  config.rows[0] = 1, config.bytes[0] = 4;
  config.rows[3] = 1, config.bytes[3] = 8;
  config.rows[6] = rows, config.bytes[6] = 4;
  configure_tiles(config);
  tile_load<0>(&before, 4);
  tile_load<3>(a, 8);
  tile_load<6>(b, 4);
  tile_products<0, 3, 6>();
  float found = -1;
  tile_store<0>(&found, 4);
  release_tiles();
  return found;
}

int main() {
  std::printf("%g\n", product({1, 2, 3, 4}, {5, 6, 7, 8}, 9));
  std::printf("%g\n", product({16777216, -16777216, 1, 0}, {1, 1, 1, 0}, 0));
  std::printf("%g\n", product({0x1p-70f, 0, 0, 0}, {0x1p-70f, 0, 0, 0}, 0));
  std::printf("%g\n", product({0x1p-130f, 0, 0, 0}, {0x1p100f, 0, 0, 0}, 0));
  std::printf("%g\n", product({1, 1, 1, 1}, {1, 1, 1, 1}, 0, 3));
}
#else
int main() { std::printf("%d\n", tiles_allowed()); }
#endif
