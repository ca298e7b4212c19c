#include "stem.h"

#include <ATen/Dispatch.h>

namespace xpand {
namespace {

constexpr int64_t kPatch = 27;  // values of a patch: 3×3 pixels of 3 colours
constexpr int64_t kTaps = 5;

// The spatial weight as (C, 27), in the order in which a patch lies in memory: height, width, colour.
at::Tensor patches_weight(const at::Tensor& spatial) {
  return spatial.squeeze(2).permute({0, 2, 3, 1}).reshape({spatial.size(0), kPatch});
}

// Copies the patches that one line of the output reads to `patches`, (width, 27). `padded` is scratch for three padded
// lines.
template <class T>
void gather(const T* frame, const Shape& in, int64_t h, int64_t width, std::vector<T>& padded, T* patches) {
  const int64_t length = (in.width + 2) * 3;
  for (int64_t k = 0; k < 3; ++k) {
    const int64_t height = 2 * h - 1 + k;
    T* line = padded.data() + k * length;
    if (height < 0 || height >= in.height)
      std::fill_n(line, length, T(0));
    else
      std::copy_n(frame + height * in.width * 3, in.width * 3, line + 3);
    for (int64_t w = 0; w < width; ++w) std::copy_n(line + 6 * w, 9, patches + w * kPatch + 9 * k);
  }
}

// Calls f(other, tap) for each temporal tap by which output frame `frame` reads an existing frame `other`.
template <class F>
void for_taps(int64_t frame, int64_t frames, const F& f) {
  for (int64_t tap = 0; tap < kTaps; ++tap) {
    const int64_t other = frame + tap - kTaps / 2;
    if (other >= 0 && other < frames) f(other, tap);
  }
}

template <class T>
Tensors forward(const at::Tensor& clips, const at::Tensor& spatial, const at::Tensor& temporal, Norm<T> norm,
                const at::Tensor& running_mean, const at::Tensor& running_var, bool training, double momentum,
                double eps) {
  const at::Tensor x = channels_last(clips);
  const Shape in(x);
  const int64_t channels = spatial.size(0), height = (in.height + 1) / 2, width = (in.width + 1) / 2;
  const int64_t line_length = width * channels, frame_length = height * line_length;
  const Packed<T> packed(patches_weight(spatial).contiguous().const_data_ptr<T>(), kPatch, channels, 1, kPatch);
  const std::vector<T> taps = taps_of<T>(temporal, false);
  const auto empty = [&] { return empty_clips(in.samples, channels, in.frames, height, width, x); };
  const at::Tensor y_all = empty(), u_all = empty(), out_all = empty();
  const T* from = x.const_data_ptr<T>();
  T *y = y_all.data_ptr<T>(), *u = u_all.data_ptr<T>(), *out = out_all.data_ptr<T>();
  const Units units(in.samples, height);
  Moments<T> moments(units.count(), channels);
  at::parallel_for(0, units.count(), 1, [&](int64_t begin, int64_t end) {
    std::vector<T> padded(3 * (in.width + 2) * 3), patches(width * kPatch);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = units.sample(unit) * in.frames;
      for (int64_t h = units.first(unit); h < units.last(unit); ++h) {
        const auto at = [&](int64_t frame) { return (first + frame) * frame_length + h * line_length; };
        for (int64_t frame = 0; frame < in.frames; ++frame) {
          gather(from + (first + frame) * in.height * in.width * 3, in, h, width, padded, patches.data());
          packed.multiply(width, patches.data(), y + at(frame));
        }
        for (int64_t frame = 0; frame < in.frames; ++frame) {
          T* line = u + at(frame);
          for_vectors<T>(width, channels, [&](int64_t offset, int64_t c) {
            Vector<T> sum{};
            for_taps(frame, in.frames, [&](int64_t other, int64_t tap) {
              sum += load(y + at(other) + offset) * load(&taps[tap * channels + c]);
            });
            store(line + offset, sum);
          });
          if (training) moments.add(unit, width, line);
        }
      }
    }
  });
  if (training)
    norm.set_from(moments, running_mean, running_var, momentum, eps);
  else
    norm.set_from_running(running_mean, running_var, eps);
  at::parallel_for(0, units.samples * in.frames * height, 1, [&](int64_t begin, int64_t end) {
    const int64_t skip = begin * line_length;
    for_vectors<T>((end - begin) * width, channels, [&](int64_t offset, int64_t c) {
      store(out + skip + offset,
            relu<T>(load(u + skip + offset) * load(&norm.scale[c]) + load(&norm.shift[c])));
    });
  });
  return {out_all, y_all, u_all, norm.saved};
}

template <class T>
Tensors backward(const at::Tensor& grad_out, const at::Tensor& clips, const at::Tensor& spatial,
                 const at::Tensor& temporal, const Norm<T>& norm, const Tensors& saved) {
  const at::Tensor x = channels_last(clips), grad = channels_last(grad_out);
  const Shape in(x), out(grad);
  const int64_t channels = out.channels, width = out.width;
  const int64_t line_length = width * channels, frame_length = out.height * line_length;
  const T *from = x.const_data_ptr<T>(), *y = saved[1].const_data_ptr<T>(), *u = saved[2].const_data_ptr<T>();
  const UnderRelu<T> under{saved[0].const_data_ptr<T>(), grad.const_data_ptr<T>()};
  const NormGradient<T> to_u = under.through(norm, Units(out.samples, out.sample_rows()), u);
  const std::vector<T> taps = taps_of<T>(temporal, true);
  const Units units(out.samples, out.height);
  WeightSums<T> spatial_sums(units.count(), channels, kPatch, x), tap_sums(units.count(), kTaps, channels, x);
  const Blocks<T> blocks(channels);
  at::parallel_for(0, units.count(), 1, [&](int64_t begin, int64_t end) {
    std::vector<T> padded(3 * (in.width + 2) * 3), patches(width * kPatch), d_y(line_length);
    std::vector<T> d_u(in.frames * line_length);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = units.sample(unit) * in.frames;
      for (int64_t h = units.first(unit); h < units.last(unit); ++h) {
        const auto at = [&](int64_t frame) { return (first + frame) * frame_length + h * line_length; };
        for (int64_t frame = 0; frame < in.frames; ++frame) {
          const int64_t start = at(frame);
          for_vectors<T>(width, channels, [&](int64_t offset, int64_t c) {
            store(&d_u[frame * line_length + offset],
                  to_u.at(c, under.at(start + offset), load(u + start + offset)));
          });
          for_taps(frame, in.frames, [&](int64_t other, int64_t tap) {
            T* sums = tap_sums.of(unit) + tap * blocks.packed();
            const T *lefts = y + at(other), *rights = &d_u[frame * line_length];
            for (int64_t block = 0; block < blocks.count; ++block) {
              Vector<T> sum = load(sums + block * kLanes<T>);
              for (int64_t i = blocks.start(block); i < line_length; i += channels)
                sum += load(lefts + i) * load(rights + i);
              store(sums + block * kLanes<T>, sum);
            }
          });
        }
        for (int64_t frame = 0; frame < in.frames; ++frame) {
          for_vectors<T>(width, channels, [&](int64_t offset, int64_t c) {
            Vector<T> sum{};
            for_taps(frame, in.frames, [&](int64_t other, int64_t tap) {
              sum += load(&d_u[other * line_length + offset]) * load(&taps[tap * channels + c]);
            });
            store(&d_y[offset], sum);
          });
          gather(from + (first + frame) * in.height * in.width * 3, in, h, width, padded, patches.data());
          add_outer(width, d_y.data(), channels, patches.data(), spatial_sums.blocks(), spatial_sums.of(unit));
        }
      }
    }
  });
  const at::Tensor d_spatial =
      spatial_sums.total({channels, 3, 3, 3}).permute({0, 3, 1, 2}).contiguous().view(spatial.sizes());
  const at::Tensor d_temporal = tap_sums.total({kTaps, channels}).t().contiguous().view(temporal.sizes());
  return {d_spatial, d_temporal, to_u.weight, to_u.bias};
}

}  // namespace

Tensors stem_forward(const at::Tensor& x, const at::Tensor& spatial, const at::Tensor& temporal,
                     const at::Tensor& norm_weight, const at::Tensor& norm_bias, const at::Tensor& running_mean,
                     const at::Tensor& running_var, bool training, double momentum, double eps) {
  Tensors results;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "xpand::stem_forward", [&] {
    results = forward<scalar_t>(x, spatial, temporal, Norm<scalar_t>(norm_weight, norm_bias, at::Tensor()),
                                running_mean, running_var, training, momentum, eps);
  });
  return results;
}

Tensors stem_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& spatial,
                      const at::Tensor& temporal, const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                      const Tensors& saved) {
  Tensors gradients;
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "xpand::stem_backward", [&] {
    gradients = backward<scalar_t>(grad, x, spatial, temporal,
                                   Norm<scalar_t>(norm_weight, norm_bias, saved[3]), saved);
  });
  return gradients;
}

}  // namespace xpand
