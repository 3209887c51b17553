// Vectors of the instruction set that this build is for, and how stored numbers are widened in its registers.
// HEADROOM_LEVEL holds a build below what the processor has: 1 plain vectors, 2 AVX2 or NEON, 3 AVX-512, 4 its bf16
// and its products of bytes.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if !defined(HEADROOM_LEVEL)
#define HEADROOM_LEVEL 4
#endif

namespace {

#if HEADROOM_LEVEL >= 3 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define ON_AVX512
constexpr int WIDTH = 16;
#elif HEADROOM_LEVEL >= 2 && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define ON_AVX2
constexpr int WIDTH = 8;
#elif HEADROOM_LEVEL >= 2 && defined(__aarch64__)
#define ON_NEON
constexpr int WIDTH = 4;
#elif defined(HEADROOM_WIDTH)  // tests hold the arithmetic of wider vectors where the processor has none
constexpr int WIDTH = HEADROOM_WIDTH;
#else
constexpr int WIDTH = 4;
#endif
#if HEADROOM_LEVEL >= 4 && defined(ON_AVX512) && defined(__AVX512BF16__)
#define PAIRS_BY_INSTRUCTION
#endif

typedef float floats __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t ints __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * WIDTH), aligned(4)));

constexpr int LANES = 16;               // keys of a block, whatever the vectors
constexpr int PARTS = LANES / WIDTH;    // vectors of a block
constexpr bool MANY_REGISTERS = WIDTH == 16;  // 32 vectors that each hold a whole block
constexpr int SCORED = MANY_REGISTERS ? 8 : 6;  // most query rows of one pass over keys, and over values
constexpr int WEIGHED = 6;
constexpr int KEYS = 512;               // keys per tile: the scores of 40 rows are 80 KB, and a row's sums are formed seldom
constexpr int AHEAD = 16384;            // bytes fetched ahead: hardware prefetching stops at each 4 KB page

inline const char* level_name() {
#if defined(PAIRS_BY_INSTRUCTION)
  return "AVX-512 with bf16";
#elif defined(ON_AVX512)
  return "AVX-512";
#elif defined(ON_AVX2)
  return "AVX2";
#elif defined(ON_NEON)
  return "NEON";
#else
  return "plain vectors";
#endif
}

// Buffers that begin on a line of the cache: a vector that lies across two of them is loaded twice.
template <class T>
struct OnLines {
  typedef T value_type;
  T* allocate(size_t count) { return (T*)::operator new(count * sizeof(T), std::align_val_t(64)); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const OnLines&) const { return true; }
  bool operator!=(const OnLines&) const { return false; }
};
template <class T>
using Buffer = std::vector<T, OnLines<T>>;

inline floats splat(float x) { return floats{} + x; }
inline floats load(const float* p) { return *(const floats*)p; }
inline void store(float* p, floats x) { *(floats*)p = x; }

// Into the second cache: fetched into the first, the same lines arrive a fifth slower (benchmarks/decode.md).
inline void fetch(const void* p) { __builtin_prefetch((const char*)p + AHEAD, 0, 2); }

// Lines that one pass over rows fetches, evenly over its turns: memory that waits for some of them is not caught up with.
// Where several passes take the same keys or values, each fetches its share of what comes next.
struct Lines {
  const uint8_t* at = nullptr;
  unsigned lines = 0, turns = 1, due = 0;
  Lines() = default;
  Lines(const uint8_t* data, size_t bytes, int first, int count, int rows, int turns)  // rows first to first + count
      : at(data + bytes * first / rows), lines(unsigned((bytes * count / rows + 63) / 64)), turns(turns) {}
  inline void turn(int some = 1) {
    for (due += some * lines; due >= turns; due -= turns, at += 64) fetch(at);
  }
};

inline float half_of(uint16_t h) {  // float16, subnormals too: its bits moved into a float32, times 2^112
  uint32_t magnitude = uint32_t(h & 0x7fff) << 13, sign = uint32_t(h & 0x8000) << 16;
  float x;
  std::memcpy(&x, &magnitude, 4);
  x *= 0x1p112f;
  uint32_t u;
  std::memcpy(&u, &x, 4);
  u |= sign;
  std::memcpy(&x, &u, 4);
  return x;
}

