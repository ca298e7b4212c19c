// 1×1×1 convolutions: matrix products, tile by tile, each fused with the operations before and after it.
#pragma once

#include "tensors.h"

namespace xpand {

// The weight of a 1×1×1 convolution as a contiguous matrix (N, K).
inline at::Tensor matrix(const at::Tensor& weight) {
  return weight.contiguous().view({weight.size(0), weight.size(1)});
}

// Computes y = left · weightᵀ for weight (N, K), and returns the moments of y if wanted. left(row, rows, scratch)
// returns a pointer to `rows` rows of the left side, (rows, K), all of one sample; it may compute them in `scratch`.
template <class T, class Left>
Moments<T> pointwise(const at::Tensor& weight, const Units& units, T* y, bool wants_moments, const Left& left) {
  const int64_t n = weight.size(0), depth = weight.size(1);
  const Packed<T> packed(weight.const_data_ptr<T>(), depth, n, 1, depth);
  const Shares shares(units);
  Moments<T> moments(units.count(), n);
  in_parallel(shares.count, [&](int64_t share) {
    std::vector<T> scratch(kTileRows * depth);
    for_tiles(units, shares.first(share), shares.first(share + 1),
              [&](int64_t row, int64_t rows, const auto& segments) {
                const T* from = nullptr;
                segments([&](int64_t, int64_t at, int64_t count) {
                  const T* begin = left(at, count, scratch.data() + (at - row) * depth);
                  if (at == row) from = begin;
                });
                packed.multiply(rows, from, y + row * n);
                if (!wants_moments) return;
                segments([&](int64_t unit, int64_t at, int64_t count) { moments.add(unit, count, y + at * n); });
              });
  });
  return moments;
}

// The backward pass of `pointwise`: returns the gradient of the weight, in the weight's shape. For each tile,
// grad(row, rows, to) must write the gradient of y to `to`, (rows, N). Then take(row, rows, segments, back, scratch)
// is given the gradient of the left side, back (rows, K), and returns a pointer to the left side's own rows; it may
// compute them in `scratch`.
template <class T, class Grad, class Take>
at::Tensor pointwise_back(const at::Tensor& weight, const Units& units, const Grad& grad, const Take& take) {
  const at::Tensor flat = matrix(weight);
  const int64_t n = flat.size(0), depth = flat.size(1);
  const Packed<T> packed(flat.const_data_ptr<T>(), n, depth, depth, 1);
  const Shares shares(units);
  WeightSums<T> sums(shares.count, n, depth, flat);
  in_parallel(shares.count, [&](int64_t share) {
    std::vector<T> d_y(kTileRows * n), back(kTileRows * depth), scratch(kTileRows * depth);
    for_tiles(units, shares.first(share), shares.first(share + 1),
              [&](int64_t row, int64_t rows, const auto& segments) {
                grad(row, rows, d_y.data());
                packed.multiply(rows, d_y.data(), back.data());
                const T* left = take(row, rows, segments, back.data(), scratch.data());
                add_outer(rows, d_y.data(), n, left, sums.blocks(), sums.of(share));
              });
  });
  return sums.total(weight.sizes());
}

}  // namespace xpand
