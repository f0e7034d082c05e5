// What a convolution's coupling tensor means for loops: per path, its pairs (row m, feature component a) and their terms.
//
// A shape has: Real, lanes, channels, l_max, input_lmax, n_paths, n_pairs, path[], pair[], term[]; a pair's g is the sum of
// value * Y_b over its terms.
#pragma once
#include "vector.h"

namespace mhff {

struct Path {
  int l1, l2, l3;
  int first, count;  // its pairs
  int slot;          // position among the paths to l3
};
struct Pair {
  int m, a;          // row of l3 and component of l1, from 0
  int first, count;  // its terms
};
struct Term {
  int b;  // harmonic, from 0 to (l_max + 1)^2 - 1
  double value;
};

template <class S>
constexpr int feature_size = (S::input_lmax + 1) * (S::input_lmax + 1) * S::channels;

template <class S>
constexpr int paths_to(int l) {
  int n = 0;
  for (int p = 0; p < S::n_paths; ++p) n += S::path[p].l3 == l;
  return n;
}

// Messages are one buffer of blocks [n_atoms, 2 l + 1, paths to l, channels], so that a linear map needs no copy of them.
// Rows of all paths to degrees below l:
template <class S>
constexpr int rows_below(int l) {
  int n = 0;
  for (int k = 0; k < l; ++k) n += (2 * k + 1) * paths_to<S>(k);
  return n;
}

// Messages to the atoms first, ..., first + n - 1.
template <class S, class Real>
struct Messages {
  Real* data;
  int64_t n, first;

  // Block of a degree.
  INLINE Real* block(int l) const { return data + n * rows_below<S>(l) * S::channels; }

  // Address of a path's message to an atom; its rows follow at a distance of message_stride.
  template <int p>
  INLINE Real* at(int64_t atom) const {
    constexpr int l = S::path[p].l3, width = paths_to<S>(l) * S::channels;
    return block(l) + (atom - first) * (2 * l + 1) * width + S::path[p].slot * S::channels;
  }
};
template <class S, int p>
constexpr int message_stride = paths_to<S>(S::path[p].l3) * S::channels;

// Vectors of channels that a path's loops do at once: its rows times these are in registers.
template <class S, int p>
constexpr int tile = divisor(S::channels / S::lanes, accumulators / (2 * S::path[p].l3 + 1));

}  // namespace mhff
