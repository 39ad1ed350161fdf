// Volume rendering of packed samples: weights and their sums along every ray, with gradients.
// Densities become alphas, and alphas weights; the gradient is one walk back along the ray that divides by nothing.
#include <algorithm>
#include <type_traits>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct Samples {
  int64_t num_rays, num_samples, num_channels, given;
  const S *opacities, *values;  // s: what `given` says; s d
  const S *t_starts, *t_ends;   // s
  const int64_t* starts;        // r + 1
};

template <class S> struct CompositeArguments {
  Samples<S> samples;
  S *sums, *opacities, *depths;  // r d, r, r
  S *weights, *transmittances;   // s, or null where not wanted
};

template <class S> struct CompositeGradientArguments {
  Samples<S> samples;
  const S *sums, *opacities, *depths, *weights, *transmittances;  // as above; null where zero
  S *in_opacities, *in_values;                                    // s; s d, or null where not wanted
};

namespace {

enum Given : int64_t { kDensities, kAlphas, kWeights };

constexpr int64_t kRaysOfTask = 256;

// 1 - 2^x, to 1e-7 of itself however small, and 2^x, for x in [-126, 126].
AVATAR_INLINE void complement_exp2(const Vec<float>& x, Vec<float>& complement, Vec<float>& power) {
  typedef float S;
  constexpr int L = kLanes;
  typedef Native<float>::vec Register;
  AVATAR_EACH {
    const auto biased = __builtin_convertvector(x.p[k] + 127.5f, Native<float>::mask);
    const Register f = x.p[k] - (__builtin_convertvector(biased, Register) - 127.0f);
    Register poly = f * 1.54614475e-4f + 1.33908674e-3f;  // of (2^f - 1) / f for f in [-0.5, 0.5]
    poly = poly * f + 9.61805667e-3f;
    poly = poly * f + 5.5503571e-2f;
    poly = poly * f + 2.40226509e-1f;
    poly = poly * f + 6.93147181e-1f;
    const Register scale = (Register)(biased << 23), change = poly * f * scale;
    power.p[k] = scale + change;
    complement.p[k] = (1.0f - scale) - change;
  }
}
AVATAR_INLINE void complement_exp2(const Vec<double>& x, Vec<double>& complement, Vec<double>& power) {
  for (int k = 0; k < kLanes; k++) {
    const double change = std::expm1(x.lane(k) * 0.69314718055994530942);
    complement.set_lane(k, -change);
    power.set_lane(k, change + 1);
  }
}

// Of a row of samples: how much each takes of the light that reaches it, how much it leaves, and how much reaches it.
template <class S> struct Shares {
  S *taken, *left, *reaching;
};

template <class S> void fill_from_densities(const Samples<S>& in, int64_t begin, int64_t count, const Shares<S>& out) {
  for (int64_t i = 0; i < count; i++) {
    out.left[i] = in.opacities[begin + i] * (in.t_starts[begin + i] - in.t_ends[begin + i]) * S(1.44269504088896340736);
  }
  for (int64_t i = 0; i < count; i += kLanes) {
    // Bounded in an order that lets what is no number stay so.
    const Vec<S> exponent = vmin(splat<S>(126), vmax(Vec<S>::load(out.left + i), splat<S>(-126)));
    Vec<S> complement, power;
    complement_exp2(exponent, complement, power);
    complement.store(out.taken + i);
    power.store(out.left + i);
  }
}

// All but `reaching`, in memory of this thread, for the samples from begin to end.
template <class S> Shares<S> shares_of(const Samples<S>& in, int64_t begin, int64_t end) {
  static thread_local Buffer<S> buffer;
  const int64_t count = end - begin, padded = (count + kLanes - 1) / kLanes * kLanes;
  S* memory = buffer.reserve(3 * padded);
  const Shares<S> out = {memory, memory + padded, memory + 2 * padded};
  if (in.given == kDensities) {
    fill_from_densities(in, begin, count, out);
  } else {
    for (int64_t i = 0; i < count; i++) {
      out.taken[i] = in.opacities[begin + i];
      out.left[i] = in.given == kAlphas ? 1 - out.taken[i] : S(1);
    }
  }
  return out;
}

// f(ray, its first sample, its number of samples, their shares) for every ray.
template <class S, class F> void for_each_ray(const Samples<S>& in, F&& f) {
  avatar_pool::parallel_chunks(in.num_rays, kRaysOfTask, [&](int64_t begin, int64_t end, int) {
    const int64_t first = in.starts[begin];
    const Shares<S> all = shares_of(in, first, in.starts[end]);
    for (int64_t ray = begin; ray < end; ray++) {
      const int64_t sample = in.starts[ray], offset = sample - first;
      f(ray, sample, in.starts[ray + 1] - sample, Shares<S>{all.taken + offset, all.left + offset, all.reaching + offset});
    }
  });
}

// f(channels) with the number of channels as a constant where it is a usual one, else -1.
template <class F> void with_channels(int64_t channels, F&& f) {
  switch (channels) {
    case 0: return f(std::integral_constant<int, 0>());
    case 1: return f(std::integral_constant<int, 1>());
    case 3: return f(std::integral_constant<int, 3>());
    case 4: return f(std::integral_constant<int, 4>());
    default: return f(std::integral_constant<int, -1>());
  }
}

template <int D, class S>
void sum_ray(const CompositeArguments<S>& a, int64_t ray, int64_t sample, int64_t count, const Shares<S>& shares) {
  const Samples<S>& in = a.samples;
  const int64_t channels = D < 0 ? in.num_channels : D;
  S local[D > 0 ? D : 1], *sums = D < 0 ? a.sums + ray * channels : local;
  S light = 1, opacity = 0, depth = 0;
  std::fill_n(sums, channels, S(0));
  for (int64_t i = 0; i < count; i++) {
    const S weight = light * shares.taken[i];
    const S* values = in.values + (sample + i) * channels;
    if (a.weights) a.weights[sample + i] = weight;
    if (a.transmittances) a.transmittances[sample + i] = light;
    opacity += weight;
    depth += weight * (in.t_starts[sample + i] + in.t_ends[sample + i]);
    for (int64_t c = 0; c < channels; c++) sums[c] += weight * values[c];
    light *= shares.left[i];
  }
  a.opacities[ray] = opacity;
  a.depths[ray] = depth * S(0.5);
  if (D > 0) std::copy_n(sums, channels, a.sums + ray * channels);
}

template <int D, class S>
void differentiate_ray(const CompositeGradientArguments<S>& g, int64_t ray, int64_t sample, int64_t count, const Shares<S>& shares) {
  const Samples<S>& in = g.samples;
  const int64_t channels = D < 0 ? in.num_channels : D;
  const S v_opacity = g.opacities ? g.opacities[ray] : S(0), v_depth = g.depths ? g.depths[ray] * S(0.5) : S(0);
  const S* v_sums = g.sums + ray * channels;
  S light = 1, v_light = 0;  // v_light: what follows, by the light that is left for it
  for (int64_t i = 0; i < count; i++) {
    shares.reaching[i] = light;
    light *= shares.left[i];
  }
  for (int64_t i = count - 1; i >= 0; i--) {
    const S length = in.t_ends[sample + i] - in.t_starts[sample + i];
    const S *values = in.values + (sample + i) * channels, taken = shares.taken[i], left = shares.left[i];
    S v_weight = v_opacity + v_depth * (in.t_starts[sample + i] + in.t_ends[sample + i]);
    if (g.weights) v_weight += g.weights[sample + i];
    for (int64_t c = 0; c < channels; c++) v_weight += v_sums[c] * values[c];
    if (g.in_values) {
      S* v_values = g.in_values + (sample + i) * channels;
      for (int64_t c = 0; c < channels; c++) v_values[c] = shares.reaching[i] * taken * v_sums[c];
    }
    const S v_taken = shares.reaching[i] * (v_weight - v_light);
    g.in_opacities[sample + i] = in.given == kDensities ? v_taken * left * length : v_taken;
    if (in.given == kWeights) continue;  // they take no light from what follows
    v_light = v_light * left + v_weight * taken;
    if (g.transmittances) v_light += g.transmittances[sample + i];
  }
}

template <class S> bool are_sound(const Samples<S>& in) {
  bool is_sound = in.starts[0] == 0 && in.starts[in.num_rays] == in.num_samples;
  for (int64_t ray = 0; ray < in.num_rays; ray++) is_sound &= in.starts[ray] <= in.starts[ray + 1];
  return is_sound;
}

// Returns 1 where `starts` does not cut the samples into rays.
template <class S> int64_t composite(const CompositeArguments<S>& a) {
  if (!are_sound(a.samples)) return 1;
  with_channels(a.samples.num_channels, [&](auto channels) {
    for_each_ray(a.samples, [&](int64_t ray, int64_t sample, int64_t count, const Shares<S>& shares) {
      sum_ray<decltype(channels)::value>(a, ray, sample, count, shares);
    });
  });
  return 0;
}

template <class S> int64_t composite_backward(const CompositeGradientArguments<S>& g) {
  if (!are_sound(g.samples)) return 1;
  with_channels(g.sums ? g.samples.num_channels : 0, [&](auto channels) {
    for_each_ray(g.samples, [&](int64_t ray, int64_t sample, int64_t count, const Shares<S>& shares) {
      differentiate_ray<decltype(channels)::value>(g, ray, sample, count, shares);
    });
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(composite, CompositeArguments)
AVATAR_EXPORT(composite_backward, CompositeGradientArguments)
