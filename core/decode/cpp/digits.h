// Caches of 8 and 4 bits where the processor multiplies bytes, four of each lane at once (VNNI), and what meets them.
// Queries and weights become three signed digits of base 256: fixed point as fine as float32's fraction, whose sums are
// exact; of a bfloat16 query two of them hold nearly all. What is stored is a code plus its bias, never negative; each
// sum starts at minus the bias times its digits.
#pragma once
#include "formats.h"
#if HEADROOM_LEVEL >= 4 && defined(ON_AVX512) && defined(__AVX512VNNI__)
#define QUADS
#define QUADS_BY_INSTRUCTION
#elif defined(HEADROOM_QUADS)  // tests hold the arithmetic where the processor has no such instruction
#define QUADS
#endif

#if defined(QUADS)
namespace {

constexpr int QUAD = 4, DIGITS = 3;
// The greatest number: what rounding adds to it still leaves three signed digits, and with half a digit added 23 bits.
constexpr float MOST_FIXED = 0x7f7f00;
constexpr int ROWS_OF_QUADS = 6;  // of one pass: three sums each, their totals and what they meet are in registers
constexpr int FIX_TURNS = 2;  // of fetches while a row's weights of a group become digits, which takes as long as two
static_assert(PARTS == 1, "a vector is a block's 16 lanes");

inline words all_of(uint32_t x) { return words{} + x; }
inline floats magnitude(floats x) { return (floats)((words)x & 0x7fffffffu); }

// Words of 16 numbers as [quad of them][byte, the least first][place in the quad] bytes
inline words turned(words x) {
#if defined(QUADS_BY_INSTRUCTION)
  const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return (words)_mm512_shuffle_epi8((__m512i)x, order);
#else
  words found{};
  for (int i = 0; i < LANES; ++i)
    for (int byte = 0; byte < QUAD; ++byte)
      found[i / QUAD * QUAD + byte] |= (x[i] >> (8 * byte) & 255) << (8 * (i % QUAD));
  return found;
#endif
}

// A line is 16 lanes of STEP neighbours: elements of a key, or tokens of a column of values.
struct Quads8 {
  static constexpr int STEP = 4, SUBS = 1, BYTES = 64, BIAS = 128, WINDOW = 8;
  static constexpr bool SCALED = true;
  static constexpr float FACTOR = 1;
  template <int J>
  static inline words get(const uint8_t* line) { return *(const words*)line; }
  static inline floats positive(floats scale) { return scale; }  // as q8_0's are
  static inline words biases(floats) { return all_of(BIAS * 0x01010101u); }
};
// The first four in the low halves of bytes. A scale of q4_0 may be negative: such a token's values are stored as 15 minus
// what they would be, whose bias is 7, so that weights and scales multiply to positive numbers.
struct Quads4 {
  static constexpr int STEP = 8, SUBS = 2, BYTES = 64, BIAS = 8, WINDOW = 16;
  static constexpr bool SCALED = true;
  static constexpr float FACTOR = 1;
  template <int J>
  static inline words get(const uint8_t* line) {
#if defined(QUADS_BY_INSTRUCTION) && defined(__GFNI__)
    if (J) return (words)_mm512_gf2p8affine_epi64_epi8(_mm512_loadu_si512(line), _mm512_set1_epi64(0x1020408000000000), 0);
#endif
    return (J ? *(const words*)line >> 4 : *(const words*)line) & 0x0f0f0f0fu;
  }
  static inline floats positive(floats scale) { return magnitude(scale); }
  static inline words biases(floats scale) {  // a byte less where the scale's sign is set: all bits of that are a byte's -1
    typedef uint8_t bytes __attribute__((vector_size(4 * WIDTH)));
    return turned((words)((bytes)all_of(BIAS * 0x01010101u) + (bytes)((ints)scale >> 31)));
  }
};

// sums += the four products of each lane's unsigned bytes with signed ones
inline ints with_products(ints sums, words unsigned_bytes, words signed_bytes) {
#if defined(QUADS_BY_INSTRUCTION)
  return (ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)unsigned_bytes, (__m512i)signed_bytes);
#else
  for (int j = 0; j < QUAD; ++j)
    sums += (ints)(unsigned_bytes << (24 - 8 * j) >> 24) * ((ints)(signed_bytes << (24 - 8 * j)) >> 24);
  return sums;
#endif
}

// The same four signed bytes for every lane, taken from memory by the product itself
inline ints with_products(ints sums, words unsigned_bytes, const uint32_t* signed_bytes) {
#if defined(QUADS_BY_INSTRUCTION)
  __m512i found = (__m512i)sums;
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(found) : "v"((__m512i)unsigned_bytes), "m"(*signed_bytes));
  return (ints)found;
#else
  return with_products(sums, unsigned_bytes, all_of(*signed_bytes));
#endif
}

// Digits of the whole numbers nearest to x. Adding half a digit carries what makes each byte a signed digit once its top
// bit is turned. Where no number is negative, nor above 2^23, one sum rounds and adds: what follows lies in its fraction.
inline words signed_digits(floats x) {
  const ints whole = __builtin_convertvector(x + (x < 0 ? splat(-0.5f) : splat(0.5f)), ints);
  return turned((words)(whole + 0x808080) ^ 0x808080u);
}
inline words positive_digits(floats x, floats by) { return turned((words)(x * by + float(0x800000 + 0x8080)) ^ 0x8080u); }

// The lowest digits of four of a row's numbers where they are not all zero, with what is to be multiplied by them
struct Rest {
  int row, group, quad;  // quad: of the row's
  uint32_t digits;
  int32_t start;
};

