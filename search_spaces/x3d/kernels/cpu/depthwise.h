// Channelwise 3×3×3 convolution, line by line: the convolution itself, and its gradients of input and weight.
//
// A line is one row of pixels, W × C values. Here it is padded: a pixel of zeros is added at either end. Taps (the
// elements of the kernel) that would read padding above, below, before or after the clip are skipped, so a clip of
// one frame costs 3×3 taps only.
#pragma once

#include <vector>

#include "vectors.h"

namespace xpand {

// A ring buffer of a sample's lines, so that each is computed once: those of all frames at the last kHeights heights.
template <class T>
class Ring {
 public:
  static constexpr int64_t kHeights = 4;

  Ring(int64_t frames, int64_t width, int64_t channels)
      : frames_(frames),
        length_((width + 2) * channels),
        channels_(channels),
        values_(kHeights * frames * length_),
        height_(kHeights, -1) {}

  void forget() { std::fill(height_.begin(), height_.end(), -1); }

  // Computes the lines of this height by fill(frame, line), unless the buffer holds them.
  template <class F>
  void need(int64_t height, const F& fill) {
    if (height_[height % kHeights] == height) return;
    height_[height % kHeights] = height;
    for (int64_t frame = 0; frame < frames_; ++frame) fill(frame, line(frame, height) + channels_);
  }

  // The padded line, which starts with the zeros of pixel −1.
  T* line(int64_t frame, int64_t height) {
    return values_.data() + (height % kHeights * frames_ + frame) * length_;
  }

 private:
  int64_t frames_, length_, channels_;
  std::vector<T> values_;
  std::vector<int64_t> height_;
};

// The padded lines that one output line reads, each with its three taps (3, C): at most nine, of three frames at
// three heights.
template <class T>
struct Meetings {
  const T* lines[9];
  const T* taps[9];
  int count = 0;

