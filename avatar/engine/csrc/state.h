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
  const S* linear;                                   // n 3 3: maps the scaled axes, or null
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
  S *means, *quats, *scales, *opacities, *scene_colors, *viewmats;               // of the input; written whole
  S *means2d, *absgrad2d;  // c n 2, or null: of the means on the image, and summed over pixels without their signs
  S* linear;               // like the input, or null
};

template <class S> struct RasterizeArguments {
  RasterizeScene<S> scene;
  RasterizeOutput<S> out;
  int64_t keep;         // whether a backward pass will follow
  int64_t max_entries;  // pairs of a Gaussian and a tile, of one camera
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
constexpr int kChunks = 32;                  // parts of the Gaussians, at most: a function of their number alone
constexpr double kLog2E = 1.4426950408889634;

// A projected Gaussian. With q = A dx^2 + B dx dy + C dy^2 its opacity at a pixel is opacity * 2^-q, and it matters where
// q <= q_max, that is where that is at least 1/255.
template <class S> struct alignas(64) Record {
  S x, y, A, B, C, opacity, q_max, radius_x, radius_y;
  S color[kGroup];
  int32_t id;
};

// A Gaussian in one tile, as found.
struct Touched {
  uint32_t depth;  // bits of the float
  int32_t id, tile;
};

// What one part of the Gaussians adds to the lists.
struct Chunk {
  int num_visible;
  int64_t num_entries, first_entry;
  Buffer<Touched> touched;
};

// One row a list entry, in the order of the Gaussians: six moments and four colours, two absolute sums, whether the entry was
// reached before its tile was opaque, then the other colours.
constexpr int kAbsolute = 6 + kGroup, kReached = kAbsolute + 2, kEntry = 16;
inline int color_column(int channel) { return channel < kGroup ? 6 + channel : kEntry - kGroup + channel; }
inline int64_t entry_stride(int channels) { return kEntry + (channels - 1) / kGroup * kGroup; }

template <class S> struct CameraState {
  S fx, fy, cx, cy, R[9], t[3], centre[3];
  S x_min, x_max, y_min, y_max;  // clamp of x/z and y/z inside the projection's Jacobian
  int tiles_x, tiles_y;
  Chunk chunks[kChunks];
  Buffer<Record<S>> records;          // n, of the visible ones
  Buffer<int32_t> visible;            // ids, from the start of each chunk
  Buffer<int32_t> first_touched;      // of each visible one in its chunk
  Buffer<int32_t> tile_counts;        // chunks x tiles
  Buffer<int32_t> tile_starts;        // tiles + 1
  Buffer<int32_t> tile_ends;          // tiles: end of what was composited, as a count
  Buffer<uint64_t> unsorted;          // depth and place of the entries of each tile
  Buffer<int32_t> entries;            // Gaussians of each tile, front to back
  Buffer<int32_t> places;             // of these entries in the order of the Gaussians
  Buffer<int32_t> entry_ids;          // Gaussian at each place
  Buffer<S> transmittance;            // h w
  Buffer<S> blended;                  // h w d before the background
};

template <class S> struct RasterizeState {
  std::deque<CameraState<S>> cameras;
  Buffer<S> entry_gradients, camera_partials;
  CameraState<S>& camera(size_t i) {
    while (cameras.size() <= i) cameras.emplace_back();
    return cameras[i];
  }
};

template <class S> int channels_out(const RasterizeScene<S>& scene) {
  return static_cast<int>(scene.num_channels + (scene.with_depth ? 1 : 0));
}

inline int64_t chunk_size(int64_t n) {
  const int64_t even = (n + kChunks - 1) / kChunks, least = 1024;
  return ((even > least ? even : least) + kLanes - 1) / kLanes * kLanes;
}
inline int num_chunks(int64_t n) { return static_cast<int>((n + chunk_size(n) - 1) / chunk_size(n)); }

}  // namespace AVATAR_ISA
