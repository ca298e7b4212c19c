// The stem: y = spatial(x), u = temporal(y), out = relu(norm(u)).
#pragma once

#include "block.h"

namespace xpand {

// x (B, 3, T, H, W); weights (C, 3, 1, 3, 3) and (C, 1, 5, 1, 1). Returns out, y, u, and the norm's mean and
// 1 / standard deviation (2, C).
Tensors stem_forward(const at::Tensor& x, const at::Tensor& spatial, const at::Tensor& temporal,
                     const at::Tensor& norm_weight, const at::Tensor& norm_bias, const at::Tensor& running_mean,
                     const at::Tensor& running_var, bool training, double momentum, double eps);
// Returns the gradients of the two weights, and of the norm's weight and bias; not that of x, which nothing needs.
Tensors stem_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& spatial,
                      const at::Tensor& temporal, const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                      const Tensors& saved);

}  // namespace xpand
