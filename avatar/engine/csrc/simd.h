// Sixteen lanes of float or double as an unrolled bundle of native registers.
// GCC and Clang lower vector types wider than the machine's through the stack (ten times slower), so the bundle is explicit.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define AVATAR_INLINE __attribute__((always_inline)) inline
#if defined(__clang__)
#define AVATAR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AVATAR_UNROLL _Pragma("GCC unroll 16")
#endif

namespace AVATAR_ISA {

#if defined(__AVX512F__)
constexpr int kNativeBytes = 64;
#elif defined(__AVX__)
constexpr int kNativeBytes = 32;
#else
constexpr int kNativeBytes = 16;
#endif
constexpr int kLanes = 16;

template <class S> struct Native;
template <> struct Native<float> {
  typedef float vec __attribute__((vector_size(kNativeBytes)));
  typedef int32_t mask __attribute__((vector_size(kNativeBytes)));
};
template <> struct Native<double> {
  typedef double vec __attribute__((vector_size(kNativeBytes)));
  typedef int64_t mask __attribute__((vector_size(kNativeBytes)));
};

template <class S> struct Vec {
  static constexpr int kParts = kLanes * sizeof(S) / kNativeBytes;
  static constexpr int kPerPart = kNativeBytes / sizeof(S);
  typename Native<S>::vec p[kParts];
  AVATAR_INLINE S lane(int k) const { return p[k / kPerPart][k % kPerPart]; }
  AVATAR_INLINE void set_lane(int k, S value) { p[k / kPerPart][k % kPerPart] = value; }
  static AVATAR_INLINE Vec load(const S* source) {
    Vec v;
    AVATAR_UNROLL for (int k = 0; k < kParts; k++) memcpy(&v.p[k], source + k * kPerPart, kNativeBytes);
    return v;
  }
  AVATAR_INLINE void store(S* target) const {
    AVATAR_UNROLL for (int k = 0; k < kParts; k++) memcpy(target + k * kPerPart, &p[k], kNativeBytes);
  }
  // The first `count` lanes alone; the others read as zero.
  static AVATAR_INLINE Vec load(const S* source, int64_t count) {
    Vec v{};
    memcpy(&v, source, count * sizeof(S));
    return v;
  }
  AVATAR_INLINE void store(S* target, int64_t count) const { memcpy(target, this, count * sizeof(S)); }
};
template <class S> struct Mask {
  typename Native<S>::mask p[Vec<S>::kParts];
};

#define AVATAR_EACH AVATAR_UNROLL for (int k = 0; k < Vec<S>::kParts; k++)
// The scalar operand is a non-deduced parameter so that literals of another type convert.
template <class S> struct Same { typedef S type; };
template <class S> AVATAR_INLINE Vec<S> splat(S s) {
  Vec<S> v;
  AVATAR_EACH v.p[k] = typename Native<S>::vec{} + s;
  return v;
}
#define AVATAR_OPERATOR(op)                                                                                     \
  template <class S> AVATAR_INLINE Vec<S> operator op(Vec<S> a, const Vec<S>& b) {                              \
    AVATAR_EACH a.p[k] = a.p[k] op b.p[k];                                                                      \
    return a;                                                                                                   \
  }                                                                                                             \
  template <class S> AVATAR_INLINE Vec<S> operator op(Vec<S> a, typename Same<S>::type b) {                     \
    AVATAR_EACH a.p[k] = a.p[k] op b;                                                                           \
    return a;                                                                                                   \
  }                                                                                                             \
  template <class S> AVATAR_INLINE Vec<S> operator op(typename Same<S>::type a, Vec<S> b) {                     \
    AVATAR_EACH b.p[k] = a op b.p[k];                                                                           \
    return b;                                                                                                   \
  }                                                                                                             \
  template <class S> AVATAR_INLINE Vec<S>& operator op##=(Vec<S>& a, const Vec<S>& b) {                         \
    AVATAR_EACH a.p[k] = a.p[k] op b.p[k];                                                                      \
    return a;                                                                                                   \
  }
