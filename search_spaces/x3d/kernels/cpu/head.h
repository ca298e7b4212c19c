// The head up to its pool: f = conv5(x), pooled = mean(relu(norm(f))).
#pragma once

#include "block.h"

namespace xpand {

// x (B, K, T, H, W), weight (C, K, 1, 1, 1). Returns the means (groups, C), f, and the norm's mean and 1 / standard
// deviation (2, C). A group is a clip, or a frame of a clip if per_frame.
Tensors head_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& norm_weight,
                     const at::Tensor& norm_bias, const at::Tensor& running_mean, const at::Tensor& running_var,
                     bool per_frame, bool training, double momentum, double eps);
// Returns the gradients of x, of the weight, and of the norm's weight and bias.
Tensors head_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight,
                      const at::Tensor& norm_weight, const at::Tensor& norm_bias, const Tensors& saved);

}  // namespace xpand
