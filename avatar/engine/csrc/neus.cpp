// Alphas of samples from signed distances (NeuS, Wang et al. 2021), with gradients.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct NeusSamples {
  int64_t count;
  double cos_anneal;
  const S *distances, *cosines, *lengths;  // s
  const S* sharpness;                      // one
};

template <class S> struct NeusArguments {
  NeusSamples<S> samples;
  S* alphas;
};

template <class S> struct NeusGradientArguments {
  NeusSamples<S> samples;
  const S* alphas;
  S *distances, *cosines, *sharpness;
};

namespace {

constexpr int64_t kSamplesOfTask = 8192;

// 1 / (1 + e^-x) and its slope.
template <class S> struct Sigmoid {
  Vec<S> value, slope;
  explicit AVATAR_INLINE Sigmoid(const Vec<S>& x) {
    const Vec<S> power = exp2_fast(vmin(splat<S>(126), vmax(x, -x) * S(1.44269504088896340736)), S(1));
    const Vec<S> inverse = S(1) / (power + S(1));
    value = select(greater_equal(x, S(0)), power * inverse, inverse);
    slope = power * inverse * inverse;
  }
};

// Sixteen samples: P and N are the sigmoids at the ends of the interval, half of it before and behind its middle.
template <class S> struct Interval {
  Vec<S> soft, hard, half_change, before, behind;

  AVATAR_INLINE Interval(const NeusSamples<S>& in, const S* distances, const S* cosines, const S* lengths) {
    const S anneal = S(in.cos_anneal);
    const Vec<S> cosine = Vec<S>::load(cosines), distance = Vec<S>::load(distances);
    soft = vmax(splat<S>(0.5) - cosine * S(0.5), splat<S>(0));
    hard = vmax(-cosine, splat<S>(0));
    half_change = (soft * (1 - anneal) + hard * anneal) * Vec<S>::load(lengths) * S(-0.5);
    before = distance - half_change;
    behind = distance + half_change;
  }
};

constexpr double kEpsilon = 1e-5;  // of the released code: alpha is one where both sigmoids vanish

template <class S> AVATAR_INLINE Vec<S> alpha_of(const Vec<S>& p, const Vec<S>& n) {
  return (p - n + S(kEpsilon)) / (p + S(kEpsilon));
}

// f(arrays of sixteen) where all are there, else with what is left copied to and from padded rows.
template <class S, int kIn, int kOut, class F>
AVATAR_INLINE void in_lanes(int64_t begin, int64_t end, const S* const (&in)[kIn], S* const (&out)[kOut], F&& f) {
  for (int64_t i = begin; i < end; i += kLanes) {
    S rows[kIn + kOut][kLanes];
    const S* from[kIn];
    S* to[kOut];
    const int64_t count = std::min<int64_t>(end - i, kLanes);
    const bool is_full = count == kLanes;
    for (int k = 0; k < kIn; k++) {
      from[k] = is_full ? in[k] + i : rows[k];
      if (is_full) continue;
      std::fill_n(rows[k], kLanes, S(0));
      std::copy_n(in[k] + i, count, rows[k]);
    }
    for (int k = 0; k < kOut; k++) to[k] = is_full ? out[k] + i : rows[kIn + k];
    f(from, to);
    for (int k = 0; k < kOut && !is_full; k++) std::copy_n(rows[kIn + k], count, out[k] + i);
  }
}

template <class S> int64_t neus(const NeusArguments<S>& a) {
  const NeusSamples<S>& in = a.samples;
  const S sharpness = *in.sharpness;
  avatar_pool::parallel_chunks(in.count, kSamplesOfTask, [&](int64_t begin, int64_t end, int) {
    in_lanes<S, 3, 1>(begin, end, {in.distances, in.cosines, in.lengths}, {a.alphas}, [&](const S* const* from, S* const* to) {
      const Interval<S> at(in, from[0], from[1], from[2]);
      const Vec<S> alpha = alpha_of(Sigmoid<S>(at.before * sharpness).value, Sigmoid<S>(at.behind * sharpness).value);
      vmin(splat<S>(1), vmax(alpha, splat<S>(0))).store(to[0]);
    });
  });
  return 0;
}

template <class S> int64_t neus_backward(const NeusGradientArguments<S>& g) {
  const NeusSamples<S>& in = g.samples;
  const S sharpness = *in.sharpness, anneal = S(in.cos_anneal);
  const Vec<S> zero = splat<S>(0), one = splat<S>(1);
  const int64_t tasks = (in.count + kSamplesOfTask - 1) / kSamplesOfTask;
  Buffer<S> partials;
  partials.reserve(tasks);
  avatar_pool::parallel_chunks(in.count, kSamplesOfTask, [&](int64_t begin, int64_t end, int task) {
    Vec<S> v_sharpness = zero;
    in_lanes<S, 4, 2>(
        begin, end, {in.distances, in.cosines, in.lengths, g.alphas}, {g.distances, g.cosines},
        [&](const S* const* from, S* const* to) {
          const Interval<S> at(in, from[0], from[1], from[2]);
          const Sigmoid<S> p(at.before * sharpness), n(at.behind * sharpness);
          const Vec<S> alpha = alpha_of(p.value, n.value), inverse = S(1) / (p.value + S(kEpsilon));
          const Vec<S> is_inside = select(less_equal(alpha, one) & greater_equal(alpha, zero), one, zero);
          const Vec<S> v_alpha = Vec<S>::load(from[3]) * is_inside * inverse;
          const Vec<S> v_before = v_alpha * n.value * inverse * p.slope, v_behind = -v_alpha * n.slope;
          v_sharpness += v_before * at.before + v_behind * at.behind;
          const Vec<S> slope = select(greater(at.soft, zero), splat<S>((1 - anneal) / 4), zero) +
                               select(greater(at.hard, zero), splat<S>(anneal / 2), zero);
          ((v_before + v_behind) * sharpness).store(to[0]);
          ((v_behind - v_before) * sharpness * slope * Vec<S>::load(from[2])).store(to[1]);
        });
    partials[task] = sum(v_sharpness);
  });
  *g.sharpness = 0;
  for (int64_t task = 0; task < tasks; task++) *g.sharpness += partials[task];
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(neus, NeusArguments)
AVATAR_EXPORT(neus_backward, NeusGradientArguments)