// Digits of some rows' numbers, 16 of a row together, with the sums' beginnings and units
struct Fixed {
  Buffer<uint32_t> digits;  // [group][numbers / 16][rows][quad][digit; 0]
  Buffer<int32_t> starts;   // [group][rows][digit; 0]: minus the sum of digits, each times the bias that it meets
  Buffer<float> units;      // [group][rows]: what 1 stands for; of queries [rows]
  std::vector<Rest> rests;  // of queries
  bool few_rests = false;   // so few that they are added to the sums of both upper digits one by one

  void resize(int groups, int of_group, int rows, int of_units) {
    digits.resize(size_t(groups) * of_group * rows);
    starts.resize(size_t(groups) * rows * QUAD);
    units.resize(of_units);
  }
  uint32_t* at(int group, int of_group, int rows, int row) {
    return &digits[(size_t(group) * of_group / LANES * rows + row) * LANES];
  }
};

// minus the sums over each digit's quads
inline void put_start(ints sums, int32_t* start) {
  typedef int32_t four __attribute__((vector_size(16), aligned(4)));
  int32_t quads[LANES];
  *(ints*)quads = sums;
  const four* each = (const four*)quads;
  *(four*)start = -((each[0] + each[1]) + (each[2] + each[3]));
}

// Queries [rows][dim], one unit a row: a power of two, by which a bfloat16 query of some size stays what it is. Its 8 bits
// lie in both upper digits where it is no smaller than a 2^7th of the row's greatest, as 99 of 100 normal numbers are.
template <class F>
void fix_queries(const float* query, int rows, int dim, Fixed& to) {
  constexpr int QUADS_OF_LANES = LANES / QUAD, MANY = 8;  // one in so many quads is cheaper to add by itself
  const int groups = dim / GROUP;
  to.resize(groups, GROUP, rows, rows);
  to.rests.clear();
  for (int r = 0; r < rows; ++r) {
    const float* row = query + size_t(r) * dim;
    floats high{};
    for (int i = 0; i < dim; i += LANES) high = greater_of(magnitude(load(row + i)), high);
    int power = 0;
    std::frexp(greatest(high) / MOST_FIXED, &power);
    to.units[r] = std::ldexp(1.0f, power);
    const float inverse = std::ldexp(1.0f, -power);
    for (int g = 0; g < groups; ++g) {
      ints sums{};
      for (int i = 0; i < GROUP / LANES; ++i) {
        const words found = signed_digits(load(row + g * GROUP + i * LANES) * inverse);
        sums = with_products(sums, all_of(F::BIAS * 0x01010101u), found);
        uint32_t* place = to.at(g, GROUP, rows, i * rows + r);
        *(words*)place = found;
        for (int quad = 0; quad < QUADS_OF_LANES; ++quad)
          if (const uint32_t lowest = place[quad * QUAD]) {
            const ints start = with_products(ints{}, all_of(F::BIAS * 0x01010101u), all_of(lowest));
            to.rests.push_back({r, g, (g * GROUP + i * LANES) / QUAD + quad, lowest, -start[0]});
          }
      }
      put_start(sums, &to.starts[(size_t(g) * rows + r) * QUAD]);
    }
  }
  to.few_rests = int(to.rests.size()) * MANY <= rows * dim / QUAD;
}

// Weights [rows][KEYS] of blocks of tokens times the scales of the values that each meets: one unit a row and group.
// Of `groups` groups from the first on.
template <class F, bool WHOLE>
void fix_weights(const float* w, const uint8_t* values, int rows, int dim, int first, int groups, int some, Fixed& to,
                 Lines& next) {
  const int blocks = WHOLE ? F::WINDOW : some, count = blocks * LANES;
  to.resize(groups, count, rows, groups * rows);
  for (int g = 0; g < groups; ++g) {
    floats scales[F::WINDOW];
    words biases[F::WINDOW];
#pragma GCC unroll 16
    for (int b = 0; b < blocks; ++b) {
      const floats scale = halves_at(values + b * block_bytes<F>(dim) + size_t(first + g) * LANES * 2);
      scales[b] = F::positive(scale);
      biases[b] = F::biases(scale);
    }
    // All rows' greatest numbers first: what waits for one of them would fill the processor's queue.
    floats scaled[ROWS_OF_QUADS][F::WINDOW];
    float most[ROWS_OF_QUADS];
    for (int r = 0; r < rows; ++r) {
      next.turn(FIX_TURNS);
      floats high[2] = {};
#pragma GCC unroll 16
      for (int b = 0; b < blocks; ++b) {
        scaled[r][b] = load(w + size_t(r) * KEYS + b * LANES) * scales[b];
        high[b % 2] = greater_of(scaled[r][b], high[b % 2]);
      }
      most[r] = greatest(greater_of(high[0], high[1]));
    }
    for (int r = 0; r < rows; ++r) {
      const floats by = splat(most[r] > 0 ? MOST_FIXED / most[r] : 0);
      const size_t at = size_t(g) * rows + r;
      to.units[at] = most[r] * (1 / MOST_FIXED);
      uint32_t* place = to.at(g, count, rows, r);
      ints sums[2] = {};
#pragma GCC unroll 16
      for (int b = 0; b < blocks; ++b, place += rows * LANES) {
        const words found = positive_digits(scaled[r][b], by);
        sums[b % 2] = with_products(sums[b % 2], biases[b], found);
        *(words*)place = found;
      }
      put_start(sums[0] + sums[1], &to.starts[at * QUAD]);
    }
  }
}

}  // namespace
#endif
