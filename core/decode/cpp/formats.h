// How a cache stores its numbers. A step is 16 lanes (keys, or columns of values) of STEP neighbouring elements each,
// BYTES long; it holds SUBS factors, and each is multiplied by a query (or weight) of its own.
// Scaled formats precede each block of 16 tokens by its scales: float16 [dim / 32][16], one for 32 elements of a token.
#pragma once
#include <type_traits>
#include "fours.h"

namespace {

constexpr int GROUP = 32;  // elements that share a scale
constexpr int ANY_ROWS = 1 << 30;

struct Widened {
  typedef float query;
  typedef floats lanes;
  static constexpr bool SCALED = false;
  static constexpr int DIRECT_ROWS = 2 * WEIGHED;  // more are widened once, for all passes
  static constexpr bool SCORED_DIRECT = false;     // but for keys, which are not
  static constexpr bool LOOKS = false;             // whether it looks which squares of a Cache hold small numbers
  static constexpr float FACTOR = 1;               // stored numbers are this many times what get() returns
  static inline query query_of(const float* from) { return from[0]; }
  static inline lanes all(query q) { return splat(q); }
  static inline floats step(floats sum, lanes x, lanes with) { return sum + x * with; }
};
struct Float : Widened {
  static constexpr int STEP = 1, SUBS = 1, BYTES = 64, DIRECT_ROWS = ANY_ROWS;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) { return load((const float*)p + part * WIDTH); }
};
struct Half : Widened {
  static constexpr int STEP = 1, SUBS = 1, BYTES = 32;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) { return halves_at(p + part * WIDTH * 2); }
};
struct WideBf16 : Widened {
  static constexpr int STEP = 2, SUBS = 2, BYTES = 64;
  static constexpr bool SCORED_DIRECT = MANY_REGISTERS;  // one operation widens a vector, which up to eight rows take
  template <int J>
  static inline lanes get(const uint8_t* p, int part) {
    return J ? second_of_pairs(p + part * WIDTH * 4) : first_of_pairs(p + part * WIDTH * 4);
  }
};
struct Fp8 : Widened {
  static constexpr int STEP = 1, SUBS = 1, BYTES = 16, DIRECT_ROWS = WEIGHED;  // five operations to widen a vector
  static constexpr float FACTOR = 256;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) { return fp8_at(p + part * WIDTH); }
};
#if defined(FOURS)
struct Fp8InFours : Widened {  // three operations widen two vectors, five where some numbers are small
  static constexpr int STEP = 4, SUBS = 4, BYTES = 64, DIRECT_ROWS = WEIGHED;
  static constexpr bool LOOKS = true;
  static constexpr float FACTOR = 1.0f / 256;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) {
    const uint8_t* half = p + part * BYTES + J / 2 * 32;
    return fp8_floats<J % 2>(with_small(fp8_bytes(half), half));
  }
  // What the four elements of VECTORS lines, `apart` bytes from one to the next, add to the sums of ROWS rows; of two at a
  // time, as registers hold them. query(row, element) is what a row has for one of the four.
  template <int ROWS, int VECTORS, bool SMALL, class Query>
  static inline __attribute__((always_inline)) void lines(floats (*sums)[VECTORS], const uint8_t* p, size_t apart,
                                                          Query query) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      HalfLine bytes[VECTORS];
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; ++v) {
        bytes[v] = fp8_bytes(p + v * apart + half * 32);
        if constexpr (SMALL) bytes[v] = with_small(bytes[v], p + v * apart + half * 32);
      }
      auto element = [&](auto place) __attribute__((always_inline)) {
        lanes x[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) x[v] = fp8_floats<decltype(place)::value>(bytes[v]);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
          const lanes with = splat(query(r, half * 2 + decltype(place)::value));
#pragma GCC unroll 8
          for (int v = 0; v < VECTORS; ++v) sums[r][v] = step(sums[r][v], x[v], with);
        }
      };
      element(std::integral_constant<int, 0>{});
      element(std::integral_constant<int, 1>{});
    }
  }
};
typedef Fp8InFours CachedFp8;
#else
typedef Fp8 CachedFp8;
#endif
struct Int8 : Widened {
  static constexpr int STEP = 1, SUBS = 1, BYTES = 16;
  static constexpr bool SCALED = true;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) { return bytes_at(p + part * WIDTH); }
};
struct Int4 : Widened {  // a byte holds two neighbours in two's complement, the first in its low half
  static constexpr int STEP = 2, SUBS = 2, BYTES = 16;
  static constexpr int DIRECT_ROWS = MANY_REGISTERS ? 2 * WEIGHED : WEIGHED;
  static constexpr bool SCALED = true;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) {
    return J ? high_nibbles(p + part * WIDTH) : low_nibbles(p + part * WIDTH);
  }
};

