// Weights of the spline that a table of radial functions holds (mhff.ops.spline).
#pragma once
#include "vector.h"

namespace mhff {

constexpr int taps = 6;

// Weights of the 6 rows at x in [0, 1) of an interval, and their derivatives with respect to x.
template <class V>
INLINE void spline_weights(V x, V* w) {
  const V y = 1 - x, x2 = x * x, y2 = y * y, x3 = x2 * x, y3 = y2 * y;
  w[0] = y2 * y3 / 120;
  w[5] = x2 * x3 / 120;
  // written in x and y, the truncated powers of (2 - .)^5 and (3 - .)^5 cancel less
  w[1] = (1 + y * (5 + y * (10 + y * (10 + y * (5 - 5 * y))))) / 120;
  w[4] = (1 + x * (5 + x * (10 + x * (10 + x * (5 - 5 * x))))) / 120;
  w[2] = (66 + x2 * (-60 + x2 * (30 - 10 * x))) / 120;
  w[3] = (66 + y2 * (-60 + y2 * (30 - 10 * y))) / 120;
}

template <class V>
INLINE void spline_slopes(V x, V* w) {
  const V y = 1 - x, x2 = x * x, y2 = y * y;
  w[0] = -y2 * y2 / 24;
  w[5] = x2 * x2 / 24;
  w[1] = -(1 + y * (4 + y * (6 + y * (4 - 5 * y)))) / 24;
  w[4] = (1 + x * (4 + x * (6 + x * (4 - 5 * x)))) / 24;
  w[2] = x * (-24 + x2 * (24 - 10 * x)) / 24;
  w[3] = -y * (-24 + y2 * (24 - 10 * y)) / 24;
}

}  // namespace mhff
