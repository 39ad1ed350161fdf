// Colours plus a correction, times a light that depends on the normal; and the gradient.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "spherical_harmonics.h"

namespace AVATAR_ISA {

template <class S> struct RelightScene {
  int64_t count, harmonics;
  const S *sh, *added, *normals, *coefficients;  // n k 3, n 3 or null, n 3, 8 3 or null
};

template <class S> struct RelightArguments {
  RelightScene<S> scene;
  S* out;  // n k 3
};

template <class S> struct RelightGradientArguments {
  RelightScene<S> scene;
  const S* out;
  S *sh, *added, *coefficients;  // of the inputs; null where the input is
};

namespace {

constexpr int kTerms = 8, kChunks = 16;  // of sums over points: fixed, so that they do not depend on the number of threads

// The harmonics of degree 1 and 2, unnormalised.
template <class S> AVATAR_INLINE void light_terms(const S* n, S* term) {
  const S x = n[0], y = n[1], z = n[2];
  term[0] = x, term[1] = y, term[2] = z, term[3] = x * y, term[4] = y * z, term[5] = x * z;
  term[6] = 3 * z * z - 1, term[7] = x * x - y * y;
}

template <class S> AVATAR_INLINE void light_factor(const RelightScene<S>& scene, int64_t i, S* term, S* factor) {
  for (int c = 0; c < 3; c++) factor[c] = 1;
  if (!scene.coefficients) return;
  light_terms(scene.normals + 3 * i, term);
  for (int t = 0; t < kTerms; t++) {
    for (int c = 0; c < 3; c++) factor[c] += term[t] * scene.coefficients[3 * t + c];
  }
}

template <class S> AVATAR_INLINE S colour(const RelightScene<S>& scene, int64_t i, int c) {
  return scene.sh[3 * scene.harmonics * i + c] * S(kSh0) + S(0.5) + (scene.added ? scene.added[3 * i + c] : S(0));
}

template <class S> int64_t relight(const RelightArguments<S>& a) {
  const RelightScene<S>& scene = a.scene;
  const int64_t row = 3 * scene.harmonics;
  avatar_pool::parallel_chunks(scene.count, 4096, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      S term[kTerms], factor[3];
      light_factor(scene, i, term, factor);
      S* out = a.out + row * i;
      for (int c = 0; c < 3; c++) out[c] = (colour(scene, i, c) * factor[c] - S(0.5)) * S(1 / kSh0);
      for (int64_t k = 3; k < row; k++) out[k] = scene.sh[row * i + k] * factor[k % 3];
    }
  });
  return 0;
}

template <class S> int64_t relight_backward(const RelightGradientArguments<S>& a) {
  const RelightScene<S>& scene = a.scene;
  const int64_t row = 3 * scene.harmonics, grain = std::max<int64_t>(1, (scene.count + kChunks - 1) / kChunks);
  S partials[kChunks][3 * kTerms] = {};
  avatar_pool::parallel_chunks(scene.count, grain, [&](int64_t begin, int64_t end, int chunk) {
    S total[3 * kTerms] = {};
    for (int64_t i = begin; i < end; i++) {
      S term[kTerms], factor[3], v_factor[3];
      light_factor(scene, i, term, factor);
      const S* v_out = a.out + row * i;
      for (int c = 0; c < 3; c++) {
        v_factor[c] = v_out[c] * S(1 / kSh0) * colour(scene, i, c);
        if (a.added) a.added[3 * i + c] = v_out[c] * S(1 / kSh0) * factor[c];
      }
      for (int64_t k = 0; k < row; k++) a.sh[row * i + k] = v_out[k] * factor[k % 3];
      for (int64_t k = 3; k < row; k++) v_factor[k % 3] += v_out[k] * scene.sh[row * i + k];
      for (int t = 0; a.coefficients && t < kTerms; t++) {
        for (int c = 0; c < 3; c++) total[3 * t + c] += term[t] * v_factor[c];
      }
    }
    std::copy_n(total, 3 * kTerms, partials[chunk]);
  });
  for (int t = 0; a.coefficients && t < 3 * kTerms; t++) {
    a.coefficients[t] = 0;
    for (int chunk = 0; chunk < kChunks; chunk++) a.coefficients[t] += partials[chunk][t];
  }
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(relight, RelightArguments)
AVATAR_EXPORT(relight_backward, RelightGradientArguments)
