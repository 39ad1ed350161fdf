// Gradients of list entries summed for each Gaussian and carried back through the projection, sixteen Gaussians at a time.
#pragma once
#include "project.h"

namespace AVATAR_ISA {

constexpr int kCameraGradients = 15;  // R (9), t (3), optical centre through SH (3)

// Where the backward pass of one camera reads and writes; gradients that earlier cameras have written are added to.
template <class S> struct Backward {
  CameraState<S>& camera;
  const RasterizeScene<S>& scene;
  const RasterizeGradients<S>& gradients;
  int index;
  const S* entries;
};

// Gradients of sixteen Gaussians: sums over their entries in, of their parameters out.
template <class S> struct BlockGradients {
  Vec<S> moments[6], depth, view[3];
  Vec<S> mean[3], scale[3], quat[4], opacity, linear[9], mean2d[2], mean_camera[3], rotation_rows[9];
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
  matrix_gradient(q, v, out);
  const Vec<S> along = out[0] * q[0] + out[1] * q[1] + out[2] * q[2] + out[3] * q[3];
  for (int k = 0; k < 4; k++) out[k] = (out[k] - along * q[k]) * inverse_norm;
}

// Gradients of the rows times the linear maps to these, and, in place, to the rows.
template <class S>
AVATAR_INLINE void linear_gradient(const Axes<S>& axes, const Vec<S>* linear, Vec<S>* v_row0, Vec<S>* v_row1, Vec<S>* v_linear) {
  Vec<S> v0[3], v1[3];
  for (int r = 0; r < 3; r++) {
    const Vec<S>* row = linear + 3 * r;
    for (int c = 0; c < 3; c++) v_linear[3 * r + c] = axes.row0[r] * v_row0[c] + axes.row1[r] * v_row1[c];
    v0[r] = row[0] * v_row0[0] + row[1] * v_row0[1] + row[2] * v_row0[2];
    v1[r] = row[0] * v_row1[0] + row[1] * v_row1[1] + row[2] * v_row1[2];
  }
  std::copy(v0, v0 + 3, v_row0), std::copy(v1, v1 + 3, v_row1);
}

template <bool kLinear, class S>
AVATAR_INLINE void project_block_backward(const Backward<S>& b, const Block<S>& block, BlockGradients<S>& g) {
  typedef Vec<S> V;
  const RasterizeScene<S>& scene = b.scene;
  const CameraState<S>& camera = b.camera;
  const S *R = camera.R, fx = camera.fx, fy = camera.fy;
  V mean[3], point[3], quat[4], scale[3], maps[9], record[8];
  load_columns<3>(block.rows(scene.means, 3), 0, mean);
  load_columns<4>(block.rows(scene.quats, 4), 0, quat);
  load_columns<3>(block.rows(scene.scales, 3), 0, scale);
  for (int k = 0; k < 8; k += 4) load_columns<4>(read_only(record_rows(b.camera, block)), k, record + k);
  to_camera(camera, mean, point);
  const V* linear = load_linear<kLinear>(scene, block, maps);
  const Axes<S> axes(camera, point, quat, scale, linear);
  const V A = record[2] * S(2 / kLog2E), B = record[3] * S(1 / kLog2E), C = record[4] * S(2 / kLog2E), *m = g.moments;
  g.mean2d[0] = A * m[1] + B * m[2], g.mean2d[1] = B * m[1] + C * m[2];
  V v_cov[3];
  covariance_gradient<S>(A, B, C, S(0.5) * m[3], m[4], S(0.5) * m[5], v_cov);
  g.opacity = -(m[0] / record[5]);
  if (scene.antialiased) {
    V opacity, cov[3];
    for (int k = 0; k < kLanes; k++) opacity.set_lane(k, scene.opacities[block.ids[k]]);
    axes.covariance(cov);
    const V factor = record[5] / opacity;
    antialias_gradient<S>(cov, factor, g.opacity * opacity, S(scene.eps2d), v_cov);
    g.opacity *= factor;
  }
  V v_rotation[9], v_row0[3] = {splat<S>(0), splat<S>(0), splat<S>(0)}, v_row1[3] = {v_row0[0], v_row0[0], v_row0[0]};
  for (int k = 0; k < 3; k++) {
    const V v_a = S(2) * v_cov[0] * axes.a[k] + v_cov[1] * axes.b[k], v_b = S(2) * v_cov[2] * axes.b[k] + v_cov[1] * axes.a[k];
    g.scale[k] = splat<S>(0);
    for (int r = 0; r < 3; r++) {
      const V &turned = axes.rotation[3 * r + k], axis = turned * scale[k], v_axis = axes.own0[r] * v_a + axes.own1[r] * v_b;
      g.scale[k] += v_axis * turned;
      v_rotation[3 * r + k] = v_axis * scale[k];
      v_row0[r] += v_a * axis, v_row1[r] += v_b * axis;
    }
  }
  quat_gradient<S>(axes.quat, axes.inverse_norm, v_rotation, g.quat);
  if (linear) linear_gradient(axes, linear, v_row0, v_row1, g.linear);
  auto along = [&](const V* x, const S* row) { return x[0] * row[0] + x[1] * row[1] + x[2] * row[2]; };
  const V v_jx = along(v_row0, R), v_jxz = along(v_row0, R + 6), v_jy = along(v_row1, R + 3), v_jyz = along(v_row1, R + 6);
  const V &rz = axes.inverse_z, &rx = axes.x_ratio, &ry = axes.y_ratio, *v2d = g.mean2d;
  V* vp = g.mean_camera;
  vp[0] = axes.jx * v2d[0], vp[1] = axes.jy * v2d[1];
  vp[2] = g.depth - rz * rz * (fx * (point[0] * v2d[0] + v_jx - axes.u * v_jxz) + fy * (point[1] * v2d[1] + v_jy - axes.v * v_jyz));
  const Mask<S> free_x = less_equal(rx, camera.x_max) & greater_equal(rx, camera.x_min);
  const Mask<S> free_y = less_equal(ry, camera.y_max) & greater_equal(ry, camera.y_min);
  const V v_u = select(free_x, -(axes.jx * v_jxz), splat<S>(0)), v_v = select(free_y, -(axes.jy * v_jyz), splat<S>(0));
  vp[0] += rz * v_u, vp[1] += rz * v_v, vp[2] -= rz * (rx * v_u + ry * v_v);
  for (int k = 0; k < 3; k++) {
    g.mean[k] = R[k] * vp[0] + R[3 + k] * vp[1] + R[6 + k] * vp[2] + g.view[k];
    g.rotation_rows[k] = vp[0] * mean[k] + axes.jx * v_row0[k];
    g.rotation_rows[3 + k] = vp[1] * mean[k] + axes.jy * v_row1[k];
    g.rotation_rows[6 + k] = vp[2] * mean[k] + axes.jxz * v_row0[k] + axes.jyz * v_row1[k];
  }
}

// Writes columns of gradients, or adds them to what earlier cameras have written.
template <int kWidth, class S>
AVATAR_INLINE void put_columns(const Rows<S>& rows, int count, int first, Vec<S>* columns, bool adds) {
  if (adds) {
    Vec<S> before[4];
    load_columns<kWidth>(read_only(rows), first, before);
    for (int c = 0; c < kWidth; c++) columns[c] += before[c];
  }
  store_columns<kWidth>(rows, count, first, columns);
}

// The gradient of a sum of basis times coefficients: into both, four columns of the table at a time.
template <int kColumns, int kFirst = 0, class S>
AVATAR_INLINE void put_sh_gradients(const Rows<const S>& sh, const Rows<S>& v_sh, int count, bool adds, const Vec<S>* basis,
                                    const Vec<S>* v_color, Vec<S>* v_basis) {
  if constexpr (kFirst < kColumns) {
    constexpr int kWidth = kColumns - kFirst < 4 ? kColumns - kFirst : 4;
    Vec<S> column[4], v_column[4];
    load_columns<kWidth>(sh, kFirst, column);
    AVATAR_UNROLL for (int c = 0; c < kWidth; c++) {
      v_basis[(kFirst + c) / 3] += column[c] * v_color[(kFirst + c) % 3];
      v_column[c] = basis[(kFirst + c) / 3] * v_color[(kFirst + c) % 3];
    }
    put_columns<kWidth>(v_sh, count, kFirst, v_column, adds);
    put_sh_gradients<kColumns, kFirst + 4>(sh, v_sh, count, adds, basis, v_color, v_basis);
  }
}

// Gradients of colours (0 where they were negative) into the SH coefficients, and into the view directions: d mean; the
// optical centre gets the opposite.
template <class S, int kDegree>
void color_block_backward(const Backward<S>& b, const Block<S>& block, Vec<S>* v_color, Vec<S>* v_view) {
  constexpr int kCount = (kDegree + 1) * (kDegree + 1), kColumns = 3 * kCount;
  const int64_t offset = color_offset(b.scene, b.index);
  const Rows<const S> sh = block.rows(b.scene.colors + offset, kColumns);
  const Rows<S> v_sh = block.rows(b.gradients.scene_colors + offset, kColumns);
  const bool adds = b.index > 0 && !b.scene.colors_per_camera;
  Vec<S> mean[3], direction[3], basis[16], color[3], v_basis[16], v_direction[3];
  load_columns<3>(block.rows(b.scene.means, 3), 0, mean);
  load_columns<3>(read_only(record_rows(b.camera, block)), kRecordColor, color);
  for (int c = 0; c < 3; c++) v_color[c] = select(greater(color[c], S(0)), v_color[c], splat<S>(0));
  const Vec<S> inverse = view_directions(b.camera, mean, direction);
  sh_basis<kDegree>(direction, basis);
  for (int k = 0; k < kCount; k++) v_basis[k] = splat<S>(0);
  put_sh_gradients<kColumns>(sh, v_sh, block.count, adds, basis, v_color, v_basis);
  sh_basis_backward<kDegree>(direction, v_basis, v_direction);
  const Vec<S> radial = v_direction[0] * direction[0] + v_direction[1] * direction[1] + v_direction[2] * direction[2];
  for (int k = 0; k < 3; k++) v_view[k] = (v_direction[k] - radial * direction[k]) * inverse;
}

// Colours' gradients of a block to the scene: `sums` has a row for each Gaussian, `columns` its first columns as lanes.
template <class S>
void colors_backward(const Backward<S>& b, const Block<S>& block, const S* sums, Vec<S>* columns, BlockGradients<S>& g) {
  const RasterizeScene<S>& scene = b.scene;
  const int colors = static_cast<int>(scene.num_channels);
  const int64_t stride = entry_stride(channels_out(scene));
  for (int k = 0; k < kLanes; k++) {
    g.depth.set_lane(k, scene.with_depth && k < block.count ? sums[k * stride + color_column(colors)] : S(0));
  }
  if (scene.sh_degree >= 0) {
    with_degree(scene.sh_degree, [&](auto degree) {
      color_block_backward<S, decltype(degree)::value>(b, block, columns + color_column(0), g.view);
    });
    return;
  }
  for (Vec<S>& view : g.view) view = splat<S>(0);
  const Rows<S> rows = block.rows(b.gradients.scene_colors + color_offset(scene, b.index), colors);
  const bool adds = b.index > 0 && !scene.colors_per_camera;
  for (int k = 0; k < block.count; k++) {
    for (int c = 0; c < colors; c++) {
      rows[k][c] = (adds ? rows[k][c] : S(0)) + sums[k * stride + color_column(c)];
    }
  }
}

// Some Gaussians whose gradients are not zero, and the sums of their entries.
template <class S> struct Gathered {
  int32_t ids[kLanes];
  int count = 0;
  S* sums;  // a row for each

  // Adds the entries [begin, end) of one Gaussian, unless none was reached.
  AVATAR_INLINE void add(int32_t id, const S* begin, const S* end, int64_t stride) {
    S* total = sums + count * stride;
    std::fill(total, total + stride, S(0));
    for (const S* row = begin; row < end; row += stride) {
      if (row[kReached] == 0) continue;
      (Vec<S>::load(total) + Vec<S>::load(row)).store(total);
      for (int64_t k = kEntry; k < stride; k++) total[k] += row[k];
    }
    ids[count] = id;
    count += total[kReached] > 0;
  }
};

// Writes the gradients of the Gaussians gathered; `camera` sums those of the camera.
template <class S> void write_gathered(const Backward<S>& b, Gathered<S>& gathered, Vec<S>* camera) {
  static constexpr int32_t kInOrder[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  if (!gathered.count) return;
  const RasterizeScene<S>& scene = b.scene;
  const Block<S> block(gathered.ids, gathered.count);
  Vec<S> columns[12], there;
  for (int k = 0; k < kLanes; k++) there.set_lane(k, S(k < block.count));
  for (int k = 0; k < 12; k += 4) {
    load_columns<4>(Rows<const S>{gathered.sums, kInOrder, entry_stride(channels_out(scene))}, k, columns + k);
  }
  BlockGradients<S> g;
  std::copy(columns, columns + 6, g.moments);
  colors_backward(b, block, gathered.sums, columns, g);
  if (scene.linear) project_block_backward<true>(b, block, g);
  else project_block_backward<false>(b, block, g);
  const RasterizeGradients<S>& out = b.gradients;
  const bool adds = b.index > 0;
  const int count = block.count;
  put_columns<3>(block.rows(out.means, 3), count, 0, g.mean, adds);
  put_columns<4>(block.rows(out.quats, 4), count, 0, g.quat, adds);
  put_columns<3>(block.rows(out.scales, 3), count, 0, g.scale, adds);
  for (int k = 0; k < 9 && out.linear; k += 3) put_columns<3>(block.rows(out.linear, 9), count, k, g.linear + k, adds);
  for (int k = 0; k < count; k++) out.opacities[block.ids[k]] += g.opacity.lane(k);
  auto put_pair = [&](S* table, const Vec<S>& x, const Vec<S>& y, S factor) {
    if (!table) return;
    const Rows<S> rows = block.rows(table + 2 * b.index * scene.num_gaussians, 2);
    for (int k = 0; k < count; k++) rows[k][0] = factor * x.lane(k), rows[k][1] = factor * y.lane(k);
  };
  put_pair(out.means2d, g.mean2d[0], g.mean2d[1], 1);
  put_pair(out.absgrad2d, columns[kAbsolute], columns[kAbsolute + 1], S(1 / kLog2E));
  auto sum_up = [&](int first, const Vec<S>* values, int number, S sign) {
    for (int k = 0; k < number; k++) camera[first + k] += select(greater(there, S(0)), values[k] * sign, splat<S>(0));
  };
  sum_up(0, g.rotation_rows, 9, 1), sum_up(9, g.mean_camera, 3, 1), sum_up(12, g.view, 3, -1);
  gathered.count = 0;
}

// Zeros to the gradients of Gaussians [begin, end), where no earlier camera has written.
template <class S> void clear_gradients(const Backward<S>& b, int64_t begin, int64_t end) {
  auto clear = [&](S* table, int64_t stride) { std::fill(table + begin * stride, table + end * stride, S(0)); };
  const RasterizeGradients<S>& out = b.gradients;
  const bool is_first = b.index == 0;
  if (is_first) clear(out.means, 3), clear(out.quats, 4), clear(out.scales, 3), clear(out.opacities, 1);
  if (is_first && out.linear) clear(out.linear, 9);
  if (is_first || b.scene.colors_per_camera) {
    clear(out.scene_colors + color_offset(b.scene, b.index), color_stride(b.scene));
  }
  for (S* table : {out.means2d, out.absgrad2d}) {
    if (table) clear(table + 2 * b.index * b.scene.num_gaussians, 2);
  }
}

// All Gaussians of one chunk; `partial` gets its part of the camera's gradient.
template <class S> void chunk_backward(const Backward<S>& b, int64_t begin, int64_t end, int number, S* partial) {
  constexpr int kBatch = 256;  // what was cleared is still in the cache when gradients come
  static thread_local Buffer<S> sums;
  const Chunk& chunk = b.camera.chunks[number];
  const int32_t *ids = b.camera.visible.data() + begin, *first = b.camera.first_touched.data() + begin;
  const int64_t stride = entry_stride(channels_out(b.scene));
  const S* entries = b.entries + chunk.first_entry * stride;
  Vec<S> camera[kCameraGradients];
  for (Vec<S>& value : camera) value = splat<S>(0);
  Gathered<S> gathered;
  gathered.sums = sums.reserve(kLanes * stride);
  int j = 0;
  for (int64_t batch = begin; batch < end; batch += kBatch) {
    const int64_t batch_end = std::min(end, batch + kBatch);
    clear_gradients(b, batch, batch_end);
    for (; j < chunk.num_visible && ids[j] < batch_end; j++) {
      const int64_t last = j + 1 < chunk.num_visible ? first[j + 1] : chunk.num_entries;
      gathered.add(ids[j], entries + first[j] * stride, entries + last * stride, stride);
      if (b.scene.sh_degree >= 0) prefetch_row(b.scene.colors + color_offset(b.scene, b.index), color_stride(b.scene), ids[j]);
      if (gathered.count == kLanes) write_gathered(b, gathered, camera);
    }
  }
  write_gathered(b, gathered, camera);
  for (int k = 0; k < kCameraGradients; k++) partial[k] = sum(camera[k]);
}

// Partial sums, in order, are the gradient of camera_from_world; the optical centre is -R^T t.
template <class S> void write_camera_gradient(const Backward<S>& b, const S* partials, int chunks) {
  S total[kCameraGradients] = {};
  for (int chunk = 0; chunk < chunks; chunk++) {
    for (int k = 0; k < kCameraGradients; k++) total[k] += partials[chunk * kCameraGradients + k];
  }
  S* out = b.gradients.viewmats + 16 * b.index;
  std::fill(out, out + 16, S(0));
  const S *v_centre = total + 12, *R = b.camera.R, *t = b.camera.t;
  for (int r = 0; r < 3; r++) {
    S v_t = total[9 + r];
    for (int c = 0; c < 3; c++) {
      out[4 * r + c] = total[3 * r + c] - t[r] * v_centre[c];
      v_t -= R[3 * r + c] * v_centre[c];
    }
    out[4 * r + 3] = v_t;
  }
}

}  // namespace AVATAR_ISA
