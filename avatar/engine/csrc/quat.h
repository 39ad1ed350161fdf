// Quaternions w x y z of numbers or of sixteen lanes.
#pragma once
#include "simd.h"

namespace AVATAR_ISA {

template <class T> struct Quat {
  T w, x, y, z;
};
// The Hamilton product: turns by `b` first.
template <class T> AVATAR_INLINE Quat<T> operator*(const Quat<T>& a, const Quat<T>& b) {
  return {a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
          a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}
template <class T> AVATAR_INLINE Quat<T> operator+(const Quat<T>& a, const Quat<T>& b) {
  return {a.w + b.w, a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class T> AVATAR_INLINE Quat<T> operator-(const Quat<T>& a, const Quat<T>& b) {
  return {a.w - b.w, a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class T> AVATAR_INLINE Quat<T> scaled(const Quat<T>& a, const T& s) { return {a.w * s, a.x * s, a.y * s, a.z * s}; }
template <class T> AVATAR_INLINE T dot(const Quat<T>& a, const Quat<T>& b) { return a.w * b.w + a.x * b.x + a.y * b.y + a.z * b.z; }
template <class T> AVATAR_INLINE Quat<T> conjugate(const Quat<T>& q) { return {q.w, -q.x, -q.y, -q.z}; }
template <class T> AVATAR_INLINE Quat<T> quat_at(const T* q) { return {q[0], q[1], q[2], q[3]}; }
template <class T> AVATAR_INLINE Quat<T> pure(const T& x, const T& y, const T& z) { return {T{}, x, y, z}; }
// `v` turned by unit `q`.
template <class T> AVATAR_INLINE void rotate(const Quat<T>& q, const T* v, T* out) {
  const T a = q.y * v[2] - q.z * v[1], b = q.z * v[0] - q.x * v[2], c = q.x * v[1] - q.y * v[0];
  const T p = a + a, r = b + b, s = c + c;
  out[0] = v[0] + q.w * p + q.y * s - q.z * r;
  out[1] = v[1] + q.w * r + q.z * p - q.x * s;
  out[2] = v[2] + q.w * s + q.x * r - q.y * p;
}

// Of a unit quaternion, row by row.
template <class T> AVATAR_INLINE void matrix_from_unit_quat(const T* q, T* r) {
  const T &w = q[0], &x = q[1], &y = q[2], &z = q[3];
  r[0] = 1 - 2 * (y * y + z * z), r[1] = 2 * (x * y - w * z), r[2] = 2 * (x * z + w * y);
  r[3] = 2 * (x * y + w * z), r[4] = 1 - 2 * (x * x + z * z), r[5] = 2 * (y * z - w * x);
  r[6] = 2 * (x * z - w * y), r[7] = 2 * (y * z + w * x), r[8] = 1 - 2 * (x * x + y * y);
}
// `v`, the gradient of that matrix, to the four numbers as they stand.
template <class T> AVATAR_INLINE void matrix_gradient(const T* q, const T* v, T* out) {
  const T &w = q[0], &x = q[1], &y = q[2], &z = q[3];
  out[0] = 2 * (x * (v[7] - v[5]) + y * (v[2] - v[6]) + z * (v[3] - v[1]));
  out[1] = 2 * (y * (v[1] + v[3]) + z * (v[2] + v[6]) + w * (v[7] - v[5]) - 2 * x * (v[4] + v[8]));
  out[2] = 2 * (x * (v[1] + v[3]) + z * (v[5] + v[7]) + w * (v[2] - v[6]) - 2 * y * (v[0] + v[8]));
  out[3] = 2 * (x * (v[2] + v[6]) + y * (v[5] + v[7]) + w * (v[3] - v[1]) - 2 * z * (v[0] + v[4]));
}

}  // namespace AVATAR_ISA