// bf16 in pairs as vdpbf16ps multiplies them: queries and weights are rounded to bf16, sums are float32.
struct PairedBf16 {
  typedef uint32_t query;
  static constexpr int STEP = 2, SUBS = 1, BYTES = 64, DIRECT_ROWS = ANY_ROWS;
  static constexpr bool SCALED = false, LOOKS = false;
  static constexpr float FACTOR = 1;
  static inline query query_of(const float* from) { return pair_of(from[0], from[1]); }
#if defined(PAIRS_BY_INSTRUCTION)
  typedef __m512bh lanes;
  template <int J>
  static inline lanes get(const uint8_t* p, int) { return (lanes)_mm512_loadu_si512(p); }
  static inline lanes all(query q) { return (lanes)_mm512_set1_epi32(q); }
  static inline floats step(floats sum, lanes x, lanes with) { return (floats)_mm512_dpbf16_ps((__m512)sum, x, with); }
#else
  typedef words lanes;
  template <int J>
  static inline lanes get(const uint8_t* p, int part) { return *(const words*)(p + part * WIDTH * 4); }
  static inline lanes all(query q) { return words{} + q; }
  static inline floats step(floats sum, lanes x, lanes with) {
    sum += (floats)(x << 16) * (floats)(with << 16);
    return sum + (floats)(x & 0xffff0000u) * (floats)(with & 0xffff0000u);
  }
#endif
};
#if defined(PAIRS_BY_INSTRUCTION) || defined(HEADROOM_PAIRS)
typedef PairedBf16 Bf16;
#else
typedef WideBf16 Bf16;
#endif

// Each of the SUBS numbers that a lane of a step holds
template <class F, class Work>
inline __attribute__((always_inline)) void each_sub(Work work) {
  work(std::integral_constant<int, 0>{});
  if constexpr (F::SUBS > 1) work(std::integral_constant<int, 1>{});
  if constexpr (F::SUBS > 2) {
    work(std::integral_constant<int, 2>{});
    work(std::integral_constant<int, 3>{});
  }
}

template <class F>
constexpr int elements_per_query() { return F::STEP / F::SUBS; }

// Bytes of 16 tokens of one head, scales included, and of the scales alone
template <class F>
inline size_t scale_bytes(int dim) { return F::SCALED ? size_t(dim) / GROUP * LANES * 2 : 0; }
template <class F>
inline size_t block_bytes(int dim) { return scale_bytes<F>(dim) + size_t(dim) / F::STEP * F::BYTES; }
// Where blocks of 16 tokens lie; and for a format that LOOKS, a byte for each square of 16 tokens and 16 elements
// [block][dim / 16], which is 0 where every code of it has an exponent.
struct Cache {
  const uint8_t* bytes;
  const uint8_t* small = nullptr;
};
template <class F>
inline Cache from_block(Cache from, size_t block, int dim) {
  return {from.bytes + block * block_bytes<F>(dim), from.small ? from.small + block * dim / LANES : nullptr};
}

}  // namespace
