// The Gaussian rasterizer.
#include "blend.h"
#include "project_backward.h"
#include "state_cache.h"
#include "tiles.h"

namespace AVATAR_ISA {
namespace {

// The colours of a group into the records, unless it is the only one: then the projection has put them there.
template <class S> void load_group(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int first) {
  if (channels_out(scene) <= kGroup) return;
  avatar_pool::parallel_chunks(camera.num_visible, 8192, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) load_colors(camera, scene, index, first, camera.records[i]);
  });
}

// f(first, count) over groups of channels.
template <class F> void for_groups(int channels, F&& f) {
  for (int first = 0; first < channels; first += kGroup) f(first, std::min(kGroup, channels - first));
}

template <class S> const S* background_of(const RasterizeScene<S>& scene, int index) {
  return scene.backgrounds ? scene.backgrounds + index * channels_out(scene) : nullptr;
}

template <class S> RasterizeOutput<S> output_of(const RasterizeScene<S>& scene, const RasterizeOutput<S>& out, int index) {
  const int64_t pixels = scene.height * scene.width;
  return {out.colors + index * pixels * channels_out(scene), out.alphas + index * pixels,
          out.radii + index * 2 * scene.num_gaussians};
}

template <class S> void forward(RasterizeState<S>& state, const RasterizeScene<S>& scene, const RasterizeOutput<S>& outputs) {
  for (int index = 0; index < scene.num_cameras; index++) {
    CameraState<S>& camera = state.camera(index);
    RasterizeOutput<S> out = output_of(scene, outputs, index);
    set_camera(camera, scene, index);
    project(camera, scene, index, out.radii);
    build_tile_lists(camera, scene.num_gaussians);
    const int tiles = camera.tiles_x * camera.tiles_y, channels = channels_out(scene);
    camera.tile_ends.reserve(tiles);
    camera.transmittance.reserve(scene.height * scene.width);
    camera.blended.reserve(scene.height * scene.width * channels);
    for_groups(channels, [&](int first, int count) {
      load_group(camera, scene, index, first);
      with_channels(count, [&](auto nc) {
        avatar_pool::parallel(tiles, [&](int tile) {
          blend_tile<S, decltype(nc)::value>(camera, scene, tile, first, background_of(scene, index), out);
        });
      });
    });
  }
}

// Sums the entries of one Gaussian: six moments, four colours.
template <class S> AVATAR_INLINE void gather(const CameraState<S>& camera, const S* entries, int rank, S* total) {
  for (int e = camera.entry_starts[rank]; e < camera.entry_starts[rank + 1]; e++) {
    const S* entry = entries + static_cast<size_t>(camera.entry_places[e]) * kEntry;
    for (int k = 0; k < kEntry; k++) total[k] += entry[k];
  }
}

// Where the backward pass of one camera accumulates.
template <class S> struct Backward {
  CameraState<S>& camera;
  const RasterizeScene<S>& scene;
  const RasterizeGradients<S>& gradients;
  int index;
  S *entries, *moments, *colors;  // of list entries; n 6 and n (d + depth) of Gaussians

  S* scene_color_gradient(int64_t i) const { return gradients.scene_colors + (colors_of(scene, index, i) - scene.colors); }
};

template <class S> void blend_backward(const Backward<S>& b, int first, int count) {
  CameraState<S>& camera = b.camera;
  const int channels = channels_out(b.scene), tiles = camera.tiles_x * camera.tiles_y;
  const int64_t pixels = b.scene.height * b.scene.width;
  load_group(camera, b.scene, b.index, first);
  with_channels(count, [&](auto nc) {
    avatar_pool::parallel(tiles, [&](int tile) {
      blend_tile_backward<S, decltype(nc)::value>(camera, b.scene, tile, first, background_of(b.scene, b.index),
                                                  b.gradients.colors + b.index * pixels * channels,
                                                  b.gradients.alphas + b.index * pixels, b.entries);
      const size_t end = camera.tile_starts[tile] + camera.tile_ends[tile], last = camera.tile_starts[tile + 1];
      memset(b.entries + end * kEntry, 0, (last - end) * kEntry * sizeof(S));
    });
  });
  avatar_pool::parallel_chunks(b.scene.num_gaussians, 2048, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      if (i + 8 < end && camera.keys[i + 8] != kCulled) __builtin_prefetch(&camera.entry_starts[camera.ranks[i + 8]]);
      S total[kEntry] = {};
      if (camera.keys[i] != kCulled) gather(camera, b.entries, camera.ranks[i], total);
      for (int k = 0; k < 6; k++) b.moments[6 * i + k] = (first ? b.moments[6 * i + k] : S(0)) + total[k];
      for (int c = 0; c < count; c++) b.colors[channels * i + first + c] = total[6 + c];
    }
  });
}

// Loads lane k with Gaussian i and carries its colour gradient into the scene.
template <class S> void fill_lane(const Backward<S>& b, int64_t i, int k, bool inside, Lanes<S>& in, S* v_centre) {
  const CameraState<S>& camera = b.camera;
  const RasterizeScene<S>& scene = b.scene;
  const bool visible = in.visible[k] = inside && camera.keys[i] != kCulled;
  for (int c = 0; c < 6; c++) in.moments[c][k] = visible ? b.moments[6 * i + c] : S(0);
  for (int c = 0; c < 3; c++) in.mean[c][k] = scene.means[3 * i + c], in.scale[c][k] = scene.scales[3 * i + c];
  for (int c = 0; c < 4; c++) {
    in.quat[c][k] = scene.quats[4 * i + c];
    in.conic[c][k] = visible ? camera.conics[4 * i + c] : S(1);
  }
  in.opacity[k] = scene.opacities[i];
  in.blended_opacity[k] = visible ? camera.projected[i].opacity : S(1);
  const int channels = channels_out(scene);
  const S* v_color = b.colors + channels * i;
  in.v_depth[k] = visible && scene.with_depth ? v_color[channels - 1] : S(0);
  S v_view[3] = {};
  if (visible && scene.sh_degree >= 0) {
    sh_backward(scene.sh_degree, colors_of(scene, b.index, i), scene.means + 3 * i, camera.centre, &camera.colors[3 * i],
                v_color, b.scene_color_gradient(i), v_view);
  } else if (visible) {
    S* out = b.scene_color_gradient(i);
    for (int c = 0; c < scene.num_channels; c++) out[c] += v_color[c];
  }
  for (int c = 0; c < 3; c++) in.v_view[c][k] = v_view[c], v_centre[c] -= v_view[c];
}

