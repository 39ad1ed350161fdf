// Points, and the rotations and normals that they carry, moved by the means of their joints: linear blend skinning, dual
// quaternions (Kavan et al. 2008), or part of the way between; sixteen points at a time, and the gradients.
#include <algorithm>
#include <atomic>

#include "buffer.h"
#include "pool.h"
#include "quat.h"
#include "rows.h"

namespace AVATAR_ISA {

template <class S> struct SkinScene {
  int64_t num_points, num_joints, num_influences;
  const S *points, *quats, *normals, *linear;  // n 3; n 4, n 3, n 3 3 or null
  const int32_t* ids;                 // n k
  const S* weights;                   // n k
  const S* joints;                    // j 16: rows of the 3 x 4 transform, then a unit quaternion
  const S* dqs_fractions;             // n, or null: the next is that of all points
  double dqs_fraction;
  int64_t covariance;  // one of Covariance
  bool is_linear() const { return dqs_fractions || dqs_fraction < 1; }
  bool is_dual() const { return dqs_fractions || dqs_fraction > 0; }
};

// Whether the rotations are turned, or what came before followed by the turn, or by the whole derivative of the motion.
enum Covariance { kTurnsQuats, kTurnsLinear, kDerivative };

template <class S> struct SkinArguments {
  SkinScene<S> scene;
  S *points, *quats, *normals, *linear;
};

template <class S> struct SkinGradientArguments {
  SkinScene<S> scene;
  const S *out_points, *out_quats, *out_linear;                   // each may be null
  S *points, *quats, *linear, *joints, *weights, *dqs_fractions;  // all but `points` may be null
};

namespace {

constexpr int kRow = 16, kTurn = 12, kDual = 8;  // a joint's transform and quaternion; or its dual quaternion, then zeros
constexpr int kSkinChunks = 16;                  // fixed: sums over points do not depend on the number of threads
constexpr int64_t kSkinGrain = 4096;
constexpr int32_t kInTurn[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Up to sixteen points in a row; those that are missing read as the last one.
struct Block {
  int64_t begin;
  int count;
  int32_t ids[kLanes];
  Block(int64_t begin, int64_t end) : begin(begin), count(static_cast<int>(std::min<int64_t>(kLanes, end - begin))) {
    for (int k = 0; k < kLanes; k++) ids[k] = std::min(k, count - 1);
  }
  template <class T> AVATAR_INLINE Rows<T> rows(T* table, int64_t width) const { return {table + begin * width, ids, width}; }
};

template <class S> AVATAR_INLINE Quat<S> translation_of(const S* joint) { return pure(joint[3], joint[7], joint[11]); }

// For every joint its quaternion q and (0, t) q, twice the dual part.
template <class S> void fill_dual_rows(const SkinScene<S>& scene, S* rows) {
  std::fill(rows, rows + kRow * scene.num_joints, S(0));
  for (int64_t j = 0; j < scene.num_joints; j++) {
    const S* joint = scene.joints + kRow * j;
    const Quat<S> turn = quat_at(joint + kTurn), dual = translation_of(joint) * turn;
    memcpy(rows + kRow * j, &turn, sizeof(turn));
    memcpy(rows + kRow * j + 4, &dual, sizeof(dual));
  }
}

// The weighted means of the joints' rows.
template <int kWidth, class S>
AVATAR_INLINE void blend(const SkinScene<S>& scene, const S* table, const Block& block, Vec<S>* columns) {
  alignas(64) S rows[kLanes * kRow];
  for (int i = 0; i < block.count; i++) {
    const int64_t first = (block.begin + i) * scene.num_influences;
    Vec<S> row = splat<S>(0);
    for (int64_t k = first; k < first + scene.num_influences; k++) {
      row += scene.weights[k] * Vec<S>::load(table + kRow * scene.ids[k]);
    }
    row.store(rows + kRow * i);
  }
  AVATAR_UNROLL for (int c = 0; c < kWidth; c += 4) load_columns<4>(Rows<const S>{rows, block.ids, kRow}, c, columns + c);
}

template <class T> AVATAR_INLINE void multiply(const T* a, const T* b, T* out) {
  for (int i = 0; i < 9; i++) out[i] = a[i / 3 * 3] * b[i % 3] + a[i / 3 * 3 + 1] * b[3 + i % 3] + a[i / 3 * 3 + 2] * b[6 + i % 3];
}
template <class T> AVATAR_INLINE void transpose(const T* a, T* out) {
  for (int i = 0; i < 9; i++) out[i] = a[i % 3 * 3 + i / 3];
}

// How sixteen points move.
template <class S> struct Motion {
  Vec<S> affine[kRow], scale, fraction;
  Quat<Vec<S>> turn, dual{};  // of the unit dual quaternion, the second part twice as long; zero without one

  AVATAR_INLINE Motion(const SkinScene<S>& scene, const S* dual_rows, const Block& block, bool has_turn) {
    Vec<S> mean[kDual];
    fraction = splat<S>(S(scene.dqs_fraction));
    for (int k = 0; k < kLanes && scene.dqs_fractions; k++) fraction.set_lane(k, scene.dqs_fractions[block.begin + block.ids[k]]);
    if (scene.is_linear()) blend<kRow>(scene, scene.joints, block, affine);
    if (scene.is_dual()) blend<kDual>(scene, dual_rows, block, mean);
    if (!scene.is_dual() && !has_turn) return;
    const Quat<Vec<S>> sum = quat_at(scene.is_dual() ? mean : affine + kTurn);
    const Vec<S> squared = dot(sum, sum);
    scale = select(greater(squared, S(1e-24)), S(1) / vsqrt(squared), splat<S>(0));
    turn = scaled(sum, scale);
    if (scene.is_dual()) dual = scaled(quat_at(mean + 4), scale);
  }
  AVATAR_INLINE void move_linearly(const Vec<S>* x, Vec<S>* out) const {
    for (int r = 0; r < 3; r++) out[r] = affine[4 * r] * x[0] + affine[4 * r + 1] * x[1] + affine[4 * r + 2] * x[2] + affine[4 * r + 3];
  }
  AVATAR_INLINE void move_rigidly(const Vec<S>* x, Vec<S>* out) const {
    const Quat<Vec<S>> shift = dual * conjugate(turn);
    rotate(turn, x, out);
    out[0] += shift.x, out[1] += shift.y, out[2] += shift.z;
  }
};

// The derivative of the motion by the point, the weights held: the mean of the matrices, the turn, or the mix of both.
template <class S> struct Derivative {
  Vec<S> turn[9] = {}, total[9];
  bool is_turned, is_mixed;

  AVATAR_INLINE Derivative(const SkinScene<S>& scene, const Motion<S>& motion)
      : is_turned(scene.is_dual() || scene.covariance == kTurnsLinear), is_mixed(scene.is_linear() && scene.covariance == kDerivative) {
    if (is_turned) matrix_from_unit_quat(&motion.turn.w, turn);
    for (int i = 0; i < 9; i++) {
      const Vec<S>& stretch = motion.affine[i + i / 3];
      total[i] = !is_mixed ? turn[i] : is_turned ? stretch + motion.fraction * (turn[i] - stretch) : stretch;
    }
  }
};

template <class S> void skin_block(const SkinArguments<S>& out, const S* dual_rows, const Block& block) {
  const SkinScene<S>& scene = out.scene;
  const Motion<S> motion(scene, dual_rows, block, scene.quats || scene.normals || out.linear);
  Vec<S> x[3], y[3], z[3];
  load_columns<3>(block.rows(scene.points, 3), 0, x);
  if (scene.is_linear()) motion.move_linearly(x, y);
  if (scene.is_dual()) motion.move_rigidly(x, z);
  for (int c = 0; c < 3 && scene.is_dual(); c++) y[c] = scene.is_linear() ? y[c] + motion.fraction * (z[c] - y[c]) : z[c];
  store_columns<3>(block.rows(out.points, 3), block.count, 0, y);
  if (scene.quats) {
    Vec<S> q[4];
    load_columns<4>(block.rows(scene.quats, 4), 0, q);
    const Quat<Vec<S>> turned = motion.turn * quat_at(q);
    store_columns<4>(block.rows(out.quats, 4), block.count, 0, &turned.w);
  }
  if (out.linear) {
    Vec<S> before[9], after[9];
    const Derivative<S> derivative(scene, motion);
    for (int k = 0; k < 9 && scene.linear; k += 3) load_columns<3>(block.rows(scene.linear, 9), k, before + k);
    if (scene.linear) multiply(derivative.total, before, after);
    for (int k = 0; k < 9; k += 3) store_columns<3>(block.rows(out.linear, 9), block.count, k, (scene.linear ? after : derivative.total) + k);
  }
  if (scene.normals) {
    load_columns<3>(block.rows(scene.normals, 3), 0, x);
    rotate(motion.turn, x, y);
    store_columns<3>(block.rows(out.normals, 3), block.count, 0, y);
  }
}

template <class S> bool has_joints(const SkinScene<S>& scene, int64_t begin, int64_t end) {
  bool is_outside = false;
  for (int64_t i = begin * scene.num_influences; i < end * scene.num_influences; i++) {
    is_outside |= scene.ids[i] < 0 || scene.ids[i] >= scene.num_joints;
  }
  return !is_outside;
}

// Returns 1 where an id names no joint.
template <class S> int64_t skin(const SkinArguments<S>& out) {
  const SkinScene<S>& scene = out.scene;
  static thread_local Buffer<S> storage;
  S* dual_rows = storage.reserve(kRow * scene.num_joints);
  if (scene.is_dual()) fill_dual_rows(scene, dual_rows);
  std::atomic<bool> is_outside{false};
  avatar_pool::parallel_chunks(scene.num_points, kSkinGrain, [&](int64_t begin, int64_t end, int) {
    if (!has_joints(scene, begin, end)) {
      is_outside = true;
      return;
    }
    for (int64_t i = begin; i < end; i += kLanes) skin_block(out, dual_rows, Block(i, end));
  });
  return is_outside;
}

// Gradients of points and quaternions (normals pass none) to the inputs.
template <class S> class SkinGradient {
 public:
  SkinGradient(const SkinGradientArguments<S>& arguments, const S* dual_rows)
      : g_(arguments), scene_(arguments.scene), dual_rows_(dual_rows), size_(kRow * arguments.scene.num_joints),
        has_turn_(arguments.out_quats || (arguments.out_linear && arguments.scene.covariance == kTurnsLinear)) {}
  int64_t size() const { return 2 * size_; }  // of `sums`: the gradients of both kinds of rows

  void add_block(const Block& block, S* sums) const {
    const Motion<S> motion(scene_, dual_rows_, block, has_turn_);
    Vec<S> x[3], v_y[3] = {}, v_x[3] = {}, v_affine[kRow] = {};
    Quat<Vec<S>> v_turn{}, v_dual{};
    load_columns<3>(block.rows(scene_.points, 3), 0, x);
    if (g_.out_points) load_columns<3>(block.rows(g_.out_points, 3), 0, v_y);
    if (scene_.is_linear()) add_linear(motion, x, v_y, v_affine, v_x);
    if (scene_.is_dual()) add_dual(motion, x, v_y, &v_turn, &v_dual, v_x);
    Vec<S> v_fraction = g_.dqs_fractions ? fraction_gradient(motion, x, v_y) : splat<S>(0);
    if (g_.out_linear) add_derivative(motion, block, v_affine, &v_turn, &v_fraction);
    if (!g_.out_linear && g_.linear) std::fill(g_.linear + 9 * block.begin, g_.linear + 9 * (block.begin + block.count), S(0));
    for (int k = 0; k < block.count && g_.dqs_fractions; k++) g_.dqs_fractions[block.begin + k] = v_fraction.lane(k);
    store_columns<3>(block.rows(g_.points, 3), block.count, 0, v_x);
    if (g_.quats) add_quats(motion, block, &v_turn);
    if (!g_.joints && !g_.weights) return;
    if (scene_.is_dual() || has_turn_) {
      // Back through the division of both parts by the length of the first.
      v_turn = scaled(v_turn - scaled(motion.turn, dot(v_turn, motion.turn) + dot(v_dual, motion.dual)), motion.scale);
      v_dual = scaled(v_dual, motion.scale);
    }
    if (!scene_.is_dual()) memcpy(v_affine + kTurn, &v_turn, sizeof(v_turn));
    if (scene_.is_linear()) scatter<kRow>(block, v_affine, scene_.joints, sums);
    const Vec<S> v_rigid[kDual] = {v_turn.w, v_turn.x, v_turn.y, v_turn.z, v_dual.w, v_dual.x, v_dual.y, v_dual.z};
    if (scene_.is_dual()) scatter<kDual>(block, v_rigid, dual_rows_, sums + size_);
  }

  // From both kinds of rows to the joints.
  void finish(const S* sums) const {
    std::copy(sums, sums + size_, g_.joints);
    for (int64_t row = 0; row < size_ && scene_.is_dual(); row += kRow) {
      const S *joint = scene_.joints + row, *v_rigid = sums + size_ + row;
      S* v_joint = g_.joints + row;
      const Quat<S> v_dual = quat_at(v_rigid + 4), v_shift = v_dual * conjugate(quat_at(joint + kTurn));
      const Quat<S> v_turn = quat_at(v_rigid) - translation_of(joint) * v_dual;
      v_joint[3] += v_shift.x, v_joint[7] += v_shift.y, v_joint[11] += v_shift.z;
      v_joint[kTurn] += v_turn.w, v_joint[kTurn + 1] += v_turn.x, v_joint[kTurn + 2] += v_turn.y, v_joint[kTurn + 3] += v_turn.z;
    }
  }

 private:
  AVATAR_INLINE void add_linear(const Motion<S>& motion, const Vec<S>* x, const Vec<S>* v_y, Vec<S>* v_affine, Vec<S>* v_x) const {
    for (int r = 0; r < 3; r++) {
      const Vec<S> v = v_y[r] * (S(1) - motion.fraction);
      for (int c = 0; c < 3; c++) {
        v_affine[4 * r + c] = v * x[c];
        v_x[c] += v * motion.affine[4 * r + c];
      }
      v_affine[4 * r + 3] = v;
    }
  }
  // Of q x q* + d q*, for unit q, to q, d and x.
  AVATAR_INLINE void add_dual(const Motion<S>& motion, const Vec<S>* x, const Vec<S>* v_y, Quat<Vec<S>>* v_turn,
                              Quat<Vec<S>>* v_dual, Vec<S>* v_x) const {
    Vec<S> v[3], turned[3];
    for (int c = 0; c < 3; c++) v[c] = v_y[c] * motion.fraction;
    const Quat<Vec<S>> out = pure(v[0], v[1], v[2]);
    *v_dual = out * motion.turn;
    *v_turn = scaled(*v_dual * pure(x[0], x[1], x[2]), splat<S>(-2)) - out * motion.dual;
    rotate(conjugate(motion.turn), v, turned);
    for (int c = 0; c < 3; c++) v_x[c] += turned[c];
  }
  AVATAR_INLINE Vec<S> fraction_gradient(const Motion<S>& motion, const Vec<S>* x, const Vec<S>* v_y) const {
    Vec<S> y[3], z[3], total = splat<S>(0);
    motion.move_linearly(x, y), motion.move_rigidly(x, z);
    for (int c = 0; c < 3; c++) total += v_y[c] * (z[c] - y[c]);
    return total;
  }
  AVATAR_INLINE void add_derivative(const Motion<S>& motion, const Block& block, Vec<S>* v_affine, Quat<Vec<S>>* v_turn,
                                    Vec<S>* v_fraction) const {
    const Derivative<S> derivative(scene_, motion);
    Vec<S> v[9], v_turned[9], v_quat[4];
    for (int k = 0; k < 9; k += 3) load_columns<3>(block.rows(g_.out_linear, 9), k, v + k);
    if (scene_.linear) follow(derivative, block, v);
    const bool has_both = derivative.is_turned && derivative.is_mixed;
    for (int i = 0; i < 9; i++) {
      v_turned[i] = has_both ? v[i] * motion.fraction : v[i];
      if (derivative.is_mixed) v_affine[i + i / 3] += v[i] - (has_both ? v_turned[i] : splat<S>(0));
      if (has_both) *v_fraction += v[i] * (derivative.turn[i] - motion.affine[i + i / 3]);
    }
    if (!derivative.is_turned) return;
    matrix_gradient(&motion.turn.w, v_turned, v_quat);
    *v_turn = *v_turn + quat_at(v_quat);
  }
  // From the product of derivative and what came before to both: the latter's is stored, `v` becomes the former's.
  AVATAR_INLINE void follow(const Derivative<S>& derivative, const Block& block, Vec<S>* v) const {
    Vec<S> before[9], flipped[9], product[9];
    for (int k = 0; k < 9; k += 3) load_columns<3>(block.rows(scene_.linear, 9), k, before + k);
    transpose(derivative.total, flipped);
    multiply(flipped, v, product);
    for (int k = 0; k < 9; k += 3) store_columns<3>(block.rows(g_.linear, 9), block.count, k, product + k);
    transpose(before, flipped);
    multiply(v, flipped, product);
    std::copy(product, product + 9, v);
  }
  AVATAR_INLINE void add_quats(const Motion<S>& motion, const Block& block, Quat<Vec<S>>* v_turn) const {
    Vec<S> v[4] = {}, local[4];
    if (g_.out_quats) {
      load_columns<4>(block.rows(g_.out_quats, 4), 0, v);
      load_columns<4>(block.rows(scene_.quats, 4), 0, local);
      const Quat<Vec<S>> out = quat_at(v), before = conjugate(motion.turn) * out;
      *v_turn = *v_turn + out * conjugate(quat_at(local));
      memcpy(v, &before, sizeof(before));
    }
    store_columns<4>(block.rows(g_.quats, 4), block.count, 0, v);
  }
  // The transpose of `blend`, and the gradient of the weights.
  template <int kWidth> AVATAR_INLINE void scatter(const Block& block, const Vec<S>* columns, const S* table, S* sums) const {
    alignas(64) S rows[kLanes * kRow] = {};
    AVATAR_UNROLL for (int c = 0; c < kWidth; c += 4) store_columns<4>(Rows<S>{rows, kInTurn, kRow}, kLanes, c, columns + c);
    for (int i = 0; i < block.count; i++) {
      const int64_t first = (block.begin + i) * scene_.num_influences;
      const Vec<S> row = Vec<S>::load(rows + kRow * i);
      for (int64_t k = first; k < first + scene_.num_influences; k++) {
        S* sum_of_joint = sums + kRow * scene_.ids[k];
        (Vec<S>::load(sum_of_joint) + scene_.weights[k] * row).store(sum_of_joint);
        if (g_.weights) g_.weights[k] += sum(row * Vec<S>::load(table + kRow * scene_.ids[k]));
      }
    }
  }

  const SkinGradientArguments<S>& g_;
  const SkinScene<S>& scene_;
  const S* dual_rows_;
  const int64_t size_;
  const bool has_turn_;  // besides that of dual quaternions
};

template <class S> int64_t skin_backward(const SkinGradientArguments<S>& g) {
  const SkinScene<S>& scene = g.scene;
  static thread_local Buffer<S> storage;
  const int64_t joints_size = kRow * scene.num_joints, blocks = (scene.num_points + kLanes - 1) / kLanes;
  const int64_t grain = std::max<int64_t>((blocks + kSkinChunks - 1) / kSkinChunks, 1) * kLanes;
  S *dual_rows = storage.reserve((1 + 2 * kSkinChunks) * joints_size), *partials = dual_rows + joints_size;
  if (scene.is_dual()) fill_dual_rows(scene, dual_rows);
  const SkinGradient<S> gradient(g, dual_rows);
  std::fill(partials, partials + kSkinChunks * gradient.size(), S(0));
  if (g.weights) std::fill(g.weights, g.weights + scene.num_points * scene.num_influences, S(0));
  avatar_pool::parallel_chunks(scene.num_points, grain, [&](int64_t begin, int64_t end, int chunk) {
    for (int64_t i = begin; i < end; i += kLanes) gradient.add_block(Block(i, end), partials + chunk * gradient.size());
  });
  for (int chunk = 1; chunk < kSkinChunks && g.joints; chunk++) {
    for (int64_t c = 0; c < gradient.size(); c++) partials[c] += partials[chunk * gradient.size() + c];
  }
  if (g.joints) gradient.finish(partials);
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(skin, SkinArguments)
AVATAR_EXPORT(skin_backward, SkinGradientArguments)
