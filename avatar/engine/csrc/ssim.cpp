// Mean structural similarity (Wang et al. 2004; 11 x 11 Gaussian window, sigma 1.5, zeros outside) of x and y in [0, 1], and
// its gradient to x, in one sweep over bands of rows whose intermediates stay in the cache.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct SsimArguments {
  const S *x, *y;  // h w c
  S* gradient;     // of the mean with respect to x, or null
  double* value;
  int64_t height, width, channels;
};

namespace {

constexpr int kWindow = 11, kHalf = kWindow / 2;
constexpr int kBlock = 4, kSpan = kBlock + 2 * kHalf;  // rows that are blurred together, rows that they need
constexpr int kRing = 16;                              // rows of derivatives at hand: kSpan, in whole blocks
constexpr int kMoments = 4, kDerivatives = 3;          // means of x, y, x^2 + y^2, x y; derivatives to those but the second
constexpr int64_t kRowsInBand = 64;

template <class S> struct Window {
  S w[kHalf + 1];  // from the middle outwards
  Window() {
    double total = 0, raw[kHalf + 1];
    for (int k = 0; k <= kHalf; k++) total += (k ? 2 : 1) * (raw[k] = std::exp(-k * k / 4.5));
    for (int k = 0; k <= kHalf; k++) w[k] = S(raw[k] / total);
  }
  // The blur at `at`, whose neighbours are `step` apart.
  AVATAR_INLINE Vec<S> along(const S* at, int64_t step) const {
    Vec<S> sum = w[0] * Vec<S>::load(at);
    AVATAR_UNROLL for (int k = 1; k <= kHalf; k++) sum += w[k] * (Vec<S>::load(at - k * step) + Vec<S>::load(at + k * step));
    return sum;
  }
  // The blur of kSpan values down the columns, at the middle kBlock.
  template <class Value, class Store> AVATAR_INLINE void down(Value value, Store store) const {
    Vec<S> values[kSpan];
    AVATAR_UNROLL for (int j = 0; j < kSpan; j++) values[j] = value(j);
    AVATAR_UNROLL for (int row = 0; row < kBlock; row++) {
      const Vec<S>* middle = values + row + kHalf;
      Vec<S> sum = w[0] * middle[0];
      AVATAR_UNROLL for (int k = 1; k <= kHalf; k++) sum += w[k] * (middle[-k] + middle[k]);
      store(row, sum);
    }
  }
};

template <class S> AVATAR_INLINE Vec<S> first_lanes(const Vec<S>& v, int64_t count) {
  S lanes[kLanes];
  v.store(lanes);
  return Vec<S>::load(lanes, count);
}

// The rows of the map and of its gradient from `begin` to `end`.
template <class S> class Band {
 public:
  Band(const SsimArguments<S>& arguments, int64_t begin, int64_t end)
      : image_(arguments), begin_(begin), end_(end), channels_(arguments.channels), length_(arguments.width * channels_) {
    const auto in_lanes = [](int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; };
    const int64_t margin = in_lanes(kHalf * channels_), rows = kMoments * kBlock + kDerivatives * kRing + 1;
    stride_ = 2 * margin + in_lanes(length_);
    static thread_local Buffer<S> scratch;  // kept between calls: fresh pages cost as much as the arithmetic
    moments_ = scratch.reserve(rows * stride_) + margin;
    derivatives_ = moments_ + kMoments * kBlock * stride_;
    zeros_ = derivatives_ + kDerivatives * kRing * stride_;
    for (int64_t row = 0; row < rows; row++) {
      S* start = moments_ + row * stride_;
      std::fill(start - margin, row + 1 == rows ? start + length_ : start, S(0));
      std::fill(start + length_, start - margin + stride_, S(0));
    }
  }

  void value(double* row_totals) {
    for (int64_t y = begin_; y < end_; y += kBlock) derive(y, row_totals);
  }
  // A block of the gradient needs the derivatives of kSpan rows around it: it follows them four blocks behind.
  void value_and_gradient(double* row_totals) {
    const int64_t behind = kRing - kBlock - kHalf;
    for (int64_t y = begin_ - kHalf; y - behind < end_; y += kBlock) {
      derive(y, row_totals);
      if (y - behind >= begin_) gather(y - behind);
    }
  }

 private:
  S* moments(int row, int which) const { return moments_ + (row * kMoments + which) * stride_; }
  S* derivatives(int64_t y, int which) const { return derivatives_ + ((y & (kRing - 1)) * kDerivatives + which) * stride_; }
  bool is_inside(int64_t y) const { return y >= 0 && y < image_.height; }

  // Derivatives of the map in rows y to y + kBlock, zero outside; the rows' sums of the map where they belong to the band.
  void derive(int64_t y, double* row_totals) {
    const S *x_rows[kSpan], *y_rows[kSpan];
    for (int j = 0; j < kSpan; j++) {
      const int64_t row = y + j - kHalf;
      x_rows[j] = is_inside(row) ? image_.x + row * length_ : zeros_;
      y_rows[j] = is_inside(row) ? image_.y + row * length_ : zeros_;
    }
    blur_down(x_rows, y_rows);
    for (int k = 0; k < kBlock; k++) {
      if (!is_inside(y + k)) {
        for (int which = 0; which < kDerivatives; which++) std::fill_n(derivatives(y + k, which), length_, S(0));
        continue;
      }
      const double total = derive_row(k, y + k);
      if (y + k >= begin_ && y + k < end_) row_totals[y + k] = total;
    }
  }

  void blur_down(const S* const* x_rows, const S* const* y_rows) {
    const int64_t whole = length_ / kLanes * kLanes, left = length_ - whole;
    for (int64_t i = 0; i < whole; i += kLanes) blur_down_at(x_rows, y_rows, i, i);
    if (!left) return;
    S rims[2][kSpan][kLanes] = {};
    const S* rows[2][kSpan];
    for (int j = 0; j < kSpan; j++) {
      std::copy_n(x_rows[j] + whole, left, rims[0][j]);
      std::copy_n(y_rows[j] + whole, left, rims[1][j]);
      for (int which = 0; which < 2; which++) rows[which][j] = rims[which][j];
    }
    blur_down_at(rows[0], rows[1], 0, whole);
  }

  AVATAR_INLINE void blur_down_at(const S* const* x_rows, const S* const* y_rows, int64_t from, int64_t to) {
    const auto x = [&](int j) { return Vec<S>::load(x_rows[j] + from); };
    const auto y = [&](int j) { return Vec<S>::load(y_rows[j] + from); };
    const auto store = [&](int which) { return [=](int row, const Vec<S>& v) { v.store(moments(row, which) + to); }; };
    window_.down(x, store(0));
    window_.down(y, store(1));
    window_.down([&](int j) { return x(j) * x(j) + y(j) * y(j); }, store(2));
    window_.down([&](int j) { return x(j) * y(j); }, store(3));
  }

  double derive_row(int row, int64_t y) {
    const S c1 = S(1e-4), c2 = S(9e-4);
    Vec<S> total = splat<S>(0);
    for (int64_t i = 0; i < length_; i += kLanes) {
      Vec<S> mean[kMoments];
      AVATAR_UNROLL for (int k = 0; k < kMoments; k++) mean[k] = window_.along(moments(row, k) + i, channels_);
      const Vec<S> u = mean[0], v = mean[1], squares = u * u + v * v, product = u * v;
      const Vec<S> luminance = S(2) * product + c1, structure = S(2) * (mean[3] - product) + c2;
      const Vec<S> energy = squares + c1, variance = mean[2] - squares + c2, inverse = S(1) / (energy * variance);
      const Vec<S> value = luminance * structure * inverse;
      const Vec<S> d_square = -value * energy * inverse, d_product = S(2) * luminance * inverse;
      Vec<S> derived[] = {v * (S(2) * structure * inverse - d_product) - S(2) * u * (value * variance * inverse + d_square),
                          d_square, d_product, value};
      if (length_ - i < kLanes) {
        for (Vec<S>& v : derived) v = first_lanes(v, length_ - i);
      }
      AVATAR_UNROLL for (int k = 0; k < kDerivatives; k++) derived[k].store(derivatives(y, k) + i);
      total += derived[kDerivatives];
    }
    return sum(total);
  }

  // The gradient in rows y to y + kBlock.
  void gather(int64_t y) {
    for (int64_t i = 0; i < length_; i += kLanes) {
      AVATAR_UNROLL for (int which = 0; which < kDerivatives; which++) {
        window_.down([&](int j) { return Vec<S>::load(derivatives(y + j - kHalf, which) + i); },
                     [&](int row, const Vec<S>& v) { v.store(moments(row, which) + i); });
      }
    }
    for (int64_t row = y; row < std::min(y + kBlock, end_); row++) {
      const S *a = image_.x + row * length_, *b = image_.y + row * length_;
      S *out = image_.gradient + row * length_, *d[kDerivatives];
      for (int k = 0; k < kDerivatives; k++) d[k] = moments(static_cast<int>(row - y), k);
      const auto at = [&](int64_t i, const Vec<S>& x, const Vec<S>& y) {
        Vec<S> sums[kDerivatives];
        AVATAR_UNROLL for (int k = 0; k < kDerivatives; k++) sums[k] = window_.along(d[k] + i, channels_);
        return scale_ * (sums[0] + S(2) * x * sums[1] + y * sums[2]);
      };
      int64_t i = 0;
      for (; i + kLanes <= length_; i += kLanes) at(i, Vec<S>::load(a + i), Vec<S>::load(b + i)).store(out + i);
      const int64_t left = length_ - i;
      if (left) at(i, Vec<S>::load(a + i, left), Vec<S>::load(b + i, left)).store(out + i, left);
    }
  }

  const SsimArguments<S>& image_;
  const Window<S> window_;
  const int64_t begin_, end_, channels_, length_;
  const S scale_ = S(1) / S(length_ * image_.height);
  int64_t stride_;
  S *moments_, *derivatives_, *zeros_;  // where the rows' first values are; before and after them are zeros
};

template <class S> int64_t ssim(const SsimArguments<S>& arguments) {
  static thread_local Buffer<double> totals;
  double* row_totals = totals.reserve(arguments.height);
  avatar_pool::parallel_chunks(arguments.height, kRowsInBand, [&](int64_t begin, int64_t end, int) {
    Band<S> band(arguments, begin, end);
    arguments.gradient ? band.value_and_gradient(row_totals) : band.value(row_totals);
  });
  double total = 0;
  for (int64_t row = 0; row < arguments.height; row++) total += row_totals[row];
  *arguments.value = total / static_cast<double>(arguments.height * arguments.width * arguments.channels);
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(ssim, SsimArguments)
