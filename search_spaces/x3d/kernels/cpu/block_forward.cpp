// The forward pass of a block, with the names of block.h.
#include <ATen/Dispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>

#include <optional>

#include "block.h"

namespace xpand {
namespace {

template <class T>
class Forward {
 public:
  Forward(const at::Tensor& x, const Tensors& parameters, const Tensors& buffers, int64_t stride, bool training,
          double momentum, double eps)
      : x_(channels_last(x)),
        parameters_(parameters),
        buffers_(buffers),
        stride_(stride),
        training_(training),
        momentum_(momentum),
        eps_(eps),
        in_(x_),
        inner_(parameters[kExpand].size(0)),
        out_channels_(parameters[kProject].size(0)),
        height_((in_.height + stride - 1) / stride),
        width_((in_.width + stride - 1) / stride),
        rows_(in_.samples * in_.frames * height_ * width_),
        results_(kResults) {}

  Tensors run() {
    expand();
    depthwise();
    gate();
    project();
    if (parameters_[kShortcut].defined()) shortcut();
    add();
    return results_;
  }

 private:
  at::Tensor empty(int64_t channels) const {
    return empty_clips(in_.samples, channels, in_.frames, height_, width_, x_);
  }

  T* data(int result) { return results_[result].template data_ptr<T>(); }

  Norm<T> norm(int weight, int buffer, int saved, const Moments<T>& moments) {
    Norm<T> made(parameters_[weight], parameters_[weight + 1], at::Tensor());
    if (training_)
      made.set_from(moments, buffers_[buffer], buffers_[buffer + 1], momentum_, eps_);
    else
      made.set_from_running(buffers_[buffer], buffers_[buffer + 1], eps_);
    results_[saved] = made.saved;
    return made;
  }

  void expand() {
    results_[kE] = empty_clips(in_.samples, inner_, in_.frames, in_.height, in_.width, x_);
    const T* x = x_.const_data_ptr<T>();
    const Moments<T> moments = pointwise<T>(
        matrix(parameters_[kExpand]), Units(in_.samples, in_.sample_rows()), data(kE), training_,
        [&](int64_t row, int64_t, T*) { return x + row * in_.channels; });
    norm1_.emplace(norm(kNorm1Weight, kNorm1, kSaved1, moments));
  }

  void depthwise() {
    const Norm<T>& norm1 = *norm1_;
    const std::vector<T> taps = taps_of<T>(parameters_[kDepthwise], false);
    results_[kD] = empty(inner_);
    const T* e = data(kE);
    T* d = data(kD);
    const Blocks<T> blocks(inner_);
    const Units units(in_.samples, height_);
    Moments<T> moments(units.count(), inner_);
    const bool wants_moments = training_ || parameters_[kSqueeze].defined();
    at::parallel_for(0, units.count(), 1, [&](int64_t begin, int64_t end) {
      Ring<T> ring(in_.frames, in_.width, inner_);
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t sample = units.sample(unit);
        ring.forget();
        for (int64_t h = units.first(unit); h < units.last(unit); ++h) {
          const int64_t above = h * stride_ - 1;
          for (int64_t k = 0; k < 3; ++k)
            if (above + k >= 0 && above + k < in_.height)
              ring.need(above + k, [&](int64_t frame, T* line) {
                const T* from =
                    e + ((sample * in_.frames + frame) * in_.height + above + k) * in_.width * inner_;
                for_vectors<T>(in_.width, inner_, [&](int64_t at, int64_t c) {
                  store(line + at, relu<T>(load(from + at) * load(&norm1.scale[c]) + load(&norm1.shift[c])));
                });
              });
          for (int64_t frame = 0; frame < in_.frames; ++frame) {
            Meetings<T> meetings;
            for (int64_t t = 0; t < 3; ++t)
              for (int64_t k = 0; k < 3; ++k)
                if (frame + t - 1 >= 0 && frame + t - 1 < in_.frames && above + k >= 0 && above + k < in_.height)
                  meetings.add(ring.line(frame + t - 1, above + k), &taps[(t * 3 + k) * 3 * inner_]);
            T* line = d + ((sample * in_.frames + frame) * height_ + h) * width_ * inner_;
            correlate_line(meetings, blocks, width_, static_cast<int>(stride_), line);
            if (wants_moments) moments.add(unit, width_, line);
          }
        }
      }
    });
    norm2_.emplace(norm(kNorm2Weight, kNorm2, kSaved2, moments));
    if (parameters_[kSqueeze].defined()) squeeze(moments, units.parts);
  }

