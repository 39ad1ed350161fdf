// Samples along rays where an occupancy grid is occupied: one walk that notes runs of samples, then one expansion.
// A sample is the exact test of its own midpoint, as the reference makes it (compiled without fused products); cells and
// blocks are only stepped over as far as rounding surely allows.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernel.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct MarchArguments {
  const S *origins, *directions;     // r 3
  const S *near, *far, *jitter;      // r
  const S* box;                      // 2 3: lowest and highest corner
  const uint8_t* occupied;           // x y z
  int64_t num_rays, size[3], max_samples;
  double step;
  int64_t* starts;                   // r + 1: the first sample of every ray
  S *t_starts, *t_ends;              // s, as are the ray ids: written by `march_samples`
  int64_t* ray_ids;
};

namespace {

constexpr int64_t kBlock = 8, kRays = 512;
constexpr int kMaxSteps = 1 << 22;  // float counts them, and their halves, exactly

struct Run {
  int32_t ray, first, count;
};

// Of the calling thread, from `march` to the `march_samples` that follows it.
struct Walks {
  std::vector<std::vector<Run>> chunks;
  std::vector<uint8_t> blocks;
};
Walks& walks() {
  static thread_local Walks own;
  return own;
}

template <class S> struct Lattice {
  S origin, step;
  Lattice(const MarchArguments<S>& a, int64_t ray) : origin(a.near[ray]), step(S(a.step)) {
    if (a.jitter) origin += a.jitter[ray] * step;
  }
  S edge(int i) const { return origin + S(i) * step; }
  S middle(int i) const { return (edge(i) + edge(i + 1)) * S(0.5); }
  // The first sample whose middle is at t or after it; -1 where there are too many before.
  int first_from(S t) const {
    const S guess = (t - origin) / step;
    if (!(guess < kMaxSteps)) return -1;
    int i = std::max(0, static_cast<int>(std::max(guess, S(0))) - 2);
    while (middle(i) < t) i++;
    return i;
  }
};

template <class S> struct Grid {
  const uint8_t *cells, *blocks;
  const S* low;
  int64_t size[3], num_blocks[3];
  S cells_per_metre[3];

  Grid(const MarchArguments<S>& a, const std::vector<uint8_t>& mip) : cells(a.occupied), blocks(mip.data()), low(a.box) {
    for (int k = 0; k < 3; k++) {
      size[k] = a.size[k];
      num_blocks[k] = (size[k] + kBlock - 1) / kBlock;
      cells_per_metre[k] = S(size[k]) / (a.box[3 + k] - low[k]);
    }
  }
  bool is_empty_block(const int* c) const {
    return !blocks[(c[0] / kBlock * num_blocks[1] + c[1] / kBlock) * num_blocks[2] + c[2] / kBlock];
  }
  bool is_occupied(const int* c) const { return cells[(c[0] * size[1] + c[1]) * size[2] + c[2]]; }
};

template <class S> struct Ray {
  const S *origin, *direction;
  S begin, end;

  Ray(const MarchArguments<S>& a, int64_t ray)
      : origin(a.origins + 3 * ray), direction(a.directions + 3 * ray), begin(a.near[ray]), end(a.far[ray]) {
    bool is_still = true, misses = a.jitter && std::isnan(a.jitter[ray]);
    for (int k = 0; k < 3; k++) {
      misses |= !std::isfinite(origin[k]) || !std::isfinite(direction[k]);
      if (direction[k] == 0) {
        misses |= origin[k] < a.box[k] || origin[k] > a.box[3 + k];
        continue;
      }
      is_still = false;
      const S to_low = (a.box[k] - origin[k]) / direction[k], to_high = (a.box[3 + k] - origin[k]) / direction[k];
      begin = std::max(begin, std::min(to_low, to_high));
      end = std::min(end, std::max(to_low, to_high));
    }
    if (is_still || misses) end = begin;
  }
  bool is_hit() const { return begin < end; }  // false too where near or far is no number
};

// How many samples further the ray surely stays in the cell or block that it is in, along each axis.
template <class S> struct Stride {
  S per_cell[3], near_side[3];
  bool forward[3];

  Stride(const Grid<S>& grid, const Ray<S>& ray, const Lattice<S>& lattice) {
    const S reach = std::abs(lattice.origin) + std::max(std::abs(ray.begin), std::abs(ray.end));
    for (int k = 0; k < 3; k++) {
      const S speed = ray.direction[k] * grid.cells_per_metre[k];
      const S largest = std::abs(ray.origin[k]) + std::abs(grid.low[k]) + reach * std::abs(ray.direction[k]);
      const S margin = 16 * std::numeric_limits<S>::epsilon() * (largest * grid.cells_per_metre[k] + S(grid.size[k]));
      forward[k] = speed >= 0;
      near_side[k] = forward[k] ? -margin : margin;
      per_cell[k] = speed == 0 ? S(1e30) : 1 / (speed * lattice.step);
    }
  }
  int samples(const S* place, const int* cell, int64_t extent) const {
    S least = kMaxSteps;
    for (int k = 0; k < 3; k++) {
      const int64_t low = cell[k] / extent * extent;
      least = std::min(least, (S(forward[k] ? low + extent : low) + near_side[k] - place[k]) * per_cell[k]);
    }
    return least > 0 ? static_cast<int>(least) : 0;
  }
};

template <class S> void build_blocks(const MarchArguments<S>& a, const Grid<S>& grid, uint8_t* blocks) {
  avatar_pool::parallel_chunks(grid.num_blocks[0] * grid.num_blocks[1], 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t column = begin; column < end; column++) {
      const int64_t x0 = column / grid.num_blocks[1] * kBlock, y0 = column % grid.num_blocks[1] * kBlock;
      uint8_t* out = blocks + column * grid.num_blocks[2];
      std::fill_n(out, grid.num_blocks[2], 0);
      for (int64_t x = x0; x < std::min(x0 + kBlock, a.size[0]); x++) {
        for (int64_t y = y0; y < std::min(y0 + kBlock, a.size[1]); y++) {
          const uint8_t* row = a.occupied + (x * a.size[1] + y) * a.size[2];
          for (int64_t z = 0; z < a.size[2]; z++) out[z / kBlock] |= row[z];
        }
      }
    }
  });
}

