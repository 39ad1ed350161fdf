// Products with the derivative of (2 points - 1, features of a hash grid) by the points, which `hash_encode` has written.
#include <algorithm>

#include "hash_grid.h"
#include "kernel.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct HashJacobianArguments {
  int64_t num_points, num_levels, num_features;  // of a level
  const S* jacobian;  // levels n / 16 features 3 16
  S *rows, *vectors;  // n (3 + levels features); n 3: one is given, the other is found
};

namespace {

constexpr int64_t kProductGrain = 2048;

// f(first point, how many there are, derivatives(column): of one feature) for blocks of points.
template <class S, class F> void for_each_block(const HashJacobianArguments<S>& a, F&& f) {
  const int64_t level_size = 3 * a.num_features * padded(a.num_points);
  avatar_pool::parallel_chunks(a.num_points, kProductGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i += kLanes) {
      f(i, std::min<int64_t>(kLanes, end - i), [&](int64_t column) {
        return a.jacobian + column / a.num_features * level_size + 3 * (a.num_features * i + column % a.num_features * kLanes);
      });
    }
  });
}

// Vectors at points to what they change in the rows: J v.
template <class S> int64_t hash_push_forward(const HashJacobianArguments<S>& a) {
  const int64_t columns = a.num_levels * a.num_features, length = 3 + columns;
  for_each_block(a, [&](int64_t first, int64_t count, auto&& derivatives) {
    Vec<S> v[3] = {};
    for (int64_t k = 0; k < count; k++) {
      for (int c = 0; c < 3; c++) {
        const S component = a.vectors[3 * (first + k) + c];
        v[c].set_lane(k, component);
        a.rows[length * (first + k) + c] = 2 * component;
      }
    }
    for (int64_t e = 0; e < columns; e++) {
      const S* d = derivatives(e);
      alignas(64) S lanes[kLanes];
      (v[0] * Vec<S>::load(d) + v[1] * Vec<S>::load(d + kLanes) + v[2] * Vec<S>::load(d + 2 * kLanes)).store(lanes);
      for (int64_t k = 0; k < count; k++) a.rows[length * (first + k) + 3 + e] = lanes[k];
    }
  });
  return 0;
}

// Gradients of rows to gradients of points: J^T v.
template <class S> int64_t hash_pull_back(const HashJacobianArguments<S>& a) {
  const int64_t columns = a.num_levels * a.num_features, length = 3 + columns;
  for_each_block(a, [&](int64_t first, int64_t count, auto&& derivatives) {
    Vec<S> sums[3] = {};
    for (int64_t e = 0; e < columns; e++) {
      const S* d = derivatives(e);
      alignas(64) S lanes[kLanes] = {};
      for (int64_t k = 0; k < count; k++) lanes[k] = a.rows[length * (first + k) + 3 + e];
      for (int c = 0; c < 3; c++) sums[c] += Vec<S>::load(lanes) * Vec<S>::load(d + c * kLanes);
    }
    for (int64_t k = 0; k < count; k++) {
      for (int c = 0; c < 3; c++) a.vectors[3 * (first + k) + c] = 2 * a.rows[length * (first + k) + c] + sums[c].lane(k);
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(hash_push_forward, HashJacobianArguments)
AVATAR_EXPORT(hash_pull_back, HashJacobianArguments)
