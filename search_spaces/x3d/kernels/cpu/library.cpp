// Registers the kernels as torch.ops.xpand.
#include <torch/library.h>

#include "head.h"
#include "stem.h"

namespace {

using Optional = std::vector<std::optional<at::Tensor>>;

// Convert between Python's lists of tensors or None, and lists of tensors in which None is an undefined tensor.
xpand::Tensors plain(const Optional& tensors) {
  xpand::Tensors found;
  for (const auto& tensor : tensors) found.push_back(tensor.value_or(at::Tensor()));
  return found;
}

c10::List<std::optional<at::Tensor>> optional(const xpand::Tensors& tensors) {
  c10::List<std::optional<at::Tensor>> found;
  for (const auto& tensor : tensors)
    found.push_back(tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt);
  return found;
}

}  // namespace

TORCH_LIBRARY(xpand, library) {
  // The fewest channels that the kernels support in the precision of a tensor.
  library.def("lanes", [](const at::Tensor& like) -> int64_t {
    return like.scalar_type() == at::kDouble ? xpand::kLanes<double> : xpand::kLanes<float>;
  });
  library.def("block_forward", [](const at::Tensor& x, const Optional& parameters, const Optional& buffers,
                                  int64_t stride, bool training, double momentum, double eps) {
    return optional(xpand::block_forward(x, plain(parameters), plain(buffers), stride, training, momentum, eps));
  });
  library.def("block_backward", [](const at::Tensor& grad, const at::Tensor& x, const Optional& parameters,
                                   const Optional& saved, int64_t stride) {
    return optional(xpand::block_backward(grad, x, plain(parameters), plain(saved), stride));
  });
  library.def("stem_forward", &xpand::stem_forward);
  library.def("stem_backward", &xpand::stem_backward);
  library.def("head_forward", &xpand::head_forward);
  library.def("head_backward", &xpand::head_backward);
}
