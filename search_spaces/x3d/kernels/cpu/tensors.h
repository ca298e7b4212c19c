// Tensors (B, C, T, H, W) whose channels are innermost in memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "matmul.h"
#include "rows.h"

namespace xpand {

struct Shape {
  int64_t samples, channels, frames, height, width;

  explicit Shape(const at::Tensor& x)
      : samples(x.size(0)), channels(x.size(1)), frames(x.size(2)), height(x.size(3)), width(x.size(4)) {}

  int64_t sample_rows() const { return frames * height * width; }
  int64_t rows() const { return samples * sample_rows(); }
};

inline at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast3d);
}

inline at::Tensor empty_clips(int64_t samples, int64_t channels, int64_t frames, int64_t height, int64_t width,
                              const at::Tensor& like) {
  return at::empty({samples, channels, frames, height, width},
                   like.options().memory_format(at::MemoryFormat::ChannelsLast3d));
}

// The gradient of a weight (n, columns): a sum for each share of the work, added up in a fixed order at the end.
template <class T>
class WeightSums {
 public:
  WeightSums(int64_t shares, int64_t n, int64_t columns, const at::Tensor& like)
      : n_(n), blocks_(columns), values_(at::zeros({shares, n * blocks_.packed()}, like.options())) {}

  T* of(int64_t share) { return values_.data_ptr<T>() + share * n_ * blocks_.packed(); }
  const Blocks<T>& blocks() const { return blocks_; }

  at::Tensor total(at::IntArrayRef sizes) const {
    at::Tensor whole = at::empty(sizes, values_.options());
    const T* from = values_.const_data_ptr<T>();
    T* to = whole.data_ptr<T>();
    const int64_t shares = values_.size(0), stride = values_.size(1);
    in_parallel(n_, [&](int64_t row) {
      for (int64_t block = 0; block < blocks_.count; ++block) {
        const T* at = from + row * blocks_.packed() + block * kLanes<T>;
        Vector<T> sum = load(at);
        for (int64_t share = 1; share < shares; ++share) sum += load(at + share * stride);
        store(to + row * blocks_.channels + blocks_.start(block), sum);
      }
    });
    return whole;
  }

 private:
  int64_t n_;
  Blocks<T> blocks_;
  at::Tensor values_;
};

}  // namespace xpand