template <class S> void store_lane(const Backward<S>& b, int64_t i, int k, const ProjectionGradients<S>& out, S* partial) {
  const RasterizeGradients<S>& g = b.gradients;
  for (int c = 0; c < 3; c++) g.means[3 * i + c] += out.mean[c].lane(k), g.scales[3 * i + c] += out.scale[c].lane(k);
  for (int c = 0; c < 4; c++) g.quats[4 * i + c] += out.quat[c].lane(k);
  g.opacities[i] += out.opacity.lane(k);
  if (g.means2d) {
    S* offset = g.means2d + 2 * (b.index * b.scene.num_gaussians + i);
    offset[0] = out.mean2d[0].lane(k), offset[1] = out.mean2d[1].lane(k);
  }
  for (int c = 0; c < 9; c++) partial[c] += out.rotation_rows[c].lane(k);
  for (int c = 0; c < 3; c++) partial[9 + c] += out.mean_camera[c].lane(k);
}

template <class S> void project_backward(const Backward<S>& b, S* partials) {
  const int64_t n = b.scene.num_gaussians;
  avatar_pool::parallel_chunks((n + kLanes - 1) / kLanes, 64, [&](int64_t begin, int64_t end, int chunk) {
    S* partial = partials + chunk * kCameraGradients;
    std::fill(partial, partial + kCameraGradients, S(0));
    for (int64_t block = begin; block < end; block++) {
      Lanes<S> in;
      bool any_visible = false;
      for (int k = 0; k < kLanes; k++) {
        const int64_t i = block * kLanes + k;
        fill_lane(b, i < n ? i : n - 1, k, i < n, in, partial + 12);
        any_visible |= in.visible[k];
      }
      if (!any_visible) continue;
      ProjectionGradients<S> out;
      project_lanes_backward(b.camera, in, S(b.scene.eps2d), b.scene.antialiased != 0, out);
      for (int k = 0; k < kLanes; k++) {
        if (in.visible[k]) store_lane(b, block * kLanes + k, k, out, partial);
      }
    }
  });
}

// Partial sums, in order, into the gradient of camera_from_world; the optical centre is -R^T t.
template <class S> void add_camera_gradient(const Backward<S>& b, const S* partials, int64_t chunks) {
  S total[kCameraGradients] = {};
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    for (int k = 0; k < kCameraGradients; k++) total[k] += partials[chunk * kCameraGradients + k];
  }
  S* out = b.gradients.viewmats + 16 * b.index;
  const S *v_centre = total + 12, *R = b.camera.R, *t = b.camera.t;
  for (int r = 0; r < 3; r++) {
    S v_t = total[9 + r];
    for (int c = 0; c < 3; c++) {
      out[4 * r + c] += total[3 * r + c] - t[r] * v_centre[c];
      v_t -= R[3 * r + c] * v_centre[c];
    }
    out[4 * r + 3] += v_t;
  }
}

template <class S> void backward(RasterizeState<S>& state, const RasterizeScene<S>& scene, const RasterizeGradients<S>& gradients) {
  const int64_t n = scene.num_gaussians, chunks = ((n + kLanes - 1) / kLanes + 63) / 64;
  if (!n) return;
  for (int index = 0; index < scene.num_cameras; index++) {
    CameraState<S>& camera = state.camera(index);
    const int channels = channels_out(scene), tiles = camera.tiles_x * camera.tiles_y;
    S* sums = state.gaussian_gradients.reserve(n * (6 + channels));
    Backward<S> b{camera, scene, gradients, index,
                  state.entry_gradients.reserve(static_cast<size_t>(camera.tile_starts[tiles]) * kEntry), sums, sums + 6 * n};
    for_groups(channels, [&](int first, int count) { blend_backward(b, first, count); });
    S* partials = state.camera_partials.reserve(chunks * kCameraGradients);
    project_backward(b, partials);
    add_camera_gradient(b, partials, chunks);
  }
}

// Returns the id of the state that the backward pass needs.
template <class S> int64_t rasterize(const RasterizeArguments<S>& arguments) {
  int64_t id;
  RasterizeState<S>* state = state_cache<RasterizeState<S>>().take_oldest(&id);
  forward(*state, arguments.scene, arguments.out);
  state_cache<RasterizeState<S>>().put(id, !arguments.keep);
  return id;
}

// Returns 1 where the state has been reused since: then the forward pass has to run again.
template <class S> int64_t rasterize_backward(const RasterizeGradientArguments<S>& arguments) {
  RasterizeState<S>* state = state_cache<RasterizeState<S>>().take(arguments.state_id);
  if (!state) return 1;
  backward(*state, arguments.scene, arguments.gradients);
  state_cache<RasterizeState<S>>().put(arguments.state_id, true);
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(rasterize, RasterizeArguments)
AVATAR_EXPORT(rasterize_backward, RasterizeGradientArguments)
