// Convolution and the linear map that follows it, a block of atoms at a time, so that messages
// never leave the cache: with 40 rows for l_max 3 they are larger than everything else that an atom
// has.
#pragma once
#include <memory>
#include <new>

#include "convolution_adjoint.h"
#include "multiply.h"

namespace mhff {

template <ConvolutionShape S, int l>
constexpr int message_width = S::paths_to[l] * S::channels;

// Rows of all maps' results to degrees below l, times their widths.
template <MappedConvolutionShape S>
constexpr int mapped_below(int l) {
  int n = 0;
  for (int k = 0; k < l; ++k) n += (2 * k + 1) * S::mapped[k];
  return n;
}

// Numbers of the packed maps of degrees below l, forward (messages to results) or backward.
template <MappedConvolutionShape S, bool forward>
constexpr int64_t packed_below(int l, bool with_tiles) {
  int64_t size = 0;
  for (int k = 0; k < l; ++k) {
    const int64_t from = S::paths_to[k] * S::channels, to = S::mapped[k];
    size += packed_size<typename S::Real, S::register_lanes>(forward ? from : to,
                                                             forward ? to : from, with_tiles);
  }
  return size;
}

// The packed maps of all degrees.
template <MappedConvolutionShape S, bool forward>
struct Maps {
  using Real = typename S::Real;
  const Real* packed;
  bool with_tiles, in_tiles;  // whether they have tiles, and whether these are used

  template <int l>
  Matrix<Real, S::register_lanes> map() const {
    constexpr int64_t width = message_width<S, l>, mapped = S::mapped[l];
    const Real* of_degree = packed + packed_below<S, forward>(l, with_tiles);
    return {of_degree, forward ? width : mapped, forward ? mapped : width, in_tiles};
  }
};

// Atoms of a block: their messages are about as large as the maps, which are read once for each
// block.
template <MappedConvolutionShape S>
constexpr int64_t atoms_of_block() {
  const int64_t wanted = packed_below<S, true>(S::l_max + 1, false) / message_size<S>;
  return wanted < 32 ? 32 : wanted > 128 ? 128 : wanted;
}

// A thread's memory for the messages of a block, kept for its next block.
template <MappedConvolutionShape S, class Real = typename S::Real>
Real* block_memory() {
  constexpr std::align_val_t line{64};
  struct Free {
    void operator()(void* p) const { ::operator delete(p, line); }
  };
  constexpr int64_t size = atoms_of_block<S>() * message_size<S> * sizeof(Real);
  static thread_local std::unique_ptr<void, Free> memory(::operator new(size, line));
  return static_cast<Real*>(memory.get());
}

// Mapped messages of the atoms begin, ..., end - 1 of n.
template <MappedConvolutionShape S, class Radial, class Real = typename S::Real>
void gather_mapped(const EdgeArrays<Real>& edges, const Rows& by_receiver, const Radial& radial,
                   const Real* features, const Maps<S, true>& maps, Real* out, int64_t n,
                   int64_t begin, int64_t end) {
  for (int64_t first = begin; first < end; first += atoms_of_block<S>()) {
    const int64_t count = end - first < atoms_of_block<S>() ? end - first : atoms_of_block<S>();
    const Messages<S, Real> messages{block_memory<S>(), count, first};
    gather<S>(edges, by_receiver, radial, features, messages, first, first + count);
    unroll<S::l_max + 1>([&](auto l) UNROLLED {
      constexpr int64_t rows = 2 * l + 1, from = message_width<S, l>, to = S::mapped[l];
      multiply(messages.block(l), from, count * rows, maps.template map<l>(),
               out + n * mapped_below<S>(l) + first * rows * to, to);
    });
  }
}

// Gradient of the messages to `count` atoms from that of the mapped messages to n.
template <MappedConvolutionShape S, class Real = typename S::Real>
void unmap(const Real* gradient, const Maps<S, false>& maps, int64_t n,
           const Messages<S, Real>& messages) {
  unroll<S::l_max + 1>([&](auto l) UNROLLED {
    constexpr int64_t rows = 2 * l + 1, from = S::mapped[l], to = message_width<S, l>;
    multiply(gradient + n * mapped_below<S>(l) + messages.first * rows * from, from,
             messages.n * rows, maps.template map<l>(), messages.block(l), to);
  });
}

// Its adjoint, along the receivers begin, ..., end - 1 of n.
template <MappedConvolutionShape S, bool of_features, class Radial, class Real = typename S::Real>
void scatter_mapped(const EdgeArrays<Real>& edges, const Rows& by_receiver, const Radial& radial,
                    const Real* gradient, const Maps<S, false>& maps, const Real* features,
                    const Gradients<Real>& to, int64_t n, int64_t begin, int64_t end) {
  for (int64_t first = begin; first < end; first += atoms_of_block<S>()) {
    const int64_t count = end - first < atoms_of_block<S>() ? end - first : atoms_of_block<S>();
    const Messages<S, Real> messages{block_memory<S>(), count, first};
    unmap<S>(gradient, maps, n, messages);
    scatter<S, of_features>(edges, by_receiver, radial, {messages.data, count, first},
                                  features, to, first, first + count);
  }
}

}  // namespace mhff
