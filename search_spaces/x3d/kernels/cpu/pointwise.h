// Convolutions of 1×1×1: products of rows, tile by tile, with what comes before and after them in the same tile.
#pragma once

#include "tensors.h"

namespace xpand {

// (N, K) of a 1×1×1 convolution, contiguous whatever the layout of its weight.
inline at::Tensor matrix(const at::Tensor& weight) {
  return weight.contiguous().view({weight.size(0), weight.size(1)});
}

// y = left · weightᵀ for weight (N, K), and the moments of y where they are wanted. left(row, rows, scratch) says
// where `rows` rows of K are, all of one sample; it may put them into the scratch.
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

// The way back: the gradient of the weight (N, K), with its `sizes`. For each tile, grad(row, rows, to) puts the
// gradient of y there, and take(row, rows, segments, back, scratch) gets that of the left side, back (rows, K), and
// says where the left side's own rows are; it may put them into the scratch.
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