  void add(const T* line, const T* three_taps) {
    lines[count] = line;
    taps[count++] = three_taps;
  }
};

// out[w] = sum over lines and k of line[Stride·w + k] · taps[k], for Width pixels from w on.
template <class T, int Stride, int Width>
inline void correlate(const Meetings<T>& meetings, const Blocks<T>& blocks, int64_t w, T* out) {
  const int64_t channels = blocks.channels;
  for (int64_t block = 0; block < blocks.count; ++block) {
    const int64_t c = blocks.start(block);
    Vector<T> sums[Width]{};
    for (int meeting = 0; meeting < meetings.count; ++meeting) {
      constexpr int kPixels = (Width - 1) * Stride + 3;
      Vector<T> pixels[kPixels];
      for (int i = 0; i < kPixels; ++i) pixels[i] = load(meetings.lines[meeting] + (w * Stride + i) * channels + c);
      for (int k = 0; k < 3; ++k) {
        const Vector<T> tap = load(meetings.taps[meeting] + k * channels + c);
        for (int i = 0; i < Width; ++i) sums[i] += pixels[i * Stride + k] * tap;
      }
    }
    for (int i = 0; i < Width; ++i) store(out + (w + i) * channels + c, sums[i]);
  }
}

// Calls f<Width>(w), for pixels w to w + Width - 1, so that `width` pixels are covered; the last may be covered twice.
template <class F>
inline void for_pixels(int64_t width, const F& f) {
  const auto go = [&]<int Width>() {
    for (int64_t w = 0; w < width; w += Width) f.template operator()<Width>(std::min(w, width - Width));
  };
  if (width >= 4) return go.template operator()<4>();
  if (width >= 2) return go.template operator()<2>();
  go.template operator()<1>();
}

template <class T>
inline void correlate_line(const Meetings<T>& meetings, const Blocks<T>& blocks, int64_t width,
                           int stride, T* out) {
  for_pixels(width, [&]<int Width>(int64_t w) {
    if (stride == 1)
      correlate<T, 1, Width>(meetings, blocks, w, out);
    else
      correlate<T, 2, Width>(meetings, blocks, w, out);
  });
}

// The input gradient of a line for stride 2, from lines of the output's gradient: at pixel 2w it is the middle tap
// times pixel w, at pixel 2w + 1 the last tap times pixel w plus the first tap times pixel w + 1.
template <class T, int Width>
inline void spread(const Meetings<T>& meetings, const Blocks<T>& blocks, int64_t w, int64_t width,
                   T* out) {
  const int64_t channels = blocks.channels;
  for (int64_t block = 0; block < blocks.count; ++block) {
    const int64_t c = blocks.start(block);
    Vector<T> even[Width]{}, odd[Width]{};
    for (int meeting = 0; meeting < meetings.count; ++meeting) {
      Vector<T> pixels[Width + 1];
      for (int i = 0; i <= Width; ++i) pixels[i] = load(meetings.lines[meeting] + (w + 1 + i) * channels + c);
      const T* taps = meetings.taps[meeting] + c;
      const Vector<T> first = load(taps), middle = load(taps + channels), last = load(taps + 2 * channels);
      for (int i = 0; i < Width; ++i) {
        even[i] += pixels[i] * middle;
        odd[i] += pixels[i] * last + pixels[i + 1] * first;
      }
    }
    for (int i = 0; i < Width; ++i) {
      store(out + 2 * (w + i) * channels + c, even[i]);
      if (2 * (w + i) + 1 < width) store(out + (2 * (w + i) + 1) * channels + c, odd[i]);
    }
  }
}

template <class T>
inline void spread_line(const Meetings<T>& meetings, const Blocks<T>& blocks, int64_t width, T* out) {
  for_pixels((width + 1) / 2,
             [&]<int Width>(int64_t w) { spread<T, Width>(meetings, blocks, w, width, out); });
}

// Adds the sum over w of grad[w] · line[Stride·w + k] to the gradients of the taps k of up to three lines. `grad` is
// a padded line, too. The sums of line i start at sums[i], in packed blocks (see vectors.h).
template <class T, int Stride, int Lines>
inline void tap_gradients(const T* grad, const T* const* lines, const Blocks<T>& blocks, int64_t width,
                          T* const* sums) {
  const int64_t channels = blocks.channels;
  for (int64_t block = 0; block < blocks.count; ++block) {
    const int64_t c = blocks.start(block);
    Vector<T> totals[Lines][3]{};
    int64_t w = 0;
    const auto go = [&]<int Width>() {
      for (; w + Width <= width; w += Width) {
        Vector<T> grads[Width];
        for (int i = 0; i < Width; ++i) grads[i] = load(grad + (w + 1 + i) * channels + c);
        for (int line = 0; line < Lines; ++line) {
          constexpr int kPixels = (Width - 1) * Stride + 3;
          Vector<T> pixels[kPixels];
          for (int i = 0; i < kPixels; ++i) pixels[i] = load(lines[line] + (w * Stride + i) * channels + c);
          for (int i = 0; i < Width; ++i)
            for (int k = 0; k < 3; ++k) totals[line][k] += grads[i] * pixels[i * Stride + k];
        }
      }
    };
    go.template operator()<4>();
    go.template operator()<1>();
    for (int line = 0; line < Lines; ++line)
      for (int k = 0; k < 3; ++k) {
        T* to = sums[line] + k * blocks.packed() + block * kLanes<T>;
        store(to, load(to) + totals[line][k]);
      }
  }
}

template <class T>
inline void tap_gradients_line(const T* grad, int count, const T* const* lines, const Blocks<T>& blocks,
                               int64_t width, int stride, T* const* sums) {
  const auto go = [&]<int Lines>() {
    if (stride == 1)
      tap_gradients<T, 1, Lines>(grad, lines, blocks, width, sums);
    else
      tap_gradients<T, 2, Lines>(grad, lines, blocks, width, sums);
  };
  if (count == 1) go.template operator()<1>();
  if (count == 2) go.template operator()<2>();
  if (count == 3) go.template operator()<3>();
}

}  // namespace xpand
