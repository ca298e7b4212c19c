// Rows of channels-last tensors: their division among threads, sums over rows, and the moments for BatchNorm.
//
// A tensor (B, C, T, H, W) is B·T·H·W rows of C channels. The rows of a sample are divided into parts. Each part is
// summed by itself, and the parts' sums are added in a fixed order, so that results don't depend on the number of
// threads.
#pragma once

#include <ATen/Parallel.h>

#include <vector>

#include "vectors.h"

namespace xpand {

// Rows in a tile: all steps of a layer are applied to a tile before the next, so that it stays in the cache.
constexpr int64_t kTileRows = 96;
constexpr int64_t kParts = 16;  // the least number of parts of a batch, if it has that many lines

// The division of a batch into units: `parts` units for each sample. A unit is a range of a sample's `lines`, which
// are its rows, or its lines of pixels.
struct Units {
  int64_t samples, lines, parts;

  Units(int64_t samples, int64_t lines)
      : samples(samples),
        lines(lines),
        parts(std::max<int64_t>(1, std::min(lines, (kParts + samples - 1) / samples))) {}

  int64_t count() const { return samples * parts; }
  int64_t rows() const { return samples * lines; }
  int64_t sample(int64_t unit) const { return unit / parts; }
  // A unit's first line within its sample, and the line after its last.
  int64_t first(int64_t unit) const { return lines * (unit % parts) / parts; }
  int64_t last(int64_t unit) const { return lines * (unit % parts + 1) / parts; }
  // A unit's first line, counted over the whole batch.
  int64_t first_row(int64_t unit) const { return sample(unit) * lines + first(unit); }
};

// The division of units into shares of consecutive units. One thread works on a share at a time. There are few
// shares, since each needs memory for its own sums.
struct Shares {
  int64_t units, count;

  explicit Shares(const Units& units)
      : units(units.count()),
        count(std::max<int64_t>(1, std::min({kParts, units.count(), units.rows() / 64}))) {}

  int64_t first(int64_t share) const { return units * share / count; }
};

template <class F>
inline void in_parallel(int64_t count, const F& f) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

// Calls f(row, rows, segments) for each tile of a share, `rows` rows from `row` on; segments(g) calls
// g(unit, row, rows) for each unit's rows in the tile.
template <class F>
inline void for_tiles(const Units& units, int64_t first_unit, int64_t last_unit, const F& f) {
  const auto begin_of = [&](int64_t unit) {
    return unit == units.count() ? units.rows() : units.first_row(unit);
  };
  const int64_t end = begin_of(last_unit);
  int64_t unit = first_unit;
  for (int64_t row = begin_of(first_unit); row < end; row += kTileRows) {
    const int64_t tile_end = std::min(end, row + kTileRows);
    f(row, tile_end - row, [&](const auto& g) {
      int64_t current = unit;
      for (int64_t at = row; at < tile_end;) {
        while (begin_of(current + 1) <= at) ++current;
        const int64_t stop = std::min(tile_end, begin_of(current + 1));
        g(current, at, stop - at);
        at = stop;
      }
    });
    while (unit + 1 < last_unit && begin_of(unit + 1) <= tile_end) ++unit;
  }
}

// Two sums for each channel and unit, in double precision.
template <class T>
class Sums {
 public:
  Sums(int64_t units, int64_t channels) : blocks_(channels), values_(units * 2 * channels) {}

  // Adds the sums over `rows` rows to a unit's. f(offset, channel, first, second) must add the two terms of the
  // vector at `offset`, whose first channel is `channel`, to `first` and `second`.
  template <class F>
  void add(int64_t unit, int64_t rows, const F& f) {
    double* first = values_.data() + unit * 2 * blocks_.channels;
    double* second = first + blocks_.channels;
    for (int64_t block = 0; block < blocks_.count; ++block) {
      const int64_t channel = blocks_.start(block);
      Vector<T> one{}, two{};
      for (int64_t row = 0; row < rows; ++row) f(row * blocks_.channels + channel, channel, one, two);
      for (int64_t lane = block * kLanes<T> - channel; lane < kLanes<T>; ++lane) {  // skips lanes of the block before
        first[channel + lane] += one[lane];
        second[channel + lane] += two[lane];
      }
    }
  }

  // A unit's sums by channel: the first ones, or the second ones if `which` is 1.
  const double* of(int64_t unit, int which) const {
    return values_.data() + (unit * 2 + which) * blocks_.channels;
  }

  // The sums of all units together, by channel.
  std::vector<double> total(int which) const {
    std::vector<double> sums(blocks_.channels);
    for (int64_t unit = 0; unit < units(); ++unit)
      for (int64_t c = 0; c < blocks_.channels; ++c) sums[c] += of(unit, which)[c];
    return sums;
  }

 private:
  int64_t units() const { return values_.size() / (2 * blocks_.channels); }

  Blocks<T> blocks_;
  std::vector<double> values_;
};

// Mean and variance of each channel over units. To avoid cancellation, a unit's sums are of differences from its first
// row.
template <class T>
class Moments {
 public:
  // The moments of several units: number of rows, and by channel the mean and the sum of squared deviations from it.
  struct Merged {
    double rows = 0;
    std::vector<double> mean, squares;
  };

  Moments(int64_t units, int64_t channels)
      : channels_(channels), sums_(units, channels), pivots_(units * channels), rows_(units) {}

  void add(int64_t unit, int64_t rows, const T* values) {
    T* pivot = pivots_.data() + unit * channels_;
    if (rows_[unit] == 0) std::copy_n(values, channels_, pivot);
    rows_[unit] += rows;
    sums_.add(unit, rows, [&](int64_t offset, int64_t channel, Vector<T>& one, Vector<T>& two) {
      const Vector<T> off = load(values + offset) - load(pivot + channel);
      one += off;
      two += off * off;
    });
  }

  // The moments of units `first` to `last` - 1.
  Merged merge(int64_t first, int64_t last) const {
    Merged merged{0, std::vector<double>(channels_), std::vector<double>(channels_)};
    for (int64_t unit = first; unit < last; ++unit) {
      if (rows_[unit] == 0) continue;
      const double n = rows_[unit], rows = merged.rows, total = rows + n;
      const double *sums = sums_.of(unit, 0), *squares = sums_.of(unit, 1);
      const T* pivot = pivots_.data() + unit * channels_;
      for (int64_t c = 0; c < channels_; ++c) {
        const double offset = sums[c] / n, gap = pivot[c] + offset - merged.mean[c];
        merged.mean[c] += gap * n / total;
        merged.squares[c] += squares[c] - sums[c] * offset + gap * gap * rows * n / total;
      }
      merged.rows = total;
    }
    return merged;
  }

  Merged merge() const { return merge(0, rows_.size()); }

 private:
  int64_t channels_;
  Sums<T> sums_;
  std::vector<T> pivots_;
  std::vector<int64_t> rows_;
};

}  // namespace xpand
