// A tree of boxes over the triangles of a mesh, sixteen children to a node and sixteen triangles to a leaf, to fill the
// lanes of simd.h. It is complete, so it has no pointers: the children of node i are nodes 16 i to 16 i + 15 of the level
// below; level 0 are the leaves. Boxes stand with the parent, for all children at once.
#pragma once
#include <cstdint>
#include <limits>

#include "simd.h"

namespace AVATAR_ISA {

// Fields of a leaf, sixteen lanes each: a corner, the two edges from it, their products, and what divides by them.
enum LeafField { kX, kY, kZ, kEx, kEy, kEz, kFx, kFy, kFz, kEE, kEF, kFF, kInverseEE, kInverseFF, kInverseGG, kArea2, kInverseArea2, kLeafFields };
constexpr int kBoxFields = 6;  // of a node: low x y z, high x y z of its children
constexpr int kMaxLevels = 9;  // 16^9 triangles

// Boxes are grown, and bounds widened, so that rounding never hides a triangle: the tree's answer is that of all triangles.
template <class S> constexpr S kSlack = 32 * std::numeric_limits<S>::epsilon();

// How many nodes each level has, and where its blocks of boxes start; level 0, the leaves, has none.
struct TreeLevels {
  int64_t sizes[kMaxLevels], starts[kMaxLevels];
  int top = 0;

  explicit TreeLevels(int64_t num_faces) {
    sizes[0] = (num_faces + kLanes - 1) / kLanes;
    starts[0] = 0;
    for (int64_t start = 0; sizes[top] > 1; start += sizes[top]) {
      top++;
      sizes[top] = (sizes[top - 1] + kLanes - 1) / kLanes;
      starts[top] = start;
    }
  }
};

template <class S> struct MeshTree {
  int64_t num_faces;
  const int64_t* faces;  // t 3
  int32_t* order;        // leaves 16: the triangle in each lane, ascending in a leaf; -1 in lanes to spare
  S* leaves;             // leaves kLeafFields 16
  S* boxes;              // nodes kBoxFields 16, level by level
};

}  // namespace AVATAR_ISA
