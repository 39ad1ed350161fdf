// Where sixteen points lie on one level of a hash grid, and the trilinear weights of their corners with two derivatives.
#pragma once
#include "simd.h"

namespace AVATAR_ISA {

inline int64_t padded(int64_t points) { return (points + kLanes - 1) / kLanes * kLanes; }

constexpr int kCorners = 8;  // bit 0 is x, bit 1 is y, bit 2 is z

struct HashLevel {
  double scale;
  int64_t resolution, first_row, num_rows, is_hashed;
};

template <class S> struct HashScene {
  int64_t num_points, num_levels, num_features, is_smooth, row_length;  // of a point's features and what may be around them
  const HashLevel* levels;
  const S *points, *directions;  // n 3 each; with directions everything is the derivative along them
  const S* table;                // rows features
};

// An axis gives its upper corner the weight `value` and its lower one the rest; two derivatives by the position.
template <class S> struct HashBlock {
  uint32_t rows[kCorners][kLanes];
  Vec<S> value[3], slope[3], curvature[3];
};

namespace {

// Positions are clamped to [0, 1], where no gradient flows; NaN keeps to its own point.
template <class S>
AVATAR_INLINE void locate_axis(const Vec<S>& x, S scale, bool is_smooth, int axis, uint32_t* cells, HashBlock<S>& block) {
  const Vec<S> zero = splat<S>(0);
  const Mask<S> is_inside = greater_equal(x, S(0)) & less_equal(x, S(1));
  const Vec<S> position = vmin(select(greater_equal(x, S(0)), x, zero), splat<S>(1)) * scale + S(0.5);
  S lanes[kLanes], floors[kLanes];
  position.store(lanes);
  for (int k = 0; k < kLanes; k++) {
    const int32_t cell = static_cast<int32_t>(lanes[k]);  // positive, so that it rounds down
    cells[k] = static_cast<uint32_t>(cell);
    floors[k] = static_cast<S>(cell);
  }
  const Vec<S> f = select(less_equal(x, x), position - Vec<S>::load(floors), x);
  const Vec<S> slope = select(is_inside, splat<S>(scale), zero);
  block.value[axis] = f;
  block.slope[axis] = slope;
  block.curvature[axis] = zero;
  if (is_smooth) {
    block.value[axis] = f * f * (S(3) - S(2) * f);
    block.slope[axis] = S(6) * f * (S(1) - f) * slope;
    block.curvature[axis] = (S(6) - S(12) * f) * slope * slope;
  }
}

AVATAR_INLINE void hash_rows(const uint32_t cells[3][kLanes], const HashLevel& level, uint32_t rows[kCorners][kLanes]) {
  const uint32_t mask = static_cast<uint32_t>(level.num_rows) - 1, ky = 2654435761u, kz = 805459861u;
  for (int k = 0; k < kLanes; k++) {
    const uint32_t x = cells[0][k], y = cells[1][k] * ky, z = cells[2][k] * kz;
    AVATAR_UNROLL for (int c = 0; c < kCorners; c++) {
      rows[c][k] = ((x + (c & 1)) ^ (y + (c >> 1 & 1) * ky) ^ (z + (c >> 2) * kz)) & mask;
    }
  }
}

// The offset of half a cell lets the last corners run over the end of a dense level: they wrap to its beginning.
AVATAR_INLINE void dense_rows(const uint32_t cells[3][kLanes], const HashLevel& level, uint32_t rows[kCorners][kLanes]) {
  const uint32_t sy = static_cast<uint32_t>(level.resolution), sz = sy * sy, size = static_cast<uint32_t>(level.num_rows);
  for (int k = 0; k < kLanes; k++) {
    const uint32_t lowest = cells[0][k] + cells[1][k] * sy + cells[2][k] * sz;
    AVATAR_UNROLL for (int c = 0; c < kCorners; c++) {
      const uint32_t row = lowest + (c & 1) + (c >> 1 & 1) * sy + (c >> 2) * sz, wrapped = row - size;
      rows[c][k] = row < wrapped ? row : wrapped;
    }
  }
}

template <class S>
AVATAR_INLINE void locate(const Vec<S>* points, const HashLevel& level, bool is_smooth, HashBlock<S>& block) {
  uint32_t cells[3][kLanes];
  AVATAR_UNROLL for (int a = 0; a < 3; a++) {
    locate_axis<S>(points[a], static_cast<S>(level.scale), is_smooth, a, cells[a], block);
  }
  if (level.is_hashed) {
    hash_rows(cells, level, block.rows);
  } else {
    dense_rows(cells, level, block.rows);
  }
}

// Weights of the corners.
template <class S> AVATAR_INLINE void weigh(const HashBlock<S>& block, S weights[kCorners][kLanes]) {
  const Vec<S> one = splat<S>(1), &x = block.value[0], &y = block.value[1], &z = block.value[2];
  const Vec<S> xy[4] = {(one - x) * (one - y), x * (one - y), (one - x) * y, x * y};
  AVATAR_UNROLL for (int c = 0; c < 4; c++) {
    (xy[c] * (one - z)).store(weights[c]);
    (xy[c] * z).store(weights[c + 4]);
  }
}

// Their derivative along directions.
template <class S>
AVATAR_INLINE void weigh_along(const HashBlock<S>& block, const Vec<S>* directions, S weights[kCorners][kLanes]) {
  const Vec<S> one = splat<S>(1), &x = block.value[0], &y = block.value[1], &z = block.value[2];
  const Vec<S> dx = directions[0] * block.slope[0], dy = directions[1] * block.slope[1], dz = directions[2] * block.slope[2];
  const Vec<S> xy[4] = {(one - x) * (one - y), x * (one - y), (one - x) * y, x * y};
  const Vec<S> moved[4] = {-dx * (one - y) - (one - x) * dy, dx * (one - y) - x * dy, (one - x) * dy - dx * y,
                           dx * y + x * dy};
  AVATAR_UNROLL for (int c = 0; c < 4; c++) {
    (moved[c] * (one - z) - xy[c] * dz).store(weights[c]);
    (moved[c] * z + xy[c] * dz).store(weights[c + 4]);
  }
}

// Sum over the corners of value times weight, with the weight differentiated orders[axis] times along each axis.
template <class S>
AVATAR_INLINE Vec<S> contract(const HashBlock<S>& block, const Vec<S>* values, const int* orders) {
  const auto along = [&](int axis, const Vec<S>& lower, const Vec<S>& upper) {
    const Vec<S> step = upper - lower;
    if (orders[axis] == 0) return lower + block.value[axis] * step;
    return (orders[axis] == 1 ? block.slope[axis] : block.curvature[axis]) * step;
  };
  Vec<S> faces[2];
  AVATAR_UNROLL for (int z = 0; z < 2; z++) {
    const Vec<S>* v = values + 4 * z;
    faces[z] = along(1, along(0, v[0], v[1]), along(0, v[2], v[3]));
  }
  return along(2, faces[0], faces[1]);
}

// Gradient by the position of the sum over the corners of value times weight.
template <class S>
AVATAR_INLINE void differentiate(const HashBlock<S>& block, const Vec<S>* values, Vec<S>* gradient) {
  AVATAR_UNROLL for (int a = 0; a < 3; a++) {
    const int orders[3] = {a == 0, a == 1, a == 2};
    gradient[a] = contract(block, values, orders);
  }
}

// Gradient of its derivative along directions.
template <class S>
AVATAR_INLINE void differentiate_along(const HashBlock<S>& block, const Vec<S>* directions, const Vec<S>* values,
                                       Vec<S>* gradient) {
  AVATAR_UNROLL for (int a = 0; a < 3; a++) {
    gradient[a] = splat<S>(0);
    AVATAR_UNROLL for (int b = 0; b < 3; b++) {
      const int orders[3] = {(a == 0) + (b == 0), (a == 1) + (b == 1), (a == 2) + (b == 2)};
      gradient[a] += directions[b] * contract(block, values, orders);
    }
  }
}

}  // namespace
}  // namespace AVATAR_ISA
