// Builds the tree of boxes over a mesh, and fits it and the mesh's pseudo-normals to vertices.
#include <algorithm>
#include <cmath>
#include <vector>

#include "buffer.h"
#include "mesh_tree.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct MeshTreeBuildArguments {
  MeshTree<S> tree;
  const S* vertices;  // v 3
};

template <class S> struct MeshTreeRefitArguments {
  MeshTree<S> tree;
  const S* vertices;
  double* looseness;  // area of the leaves' boxes over the squared edges of their triangles
};

template <class S> struct PseudoNormalArguments {
  int64_t num_faces, num_features;
  const int64_t* faces;
  const S* vertices;
  const int32_t *starts, *corners;  // f + 1, 6 t: the corners (3 face + place) around each vertex, then around each edge
  int64_t num_vertices;
  S *face_normals, *angles, *feature_normals;  // t 3 (unit), t 3, f 3
};

namespace {

struct Span {
  int64_t begin, end;
};

template <class S> struct Centre {
  S at[3];
  int32_t face;
};

// Where to cut a span of triangles in two so that both are whole subtrees; its end where it is one leaf.
int64_t cut(Span span) {
  const int64_t leaves = (span.end - span.begin + kLanes - 1) / kLanes;
  if (leaves <= 1) return span.end;
  int64_t child = 1;
  while (child * kLanes < leaves) child *= kLanes;
  const int64_t children = (leaves + child - 1) / child;
  return span.begin + children / 2 * child * kLanes;
}

template <class S> int widest_axis(const Centre<S>* begin, const Centre<S>* end) {
  S low[3], high[3];
  for (int axis = 0; axis < 3; axis++) low[axis] = high[axis] = begin->at[axis];
  for (const Centre<S>* centre = begin; centre < end; centre++) {
    for (int axis = 0; axis < 3; axis++) {
      low[axis] = std::min(low[axis], centre->at[axis]), high[axis] = std::max(high[axis], centre->at[axis]);
    }
  }
  int widest = 0;
  for (int axis = 1; axis < 3; axis++) {
    if (high[axis] - low[axis] > high[widest] - low[widest]) widest = axis;
  }
  return widest;
}

// Cuts spans in two at the median of their widest axis until they are leaves; the spans of one round run in parallel.
template <class S> void partition(Centre<S>* centres, int64_t count) {
  std::vector<Span> spans = {{0, count}}, halves;
  while (!spans.empty()) {
    halves.assign(2 * spans.size(), Span{0, 0});
    avatar_pool::parallel(static_cast<int>(spans.size()), [&](int i) {
      const Span span = spans[i];
      const int64_t middle = cut(span);
      Centre<S>*const begin = centres + span.begin, *const end = centres + span.end;
      if (middle == span.end) {
        std::sort(begin, end, [](const Centre<S>& a, const Centre<S>& b) { return a.face < b.face; });
        return;
      }
      const int axis = widest_axis(begin, end);
      std::nth_element(begin, centres + middle, end, [axis](const Centre<S>& a, const Centre<S>& b) {
        return a.at[axis] < b.at[axis] || (a.at[axis] == b.at[axis] && a.face < b.face);
      });
      halves[2 * i] = {span.begin, middle}, halves[2 * i + 1] = {middle, span.end};
    });
    spans.clear();
    std::copy_if(halves.begin(), halves.end(), std::back_inserter(spans), [](Span span) { return span.begin < span.end; });
  }
}

template <class S> int64_t mesh_tree_build(const MeshTreeBuildArguments<S>& a) {
  static thread_local Buffer<Centre<S>> storage;
  const int64_t count = a.tree.num_faces;
  Centre<S>* centres = storage.reserve(count);
  avatar_pool::parallel_chunks(count, 4096, [&](int64_t begin, int64_t end, int) {
    for (int64_t face = begin; face < end; face++) {
      centres[face].face = static_cast<int32_t>(face);
      for (int axis = 0; axis < 3; axis++) {
        S sum = 0;
        for (int corner = 0; corner < 3; corner++) sum += a.vertices[3 * a.tree.faces[3 * face + corner] + axis];
        centres[face].at[axis] = std::isfinite(sum) ? sum : S(0);
      }
    }
  });
  partition(centres, count);
  const int64_t lanes = TreeLevels(count).sizes[0] * kLanes;
  for (int64_t i = 0; i < lanes; i++) a.tree.order[i] = i < count ? centres[i].face : -1;
  return 0;
}

template <class S> struct Box {
  S low[3], high[3];
  Box() {
    for (int axis = 0; axis < 3; axis++) low[axis] = std::numeric_limits<S>::infinity(), high[axis] = -low[axis];
  }
  void add(const S* point) {
    for (int axis = 0; axis < 3; axis++) low[axis] = std::min(low[axis], point[axis]), high[axis] = std::max(high[axis], point[axis]);
  }
  // Into one lane of the parent's block.
  void store(S* boxes, int64_t child) const {
    S* lane = boxes + child / kLanes * (kBoxFields * kLanes) + child % kLanes;
    for (int axis = 0; axis < 3; axis++) lane[axis * kLanes] = low[axis], lane[(3 + axis) * kLanes] = high[axis];
  }
};

// The corner and edges of a triangle into one lane of its leaf; one that is not finite is left out of box and leaf.
template <class S> void fit_triangle(const MeshTree<S>& tree, const S* vertices, int32_t face, S* lane, Box<S>& box) {
  constexpr S nothing = std::numeric_limits<S>::quiet_NaN();
  S corners[3][3];
  bool is_finite = face >= 0;
  for (int corner = 0; corner < 3; corner++) {
    for (int axis = 0; axis < 3; axis++) {
      corners[corner][axis] = face < 0 ? nothing : vertices[3 * tree.faces[3 * face + corner] + axis];
      is_finite = is_finite && std::isfinite(corners[corner][axis]);
    }
  }
  for (int axis = 0; axis < 3; axis++) {
    lane[(kX + axis) * kLanes] = is_finite ? corners[0][axis] : nothing;
    lane[(kEx + axis) * kLanes] = corners[1][axis] - corners[0][axis];
    lane[(kFx + axis) * kLanes] = corners[2][axis] - corners[0][axis];
  }
  for (int corner = 0; is_finite && corner < 3; corner++) box.add(corners[corner]);
}

template <class S> AVATAR_INLINE Vec<S> inverse_or_zero(const Vec<S>& a) {
  return select(greater(a, S(0)), 1 / a, splat<S>(0));
}

// What the distance to a triangle needs of it. A triangle thinner than rounding counts as its edges: its kArea2 is -1.
template <class S> void fit_products(S* leaf) {
  auto field = [&](int i) { return Vec<S>::load(leaf + i * kLanes); };
  auto put = [&](int i, const Vec<S>& value) { value.store(leaf + i * kLanes); };
  const Vec<S> ex = field(kEx), ey = field(kEy), ez = field(kEz), fx = field(kFx), fy = field(kFy), fz = field(kFz);
  const Vec<S> ee = ex * ex + ey * ey + ez * ez, ef = ex * fx + ey * fy + ez * fz, ff = fx * fx + fy * fy + fz * fz;
  const Vec<S> gx = ex - fx, gy = ey - fy, gz = ez - fz;
  const Vec<S> nx = ey * fz - ez * fy, ny = ez * fx - ex * fz, nz = ex * fy - ey * fx;
  const Vec<S> area2 = nx * nx + ny * ny + nz * nz;
  const Mask<S> is_flat = less_equal(area2, ee * ff * kSlack<S>);
  put(kEE, ee), put(kEF, ef), put(kFF, ff);
  put(kInverseEE, inverse_or_zero(ee)), put(kInverseFF, inverse_or_zero(ff));
  put(kInverseGG, inverse_or_zero(gx * gx + gy * gy + gz * gz));
  put(kArea2, select(is_flat, splat<S>(-1), area2)), put(kInverseArea2, select(is_flat, splat<S>(0), 1 / area2));
}

template <class S> void fit_leaf(const MeshTree<S>& tree, const S* vertices, int64_t i, bool is_root) {
  S* leaf = tree.leaves + i * (kLeafFields * kLanes);
  Box<S> box;
  for (int lane = 0; lane < kLanes; lane++) fit_triangle(tree, vertices, tree.order[i * kLanes + lane], leaf + lane, box);
  fit_products(leaf);
  if (is_root) return;
  const S growth = ((box.high[0] - box.low[0]) + (box.high[1] - box.low[1]) + (box.high[2] - box.low[2])) * kSlack<S>;
  for (int axis = 0; axis < 3; axis++) box.low[axis] -= growth, box.high[axis] += growth;
  box.store(tree.boxes, i);
}

template <class S> void fit_parents(const MeshTree<S>& tree, const TreeLevels& levels) {
  for (int level = 1; level <= levels.top; level++) {
    for (int64_t i = 0; i < levels.sizes[level]; i++) {
      S* block = tree.boxes + (levels.starts[level] + i) * (kBoxFields * kLanes);
      const int64_t children = std::min<int64_t>(kLanes, levels.sizes[level - 1] - i * kLanes);
      for (int64_t lane = children; lane < kLanes; lane++) Box<S>().store(block, lane);
      if (level == levels.top) continue;
      Box<S> box;
      for (int axis = 0; axis < 3; axis++) {
        box.low[axis] = *std::min_element(block + axis * kLanes, block + (axis + 1) * kLanes);
        box.high[axis] = *std::max_element(block + (3 + axis) * kLanes, block + (4 + axis) * kLanes);
      }
      box.store(tree.boxes + levels.starts[level + 1] * (kBoxFields * kLanes), i);
    }
  }
}

template <class S> double looseness(const MeshTree<S>& tree, const TreeLevels& levels) {
  double boxes = 0, triangles = 0;
  for (int64_t i = 0; i < levels.sizes[0]; i++) {
    const S* lane = tree.boxes + i / kLanes * (kBoxFields * kLanes) + i % kLanes;
    const double x = lane[3 * kLanes] - lane[0], y = lane[4 * kLanes] - lane[kLanes], z = lane[5 * kLanes] - lane[2 * kLanes];
    const S* leaf = tree.leaves + i * (kLeafFields * kLanes);
    if (x >= 0) boxes += x * y + y * z + z * x;
    triangles += sum(Vec<S>::load(leaf + kEE * kLanes) + Vec<S>::load(leaf + kFF * kLanes));
  }
  return boxes / triangles;
}

template <class S> int64_t mesh_tree_refit(const MeshTreeRefitArguments<S>& a) {
  const TreeLevels levels(a.tree.num_faces);
  avatar_pool::parallel_chunks(levels.sizes[0], 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) fit_leaf(a.tree, a.vertices, i, levels.top == 0);
  });
  fit_parents(a.tree, levels);
  *a.looseness = levels.top ? looseness(a.tree, levels) : 0;
  return 0;
}