// WIDTH numbers in float32: float16, signed bytes, and the halves of signed bytes (low: the even ones of each pair).
// fp8 (e4m3) comes out 2^8 too small: moved to a float16's place, its exponent counts from 15 where it counted from 7.
// Its two codes for "not a number" read as 480: no cache holds them.
#if defined(ON_AVX512)
inline floats halves_at(const void* p) { return (floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
inline ints bytes_in_words(const void* p) { return (ints)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)); }
inline floats fp8_at(const void* p) {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p));
  return (floats)_mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(short(0xbfff))));
}
#elif defined(ON_AVX2)
inline floats halves_at(const void* p) { return (floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
inline ints bytes_in_words(const void* p) { return (ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
inline floats fp8_at(const void* p) {
  const __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)p));
  return (floats)_mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16(short(0xbfff))));
}
#elif defined(ON_NEON)
inline floats halves_at(const void* p) {
  return (floats)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t*)p)));
}
inline int16x4_t bytes_in_halves(const void* p) {
  uint32_t four;
  std::memcpy(&four, p, 4);
  return vget_low_s16(vmovl_s8(vcreate_s8(four)));
}
inline ints bytes_in_words(const void* p) { return (ints)vmovl_s16(bytes_in_halves(p)); }
inline floats fp8_at(const void* p) {
  const uint16x4_t bits = vand_u16(vreinterpret_u16_s16(vshl_n_s16(bytes_in_halves(p), 7)), vdup_n_u16(0xbfff));
  return (floats)vcvt_f32_f16(vreinterpret_f16_u16(bits));
}
#else
inline floats halves_at(const void* p) {
  floats x;
  for (int i = 0; i < WIDTH; ++i) {
    uint16_t h;
    std::memcpy(&h, (const char*)p + 2 * i, 2);
    x[i] = half_of(h);
  }
  return x;
}
inline ints bytes_in_words(const void* p) {
  ints x;
  for (int i = 0; i < WIDTH; ++i) x[i] = ((const int8_t*)p)[i];
  return x;
}
inline floats fp8_at(const void* p) {
  const ints wide = bytes_in_words(p);
  floats x;
  for (int i = 0; i < WIDTH; ++i) x[i] = half_of(uint16_t(wide[i] << 7) & 0xbfff);
  return x;
}
#endif
inline floats bytes_at(const void* p) { return __builtin_convertvector(bytes_in_words(p), floats); }
inline floats low_nibbles(const void* p) { return __builtin_convertvector(bytes_in_words(p) << 28 >> 28, floats); }
inline floats high_nibbles(const void* p) { return __builtin_convertvector(bytes_in_words(p) >> 4, floats); }
// bf16 lies in pairs: the first of each in the low half of a word
inline floats first_of_pairs(const void* p) { return (floats)(*(const words*)p << 16); }
inline floats second_of_pairs(const void* p) { return (floats)(*(const words*)p & 0xffff0000u); }

// 2^t for t <= 0: t = n + f with |f| <= 1/2, a polynomial for 2^f (relative error below 2e-7), n added to its exponent
inline floats exp2_of(floats t) {
#if defined(ON_AVX512)
  const __m512 n = _mm512_roundscale_ps((__m512)t, 0);
  const floats f = t - (floats)n;
#else
  t = t < splat(-126.0f) ? splat(-126.0f) : t;
  const ints n = __builtin_convertvector(t - 0.5f, ints);  // truncation of a value <= 0: rounds to nearest
  const floats f = t - __builtin_convertvector(n, floats);
#endif
  floats p = f * 1.32647e-3f + 9.67151e-3f;
  p = p * f + 5.550734e-2f;
  p = p * f + 2.4022242e-1f;
  p = p * f + 6.9314698e-1f;
  p = p * f + 1.0f;
#if defined(ON_AVX512)
  return (floats)_mm512_scalef_ps((__m512)p, n);
#else
  return (floats)((ints)p + (n << 23));
#endif
}

inline floats greater_of(floats x, floats y) {  // one instruction, of which g++ 12 makes two from the last line
#if defined(ON_AVX512)
  return (floats)_mm512_max_ps((__m512)x, (__m512)y);
#elif defined(ON_AVX2)
  return (floats)_mm256_max_ps((__m256)x, (__m256)y);
#endif
  return x > y ? x : y;
}
inline float greatest(floats x) {
#if defined(ON_AVX512)
  return _mm512_reduce_max_ps((__m512)x);
#endif
  float found = x[0];
  for (int i = 1; i < WIDTH; ++i) found = x[i] > found ? x[i] : found;
  return found;
}
inline float sum_of(floats x) {
#if defined(ON_AVX512)
  return _mm512_reduce_add_ps((__m512)x);
#endif
  float sum = 0;
  for (int i = 0; i < WIDTH; ++i) sum += x[i];
  return sum;
}

inline uint16_t to_bf16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}
inline uint32_t pair_of(float a, float b) { return to_bf16(a) | (uint32_t(to_bf16(b)) << 16); }

}  // namespace