// Appends the runs of samples of one ray; returns their number, or -1 where the ray takes too many steps.
template <class S> int64_t walk(const MarchArguments<S>& a, const Grid<S>& grid, int32_t id, std::vector<Run>& runs) {
  const Ray<S> ray(a, id);
  if (!ray.is_hit()) return 0;
  const Lattice<S> lattice(a, id);
  const int begin = lattice.first_from(ray.begin), end = lattice.first_from(ray.end);
  if (begin < 0 || end < 0) return -1;
  const Stride<S> stride(grid, ray, lattice);
  int64_t total = 0;
  for (int i = begin; i < end && total < a.max_samples;) {
    const S t = lattice.middle(i);
    S place[3];
    int cell[3];
    for (int k = 0; k < 3; k++) {
      place[k] = (ray.origin[k] + t * ray.direction[k] - grid.low[k]) * grid.cells_per_metre[k];
      cell[k] = static_cast<int>(std::min(std::max(place[k], S(0)), S(grid.size[k] - 1)));
    }
    const bool is_empty_block = grid.is_empty_block(cell);
    int64_t count = std::min<int64_t>(stride.samples(place, cell, is_empty_block ? kBlock : 1) + 1, end - i);
    if (!is_empty_block && grid.is_occupied(cell)) {
      count = std::min(count, a.max_samples - total);
      if (total && runs.back().first + runs.back().count == i) {
        runs.back().count += static_cast<int32_t>(count);
      } else {
        runs.push_back({id, i, static_cast<int32_t>(count)});
      }
      total += count;
    }
    i += static_cast<int>(count);
  }
  return total;
}

// Finds the samples and writes `starts`. Returns 1 where a ray takes too many steps.
template <class S> int64_t march(const MarchArguments<S>& a) {
  Walks& own = walks();
  own.blocks.resize(((a.size[0] + 7) / kBlock) * ((a.size[1] + 7) / kBlock) * ((a.size[2] + 7) / kBlock));
  const Grid<S> grid(a, own.blocks);
  build_blocks(a, grid, own.blocks.data());
  own.chunks.resize((a.num_rays + kRays - 1) / kRays);
  avatar_pool::parallel_chunks(a.num_rays, kRays, [&](int64_t begin, int64_t end, int chunk) {
    own.chunks[chunk].clear();
    for (int64_t ray = begin; ray < end; ray++) {
      a.starts[ray + 1] = walk(a, grid, static_cast<int32_t>(ray), own.chunks[chunk]);
    }
  });
  a.starts[0] = 0;
  for (int64_t ray = 0; ray < a.num_rays; ray++) {
    if (a.starts[ray + 1] < 0) return 1;
    a.starts[ray + 1] += a.starts[ray];
  }
  return 0;
}

// Writes the samples that `march`, called before on the same thread with the same arguments, has found.
template <class S> int64_t march_samples(const MarchArguments<S>& a) {
  const Walks& own = walks();
  avatar_pool::parallel_chunks(a.num_rays, kRays, [&](int64_t begin, int64_t, int chunk) {
    int64_t sample = a.starts[begin];
    for (const Run& run : own.chunks[chunk]) {
      const Lattice<S> lattice(a, run.ray);
      for (int i = 0; i < run.count; i++) {
        a.t_starts[sample + i] = lattice.edge(run.first + i);
        a.t_ends[sample + i] = lattice.edge(run.first + i + 1);
      }
      std::fill_n(a.ray_ids + sample, run.count, run.ray);
      sample += run.count;
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(march, MarchArguments)
AVATAR_EXPORT(march_samples, MarchArguments)