template <class S> void cross(const S* a, const S* b, S* out) {
  out[0] = a[1] * b[2] - a[2] * b[1], out[1] = a[2] * b[0] - a[0] * b[2], out[2] = a[0] * b[1] - a[1] * b[0];
}

template <class S> S dot(const S* a, const S* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Unit normal of a triangle and the angles at its corners; zero for one without area or not finite.
template <class S> void fit_face(const PseudoNormalArguments<S>& a, int64_t face) {
  const S* corners[3];
  for (int i = 0; i < 3; i++) corners[i] = a.vertices + 3 * a.faces[3 * face + i];
  S sides[3][3], normal[3];  // side i leads from corner i to the next
  for (int i = 0; i < 3; i++) {
    for (int axis = 0; axis < 3; axis++) sides[i][axis] = corners[(i + 1) % 3][axis] - corners[i][axis];
  }
  cross(sides[0], sides[1], normal);
  const S length = std::sqrt(dot(normal, normal));
  const bool has_area = length > 0 && std::isfinite(length);
  for (int i = 0; i < 3; i++) {
    a.face_normals[3 * face + i] = has_area ? normal[i] / length : S(0);
    a.angles[3 * face + i] = has_area ? std::atan2(length, -dot(sides[i], sides[(i + 2) % 3])) : S(0);
  }
}

template <class S> int64_t pseudo_normals(const PseudoNormalArguments<S>& a) {
  avatar_pool::parallel_chunks(a.num_faces, 1024, [&](int64_t begin, int64_t end, int) {
    for (int64_t face = begin; face < end; face++) fit_face(a, face);
  });
  avatar_pool::parallel_chunks(a.num_features, 2048, [&](int64_t begin, int64_t end, int) {
    for (int64_t feature = begin; feature < end; feature++) {
      S sum[3] = {0, 0, 0};
      for (int32_t i = a.starts[feature]; i < a.starts[feature + 1]; i++) {
        const int32_t corner = a.corners[i];
        const S weight = feature < a.num_vertices ? a.angles[corner] : S(1);
        for (int axis = 0; axis < 3; axis++) sum[axis] += weight * a.face_normals[corner / 3 * 3 + axis];
      }
      std::copy(sum, sum + 3, a.feature_normals + 3 * feature);
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(mesh_tree_build, MeshTreeBuildArguments)
AVATAR_EXPORT(mesh_tree_refit, MeshTreeRefitArguments)
AVATAR_EXPORT(pseudo_normals, PseudoNormalArguments)
