// Mean errors of colour and coverage between a rendering and a picture, and one gradient for all terms of a loss.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct ImagePair {
  const S *color, *alpha, *target;  // h w c, h w, h w c
  const uint8_t* is_foreground;     // h w, 0 or 1
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

constexpr int64_t kPixelsInChunk = 1024;  // few enough to add up in single precision
constexpr double kSteep = 1e30;  // bounded, so steep a line is the sign

// Between -1 and 1; what is no number stays none.
template <class S> AVATAR_INLINE S bounded(S x) {
  x = x < S(1) || x != x ? x : S(1);
  return x > S(-1) || x != x ? x : S(-1);
}

template <class S> int64_t image_errors(const ImageErrorArguments<S>& out) {
  const ImagePair<S>& images = out.images;
  const S delta = S(images.huber_delta), half = S(0.5), inverse = 1 / delta;
  static thread_local Buffer<double> storage;
  const int64_t chunks = (images.pixels + kPixelsInChunk - 1) / kPixelsInChunk;
  double* totals = storage.reserve(2 * chunks);
  avatar_pool::parallel_chunks(images.pixels, kPixelsInChunk, [&](int64_t begin, int64_t end, int chunk) {
    const uint8_t* is_foreground = images.is_foreground;
    S color = 0, mask = 0;
    for (int64_t i = begin * images.channels; i < end * images.channels; i++) {
      const S size = std::abs(images.color[i] - images.target[i]), below = std::min(size, delta);
      color += size - below + half * below * below * inverse;
    }
    for (int64_t i = begin; i < end; i++) mask += std::abs(images.alpha[i] - S(is_foreground[i]));
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
  const S v_color = *g.v_color / S(images.pixels * images.channels), v_mask = *g.v_mask / S(images.pixels), v_dssim = *g.v_dssim;
  const S inverse = S(1 / images.huber_delta);
  avatar_pool::parallel_chunks(images.pixels, kPixelsInChunk, [&](int64_t begin, int64_t end, int) {
    const S *color = images.color, *target = images.target, *alpha = images.alpha, *of_ssim = g.ssim_gradient;
    const uint8_t* is_foreground = images.is_foreground;
    S *__restrict out = g.color, *__restrict out_alpha = g.alpha;
    const auto of_color = [=](int64_t i) { return v_color * bounded((color[i] - target[i]) * inverse); };
    const int64_t first = begin * images.channels, last = end * images.channels;
    if (of_ssim) {
      for (int64_t i = first; i < last; i++) out[i] = of_color(i) - v_dssim * of_ssim[i];
    } else {
      for (int64_t i = first; i < last; i++) out[i] = of_color(i);
    }
    for (int64_t i = begin; i < end; i++) out_alpha[i] = v_mask * bounded((alpha[i] - S(is_foreground[i])) * S(kSteep));
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(image_errors, ImageErrorArguments)
AVATAR_EXPORT(image_errors_backward, ImageErrorGradientArguments)
