// Products of a tall matrix with a small one, in tiles whose sums are held in registers.
#pragma once

#include <vector>

#include "vectors.h"

namespace xpand {

// C[i, v] (+)= sum over k of A(i, k) · B[k, v] for M rows and N vectors. A(i, k) = a[i·row + k·step], so A may be
// read transposed; the vectors of B and C start at b[v] + k·ldb and c[v] + i·ldc.
template <class T, int M, int N, bool Add>
inline void tile(int64_t depth, const T* a, int64_t row, int64_t step, const T* const* b, int64_t ldb,
                 T* const* c, int64_t ldc) {
  Vector<T> sums[M][N];
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < N; ++v) sums[i][v] = Add ? load(c[v] + i * ldc) : Vector<T>{};
  for (int64_t k = 0; k < depth; ++k) {
    Vector<T> right[N];
    for (int v = 0; v < N; ++v) right[v] = load(b[v] + k * ldb);
    for (int i = 0; i < M; ++i) {
      const Vector<T> left = splat(a[i * row + k * step]);
      for (int v = 0; v < N; ++v) sums[i][v] += left * right[v];
    }
  }
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < N; ++v) store(c[v] + i * ldc, sums[i][v]);
}

template <class T, int N, bool Add>
inline void tile_rows(int64_t rows, int64_t depth, const T* a, int64_t row, int64_t step, const T* const* b,
                      int64_t ldb, T* const* c, int64_t ldc) {
  T* at[N];
  for (int v = 0; v < N; ++v) at[v] = c[v];
  int64_t i = 0;
  const auto go = [&]<int M>() {
    for (; i + M <= rows; i += M) {
      tile<T, M, N, Add>(depth, a + i * row, row, step, b, ldb, at, ldc);
      for (int v = 0; v < N; ++v) at[v] += M * ldc;
    }
  };
  go.template operator()<kGemmRows>();
  go.template operator()<4>();
  go.template operator()<2>();
  go.template operator()<1>();
}

template <class T, bool Add>
inline void tile_panel(int count, int64_t rows, int64_t depth, const T* a, int64_t row, int64_t step,
                       const T* const* b, int64_t ldb, T* const* c, int64_t ldc) {
  if (count == 3) tile_rows<T, 3, Add>(rows, depth, a, row, step, b, ldb, c, ldc);
  if (count == 2) tile_rows<T, 2, Add>(rows, depth, a, row, step, b, ldb, c, ldc);
  if (count == 1) tile_rows<T, 1, Add>(rows, depth, a, row, step, b, ldb, c, ldc);
}

// Number of vectors in the panel that starts at this block, at most kGemmBlocks; all panels have nearly one size.
inline int panel_at(int64_t block, int64_t blocks) {
  const int64_t left = blocks - block, panels = (left + kGemmBlocks - 1) / kGemmBlocks;
  return static_cast<int>((left + panels - 1) / panels);
}

// A (depth, columns) matrix stored in panels of columns, in the order in which the product reads it.
template <class T>
class Packed {
 public:
  // Element (k, n) is from[k·row + n·step]; either row or step is 1.
  Packed(const T* from, int64_t depth, int64_t columns, int64_t row, int64_t step)
      : blocks_(columns), depth_(depth), values_(blocks_.packed() * depth) {
    T* to = values_.data();
    for (int64_t block = 0; block < blocks_.count;) {
      const int width = panel_at(block, blocks_.count);
      for (int v = 0; v < width; ++v) {
        const T* column = from + blocks_.start(block + v) * step;
        T* at = to + v * kLanes<T>;
        for (int64_t k = 0; k < depth; ++k, at += width * kLanes<T>)
          for (int64_t lane = 0; lane < kLanes<T>; ++lane) at[lane] = column[k * row + lane * step];
      }
      to += depth * width * kLanes<T>;
      block += width;
    }
  }

  // y (rows, columns) = x (rows, depth) · this.
  void multiply(int64_t rows, const T* x, T* y) const {
    const T* panel = values_.data();
    for (int64_t block = 0; block < blocks_.count;) {
      const int width = panel_at(block, blocks_.count);
      const T* b[kGemmBlocks];
      T* c[kGemmBlocks];
      for (int v = 0; v < width; ++v) {
        b[v] = panel + v * kLanes<T>;
        c[v] = y + blocks_.start(block + v);
      }
      tile_panel<T, false>(width, rows, depth_, x, depth_, 1, b, width * kLanes<T>, c, blocks_.channels);
      panel += depth_ * width * kLanes<T>;
      block += width;
    }
  }

 private:
  Blocks<T> blocks_;
  int64_t depth_;
  std::vector<T> values_;
};

// Adds gᵀ · x to `sums`, for g (rows, n) and x (rows, columns): the gradient of a weight (n, columns), each of whose
// rows is stored in packed blocks (see vectors.h).
template <class T>
inline void add_outer(int64_t rows, const T* g, int64_t n, const T* x, const Blocks<T>& columns, T* sums) {
  for (int64_t block = 0; block < columns.count;) {
    const int width = panel_at(block, columns.count);
    const T* b[kGemmBlocks];
    T* c[kGemmBlocks];
    for (int v = 0; v < width; ++v) {
      b[v] = x + columns.start(block + v);
      c[v] = sums + (block + v) * kLanes<T>;
    }
    tile_panel<T, true>(width, n, rows, g, 1, n, b, columns.channels, c, columns.packed());
    block += width;
  }
}

}  // namespace xpand
