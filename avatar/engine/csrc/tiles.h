// Depth order and, for every tile, the list of Gaussians that can touch it, front to back.
#pragma once
#include <algorithm>

#include "state.h"

namespace AVATAR_ISA {

// Visible Gaussians by depth: radix sort of the n float keys (three passes of 11 bits), stable by index. Returns their ids.
template <class S> const int32_t* sort_by_depth(CameraState<S>& camera, int64_t n) {
  constexpr int kBins = 2048;
  uint32_t *keys = camera.sort_keys[0].reserve(n), *other_keys = camera.sort_keys[1].reserve(n);
  int32_t *ids = camera.sort_ids[0].reserve(n), *other_ids = camera.sort_ids[1].reserve(n);
  int count = 0;
  for (int64_t i = 0; i < n; i++) {
    keys[count] = camera.keys[i], ids[count] = static_cast<int32_t>(i);
    count += camera.keys[i] != kCulled;
  }
  uint32_t histogram[3][kBins] = {};
  for (int i = 0; i < count; i++) {
    for (int pass = 0; pass < 3; pass++) histogram[pass][(keys[i] >> (11 * pass)) & (kBins - 1)]++;
  }
  for (int pass = 0; pass < 3; pass++) {
    uint32_t start = 0;
    bool already_sorted = false;
    for (uint32_t& bin : histogram[pass]) {
      already_sorted |= static_cast<int>(bin) == count;
      const uint32_t size = bin;
      bin = start, start += size;
    }
    if (already_sorted) continue;
    for (int i = 0; i < count; i++) {
      const uint32_t place = histogram[pass][(keys[i] >> (11 * pass)) & (kBins - 1)]++;
      other_keys[place] = keys[i], other_ids[place] = ids[i];
    }
    std::swap(keys, other_keys), std::swap(ids, other_ids);
  }
  camera.num_visible = count;
  return ids;
}

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

// Records into depth order and a stable counting sort into tile lists. The number of chunks depends on the count alone, so
// the lists are the same for any number of threads.
template <class S> int build_tile_lists(CameraState<S>& camera, int64_t n) {
  const int32_t* order = sort_by_depth(camera, n);
  const int visible = camera.num_visible, tiles = camera.tiles_x * camera.tiles_y;
  const int chunks = std::min(16, visible / 4096 + 1), grain = (visible + chunks - 1) / chunks;
  Record<S>* records = camera.records.reserve(visible);
  int32_t* entry_starts = camera.entry_starts.reserve(visible + 1);
  int32_t* counts = camera.tile_counts.reserve(static_cast<size_t>(chunks) * tiles);
  std::fill(counts, counts + static_cast<size_t>(chunks) * tiles, 0);
  entry_starts[0] = 0;
  auto in_chunk = [&](int chunk, auto&& f) {
    for (int i = chunk * grain, end = std::min(visible, i + grain); i < end; i++) f(i, counts + static_cast<size_t>(chunk) * tiles);
  };
  avatar_pool::parallel(chunks, [&](int chunk) {
    in_chunk(chunk, [&](int i, int32_t* count) {
      if (i + 12 < visible) __builtin_prefetch(&camera.projected[order[i + 12]]);
      records[i] = camera.projected[order[i]];
      camera.ranks[records[i].id] = i;
      int touched = 0;
      for_tiles(camera, records[i], [&](int tile) { count[tile]++, touched++; });
      entry_starts[i + 1] = touched;
    });
  });
  int32_t* starts = camera.tile_starts.reserve(tiles + 1);
  int total = 0;
  for (int tile = 0; tile < tiles; tile++) {
    starts[tile] = total;
    for (int chunk = 0; chunk < chunks; chunk++) {
      int32_t& count = counts[static_cast<size_t>(chunk) * tiles + tile];
      const int here = count;
      count = total, total += here;
    }
  }
  starts[tiles] = total;
  for (int i = 0; i < visible; i++) entry_starts[i + 1] += entry_starts[i];
  int32_t *entries = camera.entries.reserve(total), *places = camera.entry_places.reserve(total);
  avatar_pool::parallel(chunks, [&](int chunk) {
    in_chunk(chunk, [&](int i, int32_t* next) {
      int32_t* place = places + entry_starts[i];
      for_tiles(camera, records[i], [&](int tile) {
        entries[next[tile]] = i;
        *place++ = next[tile]++;
      });
    });
  });
  return total;
}

}  // namespace AVATAR_ISA
