// A net with one hidden layer of softplus and the slopes of its first output, with gradients through both.
#include "buffer.h"
#include "dense.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct DistanceNet {
  int64_t num_samples, num_inputs, num_hidden, num_outputs;
  double beta;
  const S *inputs, *w1, *b1, *w2, *b2;  // n i; h i; h; o h; o
};

template <class S> struct DistanceNetArguments {
  DistanceNet<S> net;
  S *outputs, *slopes;  // n o; n i
};

template <class S> struct DistanceNetGradientArguments {
  DistanceNet<S> net;
  const S *out_outputs, *out_slopes;
  S *inputs, *w1, *b1, *w2, *b2;
};

namespace {

// Weights both ways round, padded.
template <class S> struct DistanceWeights {
  int64_t i, h, o;  // padded
  S *w1, *w1_turned, *b1, *w2, *w2_turned, *b2;

  DistanceWeights(const DistanceNet<S>& net, Buffer<S>& buffer)
      : i(padded(net.num_inputs)), h(padded(net.num_hidden)), o(padded(net.num_outputs)) {
    w1 = buffer.reserve(net.num_hidden * (i + o) + (net.num_inputs + net.num_outputs + 1) * h + o);
    w1_turned = w1 + net.num_hidden * i, w2_turned = w1_turned + net.num_inputs * h, w2 = w2_turned + net.num_hidden * o;
    b1 = w2 + net.num_outputs * h, b2 = b1 + h;
    pad_rows(net.w1, w1, net.num_hidden, net.num_inputs, i);
    pad_columns(net.w1, w1_turned, net.num_hidden, net.num_inputs, h);
    pad_rows(net.w2, w2, net.num_outputs, net.num_hidden, h);
    pad_columns(net.w2, w2_turned, net.num_outputs, net.num_hidden, o);
    pad_rows(net.b1, b1, 1, net.num_hidden, h);
    pad_rows(net.b2, b2, 1, net.num_outputs, o);
  }
};

// log(1 + e^(beta z)) / beta and its slope 1 / (1 + e^(-beta z)).
template <class S> struct Softplus {
  Vec<S> value, slope;
  AVATAR_INLINE Softplus(const Vec<S>& z, S beta) {
    const Vec<S> size = vabs(z), power = exp2_fast(vmin(splat<S>(60), size * (beta * S(1.44269504088896340736))), S(1));
    const Vec<S> lower = reciprocal(power + S(1)), upper = power * lower;
    slope = select(greater_equal(z, S(0)), upper, lower);
    value = S(0.5) * (z + size) - (S(0.69314718055994530942) / beta) * log2_fast(upper);
  }
};

// Sums of the weights' gradients, laid out as the weights are.
template <class S> struct DistanceSums {
  S *w1_turned, *w2, *b1, *b2;

  static int64_t size(const DistanceNet<S>& net) {
    return (net.num_inputs + net.num_outputs + 1) * padded(net.num_hidden) + padded(net.num_outputs);
  }
  DistanceSums(const DistanceNet<S>& net, S* memory)
      : w1_turned(memory), w2(w1_turned + net.num_inputs * padded(net.num_hidden)),
        b1(w2 + net.num_outputs * padded(net.num_hidden)), b2(b1 + padded(net.num_hidden)) {}

  void finish(const DistanceNetGradientArguments<S>& g) const {
    const DistanceNet<S>& net = g.net;
    const int64_t stride = padded(net.num_hidden);
    for (int64_t r = 0; r < net.num_hidden; r++) {
      for (int64_t c = 0; c < net.num_inputs; c++) g.w1[r * net.num_inputs + c] = w1_turned[c * stride + r];
    }
    unpad_rows(w2, g.w2, net.num_outputs, net.num_hidden, stride);
    std::copy_n(b1, net.num_hidden, g.b1);
    std::copy_n(b2, net.num_outputs, g.b2);
  }
};

// Blocks of samples on their way through the net. What is summed together lies together: `x` before the gradient of the
// slopes, the gradient of `z` before `a`, of which the slopes are products with the first weights.
template <class S> class DistanceBlock {
 public:
  DistanceBlock(const DistanceNet<S>& net, const DistanceWeights<S>& weights, Buffer<S>& buffer) : net_(net), w_(weights) {
    x_ = buffer.reserve(kBlock * (3 * w_.i + 6 * w_.h + w_.o));
    slopes_ = x_ + kBlock * 2 * w_.i, hidden_ = slopes_ + kBlock * w_.i, sigmoid_ = hidden_ + kBlock * w_.h;
    v_a_ = sigmoid_ + kBlock * w_.h, v_hidden_ = v_a_ + kBlock * w_.h, v_z_ = v_hidden_ + kBlock * w_.h;
    outputs_ = v_z_ + kBlock * 2 * w_.h;
  }

  void evaluate(const DistanceNetArguments<S>& out, int64_t first, int64_t count) {
    activate(first, count);
    apply(hidden_, w_.h, w_.w2_turned, w_.b2, outputs_, count, net_.num_hidden, w_.o);
    apply(v_z_ + count * w_.h, w_.h, w_.w1, kNothing, slopes_, count, net_.num_hidden, w_.i);
    unpad_rows(outputs_, out.outputs + first * net_.num_outputs, count, net_.num_outputs, w_.o);
    unpad_rows(slopes_, out.slopes + first * net_.num_inputs, count, net_.num_inputs, w_.i);
  }

  void differentiate(const DistanceNetGradientArguments<S>& g, const DistanceSums<S>& sums, int64_t first, int64_t count) {
    activate(first, count);
    S *v_slopes = x_ + count * w_.i, *v_outputs = outputs_, *v_x = slopes_;
    pad_rows(g.out_slopes + first * net_.num_inputs, v_slopes, count, net_.num_inputs, w_.i);
    pad_rows(g.out_outputs + first * net_.num_outputs, v_outputs, count, net_.num_outputs, w_.o);
    apply(v_slopes, w_.i, w_.w1_turned, kNothing, v_a_, count, net_.num_inputs, w_.h);
    apply(v_outputs, w_.o, w_.w2, kNothing, v_hidden_, count, net_.num_outputs, w_.h);
    unbend(count, sums);
    apply(v_z_, w_.h, w_.w1, kNothing, v_x, count, net_.num_hidden, w_.i);
    unpad_rows(v_x, g.inputs + first * net_.num_inputs, count, net_.num_inputs, w_.i);
    add_outer(x_, w_.i, v_z_, sums.w1_turned, net_.num_inputs, 2 * count, w_.h);
    add_outer(v_outputs, w_.o, hidden_, sums.w2, net_.num_outputs, count, w_.h);
    add_rows(v_outputs, sums.b2, count, w_.o);
  }

 private:
  static constexpr const S* kNothing = nullptr;

  void activate(int64_t first, int64_t count) {
    S* a = v_z_ + count * w_.h;
    pad_rows(net_.inputs + first * net_.num_inputs, x_, count, net_.num_inputs, w_.i);
    apply(x_, w_.i, w_.w1_turned, w_.b1, hidden_, count, net_.num_inputs, w_.h);
    for (int64_t row = 0; row < count * w_.h; row += w_.h) {
      for (int64_t c = 0; c < w_.h; c += kLanes) {
        const Softplus<S> softplus(Vec<S>::load(hidden_ + row + c), S(net_.beta));
        softplus.value.store(hidden_ + row + c);
        softplus.slope.store(sigmoid_ + row + c);
        (softplus.slope * Vec<S>::load(w_.w2 + c)).store(a + row + c);
      }
    }
  }
  // From the gradients of the hidden layer and of `a` to that of `z`.
  void unbend(int64_t count, const DistanceSums<S>& sums) {
    for (int64_t row = 0; row < count * w_.h; row += w_.h) {
      for (int64_t c = 0; c < w_.h; c += kLanes) {
        const Vec<S> s = Vec<S>::load(sigmoid_ + row + c), v_a = Vec<S>::load(v_a_ + row + c), v_w2 = v_a * s;
        const Vec<S> curvature = S(net_.beta) * Vec<S>::load(w_.w2 + c) * (S(1) - s);
        const Vec<S> v_z = s * Vec<S>::load(v_hidden_ + row + c) + v_w2 * curvature;
        v_z.store(v_z_ + row + c);
        (Vec<S>::load(sums.w2 + c) + v_w2).store(sums.w2 + c);
        (Vec<S>::load(sums.b1 + c) + v_z).store(sums.b1 + c);
      }
    }
  }

  const DistanceNet<S>& net_;
  const DistanceWeights<S>& w_;
  S *x_, *slopes_, *hidden_, *sigmoid_, *v_a_, *v_hidden_, *v_z_, *outputs_;
};

template <class S> int64_t distance_net(const DistanceNetArguments<S>& out) {
  static thread_local Buffer<S> storage;
  const DistanceWeights<S> weights(out.net, storage);
  avatar_pool::parallel_chunks(out.net.num_samples, kForwardGrain, [&](int64_t begin, int64_t end, int) {
    static thread_local Buffer<S> buffer;
    DistanceBlock<S> block(out.net, weights, buffer);
    for (int64_t i = begin; i < end; i += kBlock) block.evaluate(out, i, std::min(kBlock, end - i));
  });
  return 0;
}

template <class S> int64_t distance_net_backward(const DistanceNetGradientArguments<S>& g) {
  static thread_local Buffer<S> storage, partials;
  const DistanceWeights<S> weights(g.net, storage);
  const int64_t size = DistanceSums<S>::size(g.net);
  sum_of_samples(g.net.num_samples, size, partials, [&](int64_t begin, int64_t end, S* sums) {
    static thread_local Buffer<S> buffer;
    DistanceBlock<S> block(g.net, weights, buffer);
    for (int64_t i = begin; i < end; i += kBlock) block.differentiate(g, DistanceSums<S>(g.net, sums), i, std::min(kBlock, end - i));
  });
  DistanceSums<S>(g.net, partials.data()).finish(g);
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(distance_net, DistanceNetArguments)
AVATAR_EXPORT(distance_net_backward, DistanceNetGradientArguments)
