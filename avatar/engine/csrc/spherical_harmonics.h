// Real spherical harmonics to degree 3 in the order and signs of 3D Gaussian splatting, with their derivatives, of sixteen
// directions at once.
#pragma once
#include "simd.h"

namespace AVATAR_ISA {

constexpr double kSh0 = 0.2820947917738781, kSh1 = 0.48860251190292, kSh2xy = 1.092548430592079,
                 kSh2z = 0.9461746957575601, kSh2c = 0.3153915652525201, kSh2d = 0.5462742152960395,
                 kSh3a = 2.285228997322329, kSh3b = 0.4570457994644658, kSh3c = 1.445305721320277,
                 kSh3d = 1.865881662950577, kSh3e = 1.119528997770346, kSh3f = 0.5900435899266435;

template <int kDegree, class S> AVATAR_INLINE void sh_basis(const Vec<S>* direction, Vec<S>* b) {
  const Vec<S>&x = direction[0], &y = direction[1], &z = direction[2];
  b[0] = splat<S>(S(kSh0));
  if constexpr (kDegree >= 1) {
    b[1] = -S(kSh1) * y;
    b[2] = S(kSh1) * z;
    b[3] = -S(kSh1) * x;
  }
  if constexpr (kDegree >= 2) {
    const Vec<S> c1 = x * x - y * y, s1 = S(2) * x * y;
    b[4] = S(kSh2d) * s1;
    b[5] = -S(kSh2xy) * z * y;
    b[6] = S(kSh2z) * z * z - S(kSh2c);
    b[7] = -S(kSh2xy) * z * x;
    b[8] = S(kSh2d) * c1;
    if constexpr (kDegree >= 3) {
      const Vec<S> c = S(kSh3b) - S(kSh3a) * z * z, d = S(kSh3c) * z;
      b[9] = -S(kSh3f) * (x * s1 + y * c1);
      b[10] = d * s1;
      b[11] = c * y;
      b[12] = z * (S(kSh3d) * z * z - S(kSh3e));
      b[13] = c * x;
      b[14] = d * c1;
      b[15] = -S(kSh3f) * (x * c1 - y * s1);
    }
  }
}

// g = sum_k v[k] * d basis_k / d(x, y, z), the direction's components taken as independent.
template <int kDegree, class S> AVATAR_INLINE void sh_basis_backward(const Vec<S>* direction, const Vec<S>* v, Vec<S>* g) {
  const Vec<S>&x = direction[0], &y = direction[1], &z = direction[2];
  g[0] = g[1] = g[2] = splat<S>(0);
  if constexpr (kDegree >= 1) {
    g[0] = -S(kSh1) * v[3];
    g[1] = -S(kSh1) * v[1];
    g[2] = S(kSh1) * v[2];
  }
  if constexpr (kDegree >= 2) {
    g[0] += S(2 * kSh2d) * (y * v[4] + x * v[8]) - S(kSh2xy) * z * v[7];
    g[1] += S(2 * kSh2d) * (x * v[4] - y * v[8]) - S(kSh2xy) * z * v[5];
    g[2] += S(2 * kSh2z) * z * v[6] - S(kSh2xy) * (y * v[5] + x * v[7]);
  }
  if constexpr (kDegree >= 3) {
    const Vec<S> c = S(kSh3b) - S(kSh3a) * z * z, d = S(2 * kSh3c) * z, dc = S(-2 * kSh3a) * z;
    const Vec<S> squares = S(3 * kSh3f) * (x * x - y * y), cross = S(6 * kSh3f) * x * y;
    g[0] += d * (y * v[10] + x * v[14]) + c * v[13] - cross * v[9] - squares * v[15];
    g[1] += d * (x * v[10] - y * v[14]) + c * v[11] - squares * v[9] + cross * v[15];
    g[2] += S(kSh3c) * (S(2) * x * y * v[10] + (x * x - y * y) * v[14]) + dc * (y * v[11] + x * v[13]) +
            (S(3 * kSh3d) * z * z - S(kSh3e)) * v[12];
  }
}

// f(std::integral_constant<int, degree>) for a run-time degree.
template <class F> void with_degree(int64_t degree, F&& f) {
  switch (degree) {
    case 0: return f(std::integral_constant<int, 0>());
    case 1: return f(std::integral_constant<int, 1>());
    case 2: return f(std::integral_constant<int, 2>());
    default: return f(std::integral_constant<int, 3>());
  }
}

}  // namespace AVATAR_ISA
