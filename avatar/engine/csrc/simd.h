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

template <class S, int L = kLanes> struct Vec {
  static constexpr int kParts = L * sizeof(S) / kNativeBytes;
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
#if defined(__AVX512F__)
    if constexpr (kIsRegister) return v.p[0] = _mm512_maskz_loadu_ps(first(count), source), v;
#endif
    memcpy(&v, source, count * sizeof(S));
    return v;
  }
  AVATAR_INLINE void store(S* target, int64_t count) const {
#if defined(__AVX512F__)
    if constexpr (kIsRegister) return _mm512_mask_storeu_ps(target, first(count), p[0]);
#endif
    memcpy(target, this, count * sizeof(S));
  }

 private:
  static constexpr bool kIsRegister = sizeof(S) == 4 && L * sizeof(S) == 64;
  static AVATAR_INLINE uint16_t first(int64_t count) { return static_cast<uint16_t>((1u << count) - 1); }
};
template <class S, int L = kLanes> struct Mask {
  typename Native<S>::mask p[Vec<S, L>::kParts];
};

#define AVATAR_EACH AVATAR_UNROLL for (int k = 0; k < Vec<S, L>::kParts; k++)
// The scalar operand is a non-deduced parameter so that literals of another type convert.
template <class S> struct Same { typedef S type; };
template <class S, int L = kLanes> AVATAR_INLINE Vec<S, L> splat(S s) {
  Vec<S, L> v;
  AVATAR_EACH v.p[k] = typename Native<S>::vec{} + s;
  return v;
}
#define AVATAR_OPERATOR(op)                                                                                     \
  template <class S, int L> AVATAR_INLINE Vec<S, L> operator op(Vec<S, L> a, const Vec<S, L>& b) {                              \
    AVATAR_EACH a.p[k] = a.p[k] op b.p[k];                                                                      \
    return a;                                                                                                   \
  }                                                                                                             \
  template <class S, int L> AVATAR_INLINE Vec<S, L> operator op(Vec<S, L> a, typename Same<S>::type b) {                     \
    AVATAR_EACH a.p[k] = a.p[k] op b;                                                                           \
    return a;                                                                                                   \
  }                                                                                                             \
  template <class S, int L> AVATAR_INLINE Vec<S, L> operator op(typename Same<S>::type a, Vec<S, L> b) {                     \
    AVATAR_EACH b.p[k] = a op b.p[k];                                                                           \
    return b;                                                                                                   \
  }                                                                                                             \
  template <class S, int L> AVATAR_INLINE Vec<S, L>& operator op##=(Vec<S, L>& a, const Vec<S, L>& b) {                         \
    AVATAR_EACH a.p[k] = a.p[k] op b.p[k];                                                                      \
    return a;                                                                                                   \
  }
AVATAR_OPERATOR(+)
AVATAR_OPERATOR(-)
AVATAR_OPERATOR(*)
AVATAR_OPERATOR(/)
#undef AVATAR_OPERATOR
template <class S, int L> AVATAR_INLINE Vec<S, L> operator-(Vec<S, L> a) {
  AVATAR_EACH a.p[k] = -a.p[k];
  return a;
}
template <class S, int L> AVATAR_INLINE Vec<S, L> minus_abs(Vec<S, L> a) {
  typedef typename Native<S>::mask Bits;
  constexpr int kSignBit = 8 * sizeof(S) - 1;
  AVATAR_EACH a.p[k] = (typename Native<S>::vec)((Bits)a.p[k] | ((Bits{} + 1) << kSignBit));
  return a;
}
template <class S, int L> AVATAR_INLINE Mask<S, L> operator&(Mask<S, L> a, const Mask<S, L>& b) {
  AVATAR_EACH a.p[k] = a.p[k] & b.p[k];
  return a;
}
#define AVATAR_COMPARE(name, op)                                                        \
  template <class S, int L> AVATAR_INLINE Mask<S, L> name(const Vec<S, L>& a, const Vec<S, L>& b) {     \
    Mask<S, L> m;                                                                          \
    AVATAR_EACH m.p[k] = a.p[k] op b.p[k];                                              \
    return m;                                                                           \
  }                                                                                     \
  template <class S, int L> AVATAR_INLINE Mask<S, L> name(const Vec<S, L>& a, typename Same<S>::type b) { \
    return name(a, splat<S, L>(b));                                                        \
  }
