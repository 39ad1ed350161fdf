// Mean structural similarity (Wang et al. 2004; 11 x 11 Gaussian window, sigma 1.5, zeros outside) of x and y in [0, 1], and
// its gradient to x, in three passes over rows.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct SsimArguments {
  const S *x, *y;
  S* gradient;  // of the mean with respect to x, or null
  double* value;
  int64_t planes, height, width;
};

namespace {

constexpr int kWindow = 11, kHalf = kWindow / 2;

template <class S> struct Window {
  S w[kWindow];
  Window() {
    double total = 0, raw[kWindow];
    for (int i = 0; i < kWindow; i++) total += raw[i] = std::exp(-(i - kHalf) * (i - kHalf) / 4.5);
    for (int i = 0; i < kWindow; i++) w[i] = S(raw[i] / total);
  }
  // out[x] = sum_k w[k] in[x + k - half]; `padded` has kHalf zeros before and after `width` values.
  AVATAR_INLINE void along_row(const S* padded, S* out, int64_t width) const {
    int64_t x = 0;
    for (; x + kLanes <= width; x += kLanes) {
      Vec<S> sum = splat<S>(0);
      AVATAR_UNROLL for (int k = 0; k < kWindow; k++) sum += w[k] * Vec<S>::load(padded + x + k);
      sum.store(out + x);
    }
    for (; x < width; x++) {
      out[x] = 0;
      for (int k = 0; k < kWindow; k++) out[x] += w[k] * padded[x + k];
    }
  }
  // The same down the columns of one plane at row y.
  AVATAR_INLINE void along_column(const S* plane, S* out, int64_t y, int64_t height, int64_t width) const {
    const int64_t first = std::max<int64_t>(0, kHalf - y), last = std::min<int64_t>(kWindow, height + kHalf - y);
    const S* top = plane + (y - kHalf) * width;
    int64_t x = 0;
    for (; x + kLanes <= width; x += kLanes) {
      Vec<S> sum = splat<S>(0);
      for (int64_t k = first; k < last; k++) sum += w[k] * Vec<S>::load(top + k * width + x);
      sum.store(out + x);
    }
    for (; x < width; x++) {
      out[x] = 0;
      for (int64_t k = first; k < last; k++) out[x] += w[k] * top[k * width + x];
    }
  }
};

// Rows of scratch memory with zeros at both ends.
template <class S> struct PaddedRow {
  Buffer<S> buffer;
  S* reserve(int64_t width) {
    S* data = buffer.reserve(width + 2 * kHalf);
    std::fill(data, data + kHalf, S(0));
    std::fill(data + kHalf + width, data + 2 * kHalf + width, S(0));
    return data;
  }
};

// One row of the map from the five window means; its derivatives to mean(x), mean(x^2), mean(xy).
template <class S> AVATAR_INLINE double ssim_row(S* const* mean, S* d_mean, S* d_square, S* d_product, int64_t width) {
  const S c1 = S(1e-4), c2 = S(9e-4);
  S total = 0;
  for (int64_t i = 0; i < width; i++) {
    const S u = mean[0][i], v = mean[1][i];
    const S luminance = 2 * u * v + c1, structure = 2 * (mean[4][i] - u * v) + c2;
    const S inverse_energy = 1 / (u * u + v * v + c1);
    const S inverse_variance = 1 / ((mean[2][i] - u * u) + (mean[3][i] - v * v) + c2);
    const S value = luminance * structure * inverse_energy * inverse_variance;
    total += value;
    d_square[i] = -value * inverse_variance;
    d_product[i] = 2 * luminance * inverse_energy * inverse_variance;
    d_mean[i] = 2 * v * structure * inverse_energy * inverse_variance - 2 * u * value * inverse_energy -
                2 * u * d_square[i] - v * d_product[i];
  }
  return total;
}

constexpr int64_t kRowsInChunk = 16;

template <class S> int64_t ssim(const SsimArguments<S>& arguments) {
  const S *x = arguments.x, *y = arguments.y;
  S* gradient = arguments.gradient;
  const int64_t height = arguments.height, width = arguments.width;
  const Window<S> window;
  const int64_t rows = arguments.planes * height, pixels = rows * width, chunks = (rows + kRowsInChunk - 1) / kRowsInChunk;
  static thread_local Buffer<S> scratch, derivatives;  // kept between calls: fresh pages cost as much as the arithmetic
  Buffer<double> totals;
  S* blurred = scratch.reserve(5 * pixels);
  S* derived = derivatives.reserve(3 * pixels);
  double* total = totals.reserve(chunks);
  avatar_pool::parallel_chunks(rows, kRowsInChunk, [&](int64_t begin, int64_t end, int) {
    PaddedRow<S> storage;
    S* padded = storage.reserve(width);
    for (int64_t row = begin; row < end; row++) {
      const S *a = x + row * width, *b = y + row * width;
      S* out = blurred + row * width;
      auto blur = [&](int which, auto value) {
        for (int64_t i = 0; i < width; i++) padded[kHalf + i] = value(i);
        window.along_row(padded, out + which * pixels, width);
      };
      blur(0, [&](int64_t i) { return a[i]; });
      blur(1, [&](int64_t i) { return b[i]; });
      blur(2, [&](int64_t i) { return a[i] * a[i]; });
      blur(3, [&](int64_t i) { return b[i] * b[i]; });
      blur(4, [&](int64_t i) { return a[i] * b[i]; });
    }
  });
  avatar_pool::parallel_chunks(rows, kRowsInChunk, [&](int64_t begin, int64_t end, int chunk) {
    Buffer<S> storage;
    PaddedRow<S> padded_rows[3];
    S *mean[5], *padded[3], *means = storage.reserve(5 * width);
    for (int k = 0; k < 5; k++) mean[k] = means + k * width;
    for (int k = 0; k < 3; k++) padded[k] = padded_rows[k].reserve(width);
    total[chunk] = 0;
    for (int64_t row = begin; row < end; row++) {
      const int64_t plane = row / height;
      for (int k = 0; k < 5; k++) {
        window.along_column(blurred + k * pixels + plane * height * width, mean[k], row % height, height, width);
      }
      total[chunk] += ssim_row(mean, padded[0] + kHalf, padded[1] + kHalf, padded[2] + kHalf, width);
      for (int k = 0; gradient && k < 3; k++) window.along_row(padded[k], derived + k * pixels + row * width, width);
    }
  });
  if (gradient) {
    avatar_pool::parallel_chunks(rows, kRowsInChunk, [&](int64_t begin, int64_t end, int) {
      Buffer<S> storage;
      S* d = storage.reserve(3 * width);
      for (int64_t row = begin; row < end; row++) {
        for (int k = 0; k < 3; k++) {
          window.along_column(derived + k * pixels + row / height * height * width, d + k * width, row % height, height, width);
        }
        const S *a = x + row * width, *b = y + row * width, scale = S(1) / S(pixels);
        for (int64_t i = 0; i < width; i++) {
          gradient[row * width + i] = scale * (d[i] + 2 * a[i] * d[width + i] + b[i] * d[2 * width + i]);
        }
      }
    });
  }
  double sum = 0;
  for (int64_t chunk = 0; chunk < chunks; chunk++) sum += total[chunk];
  *arguments.value = sum / static_cast<double>(pixels);
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(ssim, SsimArguments)
