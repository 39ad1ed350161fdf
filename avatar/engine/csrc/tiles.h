// For every tile, the list of Gaussians that can touch it, front to back.
#pragma once
#include <atomic>

#include "project.h"

namespace AVATAR_ISA {

AVATAR_INLINE int floor_to_int(double x) { return static_cast<int>(std::floor(x)); }

// Left and right end of the ellipse q = q_max on the line dy, relative to its centre; empty (left > right) beyond it.
template <class S> AVATAR_INLINE void ellipse_span(const Record<S>& r, S dy, S& left, S& right) {
  const S discriminant = r.B * r.B * dy * dy - 4 * r.A * (r.C * dy * dy - r.q_max);
  if (discriminant < 0) {
    left = S(1e30), right = S(-1e30);
    return;
  }
  const S root = std::sqrt(discriminant), scale = S(0.5) / r.A;
  left = (-r.B * dy - root) * scale, right = (-r.B * dy + root) * scale;
}

// f(tile) for every tile that the ellipse overlaps: per row of tiles its exact extent (SnugBox, AccuTile: Hanson et al. 2024).
template <class S, class F> AVATAR_INLINE void for_tiles(const CameraState<S>& camera, const Record<S>& r, F&& f) {
  const double inverse = 1.0 / kTile;
  const int y0 = std::max(0, floor_to_int((r.y - r.radius_y - 0.5) * inverse));
  const int y1 = std::min(camera.tiles_y - 1, floor_to_int((r.y + r.radius_y - 0.5) * inverse));
  const int x0 = std::max(0, floor_to_int((r.x - r.radius_x - 0.5) * inverse));
  const int x1 = std::min(camera.tiles_x - 1, floor_to_int((r.x + r.radius_x - 0.5) * inverse));
  if (y0 >= y1 && x0 >= x1) {
    if (y0 == y1 && x0 == x1) f(y0 * camera.tiles_x + x0);
    return;
  }
  const S dy_right = -r.B / (2 * r.C) * r.radius_x;  // height of the rightmost point over the centre
  for (int y = y0; y <= y1; y++) {
    const S low = y * kTile + S(0.5) - r.y, high = low + (kTile - 1);
    S left, right, left2, right2;
    ellipse_span(r, std::max(low, -r.radius_y), left, right);
    ellipse_span(r, std::min(high, r.radius_y), left2, right2);
    left = std::min(left, left2), right = std::max(right, right2);
    if (dy_right >= low && dy_right <= high) right = r.radius_x;
    if (-dy_right >= low && -dy_right <= high) left = -r.radius_x;
    if (right < left) continue;
    const int first = std::max(x0, floor_to_int((r.x + left - S(1e-3) - 0.5) * inverse));
    const int last = std::min(x1, floor_to_int((r.x + right + S(1e-3) - 0.5) * inverse));
    for (int x = first; x <= last; x++) f(y * camera.tiles_x + x);
  }
}

// Tiles of some visible Gaussians to the end of the chunk's list; `count` counts them by tile.
template <class S>
void find_tiles(const CameraState<S>& camera, Chunk& chunk, const int32_t* ids, const uint32_t* depths, int number,
                int32_t* first_touched, int32_t* count) {
  const int64_t tiles = static_cast<int64_t>(camera.tiles_x) * camera.tiles_y;
  for (int i = 0; i < number; i++) {
    first_touched[i] = static_cast<int32_t>(chunk.num_entries);
    Touched* next = chunk.touched.extend(chunk.num_entries + tiles) + chunk.num_entries;
    for_tiles(camera, camera.records[ids[i]], [&](int tile) {
      *next++ = {depths[i], ids[i], tile};
      count[tile]++;
    });
    chunk.num_entries = next - chunk.touched.data();
  }
}

// Projects all Gaussians and finds their tiles. False where there are more pairs of the two than wanted.
template <class S>
bool project_to_tiles(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int32_t* radii, int64_t max_entries) {
  constexpr int kBatch = 256;  // records stay in the first-level cache
  const int64_t n = scene.num_gaussians, tiles = static_cast<int64_t>(camera.tiles_x) * camera.tiles_y;
  camera.records.reserve(n);
  int32_t *visible = camera.visible.reserve(n), *first_touched = camera.first_touched.reserve(n);
  int32_t* counts = camera.tile_counts.reserve(num_chunks(n) * tiles);
  std::atomic<int64_t> total{0};
  avatar_pool::parallel_chunks(n, chunk_size(n), [&](int64_t begin, int64_t end, int number) {
    Chunk& chunk = camera.chunks[number];
    int32_t* count = counts + number * tiles;
    std::fill(count, count + tiles, 0);
    chunk.num_visible = 0, chunk.num_entries = 0;
    uint32_t depths[kBatch];
    for (int64_t i = begin; i < end && total.load(std::memory_order_relaxed) <= max_entries; i += kBatch) {
      const int64_t here = begin + chunk.num_visible, before = chunk.num_entries;
      const int found = project(camera, scene, index, i, std::min(end, i + kBatch), radii, visible + here, depths);
      find_tiles(camera, chunk, visible + here, depths, found, first_touched + here, count);
      chunk.num_visible += found, total += chunk.num_entries - before;
    }
  });
  return total <= max_entries;
}

// A stable counting sort of what was found into tiles, still in the order of the Gaussians.
template <class S> void fill_tiles(CameraState<S>& camera, int chunks) {
  const int tiles = camera.tiles_x * camera.tiles_y;
  int32_t *counts = camera.tile_counts.data(), *starts = camera.tile_starts.reserve(tiles + 1);
  std::fill(starts, starts + tiles + 1, 0);
  int64_t total = 0;
  for (int c = 0; c < chunks; c++) {
    camera.chunks[c].first_entry = total, total += camera.chunks[c].num_entries;
    for (int tile = 0; tile < tiles; tile++) starts[tile + 1] += counts[c * static_cast<int64_t>(tiles) + tile];
  }
  for (int tile = 0; tile < tiles; tile++) starts[tile + 1] += starts[tile];
  uint64_t* unsorted = camera.unsorted.reserve(total);
  int32_t* entry_ids = camera.entry_ids.reserve(total);
  camera.entries.reserve(total), camera.places.reserve(total);
  int32_t* next = camera.tile_ends.reserve(tiles);
  std::copy(starts, starts + tiles, next);
  for (int c = 0; c < chunks; c++) {
    for (int tile = 0; tile < tiles; tile++) {
      int32_t& count = counts[c * static_cast<int64_t>(tiles) + tile];
      const int here = count;
      count = next[tile], next[tile] += here;
    }
  }
  avatar_pool::parallel(chunks, [&](int c) {
    const Chunk& chunk = camera.chunks[c];
    int32_t* place = counts + c * static_cast<int64_t>(tiles);
    for (int64_t i = 0, entry = chunk.first_entry; i < chunk.num_entries; i++, entry++) {
      const Touched& touched = chunk.touched[i];
      unsorted[place[touched.tile]++] = static_cast<uint64_t>(touched.depth) << 32 | static_cast<uint64_t>(entry);
      entry_ids[entry] = touched.id;
    }
  });
}

// Sorts numbers by their upper halves, keeping the order of equal ones, which is that of the lower halves.
inline uint64_t* radix_sort(uint64_t* numbers, uint64_t* other, int count) {
  uint64_t least = ~0ull, most = 0;
  for (int i = 0; i < count; i++) least = std::min(least, numbers[i]), most = std::max(most, numbers[i]);
  const uint64_t base = least >> 32, range = (most >> 32) - base;
  for (int shift = 0; range >> shift; shift += 8) {
    uint32_t places[256] = {}, place = 0;
    for (int i = 0; i < count; i++) places[((numbers[i] >> 32) - base) >> shift & 255]++;
    for (uint32_t& bin : places) {
      const uint32_t size = bin;
      bin = place, place += size;
    }
    for (int i = 0; i < count; i++) other[places[((numbers[i] >> 32) - base) >> shift & 255]++] = numbers[i];
    std::swap(numbers, other);
  }
  return numbers;
}

// Sorts one tile's list by depth; of equal depths the first Gaussian is in front.
template <class S> void sort_tile(CameraState<S>& camera, int tile) {
  constexpr int kFew = 48;
  static thread_local Buffer<uint64_t> scratch;
  const int start = camera.tile_starts[tile], count = camera.tile_starts[tile + 1] - start;
  uint64_t* numbers = camera.unsorted.data() + start;
  if (count <= kFew) {
    std::sort(numbers, numbers + count);
  } else {
    numbers = radix_sort(numbers, scratch.reserve(count), count);
  }
  for (int i = 0; i < count; i++) {
    const int32_t place = static_cast<int32_t>(numbers[i] & 0xffffffffu);
    camera.places[start + i] = place, camera.entries[start + i] = camera.entry_ids[place];
  }
}

}  // namespace AVATAR_ISA
