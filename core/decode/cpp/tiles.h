// Products of whole tiles by AMX (Intel's manual, volume 1, chapter 18): eight registers of at most 16 rows of 64 bytes.
// A build for a processor with amx_tile and amx_bf16 has them; whether they may be used is asked at run time.
// It never ran on such a processor: tests hold it by tiles_emulated.h, which does in plain C++ what the manual says.
#pragma once
#include "formats.h"
#if defined(HEADROOM_TILES)
#define TILES
#elif defined(PAIRS_BY_INSTRUCTION) && defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#define TILES
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int TILE_ROWS = 16, TILE_BYTES = 64;  // most of a tile

// What LDTILECFG reads: palette 1, and each register's rows and bytes of a row; 0 of both where it is not used.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

}  // namespace

#if defined(HEADROOM_TILES)
#include "tiles_emulated.h"
#elif defined(TILES)

namespace {

constexpr unsigned AMX_BF16 = 1u << 22, AMX_TILE = 1u << 24;       // CPUID leaf 7, EDX
constexpr unsigned TILE_STATE = 1u << 17 | 1u << 18;               // XCR0: the system keeps configuration and data
constexpr long REQUEST_PERMISSION = 0x1023, DATA_OF_TILES = 18;    // Linux: asm/prctl.h, ARCH_REQ_XCOMP_PERM

inline bool asked_for_tiles() {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (AMX_BF16 | AMX_TILE)) != (AMX_BF16 | AMX_TILE)) return false;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & TILE_STATE) == TILE_STATE && !syscall(SYS_arch_prctl, REQUEST_PERMISSION, DATA_OF_TILES);
}
// For every thread of the process, asked once: Linux gives the 8 KB a thread to those who ask.
inline bool tiles_allowed() {
  static const bool allowed = asked_for_tiles();
  return allowed;
}

inline void configure_tiles(const TileConfig& wanted) { asm volatile("ldtilecfg %0" : : "m"(wanted)); }
inline void release_tiles() { asm volatile("tilerelease"); }
template <int T>
inline void tile_zero() { asm volatile("tilezero %%tmm%c0" : : "i"(T)); }
template <int T>
inline void tile_load(const void* from, size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T>
inline void tile_store(void* to, size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(T) : "memory");
}
template <int SUM, int ROWS, int PAIRS>  // SUM [m][16] += ROWS [m][32] . PAIRS [16 pairs of rows][16], in bf16
inline void tile_products() { asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(ROWS), "i"(PAIRS)); }

}  // namespace
#endif
