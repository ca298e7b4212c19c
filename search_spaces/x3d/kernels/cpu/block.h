// A block of the network: what its forward and backward pass share.
//
//   e = expand(x)                 (B, I, T, H, W)
//   a = relu(norm1(e))
//   d = depthwise(a)              (B, I, T, H', W')
//   y = gate · norm2(d)           gate = 1 without squeeze-excite, else (B, I) from the means of norm2(d)
//   p = project(swish(y))         (B, C', T, H', W')
//   out = relu(norm3(p) + shortcut(x))
//
// Only x, e, d, p, the shortcut and out are kept for the backward pass. a, swish(y) and the gradients between the
// layers are recomputed tile by tile where they are needed, since memory bandwidth limits the speed on a CPU.
#pragma once

#include <vector>

#include "depthwise.h"
#include "norm.h"
#include "pointwise.h"

namespace xpand {

using Tensors = std::vector<at::Tensor>;

// Indices in the list of a block's parameters; the gradients have the same order.
enum Parameter {
  kExpand, kNorm1Weight, kNorm1Bias, kDepthwise, kNorm2Weight, kNorm2Bias, kProject, kNorm3Weight, kNorm3Bias,
  kSqueeze, kSqueezeBias, kExcite, kExciteBias,        // undefined without squeeze-excite
  kShortcut, kShortcutNormWeight, kShortcutNormBias,   // undefined without a convolution, or a norm, on it
  kParameters
};
// Indices in the list of buffers: of each norm's running mean, which its running variance follows.
enum Buffer { kNorm1, kNorm2 = 2, kNorm3 = 4, kShortcutNorm = 6 };
// Indices in the list that the forward pass returns: the output, and the tensors that the backward pass needs.
// kS is the output of the shortcut's convolution; kMeans are the means of d over each sample, (B, I).
enum Saved {
  kOut, kE, kD, kP, kS, kSaved1, kSaved2, kSaved3, kSavedShortcut, kMeans, kHidden, kGate, kResults
};

// The taps (elements of the kernel) of a channelwise (C, 1, 3, 3, 3) weight as (3, 3, 3, C), reversed if wanted.
template <class T>
std::vector<T> taps_of(const at::Tensor& weight, bool reversed) {
  const int64_t channels = weight.size(0), count = weight.numel() / channels;
  const at::Tensor whole = weight.contiguous();
  const T* from = whole.const_data_ptr<T>();
  std::vector<T> taps(count * channels);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < count; ++tap)
      taps[(reversed ? count - 1 - tap : tap) * channels + c] = from[c * count + tap];
  return taps;
}

// norm(x) for a few rows x (n, C), without vector instructions.
template <class T>
at::Tensor normalised(const Norm<T>& norm, const at::Tensor& x) {
  at::Tensor y = at::empty(x.sizes(), x.options());
  const T* from = x.const_data_ptr<T>();
  T* to = y.data_ptr<T>();
  for (int64_t i = 0; i < x.numel(); ++i)
    to[i] = norm.scale[i % norm.channels] * from[i] + norm.shift[i % norm.channels];
  return y;
}

// Maps a row of the output to the row of x that a 1×1×1 convolution with a spatial stride reads for it.
struct Under {
  int64_t height, width, out_height, out_width, stride;

  int64_t operator()(int64_t row) const {
    const int64_t w = row % out_width, h = row / out_width % out_height, frame = row / (out_width * out_height);
    return (frame * height + h * stride) * width + w * stride;
  }
};

Tensors block_forward(const at::Tensor& x, const Tensors& parameters, const Tensors& buffers, int64_t stride,
                      bool training, double momentum, double eps);
// Returns the gradient of x, then those of the parameters.
Tensors block_backward(const at::Tensor& grad, const at::Tensor& x, const Tensors& parameters,
                       const Tensors& saved, int64_t stride);

}  // namespace xpand
