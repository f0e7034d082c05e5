// Sums over the lanes of several vectors at once.
#pragma once
#include "vector.h"

namespace mhff {

// u and v each hold `stride` sums, as partial sums that lie side by side; the result holds the sums
// of both, in half as many parts each. With four lanes and stride 1, u and v are one sum each:
//   low = (u0 v0 u2 v2), high = (u1 v1 u3 v3), low + high = (u01 v01 u23 v23)
// With stride 2 and the same for w and x: (u01 v01 u23 v23) and (w01 x01 w23 x23) give (u v w x).
template <class V, int lanes, int stride, int... i>
INLINE V interleave(V u, V v, std::integer_sequence<int, i...>) {
  const V low = __builtin_shufflevector(
      u, v, (i / (2 * stride) * 2 * stride + i % stride + i / stride % 2 * lanes)...);
  const V high = __builtin_shufflevector(
      u, v, (i / (2 * stride) * 2 * stride + stride + i % stride + i / stride % 2 * lanes)...);
  return low + high;
}

// Lane i of the result is the sum over the lanes of v[i]; v has `lanes` vectors and is overwritten.
template <class V, int lanes, int stride = 1>
INLINE V sums(V* v) {
  if constexpr (stride == lanes) {
    return v[0];
  } else {
    unroll<lanes / stride / 2>([&](auto k) UNROLLED {
      v[k] = interleave<V, lanes, stride>(v[2 * k], v[2 * k + 1],
                                          std::make_integer_sequence<int, lanes>{});
    });
    return sums<V, lanes, 2 * stride>(v);
  }
}

// Store the first n lanes of v, or all of them.
template <int n, int lanes, class V, class Real>
INLINE void store_some(Real* to, V v) {
  if constexpr (n >= lanes)
    store(to, v);
  else
    for (int i = 0; i < n; ++i) to[i] = v[i];
}

// to[i] = the sum over the lanes of v[i], i < n; v has n vectors, rounded up to a multiple of
// lanes.
template <int n, int lanes, class V, class Real>
INLINE void store_sums(Real* to, V* v) {
  unroll<(n + lanes - 1) / lanes>([&](auto k) UNROLLED {
    store_some<n - k * lanes, lanes>(to + k * lanes, sums<V, lanes>(v + k * lanes));
  });
}

// The sum over the lanes of one vector.
template <class V, int lanes>
INLINE auto sum(V v) {
  auto total = v[0] - v[0];
  for (int i = 0; i < lanes; ++i) total += v[i];
  return total;
}

}  // namespace mhff
