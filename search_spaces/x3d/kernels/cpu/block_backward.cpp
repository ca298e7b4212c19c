// The backward pass of a block, with the names of block.h; d_e is the gradient of e, and so on.
#include <ATen/Dispatch.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sigmoid_backward.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/threshold_backward.h>

#include <optional>

#include "block.h"

namespace xpand {
namespace {

template <class T>
class Backward {
 public:
  Backward(const at::Tensor& grad, const at::Tensor& x, const Tensors& parameters, const Tensors& saved,
           int64_t stride)
      : grad_(channels_last(grad)),
        x_(channels_last(x)),
        parameters_(parameters),
        saved_(saved),
        stride_(stride),
        in_(x_),
        out_(grad_),
        inner_(saved[kE].size(1)),
        norm1_(norm(kNorm1Weight, kSaved1)),
        norm2_(norm(kNorm2Weight, kSaved2)),
        norm3_(norm(kNorm3Weight, kSaved3)),
        d_y_(at::empty({out_.rows(), inner_}, x_.options())),
        d_a_(at::empty({in_.rows(), inner_}, x_.options())),
        d_x_(empty_clips(in_.samples, in_.channels, in_.frames, in_.height, in_.width, x_)),
        out_units_(out_.samples, out_.sample_rows()),
        under_relu_{saved[kOut].const_data_ptr<T>(), grad_.template const_data_ptr<T>()},
        sums2_(out_units_.count(), inner_),
        gradients_(1 + kParameters) {
    if (parameters[kShortcutNormWeight].defined())
      shortcut_norm_.emplace(norm(kShortcutNormWeight, kSavedShortcut));
  }

  Tensors run() {
    add();
    project();
    gate();
    depthwise();
    expand();
    if (parameters_[kShortcut].defined()) shortcut();
    gradients_[0] = d_x_;
    return gradients_;
  }

 private:
  Norm<T> norm(int weight, int saved) const {
    return Norm<T>(parameters_[weight], parameters_[weight + 1], saved_[saved]);
  }
  const T* values(int saved) const { return saved_[saved].template const_data_ptr<T>(); }
  at::Tensor& gradient(int parameter) { return gradients_[1 + parameter]; }
  void keep(int weight, const NormGradient<T>& of) {
    gradient(weight) = of.weight;
    gradient(weight + 1) = of.bias;
  }

  void add() {
    to_p_.emplace(under_relu_.through(norm3_, out_units_, values(kP)));
    keep(kNorm3Weight, *to_p_);
    if (shortcut_norm_) {
      to_shortcut_.emplace(under_relu_.through(*shortcut_norm_, out_units_, values(kS)));
      keep(kShortcutNormWeight, *to_shortcut_);
    }
  }

  // Computes d_y from d_p, through the projection and swish, whose outputs are recomputed tile by tile.
  void project() {
    const int64_t width = out_.channels;
    const T *d = values(kD), *p = values(kP);
    T* d_y = d_y_.template data_ptr<T>();
    set_gates();
    gradient(kProject) = pointwise_back<T>(
        parameters_[kProject], out_units_,
        [&](int64_t row, int64_t rows, T* d_p) {
          for_vectors<T>(rows, width, [&](int64_t at, int64_t c) {
            const int64_t offset = row * width + at;
            store(d_p + at, to_p_->at(c, under_relu_.at(offset), load(p + offset)));
          });
        },
        [&](int64_t row, int64_t, const auto& segments, const T* d_swish, T* swish) {
          segments([&](int64_t unit, int64_t first, int64_t count) {
            const int64_t tile = (first - row) * inner_, begin = first * inner_;
            const T* scale = &scale_[out_units_.sample(unit) * inner_];
            const T* shift = &shift_[out_units_.sample(unit) * inner_];
            sums2_.add(unit, count, [&](int64_t at, int64_t c, Vector<T>& one, Vector<T>& two) {
              const Vector<T> input = load(d + begin + at);
              const Vector<T> y = input * load(scale + c) + load(shift + c);
              const Vector<T> bend = sigmoid<T>(y), out = y * bend;
              const Vector<T> grad = load(d_swish + tile + at) * (bend + out * (T(1) - bend));
              store(swish + tile + at, out);
              store(d_y + begin + at, grad);
              one += grad;
              two += grad * (input - load(norm2_.mean + c));
            });
          });
          return swish;
        });
  }

