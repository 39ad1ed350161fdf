// The closest point of a mesh to each of many points, by its tree of boxes, and the gradient of the signed distance.
// Queries run along a Morton curve in fixed chunks; each begins at the leaf that answered the one before. Which leaves are
// looked at does not matter to the answer (see kSlack), so it depends neither on threads nor on the other queries.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "buffer.h"
#include "mesh_tree.h"
#include "morton.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct ClosestPointArguments {
  MeshTree<S> tree;
  const int32_t* edges;                       // t 3: the feature of the edge that starts at each corner
  const S *face_normals, *feature_normals;    // pseudo-normals: of triangles; of vertices, then edges
  int64_t num_points;
  const S* points;                            // n 3
  int64_t* face_ids;                          // n
  S *barycentrics, *distances, *directions;   // n 3, n, n 3
};

template <class S> struct ClosestPointGradientArguments {
  int64_t num_points, num_vertices;
  const int64_t *faces, *face_ids;
  const S *barycentrics, *directions, *v_distances;
  S *v_points, *v_vertices;  // written, not added to
};

namespace {

constexpr int64_t kQueries = 256;     // of a task
constexpr int kGradientChunks = 16;   // fixed, so that sums over points do not depend on the number of threads

template <class S> struct Nearest {
  S squared;       // of the distance
  int32_t face;    // -1 for none
  int32_t leaf;
  S barycentrics[3], offset[3];  // from the closest point
};

// Of the triangles of a leaf the one nearest to p, if nearer than the nearest so far, or as near and of a lower id.
// Not inlined: one and the same arithmetic wherever it is asked from. On the plane of the triangle a + s e + t f the point
// has the coordinates s, t; outside the triangle the best of the three edges counts. `value` is the squared distance from
// a point of an edge to p, less that from a.
template <class S>
__attribute__((noinline)) void test_leaf(const MeshTree<S>& tree, int32_t leaf, const S* p, Nearest<S>& nearest) {
  const S* block = tree.leaves + static_cast<int64_t>(leaf) * (kLeafFields * kLanes);
  auto field = [&](int i) { return Vec<S>::load(block + i * kLanes); };
  const Vec<S> zero = splat<S>(0), one = splat<S>(1);
  const Vec<S> ex = field(kEx), ey = field(kEy), ez = field(kEz), fx = field(kFx), fy = field(kFy), fz = field(kFz);
  const Vec<S> ee = field(kEE), ef = field(kEF), ff = field(kFF), area2 = field(kArea2);
  const Vec<S> vx = p[0] - field(kX), vy = p[1] - field(kY), vz = p[2] - field(kZ);
  const Vec<S> ve = vx * ex + vy * ey + vz * ez, vf = vx * fx + vy * fy + vz * fz;

  const Vec<S> along_e = vmin(vmax(ve * field(kInverseEE), zero), one);
  const Vec<S> along_f = vmin(vmax(vf * field(kInverseFF), zero), one);
  const Vec<S> along_g = vmin(vmax((ee - ef + vf - ve) * field(kInverseGG), zero), one);
  const Vec<S> value_e = along_e * (along_e * ee - 2 * ve), value_f = along_f * (along_f * ff - 2 * vf);
  const Vec<S> rest_g = 1 - along_g;
  const Vec<S> value_g = rest_g * (rest_g * ee + 2 * along_g * ef - 2 * ve) + along_g * (along_g * ff - 2 * vf);
  const Mask<S> f_is_better = greater(value_e, value_f);
  const Mask<S> g_is_better = greater(select(f_is_better, value_f, value_e), value_g);

  const Vec<S> s_area = ve * ff - vf * ef, t_area = vf * ee - ve * ef;
  const Mask<S> inside = greater_equal(s_area, zero) & greater_equal(t_area, zero) & less_equal(s_area + t_area, area2);
  const Vec<S> inverse = field(kInverseArea2);
  Vec<S> s = select(g_is_better, rest_g, select(f_is_better, zero, along_e));
  Vec<S> t = select(g_is_better, along_g, select(f_is_better, along_f, zero));
  s = select(inside, s_area * inverse, s), t = select(inside, t_area * inverse, t);
  const Vec<S> rx = vx - s * ex - t * fx, ry = vy - s * ey - t * fy, rz = vz - s * ez - t * fz;
  const Vec<S> squared = rx * rx + ry * ry + rz * rz;

  const Mask<S> is_candidate = less_equal(squared, nearest.squared);
  if (!any(is_candidate)) return;
  const S best = least(select(is_candidate, squared, splat<S>(nearest.squared)));
  const int lane = __builtin_ctz(lane_bits(is_candidate & less_equal(squared, best)));
  const int32_t face = tree.order[leaf * kLanes + lane];
  if (best == nearest.squared && nearest.face >= 0 && face >= nearest.face) return;
  const Vec<S> r = vmax(select(inside, 1 - s - t, select(g_is_better, zero, 1 - s - t)), zero);
  nearest = {best, face, leaf, {r.lane(lane), s.lane(lane), t.lane(lane)}, {rx.lane(lane), ry.lane(lane), rz.lane(lane)}};
}

template <class S> struct Visit {
  S squared;  // of the distance to the node's box
  int32_t level, node;
};

// Pushes the children of a node that are near enough, nearest last.
template <class S> AVATAR_INLINE int push_children(const S* block, Visit<S> parent, const S* p, S bound, Visit<S>* stack, int size) {
  Vec<S> squared = splat<S>(0);
  for (int axis = 0; axis < 3; axis++) {
    const Vec<S> low = Vec<S>::load(block + axis * kLanes), high = Vec<S>::load(block + (3 + axis) * kLanes);
    const Vec<S> outside = vmax(vmax(low - p[axis], p[axis] - high), splat<S>(0));
    squared += outside * outside;
  }
  S distances[kLanes];
  squared.store(distances);
  const int first = size;
  for (uint32_t bits = lane_bits(less_equal(squared, bound)); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    int place = size++;
    for (; place > first && stack[place - 1].squared < distances[lane]; place--) stack[place] = stack[place - 1];
    stack[place] = {distances[lane], parent.level - 1, parent.node * kLanes + lane};
  }
  return size;
}

template <class S> Nearest<S> find_nearest(const MeshTree<S>& tree, const TreeLevels& levels, const S* p, int32_t seed) {
  Nearest<S> nearest = {std::numeric_limits<S>::max(), -1, 0, {}, {}};
  if (seed >= 0) test_leaf(tree, seed, p, nearest);
  Visit<S> stack[kLanes * kMaxLevels];
  stack[0] = {0, levels.top, 0};
  for (int size = 1; size > 0;) {
    const Visit<S> visit = stack[--size];
    // Finite, for lanes without a child are infinitely far away.
    const S bound = std::min(nearest.squared * (1 + kSlack<S>), std::numeric_limits<S>::max());
    if (visit.squared > bound) continue;
    if (visit.level == 0) {
      if (visit.node != seed) test_leaf(tree, visit.node, p, nearest);
      continue;
    }
    const S* block = tree.boxes + (levels.starts[visit.level] + visit.node) * (kBoxFields * kLanes);
    size = push_children(block, visit, p, bound, stack, size);
  }
  return nearest;
}

// The pseudo-normal of the triangle, edge or vertex that holds the point (Baerentzen and Aanaes 2005).
template <class S> const S* pseudo_normal(const ClosestPointArguments<S>& a, const Nearest<S>& nearest) {
  const S* b = nearest.barycentrics;
  const int64_t corner = 3 * static_cast<int64_t>(nearest.face);
  const int zeros = (b[0] == 0) + (b[1] == 0) + (b[2] == 0);
  if (zeros == 0) return a.face_normals + corner;
  if (zeros == 1) return a.feature_normals + 3 * a.edges[corner + (b[0] == 0 ? 1 : b[1] == 0 ? 2 : 0)];
  return a.feature_normals + 3 * a.tree.faces[corner + (b[0] != 0 ? 0 : b[1] != 0 ? 1 : 2)];
}

template <class S> void write(const ClosestPointArguments<S>& a, int64_t i, const Nearest<S>& nearest) {
  a.face_ids[i] = nearest.face;
  std::copy(nearest.barycentrics, nearest.barycentrics + 3, a.barycentrics + 3 * i);
  S* direction = a.directions + 3 * i;
  if (nearest.face < 0) {
    a.distances[i] = std::numeric_limits<S>::infinity();
    std::fill(direction, direction + 3, S(0));
    return;
  }
  const S *normal = pseudo_normal(a, nearest), *offset = nearest.offset;
  const S distance = std::sqrt(nearest.squared);
  const S sign = normal[0] * offset[0] + normal[1] * offset[1] + normal[2] * offset[2] < 0 ? S(-1) : S(1);
  const S* source = distance > 0 ? offset : normal;
  const S length = std::sqrt(source[0] * source[0] + source[1] * source[1] + source[2] * source[2]);
  for (int axis = 0; axis < 3; axis++) direction[axis] = length > 0 ? sign * source[axis] / length : S(0);
  a.distances[i] = sign * distance;
}

template <class S> int64_t closest_points(const ClosestPointArguments<S>& a) {
  static thread_local Buffer<MortonEntry> entries, other;
  const TreeLevels levels(a.tree.num_faces);
  morton_keys(a.points, a.num_points, entries.reserve(a.num_points));
  const MortonEntry* order = sort_morton(entries.data(), other.reserve(a.num_points), a.num_points);
  avatar_pool::parallel_chunks(a.num_points, kQueries, [&](int64_t begin, int64_t end, int) {
    int32_t seed = -1;
    for (int64_t i = begin; i < end; i++) {
      const int32_t id = order[i].id;
      Nearest<S> nearest = {0, -1, 0, {}, {}};
      if (a.tree.num_faces > 0) nearest = find_nearest(a.tree, levels, a.points + 3 * id, seed);
      if (nearest.face >= 0) seed = nearest.leaf;
      write(a, id, nearest);
    }
  });
  return 0;
}

template <class S> int64_t closest_points_backward(const ClosestPointGradientArguments<S>& a) {
  static thread_local Buffer<S> storage;
  const int64_t size = 3 * a.num_vertices, grain = std::max<int64_t>((a.num_points + kGradientChunks - 1) / kGradientChunks, 1);
  S* partials = storage.reserve(kGradientChunks * size);
  avatar_pool::parallel(kGradientChunks, [&](int chunk) {
    S* v_vertices = partials + chunk * size;
    std::fill(v_vertices, v_vertices + size, S(0));
    for (int64_t i = chunk * grain, end = std::min(a.num_points, i + grain); i < end; i++) {
      const int64_t face = a.face_ids[i];
      for (int axis = 0; axis < 3; axis++) {
        const S along = face < 0 ? S(0) : a.v_distances[i] * a.directions[3 * i + axis];
        a.v_points[3 * i + axis] = along;
        for (int corner = 0; face >= 0 && corner < 3; corner++) {
          v_vertices[3 * a.faces[3 * face + corner] + axis] -= a.barycentrics[3 * i + corner] * along;
        }
      }
    }
  });
  avatar_pool::parallel_chunks(size, 8192, [&](int64_t begin, int64_t end, int) {
    std::copy(partials + begin, partials + end, a.v_vertices + begin);
    for (int chunk = 1; chunk < kGradientChunks; chunk++) {
      for (int64_t k = begin; k < end; k++) a.v_vertices[k] += partials[chunk * size + k];
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(closest_points, ClosestPointArguments)
AVATAR_EXPORT(closest_points_backward, ClosestPointGradientArguments)
