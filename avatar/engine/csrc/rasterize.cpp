// The Gaussian rasterizer.
#include "blend.h"
#include "project_backward.h"
#include "state_cache.h"
#include "tiles.h"

namespace AVATAR_ISA {
namespace {

// The colours of a group into the records, unless it is the only one: then the projection has put them there.
template <class S> void load_group(CameraState<S>& camera, const RasterizeScene<S>& scene, int index, int first) {
  const int64_t n = scene.num_gaussians;
  if (channels_out(scene) <= kGroup) return;
  avatar_pool::parallel_chunks(n, chunk_size(n), [&](int64_t begin, int64_t, int chunk) {
    const int32_t* ids = camera.visible.data() + begin;
    for (int i = 0; i < camera.chunks[chunk].num_visible; i++) load_colors(camera, scene, index, first, ids[i]);
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

// False where there are too many pairs of a Gaussian and a tile.
template <class S> bool forward(RasterizeState<S>& state, const RasterizeArguments<S>& arguments) {
  const RasterizeScene<S>& scene = arguments.scene;
  for (int index = 0; index < scene.num_cameras; index++) {
    CameraState<S>& camera = state.camera(index);
    RasterizeOutput<S> out = output_of(scene, arguments.out, index);
    set_camera(camera, scene, index);
    if (!project_to_tiles(camera, scene, index, out.radii, arguments.max_entries)) return false;
    fill_tiles(camera, num_chunks(scene.num_gaussians));
    const int tiles = camera.tiles_x * camera.tiles_y, channels = channels_out(scene);
    camera.transmittance.reserve(scene.height * scene.width);
    camera.blended.reserve(scene.height * scene.width * channels);
    for_groups(channels, [&](int first, int count) {
      load_group(camera, scene, index, first);
      with_channels(count, [&](auto nc) {
        avatar_pool::parallel(tiles, [&](int tile) {
          if (first == 0) sort_tile(camera, tile);
          const BlendPass<S> pass{camera, scene, background_of(scene, index), first};
          blend_tile<S, decltype(nc)::value>(pass, tile, out, arguments.keep != 0);
        });
      });
    });
  }
  return true;
}

template <class S> void blend_backward(const Backward<S>& b, S* entries, int first, int count) {
  CameraState<S>& camera = b.camera;
  const int channels = channels_out(b.scene), tiles = camera.tiles_x * camera.tiles_y;
  const int64_t pixels = b.scene.height * b.scene.width, stride = entry_stride(channels);
  load_group(camera, b.scene, b.index, first);
  auto blend_tiles = [&](auto blend_one) {
    avatar_pool::parallel(tiles, [&](int tile) {
      const BlendPass<S> pass{camera, b.scene, background_of(b.scene, b.index), first};
      blend_one(pass, tile, b.gradients.colors + b.index * pixels * channels, b.gradients.alphas + b.index * pixels, entries);
      const int32_t* places = camera.places.data();
      for (int i = camera.tile_starts[tile] + camera.tile_ends[tile]; i < camera.tile_starts[tile + 1]; i++) {
        entries[places[i] * stride + kReached] = 0;
      }
    });
  };
  with_channels(count, [&](auto nc) {
    constexpr int kChannels = decltype(nc)::value;
    if (b.gradients.absgrad2d) return blend_tiles(blend_tile_backward<S, kChannels, true>);
    blend_tiles(blend_tile_backward<S, kChannels, false>);
  });
}

template <class S> void backward(RasterizeState<S>& state, const RasterizeScene<S>& scene, const RasterizeGradients<S>& gradients) {
  const int64_t n = scene.num_gaussians;
  const int channels = channels_out(scene), chunks = num_chunks(n);
  if (!scene.num_cameras) {
    CameraState<S> nothing;
    const Backward<S> b{nothing, scene, gradients, 0, nullptr};
    clear_gradients(b, 0, n);
  }
  for (int index = 0; index < scene.num_cameras; index++) {
    CameraState<S>& camera = state.camera(index);
    const int tiles = camera.tiles_x * camera.tiles_y;
    S* entries = state.entry_gradients.reserve(camera.tile_starts[tiles] * entry_stride(channels));
    const Backward<S> b{camera, scene, gradients, index, entries};
    for_groups(channels, [&](int first, int count) { blend_backward(b, entries, first, count); });
    S* partials = state.camera_partials.reserve(kChunks * kCameraGradients);
    avatar_pool::parallel_chunks(n, chunk_size(n), [&](int64_t begin, int64_t end, int chunk) {
      chunk_backward(b, begin, end, chunk, partials + chunk * kCameraGradients);
    });
    write_camera_gradient(b, partials, chunks);
  }
}

// Returns the id of the state that the backward pass needs, or 0 where there are too many entries.
template <class S> int64_t rasterize(const RasterizeArguments<S>& arguments) {
  int64_t id;
  RasterizeState<S>* state = state_cache<RasterizeState<S>>().take_oldest(&id);
  const bool done = forward(*state, arguments);
  state_cache<RasterizeState<S>>().put(id, !(done && arguments.keep));
  return done ? id : 0;
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