AVATAR_COMPARE(less_equal, <=)
AVATAR_COMPARE(greater_equal, >=)
AVATAR_COMPARE(greater, >)
#undef AVATAR_COMPARE
template <class S, int L> AVATAR_INLINE Vec<S, L> select(const Mask<S, L>& m, const Vec<S, L>& a, const Vec<S, L>& b) {
  Vec<S, L> v;
  AVATAR_EACH v.p[k] = m.p[k] ? a.p[k] : b.p[k];
  return v;
}
// 0 <= a <= top, for top >= 0.
template <class S, int L> AVATAR_INLINE Mask<S, L> within(const Vec<S, L>& a, typename Same<S>::type top) {
  return greater_equal(a, S(0)) & less_equal(a, top);
}
template <class S, int L> AVATAR_INLINE bool any(const Mask<S, L>& m) {
  auto all = m.p[0];
  for (int k = 1; k < Vec<S, L>::kParts; k++) all |= m.p[k];
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
template <class S, int L> AVATAR_INLINE uint32_t lane_bits(const Mask<S, L>& m) {
  uint32_t bits = 0;
  AVATAR_EACH {
    uint32_t part = 0;
#if defined(__AVX__) && !defined(__AVX512F__)
    part = sizeof(S) == 4 ? _mm256_movemask_ps((__m256)m.p[k]) : _mm256_movemask_pd((__m256d)m.p[k]);
#elif defined(__AVX512F__)
    part = _mm512_movepi64_mask((__m512i)m.p[k]);  // floats have their own masks, below
#else
    AVATAR_UNROLL for (int lane = 0; lane < Vec<S, L>::kPerPart; lane++) part |= (m.p[k][lane] & 1) << lane;
#endif
    bits |= part << (k * Vec<S, L>::kPerPart);
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
template <> AVATAR_INLINE Vec<float> select<float>(const Mask<float>& m, const Vec<float>& a, const Vec<float>& b) {
  return {{_mm512_mask_blend_ps(m.bits, b.p[0], a.p[0])}};
}
// As unsigned integers negative numbers are greater than any positive one.
template <> AVATAR_INLINE Mask<float> within<float>(const Vec<float>& a, float top) {
  return {_mm512_cmple_epu32_mask((__m512i)a.p[0], (__m512i)_mm512_set1_ps(top))};
}
template <> AVATAR_INLINE bool any<float>(const Mask<float>& m) { return m.bits != 0; }
template <> AVATAR_INLINE uint32_t lane_bits<float>(const Mask<float>& m) { return m.bits; }
#endif
// The instructions themselves where there are some: what they are not given a number for, the second operand answers.
#define AVATAR_NATIVE(prefix, S, suffix)                                                                              \
  AVATAR_INLINE Native<S>::vec native_min(Native<S>::vec a, Native<S>::vec b) { return prefix##_min_##suffix(a, b); } \
  AVATAR_INLINE Native<S>::vec native_max(Native<S>::vec a, Native<S>::vec b) { return prefix##_max_##suffix(a, b); }
#if defined(__AVX512F__)
AVATAR_NATIVE(_mm512, float, ps)
AVATAR_NATIVE(_mm512, double, pd)
AVATAR_INLINE Native<float>::vec native_reciprocal(Native<float>::vec a) { return _mm512_rcp14_ps(a); }
#elif defined(__AVX__)
AVATAR_NATIVE(_mm256, float, ps)
AVATAR_NATIVE(_mm256, double, pd)
AVATAR_INLINE Native<float>::vec native_reciprocal(Native<float>::vec a) { return _mm256_rcp_ps(a); }
#elif defined(__x86_64__)
AVATAR_NATIVE(_mm, float, ps)
AVATAR_NATIVE(_mm, double, pd)
AVATAR_INLINE Native<float>::vec native_reciprocal(Native<float>::vec a) { return _mm_rcp_ps(a); }
#else
template <class V> AVATAR_INLINE V native_min(V a, V b) { return a < b ? a : b; }
template <class V> AVATAR_INLINE V native_max(V a, V b) { return a > b ? a : b; }
template <class V> AVATAR_INLINE V native_reciprocal(V a) { return 1 / a; }
#endif
#undef AVATAR_NATIVE
template <class S, int L> AVATAR_INLINE Vec<S, L> vmin(Vec<S, L> a, const Vec<S, L>& b) {
  AVATAR_EACH a.p[k] = native_min(a.p[k], b.p[k]);
  return a;
}
template <class S, int L> AVATAR_INLINE Vec<S, L> vmax(Vec<S, L> a, const Vec<S, L>& b) {
  AVATAR_EACH a.p[k] = native_max(b.p[k], a.p[k]);
  return a;
}
template <class S, int L> AVATAR_INLINE Vec<S, L> vabs(const Vec<S, L>& a) { return vmax(a, -a); }
// 1 / a to the last bit or two: an estimate of twelve bits and one step of Newton's.
template <int L> AVATAR_INLINE Vec<float, L> reciprocal(Vec<float, L> a) {
  typedef float S;
  AVATAR_EACH {
    const auto estimate = native_reciprocal(a.p[k]);
    a.p[k] = estimate * (2.0f - a.p[k] * estimate);
  }
  return a;
}
template <int L> AVATAR_INLINE Vec<double, L> reciprocal(const Vec<double, L>& a) { return 1.0 / a; }
template <class S, int L> AVATAR_INLINE Vec<S, L> vsqrt(const Vec<S, L>& a) {
  alignas(64) S lanes[L];
  a.store(lanes);
  for (S& lane : lanes) lane = std::sqrt(lane);
  return Vec<S, L>::load(lanes);
}
#if defined(__AVX512F__)
template <> AVATAR_INLINE Vec<float> vsqrt<float>(const Vec<float>& a) { return {{_mm512_sqrt_ps(a.p[0])}}; }
#endif
template <class S, int L> AVATAR_INLINE S sum(const Vec<S, L>& a) {
  auto total = a.p[0];
  for (int k = 1; k < Vec<S, L>::kParts; k++) total += a.p[k];
  S s = 0;
  AVATAR_UNROLL for (int k = 0; k < Vec<S, L>::kPerPart; k++) s += total[k];
  return s;
}
// The least lane; where one is not a number any may come out.
template <class S, int L> AVATAR_INLINE S least(const Vec<S, L>& a) {
  auto low = a.p[0];
  for (int k = 1; k < Vec<S, L>::kParts; k++) low = a.p[k] < low ? a.p[k] : low;
  S lanes[Vec<S, L>::kPerPart];
  memcpy(lanes, &low, sizeof(lanes));
  AVATAR_UNROLL for (int width = Vec<S, L>::kPerPart / 2; width > 0; width /= 2) {
    AVATAR_UNROLL for (int k = 0; k < width; k++) lanes[k] = lanes[k + width] < lanes[k] ? lanes[k + width] : lanes[k];
  }
  return lanes[0];
}

// scale * 2^x for x in about [0, 126]; the float version is a polynomial of degree 5 on [0, 1], relative error 1.4e-7.
template <int L> AVATAR_INLINE Vec<float, L> exp2_fast(const Vec<float, L>& x, float scale) {
  typedef float S;
  Vec<float, L> out;
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
template <int L> AVATAR_INLINE Vec<double, L> exp2_fast(const Vec<double, L>& x, double scale) {
  Vec<double, L> out;
  for (int k = 0; k < L; k++) out.set_lane(k, scale * std::exp2(x.lane(k)));
  return out;
}
// 2^n for the largest whole n <= x, 0 <= x < 127.
template <class S, int L> AVATAR_INLINE Vec<S, L> power_of_two_below(const Vec<S, L>& x) {
  constexpr int kMantissa = sizeof(S) == 4 ? 23 : 52, kBias = sizeof(S) == 4 ? 127 : 1023;
  Vec<S, L> out;
  AVATAR_EACH {
    const auto whole = __builtin_convertvector(x.p[k], typename Native<S>::mask);
    out.p[k] = (typename Native<S>::vec)((whole + kBias) << kMantissa);
  }
  return out;
}

// log2 of positive, normal numbers; the float version is the series of atanh on [1/sqrt 2, sqrt 2], relative error 2e-7.
template <int L> AVATAR_INLINE Vec<float, L> log2_fast(const Vec<float, L>& x) {
  typedef float S;
  typedef Native<float>::mask Bits;
  Vec<float, L> out;
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
template <int L> AVATAR_INLINE Vec<double, L> log2_fast(const Vec<double, L>& x) {
  Vec<double, L> out;
  for (int k = 0; k < L; k++) out.set_lane(k, std::log2(x.lane(k)));
  return out;
}
// Smallest whole numbers not below numbers in [0, 2e9].
template <class S, int L> AVATAR_INLINE Vec<S, L> ceiling(const Vec<S, L>& x) {
  Vec<S, L> whole;
  AVATAR_EACH whole.p[k] = __builtin_convertvector(__builtin_convertvector(x.p[k], typename Native<S>::mask), typename Native<S>::vec);
  return select(greater(x, whole), whole + S(1), whole);
}
// Four numbers in a row, of either type.
template <class S> struct Quartet;
template <> struct Quartet<float> {
  typedef float vec __attribute__((vector_size(16)));
  typedef int32_t index __attribute__((vector_size(16)));
};
template <> struct Quartet<double> {
  typedef double vec __attribute__((vector_size(32)));
  typedef int64_t index __attribute__((vector_size(32)));
};
#if defined(__clang__)
#define AVATAR_PERMUTE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define AVATAR_PERMUTE(a, b, ...) __builtin_shuffle(a, b, typename Quartet<S>::index{__VA_ARGS__})
#endif
// Four rows of four, turned round.
template <class S> AVATAR_INLINE void transpose(typename Quartet<S>::vec* rows) {
  const auto low01 = AVATAR_PERMUTE(rows[0], rows[1], 0, 4, 1, 5), high01 = AVATAR_PERMUTE(rows[0], rows[1], 2, 6, 3, 7);
  const auto low23 = AVATAR_PERMUTE(rows[2], rows[3], 0, 4, 1, 5), high23 = AVATAR_PERMUTE(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = AVATAR_PERMUTE(low01, low23, 0, 1, 4, 5), rows[1] = AVATAR_PERMUTE(low01, low23, 2, 3, 6, 7);
  rows[2] = AVATAR_PERMUTE(high01, high23, 0, 1, 4, 5), rows[3] = AVATAR_PERMUTE(high01, high23, 2, 3, 6, 7);
}

// The sums of the lanes of four vectors.
template <class S, int L> AVATAR_INLINE typename Quartet<S>::vec sum_each(const Vec<S, L>& a, const Vec<S, L>& b, const Vec<S, L>& c,
                                                                          const Vec<S, L>& d) {
  typedef typename Quartet<S>::vec Four;
  const Vec<S, L>* vectors[4] = {&a, &b, &c, &d};
  Four rows[4];
  AVATAR_UNROLL for (int i = 0; i < 4; i++) {
    S lanes[L < 4 ? 4 : L] = {};
    vectors[i]->store(lanes);
    Four parts[L < 4 ? 1 : L / 4];
    memcpy(parts, lanes, sizeof(parts));
    rows[i] = parts[0];
    for (int k = 1; k < L / 4; k++) rows[i] += parts[k];
  }
  transpose<S>(rows);
  return (rows[0] + rows[1]) + (rows[2] + rows[3]);
}

}  // namespace AVATAR_ISA
