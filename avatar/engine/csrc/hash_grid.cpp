// Multiresolution hash encoding (Müller et al. 2022) with the layout of tiny-cuda-nn.
// All threads work on one level at a time, whose rows then stay in the cache: features are kept level by level meanwhile.
#include "hash_grid.h"

#include <algorithm>

#include "buffer.h"
#include "pages.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct HashEncodeArguments {
  HashScene<S> scene;
  S* features;  // n (levels features)
  S* jacobian;  // their derivatives by the points, or null: (levels n / 16 features 3 16), lanes last
};

template <class S> struct HashGradientArguments {
  HashScene<S> scene;
  const S* out_features;
  const S* out_moved;  // if not null, `out_features` are of the features themselves and these of their derivative
  S *points, *table;   // either may be null; both are written, not added to
};

namespace {

constexpr int64_t kChunk = 4096;       // points of a task, whole blocks
constexpr int64_t kSlab = 32 * kChunk;  // points whose features are kept level by level at once

// A slab of points in columns, padded to whole blocks, with room for their features and gradients level by level.
template <class S> struct HashColumns {
  const HashScene<S>& scene;
  int64_t padded;
  S *points, *directions, *features, *moved, *gradients;

  HashColumns(const HashScene<S>& slab, bool wants_gradients, bool has_moved = false) : scene(slab) {
    static thread_local Buffer<S> buffer;
    padded = (scene.num_points + kLanes - 1) / kLanes * kLanes;
    const int64_t size = padded * scene.num_levels * scene.num_features;
    points = buffer.reserve(6 * padded + (has_moved ? 2 : 1) * size + (wants_gradients ? 3 * padded * scene.num_levels : 0));
    directions = points + 3 * padded;
    features = points + 6 * padded;
    moved = has_moved ? features + size : nullptr;
    gradients = features + (has_moved ? 2 : 1) * size;
  }
  int64_t num_chunks() const { return (scene.num_points + kChunk - 1) / kChunk; }
  S* features_of(int64_t level) const { return features + level * padded * scene.num_features; }
  S* moved_of(int64_t level) const { return moved + level * padded * scene.num_features; }

  AVATAR_INLINE void locate(int64_t first, const HashLevel& level, HashBlock<S>& block) const {
    Vec<S> x[3];
    load(points, first, x);
    AVATAR_ISA::locate(x, level, scene.is_smooth, block);
  }
  // f(first point, block), with the rows of the next block on their way to the cache.
  template <int D, class F> AVATAR_INLINE void for_each_block(const HashLevel& level, const S* table, int64_t begin, int64_t end, F&& f) const {
    HashBlock<S> blocks[2];
    locate(begin, level, blocks[0]);
    for (int64_t first = begin, next = begin + kLanes; first < end; first = next, next += kLanes) {
      const int now = (first - begin) / kLanes % 2;
      if (next < end) {
        locate(next, level, blocks[1 - now]);
        for (int c = 0; c < kCorners; c += 2) {  // the next corner along x is mostly on the same cache line
          for (int k = 0; k < kLanes; k++) __builtin_prefetch(table + static_cast<size_t>(blocks[1 - now].rows[c][k]) * D);
        }
      }
      f(first, blocks[now]);
    }
  }
  AVATAR_INLINE void weigh(int64_t first, const HashBlock<S>& block, S weights[kCorners][kLanes]) const {
    if (!scene.directions) return AVATAR_ISA::weigh(block, weights);
    weigh_moved(first, block, weights);
  }
  AVATAR_INLINE void weigh_moved(int64_t first, const HashBlock<S>& block, S weights[kCorners][kLanes]) const {
    Vec<S> along[3];
    load(directions, first, along);
    weigh_along(block, along, weights);
  }
  AVATAR_INLINE void differentiate(int64_t first, const HashBlock<S>& block, const Vec<S>* values, Vec<S>* gradient) const {
    if (!scene.directions) return AVATAR_ISA::differentiate(block, values, gradient);
    Vec<S> along[3];
    load(directions, first, along);
    differentiate_along(block, along, values, gradient);
  }

 private:
  AVATAR_INLINE void load(const S* columns, int64_t first, Vec<S>* out) const {
    AVATAR_UNROLL for (int a = 0; a < 3; a++) out[a] = Vec<S>::load(columns + a * padded + first);
  }
};

// Rows of `count` times D values, `length` apart, to columns of D values that are `padded` long, and back.
template <int D, class S>
void split(const S* rows, int64_t length, S* columns, int64_t count, int64_t padded, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    for (int64_t c = 0; c < count; c++) std::copy_n(rows + i * length + c * D, D, columns + (c * padded + i) * D);
  }
}
template <int D, class S>
void join(const S* columns, S* rows, int64_t length, int64_t count, int64_t padded, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    for (int64_t c = 0; c < count; c++) std::copy_n(columns + (c * padded + i) * D, D, rows + i * length + c * D);
  }
}