  // Squeeze-excite: computes a gate for each channel from the means of norm2(d) over each sample, by two layers.
  void squeeze(const Moments<T>& moments, int64_t parts) {
    const Norm<T>& norm2 = *norm2_;
    results_[kMeans] = at::empty({in_.samples, inner_}, x_.options());
    T* values = data(kMeans);
    for (int64_t sample = 0; sample < in_.samples; ++sample) {
      const auto found = moments.merge(sample * parts, (sample + 1) * parts);
      std::copy(found.mean.begin(), found.mean.end(), values + sample * inner_);
    }
    const at::Tensor means = normalised(norm2, results_[kMeans]);
    results_[kHidden] = at::relu(
        at::addmm(parameters_[kSqueezeBias], means, matrix(parameters_[kSqueeze]).t()));
    results_[kGate] = at::sigmoid(
        at::addmm(parameters_[kExciteBias], results_[kHidden], matrix(parameters_[kExcite]).t()));
  }

  // Sets scale_ and shift_, (B, I), so that y = scale · d + shift includes norm2 and the gate.
  void gate() {
    const Norm<T>& norm2 = *norm2_;
    scale_.resize(in_.samples * inner_);
    shift_.resize(in_.samples * inner_);
    const T* gates = results_[kGate].defined() ? data(kGate) : nullptr;
    for (int64_t i = 0; i < in_.samples * inner_; ++i) {
      const T gate = gates ? gates[i] : T(1);
      scale_[i] = gate * norm2.scale[i % inner_];
      shift_[i] = gate * norm2.shift[i % inner_];
    }
  }

  void project() {
    results_[kP] = empty(out_channels_);
    const T* d = data(kD);
    const int64_t sample_rows = in_.frames * height_ * width_;
    const Moments<T> moments = pointwise<T>(
        matrix(parameters_[kProject]), Units(in_.samples, sample_rows), data(kP), training_,
        [&](int64_t row, int64_t rows, T* scratch) {
          const int64_t sample = row / sample_rows;
          const T* scale = &scale_[sample * inner_];
          const T* shift = &shift_[sample * inner_];
          const T* from = d + row * inner_;
          for_vectors<T>(rows, inner_, [&](int64_t at, int64_t c) {
            const Vector<T> y = load(from + at) * load(scale + c) + load(shift + c);
            store(scratch + at, y * sigmoid<T>(y));
          });
          return static_cast<const T*>(scratch);
        });
    norm3_.emplace(norm(kNorm3Weight, kNorm3, kSaved3, moments));
  }

  void shortcut() {
    results_[kS] = empty(out_channels_);
    const Under under{in_.height, in_.width, height_, width_, stride_};
    const T* x = x_.const_data_ptr<T>();
    const Moments<T> moments = pointwise<T>(
        matrix(parameters_[kShortcut]), Units(in_.samples, in_.frames * height_ * width_), data(kS), training_,
        [&](int64_t row, int64_t rows, T* scratch) {
          for (int64_t i = 0; i < rows; ++i)
            std::copy_n(x + under(row + i) * in_.channels, in_.channels, scratch + i * in_.channels);
          return static_cast<const T*>(scratch);
        });
    if (parameters_[kShortcutNormWeight].defined())
      shortcut_norm_.emplace(norm(kShortcutNormWeight, kShortcutNorm, kSavedShortcut, moments));
  }

  void add() {
    const Norm<T>& norm3 = *norm3_;
    results_[kOut] = empty(out_channels_);
    const T* p = data(kP);
    const T* s = results_[kS].defined() ? data(kS) : x_.const_data_ptr<T>();
    T* out = data(kOut);
    std::vector<T> scale(out_channels_, T(1)), shift(norm3.shift);
    if (shortcut_norm_) {
      scale = shortcut_norm_->scale;
      for (int64_t c = 0; c < out_channels_; ++c) shift[c] += shortcut_norm_->shift[c];
    }
    at::parallel_for(0, rows_, 256, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * out_channels_;
      for_vectors<T>(end - begin, out_channels_, [&](int64_t at, int64_t c) {
        store(out + first + at, relu<T>(load(p + first + at) * load(&norm3.scale[c]) +
                                        load(s + first + at) * load(&scale[c]) + load(&shift[c])));
      });
    });
  }

  at::Tensor x_;
  const Tensors &parameters_, &buffers_;
  int64_t stride_;
  bool training_;
  double momentum_, eps_;
  Shape in_;
  int64_t inner_, out_channels_, height_, width_, rows_;
  Tensors results_;
  std::optional<Norm<T>> norm1_, norm2_, norm3_, shortcut_norm_;
  std::vector<T> scale_, shift_;
};

}  // namespace

Tensors block_forward(const at::Tensor& x, const Tensors& parameters, const Tensors& buffers, int64_t stride,
                      bool training, double momentum, double eps) {
  Tensors results;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "xpand::block_forward", [&] {
    results = Forward<scalar_t>(x, parameters, buffers, stride, training, momentum, eps).run();
  });
  return results;
}

}  // namespace xpand
