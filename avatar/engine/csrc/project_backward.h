// Gradients of tile entries gathered per Gaussian and carried back through the projection, sixteen Gaussians at a time.
#pragma once
#include "project.h"

namespace AVATAR_ISA {

constexpr int kCameraGradients = 15;  // R (9), t (3), optical centre through SH (3)

// Lanes of the inputs of sixteen Gaussians; culled ones hold harmless values.
template <class S> struct Lanes {
  alignas(64) S moments[6][kLanes], mean[3][kLanes], quat[4][kLanes], scale[3][kLanes], conic[4][kLanes],
      opacity[kLanes], blended_opacity[kLanes], v_depth[kLanes], v_view[3][kLanes];
  bool visible[kLanes];
};

template <class S> struct ProjectionGradients {
  Vec<S> mean_camera[3], mean[3], scale[3], quat[4], opacity, mean2d[2], rotation_rows[9];
};

// d covariance -> d conic chain: with Conic = inverse(Cov), v_Cov = -Conic v_Conic Conic (symmetric 2 x 2).
template <class S>
AVATAR_INLINE void covariance_gradient(const Vec<S>& A, const Vec<S>& B, const Vec<S>& C, const Vec<S>& vA,
                                       const Vec<S>& vB, const Vec<S>& vC, Vec<S>* v_cov) {
  v_cov[0] = -(A * A * vA) - B * B * vC - A * B * vB;
  v_cov[1] = S(-2) * A * B * vA - S(2) * B * C * vC - (A * C + B * B) * vB;
  v_cov[2] = -(B * B * vA) - C * C * vC - B * C * vB;
}

// Gradient of the antialiasing factor sqrt(det_sharp / det) (Yu et al. 2024, Mip-Splatting) into the blurred covariance.
template <class S>
AVATAR_INLINE void antialias_gradient(const Vec<S>* cov, const Vec<S>& factor, const Vec<S>& v_factor, S eps2d,
                                      Vec<S>* v_cov) {
  const Vec<S> a = cov[0] + eps2d, b = cov[1], c = cov[2] + eps2d, det = a * c - b * b;
  const Vec<S> det_sharp = cov[0] * cov[2] - b * b, ratio = det_sharp / det, inverse = S(1) / det;
  const Vec<S> v_ratio =
      select(greater(det_sharp, S(0)), v_factor * S(0.5) / (factor + S(1e-12)), splat<S>(0)) * inverse;
  v_cov[0] += v_ratio * (cov[2] - ratio * c);
  v_cov[1] += v_ratio * S(2) * (b * ratio - b);
  v_cov[2] += v_ratio * (cov[0] - ratio * a);
}

// v_R of the rotation matrix of a unit quaternion into the (unnormalised) quaternion.
template <class S>
AVATAR_INLINE void quat_gradient(const Vec<S>* q, const Vec<S>& inverse_norm, const Vec<S>* v, Vec<S>* out) {
  const Vec<S>&w = q[0], &x = q[1], &y = q[2], &z = q[3];
  out[0] = S(2) * (x * (v[7] - v[5]) + y * (v[2] - v[6]) + z * (v[3] - v[1]));
  out[1] = S(2) * (y * (v[1] + v[3]) + z * (v[2] + v[6]) + w * (v[7] - v[5]) - S(2) * x * (v[4] + v[8]));
  out[2] = S(2) * (x * (v[1] + v[3]) + z * (v[5] + v[7]) + w * (v[2] - v[6]) - S(2) * y * (v[0] + v[8]));
  out[3] = S(2) * (x * (v[2] + v[6]) + y * (v[5] + v[7]) + w * (v[3] - v[1]) - S(2) * z * (v[0] + v[4]));
  const Vec<S> along = out[0] * w + out[1] * x + out[2] * y + out[3] * z;
  for (int k = 0; k < 4; k++) out[k] = (out[k] - along * q[k]) * inverse_norm;
}

template <class S>
AVATAR_INLINE void project_lanes_backward(const CameraState<S>& camera, const Lanes<S>& in, S eps2d, bool antialiased,
                                          ProjectionGradients<S>& out) {
  typedef Vec<S> V;
  const S *R = camera.R, fx = camera.fx, fy = camera.fy;
  V m[6], mean[3], q[4], scale[3], p[3];
  for (int k = 0; k < 6; k++) m[k] = V::load(in.moments[k]);
  for (int k = 0; k < 3; k++) mean[k] = V::load(in.mean[k]), scale[k] = V::load(in.scale[k]);
  for (int k = 0; k < 4; k++) q[k] = V::load(in.quat[k]);
  for (int k = 0; k < 3; k++) p[k] = R[3 * k] * mean[0] + R[3 * k + 1] * mean[1] + R[3 * k + 2] * mean[2] + camera.t[k];
  const V A = V::load(in.conic[0]), B = V::load(in.conic[1]), C = V::load(in.conic[2]), factor = V::load(in.conic[3]);
  out.mean2d[0] = A * m[1] + B * m[2], out.mean2d[1] = B * m[1] + C * m[2];
  const V v_opacity = -(m[0] / V::load(in.blended_opacity));
  const V rz = S(1) / p[2], rx = p[0] * rz, ry = p[1] * rz;
  const Mask<S> free_x = less_equal(rx, camera.x_max) & greater_equal(rx, camera.x_min);
  const Mask<S> free_y = less_equal(ry, camera.y_max) & greater_equal(ry, camera.y_min);
  const V u = vmin(splat<S>(camera.x_max), vmax(splat<S>(camera.x_min), rx));
  const V v = vmin(splat<S>(camera.y_max), vmax(splat<S>(camera.y_min), ry));
  const V inverse_norm = S(1) / vsqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  for (V& component : q) component *= inverse_norm;
  V rotation[9], row0[3], row1[3], a[3], b[3];
  matrix_from_unit_quat<S, V>(q[0], q[1], q[2], q[3], rotation);
  const V jx = fx * rz, jy = fy * rz, jxz = -(jx * u), jyz = -(jy * v);
  for (int k = 0; k < 3; k++) row0[k] = jx * R[k] + jxz * R[6 + k], row1[k] = jy * R[3 + k] + jyz * R[6 + k];
  for (int k = 0; k < 3; k++) {
    a[k] = (row0[0] * rotation[k] + row0[1] * rotation[3 + k] + row0[2] * rotation[6 + k]) * scale[k];
    b[k] = (row1[0] * rotation[k] + row1[1] * rotation[3 + k] + row1[2] * rotation[6 + k]) * scale[k];
  }
  V v_cov[3];
  covariance_gradient<S>(A, B, C, S(0.5) * m[3], m[4], S(0.5) * m[5], v_cov);
  out.opacity = v_opacity;
  if (antialiased) {
    const V cov[3] = {a[0] * a[0] + a[1] * a[1] + a[2] * a[2], a[0] * b[0] + a[1] * b[1] + a[2] * b[2],
                      b[0] * b[0] + b[1] * b[1] + b[2] * b[2]};
    antialias_gradient<S>(cov, factor, v_opacity * V::load(in.opacity), eps2d, v_cov);
    out.opacity = v_opacity * factor;
  }
  V v_rotation[9], v_row0[3] = {splat<S>(0), splat<S>(0), splat<S>(0)}, v_row1[3] = {v_row0[0], v_row0[0], v_row0[0]};
  for (int k = 0; k < 3; k++) {
    const V v_a = S(2) * v_cov[0] * a[k] + v_cov[1] * b[k], v_b = S(2) * v_cov[2] * b[k] + v_cov[1] * a[k];
    out.scale[k] = splat<S>(0);
    for (int r = 0; r < 3; r++) {
      const V v_axis = row0[r] * v_a + row1[r] * v_b;
      out.scale[k] += v_axis * rotation[3 * r + k];
      v_rotation[3 * r + k] = v_axis * scale[k];
      const V axis = rotation[3 * r + k] * scale[k];
      v_row0[r] += v_a * axis, v_row1[r] += v_b * axis;
    }
  }
  quat_gradient<S>(q, inverse_norm, v_rotation, out.quat);
  auto along = [&](const V* x, const S* row) { return x[0] * row[0] + x[1] * row[1] + x[2] * row[2]; };
  const V v_jx = along(v_row0, R), v_jxz = along(v_row0, R + 6), v_jy = along(v_row1, R + 3), v_jyz = along(v_row1, R + 6);
  V* vp = out.mean_camera;
  vp[0] = jx * out.mean2d[0], vp[1] = jy * out.mean2d[1];
  vp[2] = V::load(in.v_depth) - rz * rz * (fx * (p[0] * out.mean2d[0] + v_jx - u * v_jxz) + fy * (p[1] * out.mean2d[1] + v_jy - v * v_jyz));
  const V v_u = select(free_x, -(jx * v_jxz), splat<S>(0)), v_v = select(free_y, -(jy * v_jyz), splat<S>(0));
  vp[0] += rz * v_u, vp[1] += rz * v_v, vp[2] += -(rz * (rx * v_u + ry * v_v));
  for (int k = 0; k < 3; k++) {
    out.mean[k] = R[k] * vp[0] + R[3 + k] * vp[1] + R[6 + k] * vp[2] + V::load(in.v_view[k]);
    out.rotation_rows[k] = vp[0] * mean[k] + jx * v_row0[k];
    out.rotation_rows[3 + k] = vp[1] * mean[k] + jy * v_row1[k];
    out.rotation_rows[6 + k] = vp[2] * mean[k] + jxz * v_row0[k] + jyz * v_row1[k];
  }
}

// v of colours into SH coefficients and the view direction; adds to v_sh, sets v_view (d mean; the centre gets its negative).
template <class S>
void sh_backward(int degree, const S* sh, const S* mean, const S* centre, const S* color, const S* v_color, S* v_sh,
                 S* v_view) {
  S d[3], basis[16], v_basis[16] = {}, v_direction[3] = {};
  const S inverse = unit_direction(mean, centre, d);
  sh_basis(degree, d[0], d[1], d[2], basis);
  for (int c = 0; c < 3; c++) {
    const S v = color[c] > 0 ? v_color[c] : S(0);
    for (int k = 0; k < (degree + 1) * (degree + 1); k++) {
      v_sh[3 * k + c] += basis[k] * v;
      v_basis[k] += sh[3 * k + c] * v;
    }
  }
  sh_basis_backward(degree, d[0], d[1], d[2], v_basis, v_direction);
  const S radial = v_direction[0] * d[0] + v_direction[1] * d[1] + v_direction[2] * d[2];
  for (int k = 0; k < 3; k++) v_view[k] = (v_direction[k] - radial * d[k]) * inverse;
}

}  // namespace AVATAR_ISA
