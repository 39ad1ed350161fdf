// What a forward pass leaves for its backward pass: records in depth order, tile lists, transmittances.
#pragma once
#include <deque>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct RasterizeScene {
  int64_t num_gaussians, num_cameras, num_channels;  // channels of `colors`, or 3 with SH; depth comes on top
  const S *means, *quats, *scales, *opacities;       // n 3, n 4 (wxyz, any length), n 3, n
  const S* colors;                                   // n d, or n k 3 with SH; c n d when colors_per_camera
  const S *viewmats, *intrinsics;                    // c 4 4 (camera_from_world), c 3 3
  const S* backgrounds;                              // c d, or null
  const S* means2d_offsets;                          // c n 2 added to the projected means, or null
  int64_t height, width;
  int64_t sh_degree;  // -1: `colors` are colours
  int64_t colors_per_camera, with_depth, antialiased;
  double near_plane, far_plane, radius_clip, eps2d;
};

template <class S> struct RasterizeOutput {
  S* colors;       // c h w (d + depth)
  S* alphas;       // c h w
  int32_t* radii;  // c n 2, zero when culled
};

template <class S> struct RasterizeGradients {
  const S *colors, *alphas;                                                      // of the output
  S *means, *quats, *scales, *opacities, *scene_colors, *viewmats, *means2d;     // of the input; zeroed by the caller
};

template <class S> struct RasterizeArguments {
  RasterizeScene<S> scene;
  RasterizeOutput<S> out;
  int64_t keep;  // whether a backward pass will follow
};

template <class S> struct RasterizeGradientArguments {
  RasterizeScene<S> scene;
  RasterizeGradients<S> gradients;
  int64_t state_id;
};

constexpr int kTile = 32;                    // pixels along a tile's side: state of a tile stays in the first-level cache
constexpr int kStamps = kTile / 4;           // 4 x 4-pixel stamps along it
constexpr int kStampsInTile = kStamps * kStamps;
constexpr int kGroup = 4;                    // channels blended in one pass
constexpr int kEntry = 6 + kGroup;           // gradient of one list entry: six sums for the conic, then colours
constexpr uint32_t kCulled = 0xffffffffu;
constexpr double kLog2E = 1.4426950408889634;

// A projected Gaussian. With q = A dx^2 + B dx dy + C dy^2 its opacity at a pixel is opacity * 2^-q, and it matters where
// q <= q_max, that is where that is at least 1/255.
template <class S> struct alignas(64) Record {
  S x, y, A, B, C, opacity, q_max, radius_x, radius_y;
  S color[kGroup];
  int32_t id;
};

template <class S> struct CameraState {
  S fx, fy, cx, cy, R[9], t[3], centre[3];
  S x_min, x_max, y_min, y_max;  // clamp of x/z and y/z inside the projection's Jacobian
  int num_visible, tiles_x, tiles_y;
  Buffer<uint32_t> keys;              // n: depth bits, or kCulled
  Buffer<int32_t> ranks;              // n: place in depth order
  Buffer<S> conics;                   // n 4: inverse covariance a, b, c and the antialiasing factor
  Buffer<S> colors;                   // n 3 from SH
  Buffer<S> depths;                   // n
  Buffer<Record<S>> projected;        // n
  Buffer<Record<S>> records;          // visible, in depth order
  Buffer<int32_t> tile_starts;        // tiles + 1
  Buffer<int32_t> tile_ends;          // tiles: end of what was composited, as a count
  Buffer<int32_t> entries;            // records of each tile, front to back
  Buffer<int32_t> entry_starts;       // visible + 1
  Buffer<int32_t> entry_places;       // where the entries of each record lie
  Buffer<int32_t> tile_counts;        // chunks x tiles
  Buffer<uint32_t> sort_keys[2];
  Buffer<int32_t> sort_ids[2];
  Buffer<S> transmittance;            // h w
  Buffer<S> blended;                  // h w d before the background
};

template <class S> struct RasterizeState {
  std::deque<CameraState<S>> cameras;
  Buffer<S> entry_gradients, gaussian_gradients, camera_partials;
  CameraState<S>& camera(size_t i) {
    while (cameras.size() <= i) cameras.emplace_back();
    return cameras[i];
  }
};

template <class S> int channels_out(const RasterizeScene<S>& scene) {
  return static_cast<int>(scene.num_channels + (scene.with_depth ? 1 : 0));
}

}  // namespace AVATAR_ISA
