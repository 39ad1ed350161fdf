// Compositing, front to back, and its gradient. Both walk the same lists with the same code and so take the same decisions.
#pragma once
#include "stamps.h"

namespace AVATAR_ISA {

constexpr double kAlphaMin = 1.0 / 255, kAlphaMax = 0.999, kTransmittanceMin = 1e-4;

// Pixel centres of one stamp, relative to its tile.
template <class S> struct StampPixels {
  Vec<S> x, y;
  StampPixels() = default;
  explicit StampPixels(int stamp) {
    const int left = stamp % kStamps * 4, top = stamp / kStamps * 4;
    for (int k = 0; k < kLanes; k++) x.set_lane(k, S(left + (k & 3)) + S(0.5)), y.set_lane(k, S(top + (k >> 2)) + S(0.5));
  }
};

// What one Gaussian does to the pixels of one stamp.
template <class S> struct Touch {
  Vec<S> dx, dy, raw_alpha, alpha, before, weight;  // opacity before and after its cap; transmittance before; alpha * before
};

// Composites one Gaussian into the transmittance of the pixels still `alive`.
template <class S>
AVATAR_INLINE Touch<S> composite(const Record<S>& r, const StampPixels<S>& pixels, Vec<S>& T, Mask<S>& alive) {
  Touch<S> touch;
  touch.dx = pixels.x - r.x, touch.dy = pixels.y - r.y;
  const Vec<S> level = (r.q_max - r.C * touch.dy * touch.dy) - (r.A * touch.dx + r.B * touch.dy) * touch.dx;
  const Mask<S> inside = greater_equal(level, S(0)) & less_equal(level, r.q_max);
  touch.raw_alpha = exp2_fast(level, S(kAlphaMin));
  touch.alpha = select(inside, vmin(touch.raw_alpha, splat<S>(S(kAlphaMax))), splat<S>(0));
  touch.before = T;
  const Vec<S> after = T - T * touch.alpha;
  alive = alive & greater(after, S(kTransmittanceMin));
  touch.weight = select(alive, touch.alpha * T, splat<S>(0));
  T = select(alive, after, T);
  return touch;
}

// A tile's pixels as stamps: transmittance, negative where a pixel is finished or outside the image.
template <class S> struct TilePixels {
  int x, y, rows, columns;
  Vec<S> T[kStampsInTile];

  TilePixels(const CameraState<S>& camera, const RasterizeScene<S>& scene, int tile)
      : x(tile % camera.tiles_x * kTile), y(tile / camera.tiles_x * kTile),
        rows(static_cast<int>(std::min<int64_t>(kTile, scene.height - y))),
        columns(static_cast<int>(std::min<int64_t>(kTile, scene.width - x))) {
    for (int s = 0; s < kStampsInTile; s++) T[s] = splat<S>(-1);
    each(scene, [&](int64_t, int s, int lane) { T[s].set_lane(lane, 1); });
  }

  uint64_t live() const {
    uint64_t bits = 0;
    for (int s = 0; s < kStampsInTile; s++) bits |= static_cast<uint64_t>(any(greater(T[s], S(0)))) << s;
    return bits;
  }

  // f(pixel index, stamp, lane) over the pixels that lie in the image.
  template <class F> AVATAR_INLINE void each(const RasterizeScene<S>& scene, F&& f) const {
    for (int j = 0; j < rows; j++) {
      for (int i = 0; i < columns; i++) {
        f((y + j) * scene.width + x + i, (j >> 2) * kStamps + (i >> 2), (j & 3) * 4 + (i & 3));
      }
    }
  }
};

// Channels [first, first + NC) of all pixels of one tile.
template <class S, int NC>
void blend_tile(CameraState<S>& camera, const RasterizeScene<S>& scene, int tile, int first, const S* background,
                RasterizeOutput<S> out) {
  static thread_local Buffer<TileBlock<S>> buffer;
  TileBlock<S>& block = *buffer.reserve(1);
  TilePixels<S> pixels(camera, scene, tile);
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  const int count = camera.tile_starts[tile + 1] - camera.tile_starts[tile];
  Vec<S> color[NC][kStampsInTile];
  for (int s = 0; s < kStampsInTile; s++) {
    AVATAR_UNROLL for (int c = 0; c < NC; c++) color[c][s] = splat<S>(0);
  }
  uint64_t live = pixels.live();
  int start = 0;
  for (; start < count && live; start += kBlock) {
    block.load(camera, list + start, std::min(kBlock, count - start), pixels.x, pixels.y);
    for (uint64_t stamps = live; stamps; stamps &= stamps - 1) {
      const int s = __builtin_ctzll(stamps);
      const StampPixels<S> centres(s);
      Vec<S> T = vmax(pixels.T[s], -pixels.T[s]), sum[NC];
      Mask<S> alive = greater(pixels.T[s], S(0));
      AVATAR_UNROLL for (int c = 0; c < NC; c++) sum[c] = color[c][s];
      for (int word = 0; word < kWords; word++) {
        for (uint64_t members = block.members[word][s]; members && any<S>(alive); members &= members - 1) {
          const Record<S>& r = block.records[64 * word + __builtin_ctzll(members)];
          const Touch<S> touch = composite<S>(r, centres, T, alive);
          AVATAR_UNROLL for (int c = 0; c < NC; c++) sum[c] += touch.weight * r.color[c];
        }
      }
      AVATAR_UNROLL for (int c = 0; c < NC; c++) color[c][s] = sum[c];
      pixels.T[s] = select(alive, T, -T);
      if (!any<S>(alive)) live &= ~(1ull << s);
    }
  }
  camera.tile_ends[tile] = std::min(start, count);
  const int channels = channels_out(scene);
  pixels.each(scene, [&](int64_t pixel, int s, int lane) {
    const S remaining = std::fabs(pixels.T[s].lane(lane));
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
  Vec<S> Q[kStampsInTile], v[NC][kStampsInTile];

  TileGradients(const TilePixels<S>& pixels, const CameraState<S>& camera, const RasterizeScene<S>& scene, int first,
                const S* background, const S* v_colors, const S* v_alphas) {
    for (int s = 0; s < kStampsInTile; s++) {
      Q[s] = splat<S>(0);
      for (int c = 0; c < NC; c++) v[c][s] = splat<S>(0);
    }
    const int channels = channels_out(scene);
    pixels.each(scene, [&](int64_t pixel, int s, int lane) {
      S seen = 0, behind = first == 0 ? v_alphas[pixel] : S(0);
      for (int c = 0; c < NC; c++) {
        const S value = v_colors[pixel * channels + first + c];
        v[c][s].set_lane(lane, value);
        seen += value * camera.blended[pixel * channels + first + c];
        if (background) behind -= value * background[first + c];
      }
      Q[s].set_lane(lane, camera.transmittance[pixel] * behind - seen);
    });
  }
};

// Sums over a tile of what one entry needs: s = dL/dq-weighted moments (1, dx, dy, dx2, dxdy, dy2), then colours; where wanted
// also the absolute gradients of each pixel into the mean.
template <class S, int NC, bool kAbsolutes>
void blend_tile_backward(CameraState<S>& camera, const RasterizeScene<S>& scene, int tile, int first, const S* background,
                         const S* v_colors, const S* v_alphas, S* entry_gradients) {
  const int count = camera.tile_ends[tile];
  if (!count) return;
  static thread_local Buffer<TileBlock<S>> buffer;
  TileBlock<S>& block = *buffer.reserve(1);
  static thread_local StampPixels<S>* grid = nullptr;
  if (!grid) {
    grid = new StampPixels<S>[kStampsInTile];
    for (int s = 0; s < kStampsInTile; s++) grid[s] = StampPixels<S>(s);
  }
  TilePixels<S> pixels(camera, scene, tile);
  TileGradients<S, NC> g(pixels, camera, scene, first, background, v_colors, v_alphas);
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  const int32_t* places = camera.places.data() + camera.tile_starts[tile];
  const int64_t stride = entry_stride(channels_out(scene));
  uint64_t live = pixels.live();
  for (int start = 0; start < count; start += kBlock) {
    const int here = std::min(kBlock, count - start);
    block.load(camera, list + start, here, pixels.x, pixels.y);
    for (int i = 0; i < here; i++) {
      const Record<S>& r = block.records[i];
      S* out = entry_gradients + places[start + i] * stride;
      if (i + 8 < here) __builtin_prefetch(entry_gradients + places[start + i + 8] * stride, 1);
      out[kReached] = S((block.stamps[i] & live) != 0);
      if (out[kReached] == 0) continue;
      Vec<S> m = splat<S>(0), mx = m, my = m, mxx = m, mxy = m, myy = m, v_color[NC];
      [[maybe_unused]] Vec<S> absolute_x = m, absolute_y = m;
      for (int c = 0; c < NC; c++) v_color[c] = m;
      for (uint64_t stamps = block.stamps[i] & live; stamps; stamps &= stamps - 1) {
        const int s = __builtin_ctzll(stamps);
        Vec<S> T = vmax(pixels.T[s], -pixels.T[s]);
        Mask<S> alive = greater(pixels.T[s], S(0));
        const Touch<S> touch = composite<S>(r, grid[s], T, alive);
        pixels.T[s] = select(alive, T, -T);
        if (!any<S>(alive)) live &= ~(1ull << s);
        Vec<S> dot = g.v[0][s] * r.color[0];
        AVATAR_UNROLL for (int c = 1; c < NC; c++) dot += g.v[c][s] * r.color[c];
        AVATAR_UNROLL for (int c = 0; c < NC; c++) v_color[c] += touch.weight * g.v[c][s];
        g.Q[s] += touch.weight * dot;
        const Vec<S> v_alpha = touch.before * dot + g.Q[s] / (S(1) - touch.alpha);
        const Mask<S> uncapped = alive & less_equal(touch.raw_alpha, S(kAlphaMax));
        const Vec<S> v_q = select(uncapped, -touch.alpha * v_alpha, splat<S>(0)), v_qx = v_q * touch.dx, v_qy = v_q * touch.dy;
        m += v_q, mx += v_qx, my += v_qy, mxx += v_qx * touch.dx, mxy += v_qx * touch.dy, myy += v_qy * touch.dy;
        if constexpr (kAbsolutes) {
          absolute_x += vabs(S(2) * r.A * v_qx + r.B * v_qy), absolute_y += vabs(r.B * v_qx + S(2) * r.C * v_qy);
        }
      }
      const Vec<S>* moments[6] = {&m, &mx, &my, &mxx, &mxy, &myy};
      for (int k = 0; k < 6; k++) out[k] = (first ? out[k] : S(0)) + (k == 1 || k == 2 ? -sum(*moments[k]) : sum(*moments[k]));
      for (int c = 0; c < NC; c++) out[color_column(first) + c] = sum(v_color[c]);
      if constexpr (kAbsolutes) out[kAbsolute] = sum(absolute_x), out[kAbsolute + 1] = sum(absolute_y);
    }
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
