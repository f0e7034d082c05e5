// The exponential function of vectors, accurate to one or two units in the last place.
#pragma once
#include "vector.h"

namespace mhff {

// exp(x) = 2^n exp(r) with a whole number n and |r| <= ln(2) / 2, for which a Taylor series is
// enough. Adding a large number rounds x / ln(2) to n and leaves n in the last bits.
template <class Real>
struct Exponential;
template <>
struct Exponential<float> {
  using Integer = int32_t;
  static constexpr float rounding = 0x1.8p23f, largest = 88.0f;
  static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f;  // W. J. Cody, W. Waite
  static constexpr int terms = 8, mantissa = 23, bias = 127;
};
template <>
struct Exponential<double> {
  using Integer = int64_t;
  static constexpr double rounding = 0x1.8p52, largest = 708.0;
  static constexpr double ln2_high = 0x1.62e4p-1, ln2_low = 0x1.7f7d1cf79abcap-20;
  static constexpr int terms = 14, mantissa = 52, bias = 1023;
};

// Arguments beyond `largest`, whose results would be infinite or zero, count as that.
template <class Real, int lanes, class V = Vector<Real, lanes>>
INLINE V exponential(V x) {
  using E = Exponential<Real>;
  using I = Vector<typename E::Integer, lanes>;
  constexpr Real per_ln2 = Real(1.4426950408889634074);
  x = x > E::largest ? V{} + E::largest : x < -E::largest ? V{} - E::largest : x;
  const V shifted = x * per_ln2 + E::rounding;
  const V n = shifted - E::rounding;
  const V r = (x - n * E::ln2_high) - n * E::ln2_low;
  V sum = V{} + Real(1);
  unroll<E::terms - 1>([&](auto i) UNROLLED {
    constexpr int k = E::terms - 1 - i;
    sum = sum * (r * Real(1.0 / k)) + Real(1);
  });
  const I power = ((I)shifted - (I)(V{} + E::rounding) + E::bias) << E::mantissa;
  return sum * (V)power;
}

// 1 / (1 + exp(-x)).
template <class Real, int lanes, class V = Vector<Real, lanes>>
INLINE V sigmoid(V x) {
  return Real(1) / (Real(1) + exponential<Real, lanes>(-x));
}

}  // namespace mhff
