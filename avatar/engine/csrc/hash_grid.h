// Where sixteen points lie on one level of a hash grid, and the trilinear weights of their corners with two derivatives.
#pragma once
#include "simd.h"

namespace AVATAR_ISA {

constexpr int kCorners = 8;  // bit 0 is x, bit 1 is y, bit 2 is z

struct HashLevel {
  double scale;
  int64_t resolution, first_row, num_rows, is_hashed;
};

template <class S> struct HashScene {
  int64_t num_points, num_levels, num_features, is_smooth;
  const HashLevel* levels;
  const S *points, *directions;  // n 3 each; with directions everything is the derivative along them
  const S* table;                // rows features
};

// The two factors of an axis, for the lower and the upper corner, or their first or second derivative by the position.
template <class S> struct AxisFactors {
  Vec<S> lower, upper;
};

template <class S> struct HashBlock {
  uint32_t rows[kCorners][kLanes];
  AxisFactors<S> factors[3][3];  // axis, order of the derivative
  Vec<S> directions[3];
};

namespace {

// Lanes past the last point repeat it.
template <class S> AVATAR_INLINE Vec<S> load_axis(const S* points, int64_t first, int64_t count, int axis) {
  S lanes[kLanes];
  if (first + kLanes <= count) {
    for (int k = 0; k < kLanes; k++) lanes[k] = points[3 * (first + k) + axis];
  } else {
    for (int k = 0; k < kLanes; k++) lanes[k] = points[3 * (first + k < count ? first + k : count - 1) + axis];
  }
  return Vec<S>::load(lanes);
}

// Cells of one axis and its factors. Positions are clamped to [0, 1], where no gradient flows; NaN keeps to its own point.
template <class S>
AVATAR_INLINE void locate_axis(const Vec<S>& x, S scale, bool is_smooth, uint32_t* cells, AxisFactors<S>* factors) {
  const Vec<S> zero = splat<S>(0), one = splat<S>(1);
  const Mask<S> is_number = less_equal(x, x), is_inside = greater_equal(x, S(0)) & less_equal(x, S(1));
  const Vec<S> position = vmin(select(greater_equal(x, S(0)), x, zero), one) * scale + S(0.5);
  S lanes[kLanes], floors[kLanes];
  position.store(lanes);
  for (int k = 0; k < kLanes; k++) {
    cells[k] = static_cast<uint32_t>(static_cast<int32_t>(lanes[k]));  // positive, so that it rounds down
    floors[k] = static_cast<S>(static_cast<int32_t>(cells[k]));
  }
  const Vec<S> f = select(is_number, position - Vec<S>::load(floors), x);
  const Vec<S> slope = select(is_inside, splat<S>(scale), zero);
  Vec<S> value = f, first = slope, second = zero;
  if (is_smooth) {
    value = f * f * (S(3) - S(2) * f);
    first = S(6) * f * (S(1) - f) * slope;
    second = (S(6) - S(12) * f) * slope * slope;
  }
  factors[0] = {S(1) - value, value};
  factors[1] = {-first, first};
  factors[2] = {-second, second};
}

AVATAR_INLINE void hash_rows(const uint32_t cells[3][kLanes], const HashLevel& level, uint32_t rows[kCorners][kLanes]) {
  const uint32_t mask = static_cast<uint32_t>(level.num_rows) - 1, ky = 2654435761u, kz = 805459861u;
  for (int c = 0; c < kCorners; c++) {
    const uint32_t dx = c & 1, dy = c >> 1 & 1, dz = c >> 2;
    for (int k = 0; k < kLanes; k++) {
      rows[c][k] = ((cells[0][k] + dx) ^ (cells[1][k] + dy) * ky ^ (cells[2][k] + dz) * kz) & mask;
    }
  }
}

// The offset of half a cell lets the last corners run over the end of a dense level: they wrap to its beginning.
AVATAR_INLINE void dense_rows(const uint32_t cells[3][kLanes], const HashLevel& level, uint32_t rows[kCorners][kLanes]) {
  const uint32_t sy = static_cast<uint32_t>(level.resolution), sz = sy * sy, size = static_cast<uint32_t>(level.num_rows);
  for (int c = 0; c < kCorners; c++) {
    const uint32_t offset = (c & 1) + (c >> 1 & 1) * sy + (c >> 2) * sz;
    for (int k = 0; k < kLanes; k++) {
      const uint32_t row = cells[0][k] + cells[1][k] * sy + cells[2][k] * sz + offset, wrapped = row - size;
      rows[c][k] = row < wrapped ? row : wrapped;
    }
  }
}

template <class S>
AVATAR_INLINE void locate(const HashScene<S>& scene, const HashLevel& level, int64_t first, HashBlock<S>& block) {
  uint32_t cells[3][kLanes];
  for (int a = 0; a < 3; a++) {
    const Vec<S> x = load_axis(scene.points, first, scene.num_points, a);
    locate_axis<S>(x, static_cast<S>(level.scale), scene.is_smooth, cells[a], block.factors[a]);
    if (scene.directions) block.directions[a] = load_axis(scene.directions, first, scene.num_points, a);
  }
  if (level.is_hashed) {
    hash_rows(cells, level, block.rows);
  } else {
    dense_rows(cells, level, block.rows);
  }
}

// Sum over the corners of value times weight, with the weight differentiated orders[axis] times along each axis.
template <class S>
AVATAR_INLINE Vec<S> contract(const HashBlock<S>& block, const Vec<S>* values, int order_x, int order_y, int order_z) {
  const AxisFactors<S>&x = block.factors[0][order_x], &y = block.factors[1][order_y], &z = block.factors[2][order_z];
  Vec<S> faces[2];
  for (int upper = 0; upper < 2; upper++) {
    const Vec<S>* v = values + 4 * upper;
    faces[upper] = (v[0] * x.lower + v[1] * x.upper) * y.lower + (v[2] * x.lower + v[3] * x.upper) * y.upper;
  }
  return faces[0] * z.lower + faces[1] * z.upper;
}

// Weights of the corners; with directions, their derivative along them.
template <class S>
AVATAR_INLINE void corner_weights(const HashBlock<S>& block, bool is_directional, S weights[kCorners][kLanes]) {
  const auto product = [&](int c, int order_x, int order_y, int order_z) {
    const AxisFactors<S>&x = block.factors[0][order_x], &y = block.factors[1][order_y], &z = block.factors[2][order_z];
    return (c & 1 ? x.upper : x.lower) * (c >> 1 & 1 ? y.upper : y.lower) * (c >> 2 ? z.upper : z.lower);
  };
  for (int c = 0; c < kCorners; c++) {
    Vec<S> weight;
    if (is_directional) {
      weight = block.directions[0] * product(c, 1, 0, 0) + block.directions[1] * product(c, 0, 1, 0) +
               block.directions[2] * product(c, 0, 0, 1);
    } else {
      weight = product(c, 0, 0, 0);
    }
    weight.store(weights[c]);
  }
}

// Gradient by the position of the sum over corners of value times weight; with directions, of its derivative along them.
template <class S>
AVATAR_INLINE void differentiate(const HashBlock<S>& block, const S corners[kCorners][kLanes], bool is_directional,
                                 S gradient[3][kLanes]) {
  Vec<S> values[kCorners];
  for (int c = 0; c < kCorners; c++) values[c] = Vec<S>::load(corners[c]);
  for (int a = 0; a < 3; a++) {
    Vec<S> total = splat<S>(0);
    if (is_directional) {
      for (int b = 0; b < 3; b++) {
        int orders[3] = {};
        orders[a]++;
        orders[b]++;
        total += block.directions[b] * contract(block, values, orders[0], orders[1], orders[2]);
      }
    } else {
      total = contract(block, values, a == 0, a == 1, a == 2);
    }
    total.store(gradient[a]);
  }
}

}  // namespace
}  // namespace AVATAR_ISA
