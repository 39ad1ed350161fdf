// Triangles to pixels with a depth buffer. Compiled without fused products and reassociation: see Edge.
// Bands of rows run in parallel; in each, triangles come in order, so nothing depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "buffer.h"
#include "kernel.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct RasterizeMeshArguments {
  const S *vertices_px, *vertex_depths;  // v 2, v
  const int64_t* faces;                  // t 3
  int64_t num_faces, height, width;
  double near;
  int64_t* triangles;                    // h w
  S *barycentrics, *depths;              // h w 3, h w
};

namespace {

constexpr int32_t kBandRows = 16;
constexpr int64_t kFacesOfTask = 1024;

struct Range {
  int32_t first, last;  // inclusive, empty where first > last
};

// Pixels of 0 .. size - 1 whose centres lie in low .. high.
AVATAR_INLINE Range pixels_between(double low, double high, double size) {
  low = low - 0.5 < size ? low - 0.5 : size;
  high = high - 0.5 > -1.0 ? high - 0.5 : -1.0;
  const double first = std::ceil(low), last = std::floor(high);
  return {static_cast<int32_t>(first > 0 ? first : 0), static_cast<int32_t>(last < size - 1 ? last : size - 1)};
}

// A triangle whose box holds pixel centres. At bit i of `is_forward` the first corner of the edge opposite corner i has
// the lower index of its two.
template <class S> struct Triangle {
  int32_t face, is_forward;
  Range columns, rows;
  S x[3], y[3], z[3];
};

// Whether there is anything to draw of a face.
template <class S> AVATAR_INLINE bool read(const RasterizeMeshArguments<S>& a, int64_t face, Triangle<S>& triangle) {
  const int64_t* ids = a.faces + 3 * face;
  S *const x = triangle.x, *const y = triangle.y, *const z = triangle.z;
  S sum = 0;  // not a number where a corner is not finite
  for (int i = 0; i < 3; i++) {
    x[i] = a.vertices_px[2 * ids[i]], y[i] = a.vertices_px[2 * ids[i] + 1], z[i] = a.vertex_depths[ids[i]];
    sum += (x[i] - x[i]) + (y[i] - y[i]) + (z[i] - z[i]);
  }
  const bool is_drawable = sum == 0 && std::min(z[0], std::min(z[1], z[2])) > a.near;
  if (!is_drawable) return false;
  triangle.face = static_cast<int32_t>(face);
  triangle.is_forward = (ids[1] < ids[2]) | (ids[2] < ids[0]) << 1 | (ids[0] < ids[1]) << 2;
  triangle.columns = pixels_between(std::min(x[0], std::min(x[1], x[2])), std::max(x[0], std::max(x[1], x[2])), a.width);
  triangle.rows = pixels_between(std::min(y[0], std::min(y[1], y[2])), std::max(y[0], std::max(y[1], y[2])), a.height);
  return triangle.columns.first <= triangle.columns.last && triangle.rows.first <= triangle.rows.last;
}

// Triangles in order, and for every band the list of those that reach into it, in the same order.
template <class S> struct Bands {
  const Triangle<S>* triangles;
  const int32_t *starts, *entries;  // of the list of each band; places of triangles
};

template <class S> Bands<S> sort_into_bands(const RasterizeMeshArguments<S>& a) {
  static thread_local Buffer<Triangle<S>> triangle_buffer;
  static thread_local Buffer<int32_t> count_buffer, start_buffer, entry_buffer;
  const int64_t bands = (a.height + kBandRows - 1) / kBandRows, tasks = (a.num_faces + kFacesOfTask - 1) / kFacesOfTask;
  Triangle<S>* const triangles = triangle_buffer.reserve(a.num_faces);
  int32_t* const counts = count_buffer.reserve(tasks * (bands + 1));  // of a task: entries of each band, then triangles
  int32_t* const starts = start_buffer.reserve(bands + 1);
  avatar_pool::parallel_chunks(a.num_faces, kFacesOfTask, [&](int64_t begin, int64_t end, int task) {
    int32_t* const count = counts + task * (bands + 1);
    std::fill_n(count, bands + 1, 0);
    for (int64_t face = begin; face < end; face++) {
      Triangle<S>& triangle = triangles[begin + count[bands]];
      if (!read(a, face, triangle)) continue;
      count[bands]++;
      for (int32_t band = triangle.rows.first / kBandRows; band <= triangle.rows.last / kBandRows; band++) count[band]++;
    }
  });
  int32_t total = 0;
  for (int64_t band = 0; band < bands; band++) {
    starts[band] = total;
    for (int64_t task = 0; task < tasks; task++) {
      int32_t& count = counts[task * (bands + 1) + band];
      const int32_t here = count;
      count = total, total += here;
    }
  }
  starts[bands] = total;
  int32_t* const entries = entry_buffer.reserve(total);
  avatar_pool::parallel(static_cast<int>(tasks), [&](int task) {
    int32_t* const next = counts + task * (bands + 1);
    for (int32_t i = 0; i < next[bands]; i++) {
      const int32_t place = static_cast<int32_t>(task * kFacesOfTask) + i;
      const Range rows = triangles[place].rows;
      for (int32_t band = rows.first / kBandRows; band <= rows.last / kBandRows; band++) entries[next[band]++] = place;
    }
  });
  return {triangles, starts, entries};
}

// The line through two corners. Its value at a pixel is computed from the corner of the lower index whichever triangle
// asks, so the two triangles at an edge get exactly opposite values and leave no pixel between them.
struct Edge {
  double x, y, dx, dy;  // both differences negated where the triangle has the edge the other way round

