// Multiresolution hash encoding (Müller et al. 2022) with the layout of tiny-cuda-nn.
// Sixteen points at a time: their rows and weights first, with a prefetch of every row, then the loads of the block before.
#include <algorithm>

#include "buffer.h"
#include "hash_grid.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct HashEncodeArguments {
  HashScene<S> scene;
  S* features;  // n (levels features)
};

template <class S> struct HashGradientArguments {
  HashScene<S> scene;
  const S* out_features;
  S *points, *table;  // either may be null; both are written, not added to
};

namespace {

constexpr int64_t kPointChunk = 4096;

// Calls consume(block, first point) for the blocks of [begin, end) on one level, each after the next one is prefetched.
template <bool kWrite, class S, class F>
AVATAR_INLINE void for_each_block(const HashScene<S>& scene, const HashLevel& level, const S* target, int64_t begin,
                                  int64_t end, F&& consume) {
  const S* rows = target + level.first_row * scene.num_features;
  HashBlock<S> blocks[2];
  if (begin < end) locate(scene, level, begin, blocks[0]);
  for (int64_t i = begin, turn = 0; i < end; i += kLanes, turn ^= 1) {
    HashBlock<S>& next = blocks[turn ^ 1];
    if (i + kLanes < end) {
      locate(scene, level, i + kLanes, next);
      for (int c = 0; c < kCorners; c++) {
        for (int k = 0; k < kLanes; k++) __builtin_prefetch(rows + next.rows[c][k] * scene.num_features, kWrite);
      }
    }
    consume(blocks[turn], i, static_cast<int>(std::min<int64_t>(kLanes, end - i)));
  }
}

template <int D, class S> void encode_level(const HashEncodeArguments<S>& out, int64_t l, int64_t begin, int64_t end) {
  const HashScene<S>& scene = out.scene;
  const HashLevel& level = scene.levels[l];
  const S* table = scene.table + level.first_row * D;
  for_each_block<false>(scene, level, scene.table, begin, end, [&](HashBlock<S>& block, int64_t first, int count) {
    S weights[kCorners][kLanes];
    corner_weights(block, scene.directions != nullptr, weights);
    for (int k = 0; k < count; k++) {
      S sums[D] = {};
      for (int c = 0; c < kCorners; c++) {
        const S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
        for (int d = 0; d < D; d++) sums[d] += weights[c][k] * row[d];
      }
      std::copy(sums, sums + D, out.features + ((first + k) * scene.num_levels + l) * D);
    }
  });
}

template <int D, class S> void scatter_level(const HashGradientArguments<S>& g, int64_t l) {
  const HashScene<S>& scene = g.scene;
  const HashLevel& level = scene.levels[l];
  S* table = g.table + level.first_row * D;
  std::fill(table, table + level.num_rows * D, S(0));
  for_each_block<true>(scene, level, g.table, 0, scene.num_points, [&](HashBlock<S>& block, int64_t first, int count) {
    S weights[kCorners][kLanes];
    corner_weights(block, scene.directions != nullptr, weights);
    for (int k = 0; k < count; k++) {
      const S* v = g.out_features + ((first + k) * scene.num_levels + l) * D;
      for (int c = 0; c < kCorners; c++) {
        S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
        for (int d = 0; d < D; d++) row[d] += weights[c][k] * v[d];
      }
    }
  });
}

template <int D, class S> void point_gradients(const HashGradientArguments<S>& g, int64_t begin, int64_t end) {
  const HashScene<S>& scene = g.scene;
  std::fill(g.points + 3 * begin, g.points + 3 * end, S(0));
  for (int64_t l = 0; l < scene.num_levels; l++) {
    const HashLevel& level = scene.levels[l];
    const S* table = scene.table + level.first_row * D;
    for_each_block<false>(scene, level, scene.table, begin, end, [&](HashBlock<S>& block, int64_t first, int count) {
      S along[kCorners][kLanes] = {};  // each corner's row along the gradient of the features
      for (int k = 0; k < count; k++) {
        const S* v = g.out_features + ((first + k) * scene.num_levels + l) * D;
        for (int c = 0; c < kCorners; c++) {
          const S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
          for (int d = 0; d < D; d++) along[c][k] += v[d] * row[d];
        }
      }
      S gradient[3][kLanes];
      differentiate(block, along, scene.directions != nullptr, gradient);
      for (int k = 0; k < count; k++) {
        for (int a = 0; a < 3; a++) g.points[3 * (first + k) + a] += gradient[a][k];
      }
    });
  }
}

template <int D, class S> void encode(const HashEncodeArguments<S>& out) {
  const int64_t chunks = (out.scene.num_points + kPointChunk - 1) / kPointChunk;
  avatar_pool::parallel(static_cast<int>(chunks * out.scene.num_levels), [&](int task) {
    const int64_t begin = task % chunks * kPointChunk;
    encode_level<D>(out, task / chunks, begin, std::min(begin + kPointChunk, out.scene.num_points));
  });
}

template <int D, class S> void differentiate_all(const HashGradientArguments<S>& g) {
  const int64_t levels = g.scene.num_levels;
  if (g.table) {
    avatar_pool::parallel(static_cast<int>(levels), [&](int task) { scatter_level<D>(g, levels - 1 - task); });
  }
  if (g.points) {
    avatar_pool::parallel_chunks(g.scene.num_points, kPointChunk,
                                 [&](int64_t begin, int64_t end, int) { point_gradients<D>(g, begin, end); });
  }
}

template <class S> int64_t hash_encode(const HashEncodeArguments<S>& out) {
  switch (out.scene.num_features) {
    case 1: encode<1>(out); break;
    case 2: encode<2>(out); break;
    case 4: encode<4>(out); break;
    default: encode<8>(out);
  }
  return 0;
}

template <class S> int64_t hash_encode_backward(const HashGradientArguments<S>& g) {
  switch (g.scene.num_features) {
    case 1: differentiate_all<1>(g); break;
    case 2: differentiate_all<2>(g); break;
    case 4: differentiate_all<4>(g); break;
    default: differentiate_all<8>(g);
  }
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(hash_encode, HashEncodeArguments)
AVATAR_EXPORT(hash_encode_backward, HashGradientArguments)