AVATAR_OPERATOR(+)
AVATAR_OPERATOR(-)
AVATAR_OPERATOR(*)
AVATAR_OPERATOR(/)
#undef AVATAR_OPERATOR
template <class S> AVATAR_INLINE Vec<S> operator-(Vec<S> a) {
  AVATAR_EACH a.p[k] = -a.p[k];
  return a;
}
template <class S> AVATAR_INLINE Mask<S> operator&(Mask<S> a, const Mask<S>& b) {
  AVATAR_EACH a.p[k] = a.p[k] & b.p[k];
  return a;
}
#define AVATAR_COMPARE(name, op)                                                        \
  template <class S> AVATAR_INLINE Mask<S> name(const Vec<S>& a, const Vec<S>& b) {     \
    Mask<S> m;                                                                          \
    AVATAR_EACH m.p[k] = a.p[k] op b.p[k];                                              \
    return m;                                                                           \
  }                                                                                     \
  template <class S> AVATAR_INLINE Mask<S> name(const Vec<S>& a, typename Same<S>::type b) { \
    return name(a, splat<S>(b));                                                        \
  }
AVATAR_COMPARE(less_equal, <=)
AVATAR_COMPARE(greater_equal, >=)
AVATAR_COMPARE(greater, >)
#undef AVATAR_COMPARE
template <class S> AVATAR_INLINE Mask<S> and_not(Mask<S> a, const Mask<S>& b) {
  AVATAR_EACH a.p[k] = a.p[k] & ~b.p[k];
  return a;
}
template <class S> AVATAR_INLINE Vec<S> select(const Mask<S>& m, const Vec<S>& a, const Vec<S>& b) {
  Vec<S> v;
  AVATAR_EACH v.p[k] = m.p[k] ? a.p[k] : b.p[k];
  return v;
}
template <class S> AVATAR_INLINE bool any(const Mask<S>& m) {
  auto all = m.p[0];
  for (int k = 1; k < Vec<S>::kParts; k++) all |= m.p[k];
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)all, (__m512i)all) != 0;
#elif defined(__AVX__)
  return !_mm256_testz_si256((__m256i)all, (__m256i)all);
#elif defined(__SSE4_1__)
  return !_mm_testz_si128((__m128i)all, (__m128i)all);
#else
  uint64_t words[kNativeBytes / 8], bits = 0;
  memcpy(words, &all, sizeof(words));
  for (uint64_t word : words) bits |= word;
  return bits != 0;
#endif
}
// One bit a lane, lane 0 lowest.
template <class S> AVATAR_INLINE uint32_t lane_bits(const Mask<S>& m) {
  uint32_t bits = 0;
  AVATAR_EACH {
    uint32_t part = 0;
#if defined(__AVX__) && !defined(__AVX512F__)
    part = sizeof(S) == 4 ? _mm256_movemask_ps((__m256)m.p[k]) : _mm256_movemask_pd((__m256d)m.p[k]);
#elif defined(__AVX512F__)
    part = _mm512_movepi64_mask((__m512i)m.p[k]);  // floats have their own masks, below
#else
    AVATAR_UNROLL for (int lane = 0; lane < Vec<S>::kPerPart; lane++) part |= (m.p[k][lane] & 1) << lane;
#endif
    bits |= part << (k * Vec<S>::kPerPart);
  }
  return bits;
}
#if defined(__AVX512F__)
// Masks of sixteen floats in the registers made for them: a twentieth of the blend's time.
template <> struct Mask<float> {
  __mmask16 bits;
};
#define AVATAR_COMPARE(name, code)                                                                               \
  template <> AVATAR_INLINE Mask<float> name<float>(const Vec<float>& a, const Vec<float>& b) {                  \
    return {_mm512_cmp_ps_mask(a.p[0], b.p[0], code)};                                                           \
  }
