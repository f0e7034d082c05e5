// Symmetric contraction: polynomials in the features of one atom, channel by channel. The shape has
// them as code.
#pragma once
#include "shapes.h"

namespace mhff {

// Atoms that share a pass over the channels: their features take half of L2, and the coefficients
// of one vector of channels stay in L1 meanwhile.
template <ContractionShape S>
constexpr int atoms_at_once =
    divisor(1 << 10, (1 << 19) / (S::dim * S::channels * int(sizeof(typename S::Real))));

// Features of a degree l are a block [n, 2 l + 1, channels]; each block has its own address.
template <ContractionShape S, class Pointer>
struct Degrees {
  static constexpr int count = degree_of(S::dim - 1) + 1;
  Pointer block[count];

  INLINE Pointer at(int64_t atom, int i) const {
    const int l = degree_of(i);
    return block[l] + (atom * (2 * l + 1) + i - l * l) * S::channels;
  }
};

// Where component M of n atoms' products lies: blocks [n, 2 L + 1, channels], one after the other.
template <ContractionShape S>
INLINE int64_t product_at(int64_t n, int64_t atom, int M) {
  const int L = degree_of(M);
  return (n * L * L + atom * (2 * L + 1) + M - L * L) * S::channels;
}

// Coefficients [set][vector of channels][term][lanes], and which set each atom has; null if there
// is one set.
template <class Real>
struct Sets {
  const Real* coefficients;
  const int64_t* of_atom;
};

// Copies coefficients [set][term][channel] to the form above, with the terms in the order of the
// code.
template <ContractionShape S, class Real = typename S::Real>
void pack_coefficients(const Real* coefficients, int64_t n_sets, Real* packed) {
  for (int64_t set = 0; set < n_sets; ++set, coefficients += int64_t(S::n_terms) * S::channels)
    for (int c = 0; c < S::channels; c += S::lanes)
      for (int q = 0; q < S::n_terms; ++q, packed += S::lanes)
        std::memcpy(packed, coefficients + S::order[q] * S::channels + c, S::lanes * sizeof(Real));
}

// Calls f(atom, c, next atom, next c, coefficients) for all atoms and vectors of channels c. The
// next pair is what f should prefetch: the same atom's next channels, or the first channels of the
// block of atoms after this one.
template <ContractionShape S, class F, class Real = typename S::Real>
INLINE void over_channels(const Sets<Real>& sets, int64_t begin, int64_t end, F&& f) {
  for (int64_t first = begin; first < end; first += atoms_at_once<S>) {
    const int64_t last = first + atoms_at_once<S> < end ? first + atoms_at_once<S> : end;
    for (int c = 0; c < S::channels; c += S::lanes)
      for (int64_t atom = first; atom < last; ++atom) {
        // rows of channels lie too far apart for the hardware's own prefetching
        const bool more = c + S::lanes < S::channels;
        const int64_t next =
            more || atom + atoms_at_once<S> >= end ? atom : atom + atoms_at_once<S>;
        f(atom, c, next, more ? c + S::lanes : 0,
          sets.coefficients +
              (sets.of_atom ? sets.of_atom[atom] : 0) * int64_t(S::n_terms) * S::channels +
              c * S::n_terms);
      }
  }
}

template <ContractionShape S, class Real = typename S::Real>
void contract(const Degrees<S, const Real*>& features, const Sets<Real>& sets, Real* products,
              int64_t n, int64_t begin, int64_t end) {
  using V = Vector<Real, S::lanes>;
  over_channels<S>(sets, begin, end,
                   [&](int64_t atom, int c, int64_t next, int next_c, const Real* of_set) UNROLLED {
                     V a[S::dim];
                     unroll<S::dim>([&](auto i) UNROLLED {
                       a[i] = load<V>(features.at(atom, i) + c);
                       __builtin_prefetch(features.at(next, i) + next_c);
                     });
                     unroll<S::n_rows>([&](auto M) UNROLLED {
                       const V value = S::template row<V>(
                           M, [&](int i) UNROLLED { return a[i]; },
                           [&](int q) UNROLLED { return load<V>(of_set + q * S::lanes); });
                       store(products + product_at<S>(n, atom, M) + c, value);
                     });
                   });
}

template <ContractionShape S, class Real = typename S::Real>
void contract_adjoint(const Real* gradient, const Degrees<S, const Real*>& features,
                      const Sets<Real>& sets, const Degrees<S, Real*>& d_features, int64_t n,
                      int64_t begin, int64_t end) {
  using V = Vector<Real, S::lanes>;
  over_channels<S>(
      sets, begin, end,
      [&](int64_t atom, int c, int64_t next, int next_c, const Real* of_set) UNROLLED {
        V a[S::dim], d[S::dim] = {};
        unroll<S::dim>([&](auto i) UNROLLED {
          a[i] = load<V>(features.at(atom, i) + c);
          __builtin_prefetch(features.at(next, i) + next_c);
          __builtin_prefetch(d_features.at(next, i) + next_c, 1);
        });
        unroll<S::n_rows>([&](auto M) UNROLLED {
          const V g = load<V>(gradient + product_at<S>(n, atom, M) + c);
          S::template row_adjoint<V>(
              M, [&](int i) UNROLLED { return a[i]; },
              [&](int q) UNROLLED { return load<V>(of_set + q * S::lanes); }, g, d);
        });
        unroll<S::dim>([&](auto i) UNROLLED { store(d_features.at(atom, i) + c, d[i]); });
      });
}

}  // namespace mhff
