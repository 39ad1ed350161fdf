// World Gaussians to records on the image plane: gsplat 1.5.3's semantics (EWA splatting; Zwicker et al. 2001).
#pragma once
#include "spherical_harmonics.h"
#include "state.h"

namespace AVATAR_ISA {

template <class S, class V> AVATAR_INLINE void matrix_from_unit_quat(V w, V x, V y, V z, V* r) {
  const S one = 1, two = 2;
  r[0] = one - two * (y * y + z * z), r[1] = two * (x * y - w * z), r[2] = two * (x * z + w * y);
  r[3] = two * (x * y + w * z), r[4] = one - two * (x * x + z * z), r[5] = two * (y * z - w * x);
  r[6] = two * (x * z - w * y), r[7] = two * (y * z + w * x), r[8] = one - two * (x * x + y * y);
}

template <class S> void set_camera(CameraState<S>& camera, const RasterizeScene<S>& scene, int index) {
  const S *view = scene.viewmats + 16 * index, *K = scene.intrinsics + 9 * index;
  camera.fx = K[0], camera.fy = K[4], camera.cx = K[2], camera.cy = K[5];
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) camera.R[3 * i + j] = view[4 * i + j];
    camera.t[i] = view[4 * i + 3];
  }
  for (int i = 0; i < 3; i++) {
    camera.centre[i] = 0;
    for (int j = 0; j < 3; j++) camera.centre[i] -= camera.R[3 * j + i] * camera.t[j];
  }
  const S w = S(scene.width), h = S(scene.height), mx = S(0.15) * w / camera.fx, my = S(0.15) * h / camera.fy;
  camera.x_min = -(camera.cx / camera.fx + mx), camera.x_max = (w - camera.cx) / camera.fx + mx;
  camera.y_min = -(camera.cy / camera.fy + my), camera.y_max = (h - camera.cy) / camera.fy + my;
  camera.tiles_x = static_cast<int>((scene.width + kTile - 1) / kTile);
  camera.tiles_y = static_cast<int>((scene.height + kTile - 1) / kTile);
}

template <class S> AVATAR_INLINE const S* colors_of(const RasterizeScene<S>& scene, int camera, int64_t gaussian) {
  const int64_t stride =
      scene.sh_degree < 0 ? scene.num_channels : 3 * (scene.sh_degree + 1) * (scene.sh_degree + 1);
  return scene.colors + ((scene.colors_per_camera ? camera * scene.num_gaussians : 0) + gaussian) * stride;
}

template <class S> AVATAR_INLINE S unit_direction(const S* mean, const S* centre, S* direction) {
  S squared = 0;
  for (int k = 0; k < 3; k++) direction[k] = mean[k] - centre[k], squared += direction[k] * direction[k];
  const S inverse = squared > 0 ? 1 / std::sqrt(squared) : S(0);
  for (int k = 0; k < 3; k++) direction[k] *= inverse;
  return inverse;
}

// Colour from SH along the ray to the Gaussian: max(0, basis . sh + 1/2).
template <class S> AVATAR_INLINE void sh_color(int degree, const S* sh, const S* mean, const S* centre, S* color) {
  S d[3], basis[16];
  unit_direction(mean, centre, d);
  sh_basis(degree, d[0], d[1], d[2], basis);
  const int count = (degree + 1) * (degree + 1);
  for (int c = 0; c < 3; c++) {
    S value = S(0.5);
    for (int k = 0; k < count; k++) value += basis[k] * sh[3 * k + c];
    color[c] = value > 0 ? value : S(0);
  }
}

// The 2D covariance (xx, xy, yy) of one Gaussian, before the blur; `ratio` is (x/z, y/z), `depth` is z.
template <class S>
AVATAR_INLINE void project_covariance(const CameraState<S>& camera, const S* quat, const S* scale, const S* ratio,
                                      S depth, S* covariance) {
  const S norm = 1 / std::sqrt(quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3]);
  S rotation[9];
  matrix_from_unit_quat<S, S>(quat[0] * norm, quat[1] * norm, quat[2] * norm, quat[3] * norm, rotation);
  const S rz = 1 / depth, *R = camera.R;
  const S u = std::min(camera.x_max, std::max(camera.x_min, ratio[0]));
  const S v = std::min(camera.y_max, std::max(camera.y_min, ratio[1]));
  S row0[3], row1[3];
  for (int k = 0; k < 3; k++) {
    row0[k] = camera.fx * rz * (R[k] - u * R[6 + k]);
    row1[k] = camera.fy * rz * (R[3 + k] - v * R[6 + k]);
  }
  covariance[0] = covariance[1] = covariance[2] = 0;
  for (int k = 0; k < 3; k++) {
    const S a = (row0[0] * rotation[k] + row0[1] * rotation[3 + k] + row0[2] * rotation[6 + k]) * scale[k];
    const S b = (row1[0] * rotation[k] + row1[1] * rotation[3 + k] + row1[2] * rotation[6 + k]) * scale[k];
    covariance[0] += a * a, covariance[1] += a * b, covariance[2] += b * b;
  }
}

