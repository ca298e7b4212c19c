#include "head.h"

#include <ATen/Dispatch.h>

namespace xpand {
namespace {

template <class T>
Tensors forward(const at::Tensor& input, const at::Tensor& weight, Norm<T> norm, const at::Tensor& running_mean,
                const at::Tensor& running_var, bool per_frame, bool training, double momentum, double eps) {
  const at::Tensor x = channels_last(input);
  const Shape in(x);
  const int64_t channels = weight.size(0), groups = in.samples * (per_frame ? in.frames : 1);
  const int64_t group_rows = in.rows() / groups;
  const at::Tensor f_all = empty_clips(in.samples, channels, in.frames, in.height, in.width, x);
  const at::Tensor means_all = at::empty({groups, channels}, x.options());
  const T* from = x.const_data_ptr<T>();
  T *f = f_all.data_ptr<T>(), *means = means_all.data_ptr<T>();
  const Moments<T> moments =
      pointwise<T>(matrix(weight), Units(in.samples, in.sample_rows()), f, training,
                   [&](int64_t row, int64_t, T*) { return from + row * in.channels; });
  if (training)
    norm.set_from(moments, running_mean, running_var, momentum, eps);
  else
    norm.set_from_running(running_mean, running_var, eps);
  Sums<T> sums(groups, channels);
  in_parallel(groups, [&](int64_t group) {
    for (int64_t row = 0; row < group_rows; row += kTileRows) {
      const T* at = f + (group * group_rows + row) * channels;
      sums.add(group, std::min(kTileRows, group_rows - row),
               [&](int64_t offset, int64_t c, Vector<T>& one, Vector<T>&) {
                 one += relu<T>(load(at + offset) * load(&norm.scale[c]) + load(&norm.shift[c]));
               });
    }
    for (int64_t c = 0; c < channels; ++c) means[group * channels + c] = sums.of(group, 0)[c] / group_rows;
  });
  return {means_all, f_all, norm.saved};
}

template <class T>
Tensors backward(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight, const Norm<T>& norm,
                 const Tensors& saved) {
  const at::Tensor x = channels_last(input), of_means = grad.contiguous();
  const Shape in(x);
  const int64_t channels = norm.channels, group_rows = in.rows() / grad.size(0);
  const T share = T(1) / group_rows;
  const T *from = x.const_data_ptr<T>(), *f = saved[1].const_data_ptr<T>(), *means = of_means.const_data_ptr<T>();
  // The gradient of norm(f) at a vector: that of the group's mean, divided by its rows, where the ReLU is not 0.
  const auto through = [&](int64_t row, int64_t at, int64_t c) {
    const Vector<T> value = load(f + row * channels + at) * load(&norm.scale[c]) + load(&norm.shift[c]);
    const int64_t group = (row + at / channels) / group_rows;
    return value > T(0) ? load(means + group * channels + c) * share : Vector<T>{};
  };
  const Units units(in.samples, in.sample_rows());
  Sums<T> sums(units.count(), channels);
  in_parallel(units.count(), [&](int64_t unit) {
    const int64_t rows = units.last(unit) - units.first(unit);
    for (int64_t tile = 0; tile < rows; tile += kTileRows) {
      const int64_t row = units.first_row(unit) + tile;
      sums.add(unit, std::min(kTileRows, rows - tile),
               [&](int64_t at, int64_t c, Vector<T>& one, Vector<T>& two) {
                 const Vector<T> value = through(row, at, c);
                 one += value;
                 two += value * (load(f + row * channels + at) - load(norm.mean + c));
               });
    }
  });
  const NormGradient<T> to_f(norm, in.rows(), sums);
  const at::Tensor d_x = empty_clips(in.samples, in.channels, in.frames, in.height, in.width, x);
  T* to = d_x.data_ptr<T>();
  const at::Tensor d_weight = pointwise_back<T>(
      weight, units,
      [&](int64_t row, int64_t rows, T* d_f) {
        for_vectors<T>(rows, channels, [&](int64_t at, int64_t c) {
          store(d_f + at, to_f.at(c, through(row, at, c), load(f + row * channels + at)));
        });
      },
      [&](int64_t row, int64_t rows, const auto&, const T* back, T*) {
        std::copy_n(back, rows * in.channels, to + row * in.channels);
        return from + row * in.channels;
      });
  return {d_x, d_weight, to_f.weight, to_f.bias};
}

}  // namespace

Tensors head_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& norm_weight,
                     const at::Tensor& norm_bias, const at::Tensor& running_mean, const at::Tensor& running_var,
                     bool per_frame, bool training, double momentum, double eps) {
  Tensors results;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "xpand::head_forward", [&] {
    results = forward<scalar_t>(x, weight, Norm<scalar_t>(norm_weight, norm_bias, at::Tensor()), running_mean,
                                running_var, per_frame, training, momentum, eps);
  });
  return results;
}

Tensors head_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight,
                      const at::Tensor& norm_weight, const at::Tensor& norm_bias, const Tensors& saved) {
  Tensors gradients;
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "xpand::head_backward", [&] {
    gradients = backward<scalar_t>(grad, x, weight, Norm<scalar_t>(norm_weight, norm_bias, saved[2]), saved);
  });
  return gradients;
}

}  // namespace xpand
