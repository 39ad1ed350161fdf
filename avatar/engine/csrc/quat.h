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

}  // namespace AVATAR_ISA
