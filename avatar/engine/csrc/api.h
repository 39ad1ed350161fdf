// The C interface of the engine: plain pointers, return codes, no exceptions. `S` is float or double.
#pragma once
#include <cstdint>

template <class S> struct RasterizeScene {
  int64_t num_gaussians, num_cameras, num_channels;  // channels of `colors`, or 3 with SH; depth comes on top
  const S *means, *quats, *scales, *opacities;       // n 3, n 4 (wxyz, any length), n 3, n
  const S* colors;                                   // n d, or n k 3 with SH; c n d when colors_per_camera
  const S *viewmats, *intrinsics;                    // c 4 4 (camera_from_world), c 3 3
  const S* backgrounds;                              // c d, or null
  const S* means2d_offsets;                          // c n 2 added to the projected means, or null
  int64_t height, width;
  int32_t sh_degree;  // -1: `colors` are colours
  int32_t colors_per_camera, with_depth, antialiased;
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

template <class S> struct SkinScene {
  int64_t num_points, num_joints, num_influences;
  const S *points, *quats, *normals;  // n 3, n 4, n 3
  const int32_t* ids;                 // n k
  const S* weights;                   // n k
  const S* joints;                    // j 16: rows of the 3 x 4 transform, then a unit quaternion
};

template <class S> struct SkinOutput {
  S *points, *quats, *normals;
};

template <class S> struct SkinGradients {
  const S *out_points, *out_quats;
  S *points, *quats, *joints;
};

// What one compiled variant of the kernels offers; `state` is an opaque RasterizeState<S>.
struct Kernels {
  void* (*new_state_f)();
  void* (*new_state_d)();
  void (*forward_f)(void* state, const RasterizeScene<float>*, RasterizeOutput<float>*);
  void (*forward_d)(void* state, const RasterizeScene<double>*, RasterizeOutput<double>*);
  void (*backward_f)(void* state, const RasterizeScene<float>*, const RasterizeGradients<float>*);
  void (*backward_d)(void* state, const RasterizeScene<double>*, const RasterizeGradients<double>*);
  double (*ssim_f)(const float* x, const float* y, float* gradient, int64_t planes, int64_t height, int64_t width);
  double (*ssim_d)(const double* x, const double* y, double* gradient, int64_t planes, int64_t height, int64_t width);
  void (*skin_f)(const SkinScene<float>*, SkinOutput<float>*);
  void (*skin_d)(const SkinScene<double>*, SkinOutput<double>*);
  void (*skin_backward_f)(const SkinScene<float>*, const SkinGradients<float>*);
  void (*skin_backward_d)(const SkinScene<double>*, const SkinGradients<double>*);
};
