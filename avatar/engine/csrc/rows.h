// Rows of sixteen Gaussians (means, coefficients, records) to lanes and back.
#pragma once
#include "simd.h"

namespace AVATAR_ISA {

// Sixteen rows of a table, by their numbers.
template <class T> struct Rows {
  T* table;
  const int32_t* ids;
  int64_t stride;
  AVATAR_INLINE T* operator[](int k) const { return table + ids[k] * stride; }
};

template <class T> AVATAR_INLINE Rows<const T> read_only(const Rows<T>& rows) { return {rows.table, rows.ids, rows.stride}; }

#if defined(__x86_64__)
typedef float Quad __attribute__((vector_size(16)));
typedef Native<float>::vec NativeFloat;

template <int kWidth> AVATAR_INLINE Quad load_quad(const float* source) {
  if (kWidth < 4) return Quad{source[0], source[1], source[2], 0};
  Quad quad;
  memcpy(&quad, source, sizeof(quad));
  return quad;
}
#if defined(__AVX512F__)
template <class F> AVATAR_INLINE NativeFloat join_quads(F&& quad) {
  const __m512 low = _mm512_insertf32x4(_mm512_castps128_ps512(quad(0)), quad(1), 1);
  return _mm512_insertf32x4(_mm512_insertf32x4(low, quad(2), 2), quad(3), 3);
}
template <class F> AVATAR_INLINE void split_quads(NativeFloat v, F&& store) {
  store(0, _mm512_castps512_ps128(v)), store(1, _mm512_extractf32x4_ps(v, 1));
  store(2, _mm512_extractf32x4_ps(v, 2)), store(3, _mm512_extractf32x4_ps(v, 3));
}
#define AVATAR_SHUFFLE(name) _mm512_##name
#elif defined(__AVX__)
template <class F> AVATAR_INLINE NativeFloat join_quads(F&& quad) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(quad(0)), quad(1), 1);
}
template <class F> AVATAR_INLINE void split_quads(NativeFloat v, F&& store) {
  store(0, _mm256_castps256_ps128(v)), store(1, _mm256_extractf128_ps(v, 1));
}
#define AVATAR_SHUFFLE(name) _mm256_##name
#else
template <class F> AVATAR_INLINE NativeFloat join_quads(F&& quad) { return quad(0); }
template <class F> AVATAR_INLINE void split_quads(NativeFloat v, F&& store) { store(0, v); }
#define AVATAR_SHUFFLE(name) _mm_##name
#endif
// Transposes the 4 x 4 blocks that lie side by side in four registers.
AVATAR_INLINE void transpose_quads(NativeFloat* r) {
  const NativeFloat low01 = AVATAR_SHUFFLE(unpacklo_ps)(r[0], r[1]), high01 = AVATAR_SHUFFLE(unpackhi_ps)(r[0], r[1]);
  const NativeFloat low23 = AVATAR_SHUFFLE(unpacklo_ps)(r[2], r[3]), high23 = AVATAR_SHUFFLE(unpackhi_ps)(r[2], r[3]);
  r[0] = AVATAR_SHUFFLE(shuffle_ps)(low01, low23, 0x44), r[1] = AVATAR_SHUFFLE(shuffle_ps)(low01, low23, 0xee);
  r[2] = AVATAR_SHUFFLE(shuffle_ps)(high01, high23, 0x44), r[3] = AVATAR_SHUFFLE(shuffle_ps)(high01, high23, 0xee);
}
#undef AVATAR_SHUFFLE

// columns[c] gets element first + c of every row, for kWidth (3 or 4) columns.
template <int kWidth> AVATAR_INLINE void load_columns(const Rows<const float>& rows, int first, Vec<float>* columns) {
  constexpr int kParts = Vec<float>::kParts, kPerPart = Vec<float>::kPerPart;
  AVATAR_UNROLL for (int p = 0; p < kParts; p++) {
    NativeFloat r[4];
    AVATAR_UNROLL for (int i = 0; i < 4; i++) {
      r[i] = join_quads([&](int block) { return load_quad<kWidth>(rows[p * kPerPart + 4 * block + i] + first); });
    }
    transpose_quads(r);
    AVATAR_UNROLL for (int c = 0; c < kWidth; c++) columns[c].p[p] = r[c];
  }
}

// The inverse of load_columns, for the first `count` rows.
template <int kWidth> AVATAR_INLINE void store_columns(const Rows<float>& rows, int count, int first, const Vec<float>* columns) {
  constexpr int kParts = Vec<float>::kParts, kPerPart = Vec<float>::kPerPart;
  AVATAR_UNROLL for (int p = 0; p < kParts; p++) {
    NativeFloat r[4] = {columns[0].p[p], columns[1].p[p], columns[2].p[p], columns[kWidth - 1].p[p]};
    transpose_quads(r);
    AVATAR_UNROLL for (int i = 0; i < 4; i++) {
      split_quads(r[i], [&](int block, Quad quad) {
        const int row = p * kPerPart + 4 * block + i;
        if (row < count) memcpy(rows[row] + first, &quad, kWidth * sizeof(float));
      });
    }
  }
}
#endif

template <int kWidth, class S> AVATAR_INLINE void load_columns(const Rows<const S>& rows, int first, Vec<S>* columns) {
  for (int k = 0; k < kLanes; k++) {
    for (int c = 0; c < kWidth; c++) columns[c].set_lane(k, rows[k][first + c]);
  }
}
template <int kWidth, class S>
AVATAR_INLINE void store_columns(const Rows<S>& rows, int count, int first, const Vec<S>* columns) {
  for (int k = 0; k < count; k++) {
    for (int c = 0; c < kWidth; c++) rows[k][first + c] = columns[c].lane(k);
  }
}

}  // namespace AVATAR_ISA
