// Vectors of lanes, and loops that the compiler must unroll.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace mhff {

#define INLINE inline __attribute__((always_inline))
// for lambdas: unroll<3>([&](auto i) UNROLLED { ... });
#define UNROLLED __attribute__((always_inline))

template <class Real, int lanes>
struct VectorOf {
  typedef Real type __attribute__((vector_size(sizeof(Real) * lanes)));
};
template <class Real, int lanes>
using Vector = typename VectorOf<Real, lanes>::type;

// Unaligned on purpose: torch aligns to 64 bytes, but views of a buffer need not be.
template <class V, class Real>
INLINE V load(const Real* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <class V, class Real>
INLINE void store(Real* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

// Keep a vector in a register: otherwise compilers read it from memory at each use, and loads limit
// these loops.
template <class V>
INLINE V in_register(V v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__SSE2__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

// unroll<n>(f) calls f(0), ..., f(n - 1) with indices that are compile-time constants, so that
// arrays indexed with them stay in registers.
template <int n, class F>
INLINE void unroll(F&& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) UNROLLED {
    (f(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, n>{});
}

// Largest divisor of n that is at most `limit`, and at least 1.
constexpr int divisor(int n, int limit) {
  int best = 1;
  for (int d = 1; d <= n && d <= limit; ++d)
    if (n % d == 0) best = d;
  return best;
}

// Degree l of component l^2 + l + m.
constexpr int degree_of(int i) {
  int l = 0;
  while ((l + 1) * (l + 1) <= i) ++l;
  return l;
}

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif
constexpr int accumulators = registers / 2;  // as many vectors a loop may sum in

}  // namespace mhff
