// A net of linear layers with rectifiers in between, with gradients.
#include "buffer.h"
#include "dense.h"
#include "pool.h"

namespace AVATAR_ISA {

template <class S> struct ReluNet {
  int64_t num_samples, num_layers;
  const int64_t* widths;          // of the input and of every layer's output
  const S* inputs;                // n widths[0]
  const S *const *weights, *const *biases;  // of each layer: out in; out
};

template <class S> struct ReluNetArguments {
  ReluNet<S> net;
  S* outputs;  // n widths[num_layers]
};

template <class S> struct ReluNetGradientArguments {
  ReluNet<S> net;
  const S* out_outputs;
  S* inputs;
  S *const *weights, *const *biases;
};

namespace {

// One layer's part of the padded weights, of the sums of their gradients, and of what a block holds.
struct ReluLayer {
  int64_t in, out, in_stride, out_stride;
  int64_t weights, turned, bias, activations;  // where they begin
  int64_t size() const { return out * in_stride + out_stride; }
};

// Weights both ways round, padded.
template <class S> struct ReluWeights {
  static constexpr int kMostLayers = 8;
  ReluLayer layers[kMostLayers];
  int64_t widest = 0, activations = 0, sums = 0;
  S* data;

  ReluWeights(const ReluNet<S>& net, Buffer<S>& buffer) {
    int64_t turned = 0;
    for (int64_t l = 0; l < net.num_layers; l++) {
      const int64_t in = net.widths[l], out = net.widths[l + 1];
      layers[l] = {in, out, padded(in), padded(out), sums, turned, sums + out * padded(in), activations};
      sums += layers[l].size(), turned += in * padded(out), activations += kBlock * padded(in);
      widest = std::max({widest, padded(in), padded(out)});
    }
    data = buffer.reserve(sums + turned);
    for (int64_t l = 0; l < net.num_layers; l++) {
      ReluLayer& layer = layers[l];
      layer.turned += sums;
      pad_rows(net.weights[l], data + layer.weights, layer.out, layer.in, layer.in_stride);
      pad_columns(net.weights[l], data + layer.turned, layer.out, layer.in, layer.out_stride);
      pad_rows(net.biases[l], data + layer.bias, 1, layer.out, layer.out_stride);
    }
  }
};

template <class S> class ReluBlock {
 public:
  ReluBlock(const ReluNet<S>& net, const ReluWeights<S>& weights, Buffer<S>& buffer) : net_(net), w_(weights) {
    activations_ = buffer.reserve(w_.activations + 2 * kBlock * w_.widest);
    out_ = activations_ + w_.activations, before_ = out_ + kBlock * w_.widest;
  }

  void evaluate(const ReluNetArguments<S>& out, int64_t first, int64_t count) {
    const ReluLayer& last = w_.layers[net_.num_layers - 1];
    activate(first, count);
    advance(last, out_, count);
    unpad_rows(out_, out.outputs + first * last.out, count, last.out, last.out_stride);
  }

  void differentiate(const ReluNetGradientArguments<S>& g, S* sums, int64_t first, int64_t count) {
    const ReluLayer& last = w_.layers[net_.num_layers - 1];
    activate(first, count);
    pad_rows(g.out_outputs + first * last.out, out_, count, last.out, last.out_stride);
    for (int64_t l = net_.num_layers - 1; l >= 0; l--) {
      const ReluLayer& layer = w_.layers[l];
      const S* activations = activations_ + layer.activations;
      add_outer(out_, layer.out_stride, activations, sums + layer.weights, layer.out, count, layer.in_stride);
      add_rows(out_, sums + layer.bias, count, layer.out_stride);
      apply(out_, layer.out_stride, w_.data + layer.weights, static_cast<const S*>(nullptr), before_, count, layer.out, layer.in_stride);
      for (int64_t at = 0; l > 0 && at < count * layer.in_stride; at += kLanes) {
        const Vec<S> passed = select(greater(Vec<S>::load(activations + at), S(0)), Vec<S>::load(before_ + at), splat<S>(0));
        passed.store(before_ + at);
      }
      std::swap(out_, before_);
    }
    unpad_rows(out_, g.inputs + first * net_.widths[0], count, net_.widths[0], w_.layers[0].in_stride);
  }

 private:
  // What every layer is given.
  void activate(int64_t first, int64_t count) {
    pad_rows(net_.inputs + first * net_.widths[0], activations_, count, net_.widths[0], w_.layers[0].in_stride);
    for (int64_t l = 0; l + 1 < net_.num_layers; l++) {
      S* out = activations_ + w_.layers[l + 1].activations;
      advance(w_.layers[l], out, count);
      for (int64_t at = 0; at < count * w_.layers[l].out_stride; at += kLanes) vmax(Vec<S>::load(out + at), splat<S>(0)).store(out + at);
    }
  }
  void advance(const ReluLayer& layer, S* out, int64_t count) const {
    apply(activations_ + layer.activations, layer.in_stride, w_.data + layer.turned, w_.data + layer.bias, out, count, layer.in,
          layer.out_stride);
  }

  const ReluNet<S>& net_;
  const ReluWeights<S>& w_;
  S *activations_, *out_, *before_;
};

template <class S> int64_t relu_net(const ReluNetArguments<S>& out) {
  static thread_local Buffer<S> storage;
  const ReluWeights<S> weights(out.net, storage);
  avatar_pool::parallel_chunks(out.net.num_samples, kForwardGrain, [&](int64_t begin, int64_t end, int) {
    static thread_local Buffer<S> buffer;
    ReluBlock<S> block(out.net, weights, buffer);
    for (int64_t i = begin; i < end; i += kBlock) block.evaluate(out, i, std::min(kBlock, end - i));
  });
  return 0;
}

template <class S> int64_t relu_net_backward(const ReluNetGradientArguments<S>& g) {
  static thread_local Buffer<S> storage, partials;
  const ReluWeights<S> weights(g.net, storage);
  sum_of_samples(g.net.num_samples, weights.sums, partials, [&](int64_t begin, int64_t end, S* sums) {
    static thread_local Buffer<S> buffer;
    ReluBlock<S> block(g.net, weights, buffer);
    for (int64_t i = begin; i < end; i += kBlock) block.differentiate(g, sums, i, std::min(kBlock, end - i));
  });
  for (int64_t l = 0; l < g.net.num_layers; l++) {
    const ReluLayer& layer = weights.layers[l];
    unpad_rows(partials.data() + layer.weights, g.weights[l], layer.out, layer.in, layer.in_stride);
    std::copy_n(partials.data() + layer.bias, layer.out, g.biases[l]);
  }
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(relu_net, ReluNetArguments)
AVATAR_EXPORT(relu_net_backward, ReluNetGradientArguments)
