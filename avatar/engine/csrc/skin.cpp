// Linear blend skinning of points together with the rotations they carry.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "quaternion.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct SkinScene {
  int64_t num_points, num_joints, num_influences;
  const S *points, *quats, *normals;  // n 3, n 4, n 3
  const int32_t* ids;                 // n k
  const S* weights;                   // n k
  const S* joints;                    // j 16: rows of the 3 x 4 transform, then a unit quaternion
};

template <class S> struct SkinArguments {
  SkinScene<S> scene;
  S *points, *quats, *normals;
};

template <class S> struct SkinGradientArguments {
  SkinScene<S> scene;
  const S *out_points, *out_quats;
  S *points, *quats, *joints;
};

namespace {

constexpr int kJoint = 16;          // a joint's row: 3 x 4 transform, then its quaternion
constexpr int kSkinChunks = 16;     // fixed, so that sums over points do not depend on the number of threads

template <class S> AVATAR_INLINE void blend_joints(const SkinScene<S>& scene, int64_t i, S* row) {
  std::fill(row, row + kJoint, S(0));
  for (int64_t k = 0; k < scene.num_influences; k++) {
    const S weight = scene.weights[i * scene.num_influences + k];
    const S* joint = scene.joints + kJoint * scene.ids[i * scene.num_influences + k];
    for (int c = 0; c < kJoint; c++) row[c] += weight * joint[c];
  }
}

template <class S> AVATAR_INLINE S inverse_length(const S* q) {
  const S squared = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
  return squared > S(1e-24) ? 1 / std::sqrt(squared) : S(0);
}

template <class S> bool has_joints(const SkinScene<S>& scene) {
  bool is_outside = false;
  for (int64_t i = 0; i < scene.num_points * scene.num_influences; i++) {
    is_outside |= scene.ids[i] < 0 || scene.ids[i] >= scene.num_joints;
  }
  return !is_outside;
}

// Returns 1 where an id names no joint.
template <class S> int64_t skin(const SkinArguments<S>& out) {
  const SkinScene<S>& scene = out.scene;
  if (!has_joints(scene)) return 1;
  avatar_pool::parallel_chunks(scene.num_points, 4096, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      S row[kJoint], *q = row + 12;
      blend_joints(scene, i, row);
      const S* x = scene.points + 3 * i;
      for (int r = 0; r < 3; r++) {
        out.points[3 * i + r] = row[4 * r] * x[0] + row[4 * r + 1] * x[1] + row[4 * r + 2] * x[2] + row[4 * r + 3];
      }
      const S scale = inverse_length(q);
      for (int c = 0; c < 4; c++) q[c] *= scale;
      multiply(q, scene.quats + 4 * i, out.quats + 4 * i);
      rotate(q, scene.normals + 3 * i, out.normals + 3 * i);
    }
  });
  return 0;
}

// Gradients of points and quaternions (normals pass none) to the inputs; `joints` is written, not added to.
template <class S> int64_t skin_backward(const SkinGradientArguments<S>& g) {
  const SkinScene<S>& scene = g.scene;
  Buffer<S> storage;
  const int64_t size = kJoint * scene.num_joints, grain = (scene.num_points + kSkinChunks - 1) / kSkinChunks;
  S* partials = storage.reserve(kSkinChunks * size);
  std::fill(partials, partials + kSkinChunks * size, S(0));
  avatar_pool::parallel_chunks(scene.num_points, std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end, int chunk) {
    S* v_joints = partials + chunk * size;
    for (int64_t i = begin; i < end; i++) {
      S row[kJoint], *q = row + 12;
      blend_joints(scene, i, row);
      const S scale = inverse_length(q);
      for (int c = 0; c < 4; c++) q[c] *= scale;
      const S *x = scene.points + 3 * i, *local = scene.quats + 4 * i;
      const S *v_x = g.out_points + 3 * i, *v_q = g.out_quats + 4 * i;
      S v_row[kJoint], v_unit[4];
      for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) v_row[4 * r + c] = v_x[r] * x[c];
        v_row[4 * r + 3] = v_x[r];
        g.points[3 * i + r] = row[r] * v_x[0] + row[4 + r] * v_x[1] + row[8 + r] * v_x[2];
      }
      const S inverse[4] = {q[0], -q[1], -q[2], -q[3]}, local_inverse[4] = {local[0], -local[1], -local[2], -local[3]};
      multiply(inverse, v_q, g.quats + 4 * i);
      multiply(v_q, local_inverse, v_unit);
      const S along = v_unit[0] * q[0] + v_unit[1] * q[1] + v_unit[2] * q[2] + v_unit[3] * q[3];
      for (int c = 0; c < 4; c++) v_row[12 + c] = (v_unit[c] - along * q[c]) * scale;
      for (int64_t k = 0; k < scene.num_influences; k++) {
        const S weight = scene.weights[i * scene.num_influences + k];
        S* joint = v_joints + kJoint * scene.ids[i * scene.num_influences + k];
        for (int c = 0; c < kJoint; c++) joint[c] += weight * v_row[c];
      }
    }
  });
  std::fill(g.joints, g.joints + size, S(0));
  for (int chunk = 0; chunk < kSkinChunks; chunk++) {
    for (int64_t c = 0; c < size; c++) g.joints[c] += partials[chunk * size + c];
  }
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(skin, SkinArguments)
AVATAR_EXPORT(skin_backward, SkinGradientArguments)