template <int D, class S> void fill_columns(const HashColumns<S>& columns, const S* features, const S* moved) {
  const HashScene<S>& scene = columns.scene;
  const int64_t n = scene.num_points, padded = columns.padded;
  for (int a = 0; a < 6; a++) std::fill(columns.points + a * padded + n, columns.points + (a + 1) * padded, S(0));
  avatar_pool::parallel_chunks(n, kChunk, [&](int64_t begin, int64_t end, int) {
    split<1>(scene.points, 3, columns.points, 3, padded, begin, end);
    if (scene.directions) split<1>(scene.directions, 3, columns.directions, 3, padded, begin, end);
    if (features) split<D>(features, scene.row_length, columns.features, scene.num_levels, padded, begin, end);
    if (moved) split<D>(moved, scene.row_length, columns.moved, scene.num_levels, padded, begin, end);
  });
  for (int64_t l = 0; l < scene.num_levels; l++) {  // lanes past the last point count for nothing
    std::fill(columns.features_of(l) + n * D, columns.features_of(l) + padded * D, S(0));
  }
}

template <int D, class S> void encode_level(const HashColumns<S>& columns, int64_t l, int64_t begin, int64_t end) {
  const HashLevel& level = columns.scene.levels[l];
  const S* table = columns.scene.table + level.first_row * D;
  S* features = columns.features_of(l);
  HashBlock<S> block;
  S weights[kCorners][kLanes];
  for (int64_t first = begin; first < end; first += kLanes) {
    columns.locate(first, level, block);
    columns.weigh(first, block, weights);
    for (int k = 0; k < kLanes; k++) {
      S sums[D] = {};
      for (int c = 0; c < kCorners; c++) {
        const S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
        for (int d = 0; d < D; d++) sums[d] += weights[c][k] * row[d];
      }
      std::copy(sums, sums + D, features + (first + k) * D);
    }
  }
}

#if defined(__AVX512F__)
// Sixteen rows of two to two columns, and back.
AVATAR_INLINE void turn_rows(const float (&rows)[kLanes * 2], Vec<float>* columns) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 low = _mm512_loadu_ps(rows), high = _mm512_loadu_ps(rows + 16);
  columns[0].p[0] = _mm512_permutex2var_ps(low, even, high);
  columns[1].p[0] = _mm512_permutex2var_ps(low, _mm512_add_epi32(even, _mm512_set1_epi32(1)), high);
}
#endif
template <class S, size_t kSize> AVATAR_INLINE void turn_rows(const S (&rows)[kSize], Vec<S>* columns) {
  constexpr int kColumns = kSize / kLanes;
  for (int k = 0; k < kLanes; k++) {
    for (int d = 0; d < kColumns; d++) columns[d].set_lane(k, rows[k * kColumns + d]);
  }
}