AVATAR_COMPARE(less_equal, _CMP_LE_OQ)
AVATAR_COMPARE(greater_equal, _CMP_GE_OQ)
AVATAR_COMPARE(greater, _CMP_GT_OQ)
#undef AVATAR_COMPARE
template <> AVATAR_INLINE Mask<float> operator&<float>(Mask<float> a, const Mask<float>& b) {
  return {static_cast<__mmask16>(a.bits & b.bits)};
}
template <> AVATAR_INLINE Mask<float> and_not<float>(Mask<float> a, const Mask<float>& b) {
  return {static_cast<__mmask16>(a.bits & ~b.bits)};
}
template <> AVATAR_INLINE Vec<float> select<float>(const Mask<float>& m, const Vec<float>& a, const Vec<float>& b) {
  return {{_mm512_mask_blend_ps(m.bits, b.p[0], a.p[0])}};
}
template <> AVATAR_INLINE bool any<float>(const Mask<float>& m) { return m.bits != 0; }
template <> AVATAR_INLINE uint32_t lane_bits<float>(const Mask<float>& m) { return m.bits; }
#endif
// Where a lane is not a number, vmin gives b and vmax gives a.
#if defined(__x86_64__)
#if defined(__AVX512F__)
#define AVATAR_LIKE(name, type) _mm512_##name##_##type
#elif defined(__AVX__)
#define AVATAR_LIKE(name, type) _mm256_##name##_##type
#else
#define AVATAR_LIKE(name, type) _mm_##name##_##type
#endif
#define AVATAR_EXTREMES(scalar, type)                                           \
  AVATAR_INLINE Vec<scalar> vmin(Vec<scalar> a, const Vec<scalar>& b) {         \
    typedef scalar S;                                                           \
    AVATAR_EACH a.p[k] = AVATAR_LIKE(min, type)(a.p[k], b.p[k]);               \
    return a;                                                                  \
  }                                                                            \
  AVATAR_INLINE Vec<scalar> vmax(Vec<scalar> a, const Vec<scalar>& b) {         \
    typedef scalar S;                                                           \
    AVATAR_EACH a.p[k] = AVATAR_LIKE(max, type)(b.p[k], a.p[k]);               \
    return a;                                                                  \
  }
AVATAR_EXTREMES(float, ps)
AVATAR_EXTREMES(double, pd)
#else
template <class S> AVATAR_INLINE Vec<S> vmin(const Vec<S>& a, const Vec<S>& b) { return select(less_equal(a, b), a, b); }
template <class S> AVATAR_INLINE Vec<S> vmax(const Vec<S>& a, const Vec<S>& b) { return select(less_equal(a, b), b, a); }
#endif
template <class S> AVATAR_INLINE Vec<S> vabs(const Vec<S>& a) { return vmax(a, -a); }
template <class S> AVATAR_INLINE Vec<S> vsqrt(const Vec<S>& a) {
  alignas(64) S lanes[kLanes];
  a.store(lanes);
  for (S& lane : lanes) lane = std::sqrt(lane);
  return Vec<S>::load(lanes);
}
#if defined(__AVX512F__)
template <> AVATAR_INLINE Vec<float> vsqrt<float>(const Vec<float>& a) { return {{_mm512_sqrt_ps(a.p[0])}}; }
#endif
template <class S> AVATAR_INLINE S sum(const Vec<S>& a) {
  auto total = a.p[0];
  for (int k = 1; k < Vec<S>::kParts; k++) total += a.p[k];
  S s = 0;
  AVATAR_UNROLL for (int k = 0; k < Vec<S>::kPerPart; k++) s += total[k];
  return s;
}
// The least lane; where one is not a number any may come out.
template <class S> AVATAR_INLINE S least(const Vec<S>& a) {
  auto low = a.p[0];
  for (int k = 1; k < Vec<S>::kParts; k++) low = a.p[k] < low ? a.p[k] : low;
  S lanes[Vec<S>::kPerPart];
  memcpy(lanes, &low, sizeof(lanes));
  AVATAR_UNROLL for (int width = Vec<S>::kPerPart / 2; width > 0; width /= 2) {
    AVATAR_UNROLL for (int k = 0; k < width; k++) lanes[k] = lanes[k + width] < lanes[k] ? lanes[k + width] : lanes[k];
  }
  return lanes[0];
}

