// fp8 (e4m3) in lines of four elements of 16 lanes, made float32 where the processor moves bits and bytes (GFNI, VBMI).
// A line is [4][16] codes, laid out by core/decode/host_kernel.py: of each the exponent, sign and fraction, in that order, the
// fraction's first bit turned over.
#pragma once
#include "lanes.h"
#if HEADROOM_LEVEL >= 4 && defined(ON_AVX512) && defined(__GFNI__) && defined(__AVX512VBMI__)
#define FOURS
#define FOURS_BY_INSTRUCTION
#elif defined(HEADROOM_QUADS)  // tests hold the arithmetic where the processor has no such instruction
#define FOURS
#endif

#if defined(FOURS)
namespace {

// Of half a line, 32 codes, the upper bytes of as many bfloat16 and then the lower: sign and exponent without its last bit,
// that bit and the fraction. The exponent counts from 128, so what comes out is 2^8 times what the code stands for. A code
// without exponent, below 2^-6, comes out wrong; with_small looks its bytes up by sign and fraction.
#if defined(FOURS_BY_INSTRUCTION)
typedef __m512i HalfLine;
inline HalfLine fp8_codes(const uint8_t* p) { return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i*)p)); }
inline HalfLine fp8_bytes(const uint8_t* p) {
  // Of a matrix the first byte, its lowest, says which bits of the code sum to the highest bit of the result.
  constexpr int64_t UPPER = 0x2040800000000008, LOWER = 0x01020410;
  constexpr int FROM_128 = 0x40;  // of the upper byte; of the lower it turns the fraction's first bit back
  const __m512i to = _mm512_setr_epi64(UPPER, UPPER, UPPER, UPPER, LOWER, LOWER, LOWER, LOWER);
  return _mm512_gf2p8affine_epi64_epi8(fp8_codes(p), to, FROM_128);
}
inline HalfLine with_small(HalfLine bytes, const uint8_t* p) {
  const __m128i uppers = _mm_setr_epi32(0x40404040, 0x3f3f3f00, 0xc0c0c0c0, 0xbfbfbf80);
  const __m128i lowers = _mm_setr_epi32(0x60402000, 0xc0800000, 0x60402000, 0xc0800000);
  const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_broadcastsi128_si256(uppers)),
                                          _mm256_broadcastsi128_si256(lowers), 1);
  const __m512i codes = fp8_codes(p);
  return _mm512_mask_shuffle_epi8(bytes, _mm512_cmple_epu8_mask(codes, _mm512_set1_epi8(15)), both, codes);
}
struct alignas(64) Places {
  uint8_t of[2][64] = {};
  constexpr Places() {
    for (int i = 0; i < 2 * LANES; ++i)
      of[i / LANES][i % LANES * 4 + 3] = uint8_t(i), of[i / LANES][i % LANES * 4 + 2] = uint8_t(2 * LANES + i);
  }
};
template <int J>
inline floats fp8_floats(HalfLine bytes) {
  static constexpr Places places;
  return (floats)_mm512_maskz_permutexvar_epi8(0xcccccccccccccccc, _mm512_load_si512(places.of[J]), bytes);
}
#else
typedef uint8_t HalfLine __attribute__((vector_size(64)));
inline HalfLine fp8_bytes(const uint8_t* p) {
  HalfLine bytes;
  for (int i = 0; i < 32; ++i) {
    bytes[i] = (p[i] << 4 & 0x80) | 0x40 | p[i] >> 5;
    bytes[32 + i] = (p[i] << 3 & 0x80) | ((p[i] & 7) << 4 ^ 0x40);
  }
  return bytes;
}
inline HalfLine with_small(HalfLine bytes, const uint8_t* p) {
  for (int i = 0; i < 32; ++i)
    if (p[i] < 16) {
      const float x = ((p[i] & 7) ^ 4) * (p[i] & 8 ? -0.5f : 0.5f);
      const uint16_t both = to_bf16(x);
      bytes[i] = both >> 8, bytes[32 + i] = uint8_t(both);
    }
  return bytes;
}
template <int J>
inline floats fp8_floats(HalfLine bytes) {
  static_assert(WIDTH == LANES, "a vector holds an element of a line");
  words bits;
  for (int i = 0; i < LANES; ++i) bits[i] = uint32_t(bytes[J * LANES + i]) << 24 | uint32_t(bytes[32 + J * LANES + i]) << 16;
  return (floats)bits;
}
#endif

}  // namespace
#endif