// As encode_level, and the derivatives of the features by the points.
template <int D, class S>
void differentiate_level(const HashColumns<S>& columns, int64_t l, int64_t begin, int64_t end, S* derivatives) {
  const HashLevel& level = columns.scene.levels[l];
  const S* table = columns.scene.table + level.first_row * D;
  S* features = columns.features_of(l);
  columns.template for_each_block<D>(level, table, begin, end, [&](int64_t first, const HashBlock<S>& block) {
    Vec<S> corners[D][kCorners];
    alignas(64) S rows[kCorners][kLanes * D], found[D][kLanes];
    for (int c = 0; c < kCorners; c++) {
      for (int k = 0; k < kLanes; k++) memcpy(rows[c] + k * D, table + static_cast<size_t>(block.rows[c][k]) * D, D * sizeof(S));
    }
    AVATAR_UNROLL for (int c = 0; c < kCorners; c++) {
      Vec<S> turned[D];
      turn_rows(rows[c], turned);
      AVATAR_UNROLL for (int d = 0; d < D; d++) corners[d][c] = turned[d];
    }
    for (int d = 0; d < D; d++) {
      Vec<S> gradient[3];
      const int orders[3] = {0, 0, 0};
      contract(block, corners[d], orders).store(found[d]);
      differentiate(block, corners[d], gradient);
      AVATAR_UNROLL for (int a = 0; a < 3; a++) gradient[a].store(derivatives + 3 * D * first + (3 * d + a) * kLanes);
    }
    for (int k = 0; k < kLanes; k++) {
      for (int d = 0; d < D; d++) features[(first + k) * D + d] = found[d][k];
    }
  });
}

// Adds a slab's share to one level of the table's gradient.
template <int D, bool kHasMoved, class S> void scatter_level(const HashColumns<S>& columns, int64_t l, bool is_first, S* gradient) {
  const HashLevel& level = columns.scene.levels[l];
  const S *features = columns.features_of(l), *moved = columns.moved_of(l);
  S* table = gradient + level.first_row * D;
  if (is_first) std::fill(table, table + level.num_rows * D, S(0));
  HashBlock<S> block;
  S weights[kCorners][kLanes], moved_weights[kCorners][kLanes];
  for (int64_t first = 0; first < columns.scene.num_points; first += kLanes) {
    columns.locate(first, level, block);
    if (kHasMoved) {
      weigh(block, weights);
      columns.weigh_moved(first, block, moved_weights);
    } else {
      columns.weigh(first, block, weights);
    }
    const int64_t count = std::min<int64_t>(kLanes, columns.scene.num_points - first);
    for (int64_t k = 0; k < count; k++) {
      S v[D], u[D];
      std::copy_n(features + (first + k) * D, D, v);
      if (kHasMoved) std::copy_n(moved + (first + k) * D, D, u);
      for (int c = 0; c < kCorners; c++) {
        S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
        S sums[D];  // a copy, so that the row is loaded and stored in one piece
        std::copy_n(row, D, sums);
        for (int d = 0; d < D; d++) sums[d] += weights[c][k] * v[d] + (kHasMoved ? moved_weights[c][k] * u[d] : S(0));
        std::copy_n(sums, D, row);
      }
    }
  }
}

// Each corner's row along the gradient of the features.
template <int D, class S>
AVATAR_INLINE void project(const HashBlock<S>& block, const S* table, const S* features, S along[kCorners][kLanes]) {
  for (int c = 0; c < kCorners; c += 2) {  // the next corner along x is mostly on the same cache line
    for (int k = 0; k < kLanes; k++) __builtin_prefetch(table + static_cast<size_t>(block.rows[c][k]) * D);
  }
  for (int k = 0; k < kLanes; k++) {
    const S* v = features + k * D;
    for (int c = 0; c < kCorners; c++) {
      const S* row = table + static_cast<size_t>(block.rows[c][k]) * D;
      S product = 0;
      for (int d = 0; d < D; d++) product += v[d] * row[d];
      along[c][k] = product;
    }
  }
}

// One level's share of the gradients by the position.
template <int D, class S> void move_level(const HashColumns<S>& columns, int64_t l, int64_t begin, int64_t end) {
  const HashLevel& level = columns.scene.levels[l];
  const S *table = columns.scene.table + level.first_row * D, *features = columns.features_of(l);
  HashBlock<S> block;
  S along[kCorners][kLanes];
  for (int64_t first = begin; first < end; first += kLanes) {
    columns.locate(first, level, block);
    project<D>(block, table, features + first * D, along);
    Vec<S> values[kCorners], gradient[3];
    AVATAR_UNROLL for (int c = 0; c < kCorners; c++) values[c] = Vec<S>::load(along[c]);
    columns.differentiate(first, block, values, gradient);
    AVATAR_UNROLL for (int a = 0; a < 3; a++) gradient[a].store(columns.gradients + (3 * l + a) * columns.padded + first);
  }
}

