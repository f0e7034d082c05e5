// Messages: one buffer of blocks [n_atoms, 2 l + 1, paths to l, channels], so that a linear map
// needs no copy of them.
#pragma once
#include "shapes.h"

namespace mhff {

// Number of values in the features of a sender, and in the messages of an atom.
template <ConvolutionShape S>
constexpr int feature_size = (S::input_lmax + 1) * (S::input_lmax + 1) * S::channels;
template <ConvolutionShape S>
constexpr int message_size = S::rows_below[S::l_max + 1] * S::channels;

// Messages to the atoms first, ..., first + n - 1.
template <ConvolutionShape S, class Real>
struct Messages {
  Real* data;
  int64_t n, first;

  // Block of a degree.
  INLINE Real* block(int l) const { return data + n * S::rows_below[l] * S::channels; }

  // Address of a path's message to an atom; its rows follow at a distance of message_stride.
  template <int p>
  INLINE Real* at(int64_t atom) const {
    constexpr int l = S::path[p].l3, width = S::paths_to[l] * S::channels;
    return block(l) + (atom - first) * (2 * l + 1) * width + S::path[p].slot * S::channels;
  }
};
template <ConvolutionShape S, int p>
constexpr int message_stride = S::paths_to[S::path[p].l3] * S::channels;

// Vectors of channels that a path's loops do at once: its rows times these are in registers. The
// adjoint's loops keep more beside them and do a part at a time.
constexpr int forward_accumulators = registers == 32 ? 24 : accumulators;
template <ConvolutionShape S, int p>
constexpr int tile = divisor(S::channels / S::lanes,
                             forward_accumulators / (2 * S::path[p].l3 + 1));
template <ConvolutionShape S, int p>
constexpr int part_of_tile = divisor(tile<S, p>, accumulators / (2 * S::path[p].l3 + 1));

}  // namespace mhff
