// Mean errors of colour and coverage between a rendering and a picture, and one gradient for all terms of a loss.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct ImagePair {
  const S *color, *alpha, *target;  // h w c, h w, h w c
  const bool* is_foreground;        // h w
  int64_t pixels, channels;
  double huber_delta;  // not zero: the absolute difference is the Huber loss of a tiny one
};

template <class S> struct ImageErrorArguments {
  ImagePair<S> images;
  double* means;  // of colour, of coverage
};

template <class S> struct ImageErrorGradientArguments {
  ImagePair<S> images;
  const S *v_color, *v_dssim, *v_mask;  // derivatives of the loss to the three means
  const S* ssim_gradient;               // h w c, or null
  S *color, *alpha;
};

namespace {

constexpr int64_t kPixelsInChunk = 8192;

template <class S> int64_t image_errors(const ImageErrorArguments<S>& out) {
  const ImagePair<S>& images = out.images;
  const S delta = S(images.huber_delta), half = S(0.5), inverse = 1 / delta;
  static thread_local Buffer<double> storage;
  const int64_t chunks = (images.pixels + kPixelsInChunk - 1) / kPixelsInChunk;
  double* totals = storage.reserve(2 * chunks);
  avatar_pool::parallel_chunks(images.pixels, kPixelsInChunk, [&](int64_t begin, int64_t end, int chunk) {
    S color = 0, mask = 0;
    for (int64_t i = begin * images.channels; i < end * images.channels; i++) {
      const S size = std::abs(images.color[i] - images.target[i]), below = std::min(size, delta);
      color += size - below + half * below * below * inverse;
    }
    for (int64_t i = begin; i < end; i++) mask += std::abs(images.alpha[i] - S(images.is_foreground[i]));
    totals[2 * chunk] = color;
    totals[2 * chunk + 1] = mask;
  });
  double color = 0, mask = 0;
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    color += totals[2 * chunk];
    mask += totals[2 * chunk + 1];
  }
  out.means[0] = color / static_cast<double>(images.pixels * images.channels);
  out.means[1] = mask / static_cast<double>(images.pixels);
  return 0;
}

template <class S> int64_t image_errors_backward(const ImageErrorGradientArguments<S>& g) {
  const ImagePair<S>& images = g.images;
  const S v_color = *g.v_color / S(images.pixels * images.channels), v_mask = *g.v_mask / S(images.pixels);
  const S inverse = S(1 / images.huber_delta);
  avatar_pool::parallel_chunks(images.pixels, kPixelsInChunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * images.channels; i < end * images.channels; i++) {
      g.color[i] = v_color * std::clamp((images.color[i] - images.target[i]) * inverse, S(-1), S(1));
    }
    if (g.ssim_gradient) {
      for (int64_t i = begin * images.channels; i < end * images.channels; i++) g.color[i] -= *g.v_dssim * g.ssim_gradient[i];
    }
    for (int64_t i = begin; i < end; i++) {
      const S difference = images.alpha[i] - S(images.is_foreground[i]);
      g.alpha[i] = v_mask * S((difference > 0) - (difference < 0));
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(image_errors, ImageErrorArguments)
AVATAR_EXPORT(image_errors_backward, ImageErrorGradientArguments)