// Gradients by the position, added over the levels in their order.
template <class S> void sum_levels(const HashColumns<S>& columns, S* gradients, int64_t begin, int64_t end) {
  for (int a = 0; a < 3; a++) {
    S* sum = columns.gradients + a * columns.padded;
    for (int64_t l = 1; l < columns.scene.num_levels; l++) {
      const S* share = sum + 3 * l * columns.padded;
      for (int64_t i = begin; i < end; i++) sum[i] += share[i];
    }
  }
  join<1>(columns.gradients, gradients, 3, 3, columns.padded, begin, end);
}

// Calls run(slab, first point), at least once.
template <class S, class F> void for_each_slab(const HashScene<S>& scene, F&& run) {
  int64_t first = 0;
  do {
    HashScene<S> slab = scene;
    slab.num_points = std::min(kSlab, scene.num_points - first);
    slab.points += 3 * first;
    if (slab.directions) slab.directions += 3 * first;
    run(slab, first);
    first += kSlab;
  } while (first < scene.num_points);
}

template <int D, class S> void encode(const HashEncodeArguments<S>& out) {
  const int64_t levels = out.scene.num_levels;
  for_each_slab(out.scene, [&](const HashScene<S>& slab, int64_t first) {
    const HashColumns<S> columns(slab, false);
    const int64_t chunks = columns.num_chunks(), length = slab.row_length;
    fill_columns<D, S>(columns, nullptr, nullptr);
    avatar_pool::parallel(static_cast<int>(chunks * levels), [&](int task) {
      const int64_t begin = task % chunks * kChunk, end = std::min(begin + kChunk, slab.num_points);
      const int64_t level = task / chunks;
      if (!out.jacobian) return encode_level<D>(columns, level, begin, end);
      differentiate_level<D>(columns, level, begin, end, out.jacobian + 3 * D * (level * padded(out.scene.num_points) + first));
    });
    avatar_pool::parallel_chunks(slab.num_points, kChunk, [&](int64_t begin, int64_t end, int) {
      join<D>(columns.features, out.features + first * length, length, levels, columns.padded, begin, end);
    });
  });
}

// One task for each level of the table, the finest first, so that no two write to one row; then the points.
template <int D, class S> void differentiate_all(const HashGradientArguments<S>& g) {
  const int64_t levels = g.scene.num_levels, tables = g.table ? levels : 0;
  const HashLevel& finest = g.scene.levels[levels - 1];
  if (g.table) want_huge_pages(g.table, (finest.first_row + finest.num_rows) * D * sizeof(S));
  for_each_slab(g.scene, [&](const HashScene<S>& slab, int64_t first) {
    const HashColumns<S> columns(slab, g.points, g.out_moved);
    const int64_t chunks = columns.num_chunks(), moves = g.points ? chunks * levels : 0, offset = first * slab.row_length;
    fill_columns<D>(columns, g.out_features + offset, g.out_moved ? g.out_moved + offset : nullptr);
    avatar_pool::parallel(static_cast<int>(tables + moves), [&](int task) {
      const int64_t level = levels - 1 - task;
      if (task < tables && g.out_moved) return scatter_level<D, true>(columns, level, first == 0, g.table);
      if (task < tables) return scatter_level<D, false>(columns, level, first == 0, g.table);
      const int64_t begin = (task - tables) % chunks * kChunk;
      move_level<D>(columns, (task - tables) / chunks, begin, std::min(begin + kChunk, slab.num_points));
    });
    if (!g.points) return;
    avatar_pool::parallel_chunks(slab.num_points, kChunk, [&](int64_t begin, int64_t end, int) {
      sum_levels(columns, g.points + 3 * first, begin, end);
    });
  });
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
