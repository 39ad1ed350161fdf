// World Gaussians to records on the image plane: gsplat 1.5.3's semantics (EWA splatting; Zwicker et al. 2001).
#pragma once
#include <algorithm>
#include <limits>
#include <type_traits>

#include "quat.h"
#include "rows.h"
#include "spherical_harmonics.h"
#include "state.h"

namespace AVATAR_ISA {

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

template <class S> AVATAR_INLINE S depth_of(const CameraState<S>& camera, const S* mean) {
  return camera.R[6] * mean[0] + camera.R[7] * mean[1] + camera.R[8] * mean[2] + camera.t[2];
}

// Numbers of colours or coefficients of one Gaussian.
template <class S> AVATAR_INLINE int64_t color_stride(const RasterizeScene<S>& scene) {
  return scene.sh_degree < 0 ? scene.num_channels : 3 * (scene.sh_degree + 1) * (scene.sh_degree + 1);
}
// Where the colours of a camera start.
template <class S> AVATAR_INLINE int64_t color_offset(const RasterizeScene<S>& scene, int index) {
  return scene.colors_per_camera ? index * scene.num_gaussians * color_stride(scene) : 0;
}

// Rows of coefficients are long and read column by column: without this each would wait for memory three times.
template <class S> AVATAR_INLINE void prefetch_row(const S* table, int64_t stride, int64_t row) {
  const char *begin = reinterpret_cast<const char*>(table + row * stride), *end = begin + stride * sizeof(S);
  for (const char* line = begin; line < end; line += 64) __builtin_prefetch(line);
}

template <class S> AVATAR_INLINE void to_camera(const CameraState<S>& camera, const Vec<S>* mean, Vec<S>* point) {
  const S* R = camera.R;
  for (int k = 0; k < 3; k++) point[k] = R[3 * k] * mean[0] + R[3 * k + 1] * mean[1] + R[3 * k + 2] * mean[2] + camera.t[k];
}

// Sixteen Gaussians' axes on the image: covariance = (a . a, a . b, b . b).
template <class S> struct Axes {
  Vec<S> quat[4], inverse_norm, rotation[9];     // unit quaternion and its matrix
  Vec<S> inverse_z, x_ratio, y_ratio, u, v;      // x/z and y/z, and these clamped to near the image
  Vec<S> jx, jy, jxz, jyz, row0[3], row1[3];     // Jacobian of the projection, and its product with the camera's rotation
  Vec<S> own0[3], own1[3];                       // these times the Gaussians' linear maps, where there are any
  Vec<S> a[3], b[3];

  AVATAR_INLINE Axes(const CameraState<S>& camera, const Vec<S>* point, const Vec<S>* q, const Vec<S>* scale, const Vec<S>* linear) {
    inverse_norm = S(1) / vsqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    for (int k = 0; k < 4; k++) quat[k] = q[k] * inverse_norm;
    matrix_from_unit_quat(quat, rotation);
    inverse_z = S(1) / point[2], x_ratio = point[0] * inverse_z, y_ratio = point[1] * inverse_z;
    u = vmin(splat<S>(camera.x_max), vmax(splat<S>(camera.x_min), x_ratio));
    v = vmin(splat<S>(camera.y_max), vmax(splat<S>(camera.y_min), y_ratio));
    jx = camera.fx * inverse_z, jy = camera.fy * inverse_z, jxz = -(jx * u), jyz = -(jy * v);
    const S* R = camera.R;
    for (int k = 0; k < 3; k++) row0[k] = jx * R[k] + jxz * R[6 + k], row1[k] = jy * R[3 + k] + jyz * R[6 + k];
    for (int k = 0; k < 3; k++) {
      own0[k] = linear ? row0[0] * linear[k] + row0[1] * linear[3 + k] + row0[2] * linear[6 + k] : row0[k];
      own1[k] = linear ? row1[0] * linear[k] + row1[1] * linear[3 + k] + row1[2] * linear[6 + k] : row1[k];
    }
    for (int k = 0; k < 3; k++) {
      a[k] = (own0[0] * rotation[k] + own0[1] * rotation[3 + k] + own0[2] * rotation[6 + k]) * scale[k];
      b[k] = (own1[0] * rotation[k] + own1[1] * rotation[3 + k] + own1[2] * rotation[6 + k]) * scale[k];
    }
  }
  AVATAR_INLINE void covariance(Vec<S>* cov) const {
    cov[0] = a[0] * a[0] + a[1] * a[1] + a[2] * a[2];
    cov[1] = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    cov[2] = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
  }
};

// One block of sixteen Gaussians in flight: `count` of them are there, the other lanes repeat the last.
template <class S> struct Block {
  int32_t ids[kLanes];
  int count;
  Block(int64_t begin, int64_t end) : count(static_cast<int>(std::min<int64_t>(kLanes, end - begin))) {
    for (int k = 0; k < kLanes; k++) ids[k] = static_cast<int32_t>(begin + std::min(k, count - 1));
  }
  Block(const int32_t* some, int count) : count(count) {
    for (int k = 0; k < kLanes; k++) ids[k] = some[std::min(k, count - 1)];
  }
  Rows<const S> rows(const S* table, int64_t stride) const { return {table, ids, stride}; }
  Rows<S> rows(S* table, int64_t stride) const { return {table, ids, stride}; }
};

// The linear maps of a block, row by row; null where there are none, which is known at compile time: it costs nothing.
template <bool kLinear, class S>
AVATAR_INLINE const Vec<S>* load_linear(const RasterizeScene<S>& scene, const Block<S>& block, Vec<S>* linear) {
  if (!kLinear) return nullptr;
  for (int k = 0; k < 9; k += 3) load_columns<3>(block.rows(scene.linear, 9), k, linear + k);
  return linear;
}

constexpr int kRecordColor = 9;  // place of the colours in a record of S
template <class S> Rows<S> record_rows(CameraState<S>& camera, const Block<S>& block) {
  static_assert(offsetof(Record<S>, color) == kRecordColor * sizeof(S));
  return block.rows(reinterpret_cast<S*>(camera.records.data()), sizeof(Record<S>) / sizeof(S));
}

constexpr double kOpacityMax = 1e30;  // beyond it is an error, not an opacity

// Fills the records of a block but for the colours, its depths and radii; returns a bit for each visible Gaussian.
template <bool kLinear, class S>
uint32_t project_block(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, const Block<S>& block, S* depths,
                       int32_t* radii) {
  typedef Vec<S> V;
  const S kLargest = 1e9;  // pixels: what an int holds
  V mean[3], point[3], quat[4], scale[3], linear[9], cov[3];
  load_columns<3>(block.rows(scene.means, 3), 0, mean);
  to_camera(camera, mean, point);
  Mask<S> visible = greater_equal(point[2], S(scene.near_plane)) & less_equal(point[2], S(scene.far_plane));
  std::fill(radii, radii + 2 * block.count, 0);
  if (!any<S>(visible)) return 0;
  load_columns<4>(block.rows(scene.quats, 4), 0, quat);
  load_columns<3>(block.rows(scene.scales, 3), 0, scale);
  const Axes<S> axes(camera, point, quat, scale, load_linear<kLinear>(scene, block, linear));
  axes.covariance(cov);
  const V a = cov[0] + S(scene.eps2d), b = cov[1], c = cov[2] + S(scene.eps2d), det = a * c - b * b;
  V opacity;
  for (int k = 0; k < kLanes; k++) opacity.set_lane(k, scene.opacities[block.ids[k]]);
  const V inverse_det = S(1) / det;
  if (scene.antialiased) opacity *= vsqrt(vmax(splat<S>(0), (cov[0] * cov[2] - b * b) * inverse_det));
  visible = visible & greater(det, S(0)) & less_equal(det, std::numeric_limits<S>::max()) &
            greater_equal(opacity, S(1) / S(255)) & less_equal(opacity, S(kOpacityMax));
  const V q_max = log2_fast(vmax(splat<S>(1), opacity * S(255))), extent_squared = q_max * S(2 / kLog2E);
  const V extent = vmin(splat<S>(S(3.33)), vsqrt(extent_squared)), width = vsqrt(a), height = vsqrt(c);
  const V rx = ceiling(vmin(splat<S>(kLargest), extent * width)), ry = ceiling(vmin(splat<S>(kLargest), extent * height));
  visible = visible & greater(vmax(rx, ry), S(scene.radius_clip));
  V x = camera.fx * axes.x_ratio + camera.cx, y = camera.fy * axes.y_ratio + camera.cy;
  if (scene.means2d_offsets) {
    const S* offsets = scene.means2d_offsets + 2 * index * scene.num_gaussians;
    for (int k = 0; k < kLanes; k++) {
      x.set_lane(k, x.lane(k) + offsets[2 * block.ids[k]]), y.set_lane(k, y.lane(k) + offsets[2 * block.ids[k] + 1]);
    }
  }
  visible = visible & greater(x + rx, S(0)) & greater(splat<S>(S(scene.width)), x - rx) & greater(y + ry, S(0)) &
            greater(splat<S>(S(scene.height)), y - ry);
  const uint32_t bits = lane_bits(visible) & ((1u << block.count) - 1);
  if (!bits) return 0;
  const S scaled = S(0.5 * kLog2E);
  const V reach = vsqrt(extent_squared * S(1.0002)) + S(1e-4);  // a hair beyond alpha = 1/255: the exact test is per pixel
  const V rows[12] = {x, y, c * inverse_det * scaled, -(b * inverse_det * S(kLog2E)), a * inverse_det * scaled, opacity,
                      q_max, vmin(splat<S>(kLargest), reach * width), vmin(splat<S>(kLargest), reach * height),
                      point[2], point[2], point[2]};
  for (int k = 0; k < 12; k += 4) store_columns<4>(record_rows(camera, block), block.count, k, rows + k);
  for (int k = 0; k < block.count; k++) camera.records[block.ids[k]].id = block.ids[k];
  point[2].store(depths);
  alignas(64) S extents[2][kLanes];
  rx.store(extents[0]), ry.store(extents[1]);
  for (uint32_t rest = bits; rest; rest &= rest - 1) {
    const int k = __builtin_ctz(rest);
    radii[2 * k] = static_cast<int32_t>(extents[0][k]), radii[2 * k + 1] = static_cast<int32_t>(extents[1][k]);
  }
  return bits;
}

// Unit directions from the optical centre to the means, and the inverses of the distances.
template <class S> AVATAR_INLINE Vec<S> view_directions(const CameraState<S>& camera, const Vec<S>* mean, Vec<S>* direction) {
  for (int k = 0; k < 3; k++) direction[k] = mean[k] - camera.centre[k];
  const Vec<S> squared = direction[0] * direction[0] + direction[1] * direction[1] + direction[2] * direction[2];
  const Vec<S> inverse = select(greater(squared, S(0)), S(1) / vsqrt(squared), splat<S>(0));
  for (int k = 0; k < 3; k++) direction[k] *= inverse;
  return inverse;
}

// color[c] += sum over k of basis[k] * coefficient[k][c], four columns of the table at a time.
template <int kColumns, int kFirst = 0, class S>
AVATAR_INLINE void add_sh_colors(const Rows<const S>& sh, const Vec<S>* basis, Vec<S>* color) {
  if constexpr (kFirst < kColumns) {
    constexpr int kWidth = kColumns - kFirst < 4 ? kColumns - kFirst : 4;
    Vec<S> column[4];
    load_columns<kWidth>(sh, kFirst, column);
    AVATAR_UNROLL for (int c = 0; c < kWidth; c++) color[(kFirst + c) % 3] += basis[(kFirst + c) / 3] * column[c];
    add_sh_colors<kColumns, kFirst + 4>(sh, basis, color);
  }
}

// Colours from SH along the rays to the Gaussians, max(0, basis . sh + 1/2), and the depth, into the records.
template <class S, int kDegree>
void color_block(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, const Block<S>& block) {
  constexpr int kColumns = 3 * (kDegree + 1) * (kDegree + 1);
  const Rows<const S> sh = block.rows(scene.colors + color_offset(scene, index), kColumns);
  Vec<S> mean[3], direction[3], basis[16], color[4];
  load_columns<3>(block.rows(scene.means, 3), 0, mean);
  view_directions(camera, mean, direction);
  sh_basis<kDegree>(direction, basis);
  for (int c = 0; c < 3; c++) color[c] = splat<S>(S(0.5));
  add_sh_colors<kColumns>(sh, basis, color);
  for (int c = 0; c < 3; c++) color[c] = vmax(splat<S>(0), color[c]);
  const S* R = camera.R;
  color[3] = scene.with_depth ? R[6] * mean[0] + R[7] * mean[1] + R[8] * mean[2] + camera.t[2] : splat<S>(0);
  store_columns<4>(record_rows(camera, block), block.count, kRecordColor, color);
}

// Channels [first, first + 4) of one Gaussian into its record; depth is the channel after the last colour.
template <class S>
AVATAR_INLINE void load_colors(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int first, int64_t i) {
  const S* colors = scene.colors + color_offset(scene, index) + i * color_stride(scene);
  for (int c = 0; c < kGroup; c++) {
    const int channel = first + c;
    camera.records[i].color[c] = channel < scene.num_channels     ? colors[channel]
                                 : channel < channels_out(scene) ? depth_of(camera, scene.means + 3 * i)
                                                                  : S(0);
  }
}

template <class S>
void color_records(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, const int32_t* ids, int count) {
  if (scene.sh_degree < 0) {
    for (int i = 0; i < count; i++) load_colors(camera, scene, index, 0, ids[i]);
    return;
  }
  with_degree(scene.sh_degree, [&](auto degree) {
    for (int i = 0; i < count; i += kLanes) {
      color_block<S, decltype(degree)::value>(camera, scene, index, Block<S>(ids + i, std::min(kLanes, count - i)));
    }
  });
}

// Gaussians [begin, end) to records; ids and depths of the visible ones, whose number is returned.
template <class S>
int project(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int64_t begin, int64_t end, int32_t* radii,
            int32_t* ids, uint32_t* depth_bits) {
  int count = 0;
  alignas(64) S depths[kLanes];
  for (int64_t i = begin; i < end; i += kLanes) {
    const auto project_some = scene.linear ? project_block<true, S> : project_block<false, S>;
    uint32_t bits = project_some(camera, scene, index, Block<S>(i, end), depths, radii + 2 * i);
    for (; bits; bits &= bits - 1) {
      const int k = __builtin_ctz(bits);
      const float depth = static_cast<float>(depths[k]);
      memcpy(&depth_bits[count], &depth, sizeof(depth));
      ids[count++] = static_cast<int32_t>(i + k);
      if (scene.sh_degree >= 0) prefetch_row(scene.colors + color_offset(scene, index), color_stride(scene), i + k);
    }
  }
  color_records(camera, scene, index, ids, count);
  return count;
}

}  // namespace AVATAR_ISA