  // Sets scale_ and shift_ so that y = scale · d + shift includes norm2 and the gate, as in the forward pass.
  void set_gates() {
    const T* gates = saved_[kGate].defined() ? values(kGate) : nullptr;
    for (int64_t i = 0; i < in_.samples * inner_; ++i) {
      const T gate = gates ? gates[i] : T(1);
      scale_.push_back(gate * norm2_.scale[i % inner_]);
      shift_.push_back(gate * norm2_.shift[i % inner_]);
    }
  }

  // Computes the coefficients of d_d, which is affine: of_grad_ · d_y + to_d_.of_x · d + constant_ for each sample.
  void gate() {
    const std::vector<double> sums = by_sample(0), products = by_sample(1);
    const bool gated = saved_[kGate].defined();
    const at::Tensor d_means = gated ? squeeze(sums, products) : at::Tensor();
    const T* gates = gated ? values(kGate) : nullptr;
    const T* of_means = gated ? d_means.const_data_ptr<T>() : nullptr;
    std::vector<double> sum(inner_), product(inner_);
    for (int64_t i = 0; i < in_.samples * inner_; ++i) {
      const int64_t c = i % inner_;
      const double gate = gated ? gates[i] : 1;
      sum[c] += gate * sums[i];
      product[c] += gate * products[i];
      if (gated) {
        sum[c] += of_means[i];
        product[c] += of_means[i] * (static_cast<double>(values(kMeans)[i]) - norm2_.mean[c]);
      }
    }
    to_d_.emplace(norm2_, out_.rows(), sum, product);
    keep(kNorm2Weight, *to_d_);
    for (int64_t i = 0; i < in_.samples * inner_; ++i) {
      const T scale = to_d_->of_grad[i % inner_], constant = to_d_->constant[i % inner_];
      of_grad_.push_back(gated ? scale * gates[i] : scale);
      constant_.push_back(gated ? constant + scale * of_means[i] / out_.sample_rows() : constant);
    }
  }

  // The sums of sums2_ over each sample, (B, I).
  std::vector<double> by_sample(int which) const {
    std::vector<double> totals(in_.samples * inner_);
    for (int64_t unit = 0; unit < out_units_.count(); ++unit) {
      double* to = &totals[out_units_.sample(unit) * inner_];
      for (int64_t c = 0; c < inner_; ++c) to[c] += sums2_.of(unit, which)[c];
    }
    return totals;
  }

  // Computes the gradients of squeeze-excite's parameters, and returns that of its input, the means (B, I).
  // `sums` and `products` are the sums over each sample of d_y and of d_y · (d − mean), (B, I).
  at::Tensor squeeze(const std::vector<double>& sums, const std::vector<double>& products) {
    const at::Tensor &gate = saved_[kGate], &hidden = saved_[kHidden];
    at::Tensor d_gate = at::empty(gate.sizes(), gate.options());
    T* to = d_gate.data_ptr<T>();
    for (int64_t i = 0; i < in_.samples * inner_; ++i)
      to[i] = norm2_.scale[i % inner_] * products[i] + norm2_.bias[i % inner_] * sums[i];
    const at::Tensor d_excited = at::sigmoid_backward(d_gate, gate);
    const at::Tensor d_hidden =
        at::threshold_backward(d_excited.mm(matrix(parameters_[kExcite])), hidden, 0);
    gradient(kExcite) = d_excited.t().mm(hidden).view(parameters_[kExcite].sizes());
    gradient(kExciteBias) = d_excited.sum(0);
    gradient(kSqueeze) = d_hidden.t().mm(normalised(norm2_, saved_[kMeans])).view(parameters_[kSqueeze].sizes());
    gradient(kSqueezeBias) = d_hidden.sum(0);
    return d_hidden.mm(matrix(parameters_[kSqueeze]));
  }

