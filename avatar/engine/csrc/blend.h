// Compositing, front to back, and its gradient. Both walk the same lists with the same code and so take the same decisions.
#pragma once
#include "stamps.h"

namespace AVATAR_ISA {

constexpr double kAlphaMin = 1.0 / 255, kAlphaMax = 0.999, kTransmittanceMin = 1e-4;

template <class S> struct BlendPass {
  CameraState<S>& camera;
  const RasterizeScene<S>& scene;
  const S* background;
  int first;  // of the channels that this pass blends
};

// Stamps are blended in parts that fill one register: more would spill.
template <class S> constexpr int kPart = kNativeBytes / sizeof(S);
template <class S> using Part = Vec<S, kPart<S>>;
template <class S> using PartMask = Mask<S, kPart<S>>;

// One number for every pixel of a tile, stamp after stamp.
template <class S> struct alignas(64) Plane {
  typedef typename Quartet<S>::vec Row;
  S values[kStampsInTile * kLanes];
  AVATAR_INLINE Part<S> part(int place) const { return Part<S>::load(values + place); }
  AVATAR_INLINE void set_part(int place, const Part<S>& part) { part.store(values + place); }
  AVATAR_INLINE Row row(int place) const {
    Row row;
    memcpy(&row, values + place, sizeof(row));
    return row;
  }
  AVATAR_INLINE void set_row(int place, const Row& row) { memcpy(values + place, &row, sizeof(row)); }
};

// Centres of the pixels of one row of stamps and of one column, relative to the tile.
template <class S> struct alignas(64) PixelCentres {
  S across[kStamps * kLanes], down[kStamps * kLanes];
  PixelCentres() {
    for (int i = 0; i < kStamps * kLanes; i++) {
      const int stamp = i / kLanes, lane = i % kLanes;
      across[i] = S(4 * stamp + lane % 4) + S(0.5), down[i] = S(4 * stamp + lane / 4) + S(0.5);
    }
  }
  AVATAR_INLINE Part<S> x(int stamp, int lane) const { return Part<S>::load(across + stamp % kStamps * kLanes + lane); }
  AVATAR_INLINE Part<S> y(int stamp, int lane) const { return Part<S>::load(down + stamp / kStamps * kLanes + lane); }
};

// The pixels of a tile.
template <class S> struct TilePixels {
  int x, y, rows, columns;
  int64_t width;
  uint64_t live;  // bits of the stamps that are not finished
  PixelCentres<S> centres;
  Plane<S> T;  // transmittance, negative where a pixel is finished or outside the image

  TilePixels(const BlendPass<S>& pass, int tile) : width(pass.scene.width), live(0) {
    x = tile % pass.camera.tiles_x * kTile, y = tile / pass.camera.tiles_x * kTile;
    rows = static_cast<int>(std::min<int64_t>(kTile, pass.scene.height - y));
    columns = static_cast<int>(std::min<int64_t>(kTile, width - x));
    const Part<S> seen = splat<S, kPart<S>>(1), outside = splat<S, kPart<S>>(-1);
    for (int place = 0; place < kStampsInTile * kLanes; place += kPart<S>) {
      const int stamp = place / kLanes, lane = place % kLanes;
      const PartMask<S> inside = less_equal(centres.x(stamp, lane), S(columns)) & less_equal(centres.y(stamp, lane), S(rows));
      T.set_part(place, select(inside, seen, outside));
    }
    for (int s = 0; s < kStampsInTile; s++) live |= static_cast<uint64_t>(T.values[s * kLanes] > 0) << s;
  }

  // f(pixel, count, place): `count` pixels in a row, 4 but at the image's edge, and their place in a plane.
  template <class F> AVATAR_INLINE void each_row(F&& f) const {
    for (int j = 0; j < rows; j++) {
      for (int i = 0; i < columns; i += 4) {
        f((y + j) * width + x + i, std::min(4, columns - i), ((j >> 2) * kStamps + (i >> 2)) * kLanes + (j & 3) * 4);
      }
    }
  }
};

// N channels of up to four pixels, from an image and to it.
template <class S, int N>
AVATAR_INLINE void load_pixels(const S* source, int64_t stride, int count, typename Quartet<S>::vec* channels) {
  for (int k = 0; k < 4; k++) {
    channels[k] = typename Quartet<S>::vec{};
    if (k < count) memcpy(&channels[k], source + k * stride, N * sizeof(S));
  }
  transpose<S>(channels);
}
template <class S, int N>
AVATAR_INLINE void store_pixels(S* target, int64_t stride, int count, const typename Quartet<S>::vec* channels) {
  typename Quartet<S>::vec pixels[4] = {channels[0], channels[1], channels[2], channels[3]};
  transpose<S>(pixels);
  for (int k = 0; k < count; k++) memcpy(target + k * stride, &pixels[k], N * sizeof(S));
}

// What one Gaussian does to some pixels.
template <class S> struct Touch {
  Part<S> dx, dy;                     // from the Gaussian to the pixel
  Part<S> raw_alpha, alpha, through;  // opacity before and after its cap, and 1 - alpha
  Part<S> before, weight;             // transmittance in front; alpha times it
  PartMask<S> alive;                  // pixels that are not finished
};

template <class S> AVATAR_INLINE Touch<S> composite(const Record<S>& r, const Part<S>& x, const Part<S>& y, Part<S>& T) {
  const Part<S> zero = splat<S, kPart<S>>(0);
  Touch<S> touch;
  touch.dx = x - r.x, touch.dy = y - r.y;
  const Part<S> level = (r.q_max - r.C * touch.dy * touch.dy) - (r.A * touch.dx + r.B * touch.dy) * touch.dx;
  touch.raw_alpha = exp2_fast(level, S(kAlphaMin));
  touch.alpha = select(within(level, r.q_max), vmin(touch.raw_alpha, splat<S, kPart<S>>(S(kAlphaMax))), zero);
  touch.before = T, touch.through = S(1) - touch.alpha;
  const Part<S> after = T * touch.through;
  touch.alive = greater(after, S(kTransmittanceMin));
  touch.weight = select(touch.alive, touch.alpha * T, zero);
  T = select(touch.alive, after, minus_abs(T));
  return touch;
}

template <class S, int NC>
void store_tile(const BlendPass<S>& pass, const TilePixels<S>& pixels, const Plane<S>* color, const RasterizeOutput<S>& out, bool keep) {
  typedef typename Quartet<S>::vec Row;
  const int channels = channels_out(pass.scene);
  pixels.each_row([&](int64_t pixel, int count, int place) {
    const Row signed_rest = pixels.T.row(place), rest = signed_rest < 0 ? -signed_rest : signed_rest, alpha = 1 - rest;
    Row value[4] = {};
    for (int c = 0; c < NC; c++) value[c] = color[c].row(place);
    if (keep) {
      memcpy(pass.camera.transmittance.data() + pixel, &rest, count * sizeof(S));
      store_pixels<S, NC>(pass.camera.blended.data() + pixel * channels + pass.first, channels, count, value);
    }
    for (int c = 0; c < NC && pass.background; c++) value[c] += rest * pass.background[pass.first + c];
    memcpy(out.alphas + pixel, &alpha, count * sizeof(S));
    store_pixels<S, NC>(out.colors + pixel * channels + pass.first, channels, count, value);
  });
}

// One part of a stamp, down the list of its Gaussians. False when all its pixels are finished.
template <class S, int NC>
AVATAR_INLINE bool blend_part(const TileBlock<S>& block, int stamp, int lane, TilePixels<S>& pixels, Plane<S>* color) {
  const int place = stamp * kLanes + lane;
  const Part<S> x = pixels.centres.x(stamp, lane), y = pixels.centres.y(stamp, lane);
  Part<S> T = pixels.T.part(place), sum[NC];
  bool alive = any(greater(T, S(0)));
  AVATAR_UNROLL for (int c = 0; c < NC; c++) sum[c] = color[c].part(place);
  for (int word = 0; word < kWords; word++) {
    for (uint64_t members = block.members[word][stamp]; members && alive; members &= members - 1) {
      const Record<S>& r = block.records[64 * word + __builtin_ctzll(members)];
      const Touch<S> touch = composite(r, x, y, T);
      AVATAR_UNROLL for (int c = 0; c < NC; c++) sum[c] += touch.weight * r.color[c];
      alive = any(touch.alive);
    }
  }
  pixels.T.set_part(place, T);
  AVATAR_UNROLL for (int c = 0; c < NC; c++) color[c].set_part(place, sum[c]);
  return alive;
}

// NC channels of all pixels of one tile; `keep` what the backward pass needs.
template <class S, int NC> void blend_tile(const BlendPass<S>& pass, int tile, const RasterizeOutput<S>& out, bool keep) {
  static thread_local Buffer<TileBlock<S>> buffer;
  TileBlock<S>& block = *buffer.reserve(1);
  CameraState<S>& camera = pass.camera;
  TilePixels<S> pixels(pass, tile);
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  const int count = camera.tile_starts[tile + 1] - camera.tile_starts[tile];
  Plane<S> color[NC] = {};
  int start = 0;
  for (; start < count && pixels.live; start += kBlock) {
    block.load(camera, list + start, std::min(kBlock, count - start), pixels.x, pixels.y);
    for (uint64_t stamps = pixels.live; stamps; stamps &= stamps - 1) {
      const int stamp = __builtin_ctzll(stamps);
      bool alive = false;
      for (int lane = 0; lane < kLanes; lane += kPart<S>) alive |= blend_part<S, NC>(block, stamp, lane, pixels, color);
      if (!alive) pixels.live &= ~(1ull << stamp);
    }
  }
  camera.tile_ends[tile] = std::min(start, count);
  store_tile<S, NC>(pass, pixels, color, out, keep && count);
}

// Gradients of one pixel's colours, and Q = T_final (v_alpha - background . v) - blended . v. Walking front to back and adding
// weight * (color . v) to Q leaves after each Gaussian what lies behind it, so that dL/dalpha = T (color . v) + Q / (1 - alpha).
template <class S, int NC> struct TileGradients {
  Plane<S> Q = {}, v[NC] = {};

  TileGradients(const BlendPass<S>& pass, const TilePixels<S>& pixels, const S* v_colors, const S* v_alphas) {
    typedef typename Quartet<S>::vec Row;
    const int channels = channels_out(pass.scene);
    pixels.each_row([&](int64_t pixel, int count, int place) {
      Row v_color[4], blended[4], rest = {}, behind = {}, seen = {};
      const int64_t offset = pixel * channels + pass.first;
      load_pixels<S, NC>(v_colors + offset, channels, count, v_color);
      load_pixels<S, NC>(pass.camera.blended.data() + offset, channels, count, blended);
      memcpy(&rest, pass.camera.transmittance.data() + pixel, count * sizeof(S));
      if (pass.first == 0) memcpy(&behind, v_alphas + pixel, count * sizeof(S));
      for (int c = 0; c < NC; c++) {
        seen += v_color[c] * blended[c];
        if (pass.background) behind -= v_color[c] * pass.background[pass.first + c];
        v[c].set_row(place, v_color[c]);
      }
      Q.set_row(place, rest * behind - seen);
    });
  }
};

// What the pixels of a tile say to one Gaussian: moments (1, dx, dy, dx2, dxdy, dy2) of dL/dq up to their signs, colours, and
// where wanted the absolute gradients of each pixel into the mean.
template <class S, int NC, bool kAbsolutes> struct EntrySums {
  Part<S> moments[6], colors[4], absolute[2];
  EntrySums() {
    for (Part<S>& sum : absolute) sum = splat<S, kPart<S>>(0);
    for (Part<S>& sum : moments) sum = splat<S, kPart<S>>(0);
    for (Part<S>& sum : colors) sum = splat<S, kPart<S>>(0);
  }

  AVATAR_INLINE void add(const Record<S>& r, const Touch<S>& touch, const TileGradients<S, NC>& g, Part<S>& Q, int place) {
    Part<S> dot = splat<S, kPart<S>>(0);
    AVATAR_UNROLL for (int c = 0; c < NC; c++) {
      const Part<S> v = g.v[c].part(place);
      dot += v * r.color[c], colors[c] += touch.weight * v;
    }
    Q += touch.weight * dot;
    const Part<S> v_alpha = touch.before * dot + Q * reciprocal(touch.through);
    const PartMask<S> uncapped = touch.alive & less_equal(touch.raw_alpha, S(kAlphaMax));
    const Part<S> v_q = select(uncapped, touch.alpha * v_alpha, splat<S, kPart<S>>(0));
    const Part<S> v_qx = v_q * touch.dx, v_qy = v_q * touch.dy;
    moments[0] += v_q, moments[1] += v_qx, moments[2] += v_qy;
    moments[3] += v_qx * touch.dx, moments[4] += v_qx * touch.dy, moments[5] += v_qy * touch.dy;
    if constexpr (kAbsolutes) {
      absolute[0] += vabs(S(2) * r.A * v_qx + r.B * v_qy), absolute[1] += vabs(r.B * v_qx + S(2) * r.C * v_qy);
    }
  }

  AVATAR_INLINE void store(S* row, int first) const {
    typedef typename Quartet<S>::vec Four;
    const Four sums[3] = {Four{-1, 1, 1, -1} * sum_each<S>(moments[0], moments[1], moments[2], moments[3]),
                          Four{-1, -1, 1, 1} * sum_each<S>(moments[4], moments[5], colors[0], colors[1]),
                          sum_each<S>(colors[2], colors[3], colors[2], colors[3])};
    S total[12];
    memcpy(total, sums, sizeof(total));
    for (int k = 0; k < 6; k++) row[k] = (first ? row[k] : S(0)) + total[k];
    for (int c = 0; c < NC; c++) row[color_column(first) + c] = total[6 + c];
    if constexpr (kAbsolutes) row[kAbsolute] = sum(absolute[0]), row[kAbsolute + 1] = sum(absolute[1]);
  }
};

// The row of every entry of a tile.
template <class S, int NC, bool kAbsolutes>
void blend_tile_backward(const BlendPass<S>& pass, int tile, const S* v_colors, const S* v_alphas, S* entry_gradients) {
  CameraState<S>& camera = pass.camera;
  const int count = camera.tile_ends[tile];
  if (!count) return;
  static thread_local Buffer<TileBlock<S>> buffer;
  TileBlock<S>& block = *buffer.reserve(1);
  TilePixels<S> pixels(pass, tile);
  TileGradients<S, NC> g(pass, pixels, v_colors, v_alphas);
  const int32_t* list = camera.entries.data() + camera.tile_starts[tile];
  const int32_t* places = camera.places.data() + camera.tile_starts[tile];
  const int64_t stride = entry_stride(channels_out(pass.scene));
  for (int start = 0; start < count; start += kBlock) {
    const int here = std::min(kBlock, count - start);
    block.load(camera, list + start, here, pixels.x, pixels.y);
    for (int i = 0; i < here; i++) {
      if (start + i + 8 < count) __builtin_prefetch(entry_gradients + places[start + i + 8] * stride, 1);
      const Record<S>& r = block.records[i];
      S* row = entry_gradients + places[start + i] * stride;
      uint64_t stamps = block.stamps[i] & pixels.live;
      row[kReached] = S(stamps != 0);
      if (!stamps) continue;
      EntrySums<S, NC, kAbsolutes> sums;
      for (; stamps; stamps &= stamps - 1) {
        const int stamp = __builtin_ctzll(stamps);
        bool alive = false;
        AVATAR_UNROLL for (int lane = 0; lane < kLanes; lane += kPart<S>) {
          const int place = stamp * kLanes + lane;
          Part<S> T = pixels.T.part(place), Q = g.Q.part(place);
          const Touch<S> touch = composite(r, pixels.centres.x(stamp, lane), pixels.centres.y(stamp, lane), T);
          sums.add(r, touch, g, Q, place);
          pixels.T.set_part(place, T), g.Q.set_part(place, Q);
          alive |= any(touch.alive);
        }
        if (!alive) pixels.live &= ~(1ull << stamp);
      }
      sums.store(row, pass.first);
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
