// Triangles to pixels with a depth buffer. Compiled without fused products and reassociation: see Edge.
// Bands of rows run in parallel; in each, triangles come in order, so nothing depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel.h"
#include "pool.h"

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

constexpr int64_t kBandRows = 16;

template <class S> struct Mesh {
  const S* vertices_px;
  const S* depths;
  const int64_t* faces;
  int64_t num_faces;
};

template <class S> struct Image {
  int64_t height, width;
  int64_t* triangles;
  S* barycentrics;
  S* depths;
};

// The line through two corners. Its value at a pixel is computed from the corner of the lower index whichever triangle
// asks, so the two triangles at an edge get exactly opposite values and leave no pixel between them.
struct Edge {
  double x, y, dx, dy, sign;
  double at(double px, double py) const { return sign * (dx * (py - y) - dy * (px - x)); }
};

struct Range {
  int64_t first, last;  // inclusive, empty where first > last
};

// Pixels of 0 .. size - 1 whose centres lie in low .. high.
Range pixels_between(double low, double high, int64_t size) {
  const double last = static_cast<double>(size - 1);
  return {static_cast<int64_t>(std::max(0.0, std::ceil(std::min(low - 0.5, last + 1)))),
          static_cast<int64_t>(std::min(last, std::floor(std::max(high - 0.5, -1.0))))};
}

template <class S> struct Triangle {
  int64_t ids[3];
  double x[3], y[3], z[3];

  Triangle(const Mesh<S>& mesh, int64_t face) {
    for (int i = 0; i < 3; i++) {
      ids[i] = mesh.faces[3 * face + i];
      x[i] = mesh.vertices_px[2 * ids[i]], y[i] = mesh.vertices_px[2 * ids[i] + 1], z[i] = mesh.depths[ids[i]];
    }
  }
  bool drawable(double near) const {
    bool all = true;
    for (int i = 0; i < 3; i++) all = all && std::isfinite(x[i]) && std::isfinite(y[i]) && std::isfinite(z[i]) && z[i] > near;
    return all;
  }
  Edge opposite(int corner) const {
    int from = (corner + 1) % 3, to = (corner + 2) % 3;
    const double sign = ids[from] < ids[to] ? 1.0 : -1.0;
    if (sign < 0) std::swap(from, to);
    return {x[from], y[from], x[to] - x[from], y[to] - y[from], sign};
  }
  Range columns(int64_t width) const { return pixels_between(*std::min_element(x, x + 3), *std::max_element(x, x + 3), width); }
  Range rows(int64_t height) const { return pixels_between(*std::min_element(y, y + 3), *std::max_element(y, y + 3), height); }
};

// Draws the rows first .. last of one triangle; `nearness` is the inverse depth of what each pixel of the band shows.
template <class S>
void draw(const Triangle<S>& triangle, int64_t face, Range rows, int64_t band_start, const Image<S>& image, double* nearness) {
  const Edge edges[3] = {triangle.opposite(0), triangle.opposite(1), triangle.opposite(2)};
  const double inverse[3] = {1 / triangle.z[0], 1 / triangle.z[1], 1 / triangle.z[2]};
  const Range columns = triangle.columns(image.width);
  for (int64_t row = rows.first; row <= rows.last; row++) {
    for (int64_t column = columns.first; column <= columns.last; column++) {
      const double px = column + 0.5, py = row + 0.5;
      const double a = edges[0].at(px, py), b = edges[1].at(px, py), c = edges[2].at(px, py);
      const double area = a + b + c;
      const bool inside = (std::min(a, std::min(b, c)) >= 0 || std::max(a, std::max(b, c)) <= 0) && area != 0;
      if (!inside) continue;
      const double u = a * inverse[0], v = b * inverse[1], w = c * inverse[2];
      const double total = u + v + w, near = total / area;
      double& best = nearness[(row - band_start) * image.width + column];
      if (near <= best) continue;
      best = near;
      const int64_t pixel = row * image.width + column;
      image.triangles[pixel] = face;
      image.depths[pixel] = static_cast<S>(area / total);
      S* const out = image.barycentrics + 3 * pixel;
      out[0] = static_cast<S>(u / total), out[1] = static_cast<S>(v / total), out[2] = static_cast<S>(w / total);
    }
  }
}

template <class S> int64_t rasterize_mesh(const RasterizeMeshArguments<S>& a) {
  const Mesh<S> mesh = {a.vertices_px, a.vertex_depths, a.faces, a.num_faces};
  const Image<S> image = {a.height, a.width, a.triangles, a.barycentrics, a.depths};
  std::vector<Range> rows(mesh.num_faces);
  avatar_pool::parallel_chunks(mesh.num_faces, 2048, [&](int64_t begin, int64_t end, int) {
    for (int64_t face = begin; face < end; face++) {
      const Triangle<S> triangle(mesh, face);
      rows[face] = triangle.drawable(a.near) ? triangle.rows(image.height) : Range{0, -1};
    }
  });
  avatar_pool::parallel_chunks(image.height, kBandRows, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * image.width, count = (end - begin) * image.width;
    std::fill_n(image.triangles + first, count, -1);
    std::fill_n(image.barycentrics + 3 * first, 3 * count, S(0));
    std::fill_n(image.depths + first, count, S(0));
    std::vector<double> nearness(count, 0.0);
    for (int64_t face = 0; face < mesh.num_faces; face++) {
      const Range inside = {std::max(begin, rows[face].first), std::min(end - 1, rows[face].last)};
      if (inside.first <= inside.last) draw(Triangle<S>(mesh, face), face, inside, begin, image, nearness.data());
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(rasterize_mesh, RasterizeMeshArguments)