// scale * 2^x for x in about [0, 126]; the float version is a polynomial of degree 5 on [0, 1], relative error 1.4e-7.
AVATAR_INLINE Vec<float> exp2_fast(Vec<float> x, float scale) {
  typedef float S;
  Vec<float> out;
  AVATAR_EACH {
    const auto whole = __builtin_convertvector(x.p[k], Native<float>::mask);
    const auto f = x.p[k] - __builtin_convertvector(whole, Native<float>::vec);
    auto poly = f * (0.00186713303f * scale) + 0.00901702406f * scale;
    poly = poly * f + 0.0557999176f * scale;
    poly = poly * f + 0.240164449f * scale;
    poly = poly * f + 0.693151312f * scale;
    poly = poly * f + scale;
    out.p[k] = (Native<float>::vec)((Native<float>::mask)poly + (whole << 23));
  }
  return out;
}
AVATAR_INLINE Vec<double> exp2_fast(const Vec<double>& x, double scale) {
  Vec<double> out;
  for (int k = 0; k < kLanes; k++) out.set_lane(k, scale * std::exp2(x.lane(k)));
  return out;
}
// 2^n for the largest whole n <= x, 0 <= x < 127.
template <class S> AVATAR_INLINE Vec<S> power_of_two_below(const Vec<S>& x) {
  constexpr int kMantissa = sizeof(S) == 4 ? 23 : 52, kBias = sizeof(S) == 4 ? 127 : 1023;
  Vec<S> out;
  AVATAR_EACH {
    const auto whole = __builtin_convertvector(x.p[k], typename Native<S>::mask);
    out.p[k] = (typename Native<S>::vec)((whole + kBias) << kMantissa);
  }
  return out;
}

// log2 of positive, normal numbers; the float version is the series of atanh on [1/sqrt 2, sqrt 2], relative error 2e-7.
AVATAR_INLINE Vec<float> log2_fast(Vec<float> x) {
  typedef float S;
  typedef Native<float>::mask Bits;
  Vec<float> out;
  AVATAR_EACH {
    const Bits bits = (Bits)x.p[k], whole = (bits - 0x3f3504f3) >> 23;  // the mantissa's interval starts at 1/sqrt 2
    const auto f = (Native<float>::vec)(bits - (whole << 23)) - 1.0f;
    const auto s = f / (f + 2.0f), square = s * s;
    auto poly = square * 0.320598897f + 0.412198583f;
    poly = poly * square + 0.577078016f;
    poly = poly * square + 0.961796693f;
    poly = poly * square + 2.885390082f;
    out.p[k] = poly * s + __builtin_convertvector(whole, Native<float>::vec);
  }
  return out;
}
AVATAR_INLINE Vec<double> log2_fast(const Vec<double>& x) {
  Vec<double> out;
  for (int k = 0; k < kLanes; k++) out.set_lane(k, std::log2(x.lane(k)));
  return out;
}
// Smallest whole numbers not below numbers in [0, 2e9].
template <class S> AVATAR_INLINE Vec<S> ceiling(const Vec<S>& x) {
  Vec<S> whole;
  AVATAR_EACH whole.p[k] = __builtin_convertvector(__builtin_convertvector(x.p[k], typename Native<S>::mask), typename Native<S>::vec);
  return select(greater(x, whole), whole + S(1), whole);
}

}  // namespace AVATAR_ISA
