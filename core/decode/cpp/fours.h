// fp8 (e4m3) four of a lane at a time, made bfloat16 where the processor moves the bits of bytes (GFNI).
// A line is [4][first two, last two][4 lanes][2] codes, as two instructions that interleave bytes make words of pairs of them.
#pragma once
#include "lanes.h"
#if HEADROOM_LEVEL >= 4 && defined(ON_AVX512) && defined(__GFNI__)
#define FOURS
#define FOURS_BY_INSTRUCTION
#elif defined(HEADROOM_QUADS)  // tests hold the arithmetic where the processor has no such instruction
#define FOURS
#endif

#if defined(FOURS)
namespace {

// Pairs of bfloat16 of a line's 16 lanes: the first two of each, or the last two.
// The upper byte is the sign and an exponent without its last bit, the lower that bit and the fraction. The exponent counts
// from 127 where e4m3's counts from 7: its upper bits are the code's topmost, or their opposite. Below 2^-6, where e4m3
// counts on without an exponent, both bytes are looked up by sign and fraction.
#if defined(FOURS_BY_INSTRUCTION)
template <bool LAST>
inline words fp8_pairs_at(const void* p) {
  // Of a matrix the first byte, its lowest, says which bits of the code sum to the highest bit of the result.
  constexpr int64_t TO_UPPER = 0x1020404040404080, TO_LOWER = 0x01020408, SIGN_AND_FRACTION = 0x0102048000000000;
  constexpr int OPPOSITE = 0x3c, EXPONENT = 0x78;
  const __m512i uppers = _mm512_broadcast_i32x4(_mm_setr_epi32(0x3b3b3b00, 0x3c3c3c3c, 0xbbbbbb80, 0xbcbcbcbc));
  const __m512i lowers = _mm512_broadcast_i32x4(_mm_setr_epi32(0xc0800000, 0x60402000, 0xc0800000, 0x60402000));
  const __m512i x = _mm512_loadu_si512(p);
  const __mmask64 small = _mm512_testn_epi8_mask(x, _mm512_set1_epi8(EXPONENT));
  const __m512i place = _mm512_gf2p8affine_epi64_epi8(x, _mm512_set1_epi64(SIGN_AND_FRACTION), 0);
  __m512i upper = _mm512_gf2p8affine_epi64_epi8(x, _mm512_set1_epi64(TO_UPPER), OPPOSITE);
  __m512i lower = _mm512_gf2p8affine_epi64_epi8(x, _mm512_set1_epi64(TO_LOWER), 0);
  upper = _mm512_mask_shuffle_epi8(upper, small, uppers, place);
  lower = _mm512_mask_shuffle_epi8(lower, small, lowers, place);
  return (words)(LAST ? _mm512_unpackhi_epi8(lower, upper) : _mm512_unpacklo_epi8(lower, upper));
}
#else
template <bool LAST>
inline words fp8_pairs_at(const void* p) {
  words found;
  for (int i = 0; i < LANES; ++i) {
    const int8_t* two = (const int8_t*)p + i / 4 * 16 + LAST * 8 + i % 4 * 2;
    found[i] = pair_of(half_of(uint16_t(two[0] << 7) & 0xbfff) * 256, half_of(uint16_t(two[1] << 7) & 0xbfff) * 256);
  }
  return found;
}
#endif

}  // namespace
#endif
