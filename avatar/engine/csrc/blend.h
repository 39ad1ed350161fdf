// Compositing, front to back, and its gradient. Both walk each tile's list with the same code and so take the same decisions.
#pragma once
#include <algorithm>

#include "state.h"

namespace AVATAR_ISA {

constexpr double kAlphaMin = 1.0 / 255, kAlphaMax = 0.999, kTransmittanceMin = 1e-4;

template <class S> struct TileGrid {
  Vec<S> lane_x, lane_y;  // pixel centres inside a stamp
  TileGrid() {
    for (int k = 0; k < kLanes; k++) {
      lane_x.set_lane(k, S(k & 3) + S(0.5)), lane_y.set_lane(k, S(k >> 2) + S(0.5));
    }
  }
};

// What one Gaussian does to the pixels of one stamp.
template <class S> struct Touch {
  Vec<S> raw_alpha, alpha, before, weight;  // opacity at the pixel before and after its cap; transmittance before; alpha * before
  Mask<S> composited;
};

// Returns false when no pixel of the stamp is touched. `T` is the transmittance, stored negative once a pixel is finished;
// `live` loses its bit when all are.
template <class S>
AVATAR_INLINE bool touch_stamp(const Record<S>& r, const Vec<S>& dx, const Vec<S>& dy_linear, const Vec<S>& dy_square,
                               Vec<S>& T, uint64_t stamp_bit, uint64_t& live, Touch<S>& touch) {
  const Vec<S> q = (r.A * dx + dy_linear) * dx + dy_square;
  touch.before = T;
  Mask<S> mask = less_equal(q, r.q_max) & greater_equal(q, S(0)) & greater(touch.before, S(0));
  if (!any<S>(mask)) return false;
  touch.raw_alpha = r.opacity * exp2_fast(-q);
  mask = mask & greater_equal(touch.raw_alpha, S(kAlphaMin));
  touch.alpha = vmin(touch.raw_alpha, splat<S>(S(kAlphaMax)));
  const Vec<S> after = touch.before - touch.before * touch.alpha;
  const Mask<S> finished = mask & less_equal(after, S(kTransmittanceMin));
  touch.composited = and_not(mask, finished);
  touch.weight = select(touch.composited, touch.alpha * touch.before, splat<S>(0));
  T = select(touch.composited, after, touch.before);
  T = select(finished, -T, T);
  if (any<S>(finished) && !any<S>(greater(T, S(0)))) live &= ~stamp_bit;
  return true;
}

struct StampRange {
  int x0, x1, y0, y1;
};
template <class S> AVATAR_INLINE StampRange stamps_of(const Record<S>& r, S x, S y) {
  auto low = [](S value) { return std::max(0, static_cast<int>(std::floor((value - S(0.5)) * S(0.25)))); };
  auto high = [](S value) { return std::min(kStamps - 1, static_cast<int>(std::floor((value - S(0.5)) * S(0.25)))); };
  return {low(x - r.radius_x), high(x + r.radius_x), low(y - r.radius_y), high(y + r.radius_y)};
}

template <class S> uint64_t stamps_inside_image(const RasterizeScene<S>& scene, int tile_x, int tile_y) {
  uint64_t live = 0;
  for (int s = 0; s < kStampsInTile; s++) {
    const bool inside = tile_y + (s / kStamps) * 4 < scene.height && tile_x + (s % kStamps) * 4 < scene.width;
    live |= static_cast<uint64_t>(inside) << s;
  }
  return live;
}

// f(pixel index, stamp, lane) over the pixels of a tile that lie in the image.
template <class S, class F> AVATAR_INLINE void for_pixels(const RasterizeScene<S>& scene, int tile_x, int tile_y, F&& f) {
  const int rows = static_cast<int>(std::min<int64_t>(kTile, scene.height - tile_y));
  const int columns = static_cast<int>(std::min<int64_t>(kTile, scene.width - tile_x));
  for (int y = 0; y < rows; y++) {
    for (int x = 0; x < columns; x++) {
      f((tile_y + y) * scene.width + tile_x + x, (y >> 2) * kStamps + (x >> 2), (y & 3) * 4 + (x & 3));
    }
  }
}

// Channels [first, first + NC) of all pixels of one tile.
template <class S, int NC>
void blend_tile(CameraState<S>& camera, const RasterizeScene<S>& scene, int tile, int first, const S* background,
                RasterizeOutput<S> out) {
  const TileGrid<S> grid;
  const int tile_x = tile % camera.tiles_x * kTile, tile_y = tile / camera.tiles_x * kTile;
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  const int count = camera.tile_starts[tile + 1] - camera.tile_starts[tile];
  Vec<S> T[kStampsInTile], color[NC][kStampsInTile];
  for (int s = 0; s < kStampsInTile; s++) {
    T[s] = splat<S>(1);
    for (int c = 0; c < NC; c++) color[c][s] = splat<S>(0);
  }
  uint64_t live = stamps_inside_image(scene, tile_x, tile_y);
  int i = 0;
  for (; i < count && live; i++) {
    const Record<S>& r = camera.records[list[i]];
    if (i + 4 < count) __builtin_prefetch(&camera.records[list[i + 4]]);
    const S x = r.x - tile_x, y = r.y - tile_y;
    const StampRange range = stamps_of(r, x, y);
    for (int sy = range.y0; sy <= range.y1; sy++) {
      const Vec<S> dy = y - (grid.lane_y + S(sy * 4)), linear = r.B * dy, square = r.C * dy * dy;
      for (int sx = range.x0; sx <= range.x1; sx++) {
        const int s = sy * kStamps + sx;
        if (!((live >> s) & 1)) continue;
        Touch<S> touch;
        if (!touch_stamp<S>(r, x - (grid.lane_x + S(sx * 4)), linear, square, T[s], 1ull << s, live, touch)) continue;
        AVATAR_UNROLL for (int c = 0; c < NC; c++) color[c][s] += touch.weight * r.color[c];
      }
    }
  }
  camera.tile_ends[tile] = i;
  const int channels = channels_out(scene);
  for_pixels(scene, tile_x, tile_y, [&](int64_t pixel, int s, int lane) {
    const S remaining = std::fabs(T[s].lane(lane));
    camera.transmittance[pixel] = remaining;
    out.alphas[pixel] = 1 - remaining;
    for (int c = 0; c < NC; c++) {
      const S value = color[c][s].lane(lane);
      camera.blended[pixel * channels + first + c] = value;
      out.colors[pixel * channels + first + c] = value + (background ? remaining * background[first + c] : S(0));
    }
  });
}

// Gradients of one pixel's colours, and Q = T_final (v_alpha - background . v) - blended . v. Walking front to back and adding
// weight * (color . v) to Q leaves after each Gaussian what lies behind it, so that dL/dalpha = T (color . v) + Q / (1 - alpha).
template <class S, int NC> struct TileGradients {
  Vec<S> T[kStampsInTile], Q[kStampsInTile], v[NC][kStampsInTile];

  void load(const CameraState<S>& camera, const RasterizeScene<S>& scene, int tile_x, int tile_y, int first,
            const S* background, const S* v_colors, const S* v_alphas) {
    for (int s = 0; s < kStampsInTile; s++) {
      T[s] = splat<S>(-1), Q[s] = splat<S>(0);
      for (int c = 0; c < NC; c++) v[c][s] = splat<S>(0);
    }
    const int channels = channels_out(scene);
    for_pixels(scene, tile_x, tile_y, [&](int64_t pixel, int s, int lane) {
      S seen = 0, behind = first == 0 ? v_alphas[pixel] : S(0);
      for (int c = 0; c < NC; c++) {
        const S value = v_colors[pixel * channels + first + c];
        v[c][s].set_lane(lane, value);
        seen += value * camera.blended[pixel * channels + first + c];
        if (background) behind -= value * background[first + c];
      }
      Q[s].set_lane(lane, camera.transmittance[pixel] * behind - seen);
      T[s].set_lane(lane, 1);
    });
  }
};

// Sums over a tile of what one entry needs: s = dL/dq-weighted moments (1, dx, dy, dx2, dxdy, dy2), then colours.
template <class S, int NC>
void blend_tile_backward(CameraState<S>& camera, const RasterizeScene<S>& scene, int tile, int first, const S* background,
                         const S* v_colors, const S* v_alphas, S* entry_gradients) {
  const int count = camera.tile_ends[tile];
  if (!count) return;
  const TileGrid<S> grid;
  const int tile_x = tile % camera.tiles_x * kTile, tile_y = tile / camera.tiles_x * kTile;
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  S* out = entry_gradients + static_cast<size_t>(camera.tile_starts[tile]) * kEntry;
  TileGradients<S, NC> g;
  g.load(camera, scene, tile_x, tile_y, first, background, v_colors, v_alphas);
  uint64_t live = stamps_inside_image(scene, tile_x, tile_y);
  for (int i = 0; i < count; i++, out += kEntry) {
    const Record<S>& r = camera.records[list[i]];
    if (i + 4 < count) __builtin_prefetch(&camera.records[list[i + 4]]);
    const S x = r.x - tile_x, y = r.y - tile_y;
    const StampRange range = stamps_of(r, x, y);
    Vec<S> m = splat<S>(0), mx = m, my = m, mxx = m, mxy = m, myy = m, v_color[NC];
    for (int c = 0; c < NC; c++) v_color[c] = m;
    for (int sy = range.y0; sy <= range.y1; sy++) {
      const Vec<S> dy = y - (grid.lane_y + S(sy * 4)), linear = r.B * dy, square = r.C * dy * dy;
      Vec<S> row = splat<S>(0), row_x = row, row_xx = row;
      for (int sx = range.x0; sx <= range.x1; sx++) {
        const int s = sy * kStamps + sx;
        if (!((live >> s) & 1)) continue;
        const Vec<S> dx = x - (grid.lane_x + S(sx * 4));
        Touch<S> touch;
        if (!touch_stamp<S>(r, dx, linear, square, g.T[s], 1ull << s, live, touch)) continue;
        Vec<S> dot = g.v[0][s] * r.color[0];
        AVATAR_UNROLL for (int c = 1; c < NC; c++) dot += g.v[c][s] * r.color[c];
        AVATAR_UNROLL for (int c = 0; c < NC; c++) v_color[c] += touch.weight * g.v[c][s];
        g.Q[s] += touch.weight * dot;
        const Vec<S> v_alpha = touch.before * dot + g.Q[s] / (S(1) - touch.alpha);
        const Mask<S> uncapped = touch.composited & less_equal(touch.raw_alpha, S(kAlphaMax));
        const Vec<S> v_q = select(uncapped, -touch.alpha * v_alpha, splat<S>(0)), v_qx = v_q * dx;
        row += v_q, row_x += v_qx, row_xx += v_qx * dx;
      }
      const Vec<S> row_y = row * dy;
      m += row, mx += row_x, mxx += row_xx, my += row_y, myy += row_y * dy, mxy += row_x * dy;
    }
    const Vec<S>* moments[6] = {&m, &mx, &my, &mxx, &mxy, &myy};
    for (int k = 0; k < 6; k++) out[k] = sum(*moments[k]);
    for (int c = 0; c < kGroup; c++) out[6 + c] = c < NC ? sum(v_color[c < NC ? c : 0]) : S(0);
  }
}

// f(std::integral_constant<int, NC>) for a run-time number of channels in one group.
template <class F> void with_channels(int count, F&& f) {
  switch (count) {
    case 1: return f(std::integral_constant<int, 1>());
    case 2: return f(std::integral_constant<int, 2>());
    case 3: return f(std::integral_constant<int, 3>());
    default: return f(std::integral_constant<int, 4>());
  }
}

}  // namespace AVATAR_ISA