// Colours of channels [first, first + 4) of one Gaussian into its record; depth is the channel after the last colour.
template <class S>
AVATAR_INLINE void load_colors(const CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int first,
                               Record<S>& r) {
  const S* colors = scene.sh_degree >= 0 ? &camera.colors[3 * static_cast<size_t>(r.id)] : colors_of(scene, index, r.id);
  for (int c = 0; c < kGroup; c++) {
    const int channel = first + c;
    r.color[c] = channel < scene.num_channels ? colors[channel] : channel < channels_out(scene) ? camera.depths[r.id] : S(0);
  }
}

// Fills record, conic, depth and radii of Gaussian i; returns its sort key.
template <class S>
uint32_t project_one(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int64_t i, int32_t* radii) {
  constexpr S kLargest = 1e9;  // pixels: what an int holds
  const S *m = scene.means + 3 * i, *R = camera.R, *t = camera.t;
  const S x = R[0] * m[0] + R[1] * m[1] + R[2] * m[2] + t[0];
  const S y = R[3] * m[0] + R[4] * m[1] + R[5] * m[2] + t[1];
  const S z = R[6] * m[0] + R[7] * m[1] + R[8] * m[2] + t[2];
  if (!(z >= S(scene.near_plane) && z <= S(scene.far_plane))) return kCulled;
  const S ratio[2] = {x / z, y / z};
  S cov[3];
  project_covariance(camera, scene.quats + 4 * i, scene.scales + 3 * i, ratio, z, cov);
  const S a = cov[0] + S(scene.eps2d), c = cov[2] + S(scene.eps2d), b = cov[1];
  const S det_sharp = cov[0] * cov[2] - b * b, det = a * c - b * b;
  if (!(det > 0)) return kCulled;
  const S factor = scene.antialiased ? std::sqrt(std::max(S(0), det_sharp / det)) : S(1);
  const S opacity = scene.opacities[i] * factor;
  if (!(opacity >= S(1) / S(255))) return kCulled;
  const S extent_squared = 2 * std::log(opacity * 255), extent = std::min(S(3.33), std::sqrt(extent_squared));
  const S rx = std::min(kLargest, std::ceil(extent * std::sqrt(a))), ry = std::min(kLargest, std::ceil(extent * std::sqrt(c)));
  if (rx <= S(scene.radius_clip) && ry <= S(scene.radius_clip)) return kCulled;
  S px = camera.fx * ratio[0] + camera.cx, py = camera.fy * ratio[1] + camera.cy;
  if (scene.means2d_offsets) {
    const S* offset = scene.means2d_offsets + 2 * (index * scene.num_gaussians + i);
    px += offset[0], py += offset[1];
  }
  if (!(px + rx > 0 && px - rx < S(scene.width) && py + ry > 0 && py - ry < S(scene.height))) return kCulled;
  radii[0] = static_cast<int32_t>(rx), radii[1] = static_cast<int32_t>(ry);
  const S A = c / det, B = -b / det, C = a / det;
  S* conic = &camera.conics[4 * i];
  conic[0] = A, conic[1] = B, conic[2] = C, conic[3] = factor;
  camera.depths[i] = z;
  Record<S>& r = camera.projected[i];
  r.x = px, r.y = py, r.id = static_cast<int32_t>(i), r.opacity = opacity;
  r.A = A * S(0.5 * kLog2E), r.B = B * S(kLog2E), r.C = C * S(0.5 * kLog2E);
  r.q_max = std::log2(opacity * 255);
  const S reach = std::sqrt(extent_squared * S(1.0002)) + S(1e-4);  // a hair beyond alpha = 1/255: the exact test is per pixel
  r.radius_x = std::min(kLargest, reach * std::sqrt(a)), r.radius_y = std::min(kLargest, reach * std::sqrt(c));
  if (scene.sh_degree >= 0) {
    sh_color(scene.sh_degree, colors_of(scene, index, i), m, camera.centre, &camera.colors[3 * i]);
  }
  load_colors(camera, scene, index, 0, r);
  const float depth = static_cast<float>(z);
  uint32_t key;
  memcpy(&key, &depth, 4);
  return key;
}

template <class S> void project(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int32_t* radii) {
  const int64_t n = scene.num_gaussians;
  camera.keys.reserve(n), camera.ranks.reserve(n), camera.conics.reserve(4 * n), camera.depths.reserve(n);
  camera.projected.reserve(n);
  if (scene.sh_degree >= 0) camera.colors.reserve(3 * n);
  avatar_pool::parallel_chunks(n, 2048, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      radii[2 * i] = radii[2 * i + 1] = 0;
      camera.keys[i] = project_one(camera, scene, index, i, radii + 2 * i);
    }
  });
}

}  // namespace AVATAR_ISA