  template <class S> Edge(const Triangle<S>& triangle, int corner) {
    const bool is_forward = triangle.is_forward >> corner & 1;
    const int start = (corner + 1) % 3, end = (corner + 2) % 3, from = is_forward ? start : end;
    x = triangle.x[from], y = triangle.y[from];
    dx = static_cast<double>(triangle.x[end]) - triangle.x[start], dy = static_cast<double>(triangle.y[end]) - triangle.y[start];
  }
  AVATAR_INLINE Vec<double> at(const Vec<double>& px, const Vec<double>& py) const { return dx * (py - y) - dy * (px - x); }
};

// Sixteen pixels as a block `width` columns wide: where each lane is from the first; lanes to spare are infinitely far.
struct Block {
  Vec<double> x, y;
  int32_t columns[kLanes], rows[kLanes];
};

const Block* blocks_by_width() {
  static const struct Table {
    Block blocks[kLanes + 1];
    Table() {
      for (int width = 1; width <= kLanes; width++) {
        for (int lane = 0; lane < kLanes; lane++) {
          Block& block = blocks[width];
          block.columns[lane] = lane % width, block.rows[lane] = lane / width;
          block.x.set_lane(lane, lane < kLanes / width * width ? lane % width : INFINITY);
          block.y.set_lane(lane, lane / width);
        }
      }
    }
  } table;
  return table.blocks;
}

// What the pixels of a block see of a triangle: which of them it holds, each corner's weight in space, the sums of these
// and of the weights on the image, and inverse depths.
struct Hits {
  uint32_t lanes;
  double weights[3][kLanes], totals[kLanes], areas[kLanes], nearness[kLanes];
};

struct Setup {
  Edge edges[3];
  double inverse[3];      // of the corners' depths
  double last_x, last_y;  // centre of the last pixel
};

AVATAR_INLINE void test_block(const Setup& setup, const Vec<double>& x, const Vec<double>& y, Hits& hits) {
  const Vec<double> r = setup.edges[0].at(x, y), s = setup.edges[1].at(x, y), t = setup.edges[2].at(x, y), area = r + s + t;
  const Vec<double> low = vmin(r, vmin(s, t)), high = vmax(r, vmax(s, t));
  const Mask<double> inside = greater_equal(vmax(low, -high), 0) & greater(vmax(area, -area), 0);
  hits.lanes = lane_bits(inside & less_equal(x, setup.last_x) & less_equal(y, setup.last_y));
  if (!hits.lanes) return;
  const Vec<double> u = r * setup.inverse[0], v = s * setup.inverse[1], w = t * setup.inverse[2], total = u + v + w;
  u.store(hits.weights[0]), v.store(hits.weights[1]), w.store(hits.weights[2]);
  total.store(hits.totals), area.store(hits.areas), (total / area).store(hits.nearness);
}

// Draws one triangle into the rows of a band; `nearness` is the inverse depth of what each of its pixels shows.
template <class S>
void draw(const RasterizeMeshArguments<S>& a, const Triangle<S>& triangle, Range band, const Block* blocks, double* nearness) {
  const Range columns = triangle.columns;
  const int32_t last_row = std::min(band.last, triangle.rows.last);
  const Setup setup = {{Edge(triangle, 0), Edge(triangle, 1), Edge(triangle, 2)},
                       {1.0 / triangle.z[0], 1.0 / triangle.z[1], 1.0 / triangle.z[2]},
                       columns.last + 0.5, last_row + 0.5};
  const int32_t width = std::min(kLanes, columns.last - columns.first + 1);
  const Block& block = blocks[width];
  const int32_t height = block.rows[kLanes - width] + 1;
  Hits hits;
  for (int32_t row = std::max(band.first, triangle.rows.first); row <= last_row; row += height) {
    for (int32_t column = columns.first; column <= columns.last; column += width) {
      test_block(setup, block.x + (column + 0.5), block.y + (row + 0.5), hits);
      for (uint32_t bits = hits.lanes; bits; bits &= bits - 1) {
        const int lane = __builtin_ctz(bits);
        const int64_t pixel = (row + block.rows[lane]) * a.width + column + block.columns[lane];
        double& best = nearness[pixel - band.first * a.width];
        if (hits.nearness[lane] <= best) continue;
        best = hits.nearness[lane];
        a.triangles[pixel] = triangle.face;
        a.depths[pixel] = static_cast<S>(hits.areas[lane] / hits.totals[lane]);
        for (int i = 0; i < 3; i++) a.barycentrics[3 * pixel + i] = static_cast<S>(hits.weights[i][lane] / hits.totals[lane]);
      }
    }
  }
}

template <class S> int64_t rasterize_mesh(const RasterizeMeshArguments<S>& a) {
  const Bands<S> bands = sort_into_bands(a);
  const Block* const blocks = blocks_by_width();
  avatar_pool::parallel_chunks(a.height, kBandRows, [&](int64_t begin, int64_t end, int band) {
    static thread_local Buffer<double> buffer;
    const int64_t first = begin * a.width, count = (end - begin) * a.width;
    double* const nearness = buffer.reserve(count);
    std::fill_n(nearness, count, 0.0);
    std::fill_n(a.triangles + first, count, -1);
    std::fill_n(a.barycentrics + 3 * first, 3 * count, S(0));
    std::fill_n(a.depths + first, count, S(0));
    const Range rows = {static_cast<int32_t>(begin), static_cast<int32_t>(end - 1)};
    for (int32_t i = bands.starts[band]; i < bands.starts[band + 1]; i++) {
      draw(a, bands.triangles[bands.entries[i]], rows, blocks, nearness);
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(rasterize_mesh, RasterizeMeshArguments)
