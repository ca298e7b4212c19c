// Vectors as wide as the processor's registers, by the vector extension of GCC and Clang, which compiles to AVX-512,
// AVX2 or NEON.
//
// Channels are innermost in memory. A row of C channels is processed in blocks of kLanes channels. If C is not a
// multiple of kLanes, the last block starts at C - kLanes and overlaps the block before it, so that no lane needs a
// mask. Channels in the overlap are computed twice, with equal results; they may be stored twice, but must not be
// added twice. Sums in memory are therefore kept in packed blocks, one after the other without overlap
// (Blocks::packed), and unpacked at the end. C must be at least kLanes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace xpand {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kGemmRows = 8;  // rows of a register tile; it has up to kGemmBlocks vectors a row
#else
constexpr int kVectorBytes = 32;
constexpr int kGemmRows = 4;
#endif
constexpr int kGemmBlocks = 3;

template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
inline Vector<T> load(const T* from) {
  Vector<T> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
inline void store(T* to, Vector<T> value) {
  std::memcpy(to, &value, sizeof value);
}

template <class T>
inline Vector<T> splat(T value) {
  return value - Vector<T>{};
}

// The ReLU of NaN is NaN, as in torch.
template <class T>
inline Vector<T> relu(Vector<T> x) {
  return x < T(0) ? Vector<T>{} : x;
}

inline Vector<double> exponential(Vector<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x[lane] = std::exp(x[lane]);
  return x;
}

// e^x as 2^n · e^r, where n is the whole number nearest to x / ln 2, and e^r is its Taylor series. The error is
// at most 2 ulp for x from −87 to 88; beyond, the result is that at the end of this range.
inline Vector<float> exponential(Vector<float> x) {
  typedef int32_t Bits __attribute__((vector_size(kVectorBytes)));
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding it leaves the whole number in the low bits
  x = x > 88.0f ? splat(88.0f) : x;
  x = x < -87.0f ? splat(-87.0f) : x;
  const Vector<float> shifted = x * 1.44269504f + kRound;
  const Vector<float> n = shifted - kRound;
  const Vector<float> r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector<float> sum = splat(1.0f / 5040);
  for (const float term : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) sum = sum * r + term;
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - 0x4B400000 + 127) << 23;
  Vector<float> power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

template <class T>
inline Vector<T> sigmoid(Vector<T> x) {
  return T(1) / (T(1) + exponential(-x));
}

// The blocks of kLanes channels that C channels are processed in.
template <class T>
struct Blocks {
  static constexpr int L = kLanes<T>;
  int64_t channels, count;

  explicit Blocks(int64_t channels) : channels(channels), count((channels + L - 1) / L) {}

  int64_t start(int64_t block) const { return std::min(block * L, channels - L); }
  // Length of an array of the packed blocks, one after the other without overlap.
  int64_t packed() const { return count * L; }
};

}  // namespace xpand
