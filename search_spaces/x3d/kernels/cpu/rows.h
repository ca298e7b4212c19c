// Work over the rows of channels-last tensors: how it is shared out, sums over rows, and BatchNorm's arithmetic.
//
// A tensor (B, C, T, H, W) is B·T·H·W rows of C channels. The rows of a sample are cut into parts, and what is
// summed is summed by part and put together in order: results don't depend on the number of threads.
#pragma once

#include <ATen/Parallel.h>

#include <vector>

#include "vectors.h"

namespace xpand {

constexpr int64_t kTileRows = 96;  // rows that go through a chain of steps while they are in the cache
constexpr int64_t kParts = 16;     // parts that a batch is cut into, at least, where it has the rows

// The parts of a batch: `parts` for each sample. `lines` is what a sample is cut along, rows or lines of pixels.
struct Units {
  int64_t samples, lines, parts;

  Units(int64_t samples, int64_t lines)
      : samples(samples),
        lines(lines),
        parts(std::max<int64_t>(1, std::min(lines, (kParts + samples - 1) / samples))) {}

  int64_t count() const { return samples * parts; }
  int64_t rows() const { return samples * lines; }
  int64_t sample(int64_t unit) const { return unit / parts; }
  // First line of a unit within its sample, and the line after its last.
  int64_t first(int64_t unit) const { return lines * (unit % parts) / parts; }
  int64_t last(int64_t unit) const { return lines * (unit % parts + 1) / parts; }
  // The same for rows that are counted over the whole batch.
  int64_t first_row(int64_t unit) const { return sample(unit) * lines + first(unit); }
};

// Runs of consecutive units, each the work of one thread at a time: few enough that a sum for each is cheap.
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

// f(row, rows, segments) for each tile of a share; segments(g) calls g(unit, row, rows) for the units in it.
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

// Two sums a channel for every unit, in double precision.
template <class T>
class Sums {
 public:
  Sums(int64_t units, int64_t channels) : blocks_(channels), values_(units * 2 * channels) {}

  // f(offset, channel, first, second) adds what `rows` rows hold at this offset to two vectors.
  template <class F>
  void add(int64_t unit, int64_t rows, const F& f) {
    double* first = values_.data() + unit * 2 * blocks_.channels;
    double* second = first + blocks_.channels;
    for (int64_t block = 0; block < blocks_.count; ++block) {
      const int64_t channel = blocks_.start(block);
      Vector<T> one{}, two{};
      for (int64_t row = 0; row < rows; ++row) f(row * blocks_.channels + channel, channel, one, two);
      for (int64_t lane = block * kLanes<T> - channel; lane < kLanes<T>; ++lane) {  // none twice
        first[channel + lane] += one[lane];
        second[channel + lane] += two[lane];
      }
    }
  }

  // The sums of a unit, by channel.
  const double* of(int64_t unit, int which) const {
    return values_.data() + (unit * 2 + which) * blocks_.channels;
  }

  // Of all units together.
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

// Mean and variance of each channel over units, without cancellation: each unit's are taken around its first row.
template <class T>
class Moments {
 public:
  // Of some units: rows, and by channel the mean and the sum of squares around it.
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

  // Of the units from `first` to before `last`.
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
