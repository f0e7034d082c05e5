// Symmetric contraction of flat features: second derivatives by the features, for Hessians.
#pragma once
#include "../operators.h"

namespace mhff {

// With Phi = <gradient, products>: the derivatives along `cotangent` in the features of the products
// and of Phi's gradient by the features.
template <ContractionShape S, class Real = typename S::Real>
void contract_second(const Real* gradient, const Degrees<S, const Real*>& features,
                     const Degrees<S, const Real*>& cotangent, const Sets<Real>& sets,
                     Real* d_gradient, const Degrees<S, Real*>& d_features, int64_t n,
                     int64_t begin, int64_t end) {
  using V = Vector<Real, S::lanes>;
  const auto of_coefficient = [](int, V) UNROLLED {};  // these are constants
  over_channels<S>(
      sets, begin, end,
      [&](int64_t atom, int c, int64_t, int, const Real* of_set) UNROLLED {
        V a[S::dim], v[S::dim], d[S::dim] = {};
        unroll<S::dim>([&](auto i) UNROLLED {
          a[i] = load<V>(features.at(atom, i) + c);
          v[i] = load<V>(cotangent.at(atom, i) + c);
        });
        unroll<S::n_rows>([&](auto M) UNROLLED {
          const int64_t at = product_at<S>(n, atom, M) + c;
          store(d_gradient + at,
                S::template row_second<V>(
                    M, [&](int i) UNROLLED { return a[i]; },
                    [&](int i) UNROLLED { return v[i]; },
                    [&](int q) UNROLLED { return load<V>(of_set + q * S::lanes); },
                    load<V>(gradient + at), d, of_coefficient));
        });
        unroll<S::dim>([&](auto i) UNROLLED { store(d_features.at(atom, i) + c, d[i]); });
      });
}

template <ContractionShape S>
struct CurvedContractionOperators : ContractionOperators<S> {
  using Real = typename S::Real;
  using Flat = ContractionOperators<S>;

  template <class In>
  static std::tuple<Tensor, Tensor> second(const In& in) {
    const int64_t n = Flat::atoms_of(in), size = n * S::dim * S::channels;
    Output<Real> d_gradient = output_like<Real>(in.gradient);
    Output<Real> d_features = output_like<Real>(in.features);
    const auto features = Flat::blocks(read<Real>(in.features, size), n);
    const auto cotangent = Flat::blocks(read<Real>(in.cotangent, size), n);
    const auto d_degrees = Flat::blocks(d_features.data, n);
    const Sets<Real> sets = Flat::sets_of(in);
    const Real* gradient = read<Real>(in.gradient, n * S::n_rows * S::channels);
    parallel(n, [&](int64_t first, int64_t last) {
      contract_second<S>(gradient, features, cotangent, sets, d_gradient.data, d_degrees, n, first,
                         last);
    });
    return {d_gradient.tensor, d_features.tensor};
  }
};

}  // namespace mhff