  // Computes, line by line, the gradients of the taps and of norm1's output (before the ReLU) from d_d.
  void depthwise() {
    const std::vector<T> taps = taps_of<T>(parameters_[kDepthwise], stride_ == 1);
    const Units units(in_.samples, out_.height);
    WeightSums<T> weight_sums(units.count(), 27, inner_, x_);
    Sums<T> sums(units.count(), inner_);
    at::parallel_for(0, units.count(), 1, [&](int64_t begin, int64_t end) {
      Ring<T> d_ring(in_.frames, out_.width, inner_), a_ring(in_.frames, in_.width, inner_);
      std::vector<T> line(in_.width * inner_);
      for (int64_t unit = begin; unit < end; ++unit) {
        d_ring.forget();
        a_ring.forget();
        for (int64_t h = units.first(unit); h < units.last(unit); ++h) {
          for (int64_t at = h - 1; at <= h + 1; ++at) need_d(d_ring, units.sample(unit), at);
          for (int64_t k = 0; k < 3; ++k) need_a(a_ring, units.sample(unit), h * stride_ - 1 + k);
          add_taps(d_ring, a_ring, h, weight_sums, unit);
          for (int64_t at = h * stride_; at < std::min((h + 1) * stride_, in_.height); ++at)
            for (int64_t frame = 0; frame < in_.frames; ++frame) {
              correlate_back(d_ring, taps, frame, at, line.data());
              finish(a_ring, line.data(), units.sample(unit), frame, at, sums, unit);
            }
        }
      }
    });
    gradient(kDepthwise) =
        weight_sums.total({27, inner_}).t().contiguous().view(parameters_[kDepthwise].sizes());
    to_e_.emplace(norm1_, in_.rows(), sums);
    keep(kNorm1Weight, *to_e_);
  }

  void need_d(Ring<T>& ring, int64_t sample, int64_t h) const {
    if (h < 0 || h >= out_.height) return;
    const T* of_grad = &of_grad_[sample * inner_];
    const T* constant = &constant_[sample * inner_];
    ring.need(h, [&](int64_t frame, T* line) {
      const int64_t offset =
          ((sample * in_.frames + frame) * out_.height + h) * out_.width * inner_;
      const T *d = values(kD) + offset, *d_y = d_y_.template const_data_ptr<T>() + offset;
      for_vectors<T>(out_.width, inner_, [&](int64_t at, int64_t c) {
        store(line + at, load(of_grad + c) * load(d_y + at) + load(&to_d_->of_x[c]) * load(d + at) +
                             load(constant + c));
      });
    });
  }

  void need_a(Ring<T>& ring, int64_t sample, int64_t h) const {
    if (h < 0 || h >= in_.height) return;
    ring.need(h, [&](int64_t frame, T* line) {
      const T* e = values(kE) + ((sample * in_.frames + frame) * in_.height + h) * in_.width * inner_;
      for_vectors<T>(in_.width, inner_, [&](int64_t at, int64_t c) {
        store(line + at, relu<T>(load(e + at) * load(&norm1_.scale[c]) + load(&norm1_.shift[c])));
      });
    });
  }

  void add_taps(Ring<T>& d_ring, Ring<T>& a_ring, int64_t h, WeightSums<T>& weight_sums, int64_t unit) const {
    const int64_t tap_length = weight_sums.blocks().packed();
    for (int64_t frame = 0; frame < in_.frames; ++frame)
      for (int64_t t = 0; t < 3; ++t) {
        const int64_t other = frame + t - 1;
        if (other < 0 || other >= in_.frames) continue;
        const T* lines[3];
        T* sums[3];
        int count = 0;
        for (int64_t k = 0; k < 3; ++k) {
          const int64_t height = h * stride_ - 1 + k;
          if (height < 0 || height >= in_.height) continue;
          lines[count] = a_ring.line(other, height);
          sums[count++] = weight_sums.of(unit) + (t * 3 + k) * 3 * tap_length;
        }
        tap_gradients_line(d_ring.line(frame, h), count, lines, weight_sums.blocks(), out_.width,
                           static_cast<int>(stride_), sums);
      }
  }

  // Computes the gradient of one line of a.
  void correlate_back(Ring<T>& d_ring, const std::vector<T>& taps, int64_t frame, int64_t h, T* line) const {
    Meetings<T> meetings;
    for (int64_t t = 0; t < 3; ++t)
      for (int64_t k = 0; k < 3; ++k) {
        const int64_t other = stride_ == 1 ? frame + t - 1 : frame - t + 1;
        const int64_t twice = h + 1 - k;  // with stride 2, twice the height of the output line that used tap k
        const int64_t height = stride_ == 1 ? h + k - 1 : twice / 2;
        if (other < 0 || other >= in_.frames || height < 0 || height >= out_.height) continue;
        if (stride_ == 2 && twice % 2 != 0) continue;
        meetings.add(d_ring.line(other, height), &taps[(t * 3 + k) * 3 * inner_]);
      }
    const Blocks<T> blocks(inner_);
    if (stride_ == 1)
      correlate_line(meetings, blocks, in_.width, 1, line);
    else
      spread_line(meetings, blocks, in_.width, line);
  }

