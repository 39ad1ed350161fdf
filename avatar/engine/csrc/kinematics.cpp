// Forward kinematics of a tree of joints, parents before children, and its gradient.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "quat.h"

namespace AVATAR_ISA {

template <class S> struct KinematicsScene {
  int64_t batch, joints;
  const int64_t* parents;        // j, -1 for the root
  const S *joints_rest, *quats;  // j 3, batch j 4
};

template <class S> struct KinematicsArguments {
  KinematicsScene<S> scene;
  const S* roots;  // batch 3
  S* posed;        // batch j 4 4
};

template <class S> struct KinematicsGradientArguments {
  KinematicsScene<S> scene;
  const S *posed, *v_posed;
  S *joints_rest, *quats, *roots;  // the first for every element of the batch
};

namespace {

// Rotations of the joints in the world stay where the result has them: rows of four, the last column the translation.
template <class S> int64_t kinematics(const KinematicsArguments<S>& a) {
  const KinematicsScene<S>& scene = a.scene;
  avatar_pool::parallel_chunks(scene.batch, 8, [&](int64_t begin, int64_t end, int) {
    static thread_local Buffer<S> storage;
    S* heads = storage.reserve(3 * scene.joints);
    for (int64_t b = begin; b < end; b++) {
      const S* rest = scene.joints_rest;
      for (int64_t j = 0; j < scene.joints; j++) {
        const int64_t parent = scene.parents[j];
        S local[9], *out = a.posed + 16 * (b * scene.joints + j), *head = heads + 3 * j;
        matrix_from_unit_quat(scene.quats + 4 * (b * scene.joints + j), local);
        const S* above = a.posed + 16 * (b * scene.joints + std::max<int64_t>(parent, 0));
        for (int r = 0; r < 3; r++) {
          head[r] = parent < 0 ? a.roots[3 * b + r] : heads[3 * parent + r];
          for (int k = 0; parent >= 0 && k < 3; k++) head[r] += above[4 * r + k] * (rest[3 * j + k] - rest[3 * parent + k]);
          for (int c = 0; c < 3; c++) {
            out[4 * r + c] = parent < 0 ? local[3 * r + c]
                                        : above[4 * r] * local[c] + above[4 * r + 1] * local[3 + c] + above[4 * r + 2] * local[6 + c];
          }
        }
        for (int r = 0; r < 3; r++) {
          out[4 * r + 3] = head[r];
          for (int k = 0; k < 3; k++) out[4 * r + 3] -= out[4 * r + k] * rest[3 * j + k];
          out[12 + r] = 0;
        }
        out[15] = 1;
      }
    }
  });
  return 0;
}

// One element of the batch: joints in reverse, each handing what it has gathered to its parent. With G the rotation of a
// joint, h its head and r its place at rest, the translation is h - G r and h = h_parent + G_parent (r - r_parent).
template <class S> void pose_backward(const KinematicsGradientArguments<S>& a, int64_t b, S* v_rotations, S* v_heads) {
  const KinematicsScene<S>& scene = a.scene;
  const int64_t first = b * scene.joints;
  const S* rest = scene.joints_rest;
  std::fill(a.joints_rest + 3 * first, a.joints_rest + 3 * (first + scene.joints), S(0));
  for (int64_t j = 0; j < scene.joints; j++) {
    const S* v = a.v_posed + 16 * (first + j);
    for (int r = 0; r < 3; r++) {
      v_heads[3 * j + r] = v[4 * r + 3];
      for (int c = 0; c < 3; c++) v_rotations[9 * j + 3 * r + c] = v[4 * r + c] - v[4 * r + 3] * rest[3 * j + c];
    }
  }
  for (int64_t j = scene.joints - 1; j >= 0; j--) {
    const int64_t parent = scene.parents[j];
    const S *v_head = v_heads + 3 * j, *v_rotation = v_rotations + 9 * j, *posed = a.posed + 16 * (first + j);
    const S* v_translation = a.v_posed + 16 * (first + j) + 3;
    S local[9], v_local[9], *v_rest = a.joints_rest + 3 * (first + j);
    matrix_from_unit_quat(scene.quats + 4 * (first + j), local);
    for (int k = 0; k < 3; k++) {
      for (int r = 0; r < 3; r++) v_rest[k] -= posed[4 * r + k] * v_translation[4 * r];
    }
    if (parent < 0) {
      std::copy_n(v_rotation, 9, v_local);
      std::copy_n(v_head, 3, a.roots + 3 * b);
    } else {
      const S* above = a.posed + 16 * (first + parent);
      S *v_above = v_rotations + 9 * parent, *v_rest_above = a.joints_rest + 3 * (first + parent);
      for (int r = 0; r < 3; r++) {
        v_heads[3 * parent + r] += v_head[r];
        for (int k = 0; k < 3; k++) {
          v_above[3 * r + k] += v_head[r] * (rest[3 * j + k] - rest[3 * parent + k]);
          for (int c = 0; c < 3; c++) v_above[3 * r + k] += v_rotation[3 * r + c] * local[3 * k + c];
          v_rest[k] += above[4 * r + k] * v_head[r], v_rest_above[k] -= above[4 * r + k] * v_head[r];
          v_local[3 * r + k] = above[r] * v_rotation[k] + above[4 + r] * v_rotation[3 + k] + above[8 + r] * v_rotation[6 + k];
        }
      }
    }
    matrix_gradient(scene.quats + 4 * (first + j), v_local, a.quats + 4 * (first + j));
  }
}

template <class S> int64_t kinematics_backward(const KinematicsGradientArguments<S>& a) {
  avatar_pool::parallel_chunks(a.scene.batch, 8, [&](int64_t begin, int64_t end, int) {
    static thread_local Buffer<S> storage;
    S* scratch = storage.reserve(12 * a.scene.joints);
    for (int64_t b = begin; b < end; b++) pose_backward(a, b, scratch, scratch + 9 * a.scene.joints);
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(kinematics, KinematicsArguments)
AVATAR_EXPORT(kinematics_backward, KinematicsGradientArguments)
