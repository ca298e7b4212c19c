// BatchNorm as a scale and a shift of each channel, and its gradient as an affine function of two tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "rows.h"

namespace xpand {

// A BatchNorm in one pass: its parameters, and the statistics, scale and shift that the pass uses.
template <class T>
struct Norm {
  int64_t channels;
  const T *weight, *bias;
  at::Tensor saved;  // (2, C): mean and 1 / standard deviation, for the backward pass
  T *mean, *inverse;
  std::vector<T> scale, shift;  // y = scale · x + shift

  // `saved` is the forward pass's in a backward pass, and undefined in a forward pass.
  Norm(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& saved)
      : channels(weight.numel()),
        weight(weight.const_data_ptr<T>()),
        bias(bias.const_data_ptr<T>()),
        saved(saved.defined() ? saved : at::empty({2, weight.numel()}, weight.options())),
        mean(this->saved.template data_ptr<T>()),
        inverse(mean + channels),
        scale(channels),
        shift(channels) {
    if (saved.defined()) set();
  }

  void set() {
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = weight[c] * inverse[c];
      shift[c] = bias[c] - mean[c] * scale[c];
    }
  }

  // Takes the statistics of the batch, and updates the running ones by them; the running variance is unbiased.
  void set_from(const Moments<T>& moments, const at::Tensor& running_mean, const at::Tensor& running_var,
                double momentum, double eps) {
    T* means = running_mean.data_ptr<T>();
    T* variances = running_var.data_ptr<T>();
    const auto found = moments.merge();
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] = found.mean[c];
      inverse[c] = 1 / std::sqrt(found.squares[c] / found.rows + eps);
      means[c] = (1 - momentum) * means[c] + momentum * found.mean[c];
      variances[c] = (1 - momentum) * variances[c] + momentum * found.squares[c] / (found.rows - 1);
    }
    set();
  }

  void set_from_running(const at::Tensor& running_mean, const at::Tensor& running_var, double eps) {
    const T* means = running_mean.const_data_ptr<T>();
    const T* variances = running_var.const_data_ptr<T>();
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] = means[c];
      inverse[c] = 1 / std::sqrt(static_cast<double>(variances[c]) + eps);
    }
    set();
  }
};

// BatchNorm's input gradient, dx = of_grad · dy + of_x · x + constant, with coefficients for each channel.
template <class T>
struct NormGradient {
  at::Tensor weight, bias;  // the gradients of the norm's weight and bias
  std::vector<T> of_grad, of_x, constant;

  // `sum` and `product` are the sums of dy and of dy · (x − mean) over all `rows`, by channel.
  NormGradient(const Norm<T>& norm, double rows, const std::vector<double>& sum,
               const std::vector<double>& product)
      : weight(at::empty({norm.channels}, norm.saved.options())),
        bias(at::empty({norm.channels}, norm.saved.options())),
        of_grad(norm.scale),
        of_x(norm.channels),
        constant(norm.channels) {
    T* d_weight = weight.template data_ptr<T>();
    T* d_bias = bias.template data_ptr<T>();
    for (int64_t c = 0; c < norm.channels; ++c) {
      const double inverse = norm.inverse[c];
      d_weight[c] = product[c] * inverse;
      d_bias[c] = sum[c];
      const double slope = -norm.scale[c] * inverse * inverse * product[c] / rows;
      of_x[c] = slope;
      constant[c] = -norm.scale[c] * sum[c] / rows - slope * norm.mean[c];
    }
  }

  NormGradient(const Norm<T>& norm, double rows, const Sums<T>& sums)
      : NormGradient(norm, rows, sums.total(0), sums.total(1)) {}

  Vector<T> at(int64_t channel, Vector<T> grad, Vector<T> x) const {
    return load(&of_grad[channel]) * grad + load(&of_x[channel]) * x + load(&constant[channel]);
  }
};

// The gradient of a ReLU's input, given the ReLU's output and the gradient of that.
template <class T>
struct UnderRelu {
  const T *out, *grad;

  Vector<T> at(int64_t offset) const {
    return load(out + offset) > T(0) ? load(grad + offset) : Vector<T>{};
  }

  // The gradient of a BatchNorm of `input` that comes just before the ReLU.
  NormGradient<T> through(const Norm<T>& norm, const Units& units, const T* input) const {
    Sums<T> sums(units.count(), norm.channels);
    in_parallel(units.count(), [&](int64_t unit) {
      const int64_t rows = units.last(unit) - units.first(unit);
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t from = (units.first_row(unit) + row) * norm.channels;
        sums.add(unit, std::min(kTileRows, rows - row),
                 [&](int64_t offset, int64_t c, Vector<T>& one, Vector<T>& two) {
                   const Vector<T> value = at(from + offset);
                   one += value;
                   two += value * (load(input + from + offset) - load(norm.mean + c));
                 });
      }
    });
    return NormGradient<T>(norm, units.rows(), sums);
  }
};

// Calls f(offset, channel) for every vector of `rows` rows; `channel` is its first channel.
template <class T, class F>
inline void for_vectors(int64_t rows, int64_t channels, const F& f) {
  const Blocks<T> blocks(channels);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t block = 0; block < blocks.count; ++block)
      f(row * channels + blocks.start(block), blocks.start(block));
}

}  // namespace xpand