  // Applies the ReLU's gradient to a line of d_a, stores it, and adds it to the sums for norm1's gradient.
  void finish(Ring<T>& a_ring, const T* line, int64_t sample, int64_t frame, int64_t h, Sums<T>& sums,
              int64_t unit) const {
    const int64_t offset = ((sample * in_.frames + frame) * in_.height + h) * in_.width * inner_;
    const T *a = a_ring.line(frame, h) + inner_, *e = values(kE) + offset;
    T* d_a = d_a_.template data_ptr<T>() + offset;
    sums.add(unit, in_.width, [&](int64_t at, int64_t c, Vector<T>& one, Vector<T>& two) {
      const Vector<T> grad = load(a + at) > T(0) ? load(line + at) : Vector<T>{};
      store(d_a + at, grad);
      one += grad;
      two += grad * (load(e + at) - load(norm1_.mean + c));
    });
  }

  // Computes the gradient of x through the expansion, plus that of the shortcut where the shortcut is x itself.
  void expand() {
    const int64_t width = in_.channels;
    const bool plain = !parameters_[kShortcut].defined();
    const T *e = values(kE), *d_a = d_a_.template const_data_ptr<T>(), *x = x_.const_data_ptr<T>();
    T* d_x = d_x_.template data_ptr<T>();
    gradient(kExpand) = pointwise_back<T>(
        parameters_[kExpand], Units(in_.samples, in_.sample_rows()),
        [&](int64_t row, int64_t rows, T* d_e) {
          for_vectors<T>(rows, inner_, [&](int64_t at, int64_t c) {
            const int64_t offset = row * inner_ + at;
            store(d_e + at, to_e_->at(c, load(d_a + offset), load(e + offset)));
          });
        },
        [&](int64_t row, int64_t rows, const auto&, const T* back, T*) {
          const int64_t from = row * width;
          for_vectors<T>(rows, width, [&](int64_t at, int64_t) {
            store(d_x + from + at, plain ? load(back + at) + under_relu_.at(from + at) : load(back + at));
          });
          return x + from;
        });
  }

  // Adds the gradient through the shortcut's convolution to the gradient of x.
  void shortcut() {
    const int64_t width = out_.channels, depth = in_.channels;
    const Under under{in_.height, in_.width, out_.height, out_.width, stride_};
    const T* x = x_.const_data_ptr<T>();
    T* d_x = d_x_.template data_ptr<T>();
    gradient(kShortcut) = pointwise_back<T>(
        parameters_[kShortcut], out_units_,
        [&](int64_t row, int64_t rows, T* d_s) {
          for_vectors<T>(rows, width, [&](int64_t at, int64_t c) {
            const int64_t offset = row * width + at;
            const Vector<T> grad = under_relu_.at(offset);
            store(d_s + at, to_shortcut_ ? to_shortcut_->at(c, grad, load(values(kS) + offset)) : grad);
          });
        },
        [&](int64_t row, int64_t rows, const auto&, const T* back, T* inputs) {
          for (int64_t i = 0; i < rows; ++i) {
            const int64_t at = under(row + i) * depth;
            std::copy_n(x + at, depth, inputs + i * depth);
            for (int64_t c = 0; c < depth; ++c) d_x[at + c] += back[i * depth + c];
          }
          return inputs;
        });
  }

  at::Tensor grad_, x_;
  const Tensors &parameters_, &saved_;
  int64_t stride_;
  Shape in_, out_;
  int64_t inner_;
  Norm<T> norm1_, norm2_, norm3_;
  std::optional<Norm<T>> shortcut_norm_;
  at::Tensor d_y_, d_a_, d_x_;
  Units out_units_;
  UnderRelu<T> under_relu_;
  Sums<T> sums2_;
  Tensors gradients_;
  std::optional<NormGradient<T>> to_p_, to_shortcut_, to_d_, to_e_;
  std::vector<T> scale_, shift_;       // y = scale · d + shift: (B, I)
  std::vector<T> of_grad_, constant_;  // coefficients of d_d: (B, I)
};

}  // namespace

Tensors block_backward(const at::Tensor& grad, const at::Tensor& x, const Tensors& parameters,
                       const Tensors& saved, int64_t stride) {
  Tensors gradients;
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "xpand::block_backward", [&] {
    gradients = Backward<scalar_t>(grad, x, parameters, saved, stride).run();
  });
  return gradients;
}

}  // namespace xpand
