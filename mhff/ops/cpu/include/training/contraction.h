// Symmetric contraction for training: products, their gradients with respect to features and
// coefficients, and the derivatives of these along a direction of the features.
//
// Features are [n, dim, channels], products [n, rows, channels], coefficients [set][term][channel].
// Atoms are visited set after set, so that the coefficients of one vector of channels, and the sums
// of their gradients, stay in cache (26 kB each for 410 terms).
#pragma once
#include "../operators.h"

namespace mhff {

// A shape whose polynomials have all functions of mhff.ops.cpu.training_code.
template <class S>
concept TrainedContractionShape = VectorShape<S> && ArrayOf<decltype(S::order), int> && requires {
  typename Constant<S::channels>;
  typename Constant<S::dim>;
  typename Constant<S::n_rows>;
  typename Constant<S::n_terms>;
};

enum class Pass { value, backward, second };

// Atoms whose features stay in cache from component to component.
constexpr int64_t block_of_atoms = 32;

template <class Real>
struct ContractionArrays {
  const Real *features, *gradient, *cotangent;  // cotangent: of the features' gradient
  Real *products, *d_features;                  // `second` writes the gradient's to `products`
};

// Coefficients of one set and one vector of channels, in the order of the code, and the sums of
// their gradients.
template <TrainedContractionShape S>
struct Terms {
  using Real = typename S::Real;
  using V = Vector<Real, S::lanes>;
  alignas(64) Real value[S::n_terms * S::lanes];
  alignas(64) Real gradient[S::n_terms * S::lanes];

  void read(const Real* coefficients) {
    for (int q = 0; q < S::n_terms; ++q)
      store(value + q * S::lanes, load<V>(coefficients + S::order[q] * S::channels));
    std::memset(gradient, 0, sizeof gradient);
  }

  void write_gradient(Real* to) const {
    for (int q = 0; q < S::n_terms; ++q)
      store(to + S::order[q] * S::channels, load<V>(gradient + q * S::lanes));
  }

  INLINE void add(int q, V x) {
    store(gradient + q * S::lanes, load<V>(gradient + q * S::lanes) + x);
  }
};

// Component M of n atoms, for the vector of channels from c on. Each is a function of its own, so
// that its code fits into the instruction cache.
template <TrainedContractionShape S, Pass pass, int M, class Real = typename S::Real>
__attribute__((noinline)) void contract_component(const ContractionArrays<Real>& x,
                                                  const int32_t* atoms, int64_t n, int c,
                                                  Terms<S>& terms) {
  using V = Vector<Real, S::lanes>;
  const auto coefficient = [&](int q) UNROLLED { return load<V>(terms.value + q * S::lanes); };
  const auto add = [&](int q, V value) UNROLLED { terms.add(q, value); };
  for (int64_t k = 0; k < n; ++k) {
    const int64_t at = int64_t(atoms[k]) * S::dim * S::channels + c;
    const int64_t product_at = (int64_t(atoms[k]) * S::n_rows + M) * S::channels + c;
    const auto a = [&](int i) UNROLLED { return load<V>(x.features + at + i * S::channels); };
    if constexpr (pass == Pass::value) {
      store(x.products + product_at, S::template row<V>(Constant<M>{}, a, coefficient));
    } else {
      V d[S::dim];
      unroll<S::dim>([&](auto i) UNROLLED {
        d[i] = M == 0 ? V{} : load<V>(x.d_features + at + i * S::channels);
      });
      const V g = load<V>(x.gradient + product_at);
      if constexpr (pass == Pass::backward) {
        S::template row_backward<V>(Constant<M>{}, a, coefficient, g, d, add);
      } else {
        const auto v = [&](int i) UNROLLED { return load<V>(x.cotangent + at + i * S::channels); };
        store(x.products + product_at,
              S::template row_second<V>(Constant<M>{}, a, v, coefficient, g, d, add));
      }
      unroll<S::dim>([&](auto i) UNROLLED { store(x.d_features + at + i * S::channels, d[i]); });
    }
  }
}

// Atoms of each set: order[begin[set]], ..., order[begin[set + 1] - 1]. Threads divide channels
// before sets, and never share a sum: results do not depend on their number. `d_coefficients` is
// unused for values.
template <TrainedContractionShape S, Pass pass, class Real = typename S::Real>
void contract_sets(const ContractionArrays<Real>& x, const Rows& atoms, int64_t n_sets,
                   const Real* coefficients, Real* d_coefficients) {
  constexpr int vectors = S::channels / S::lanes;
  parallel(vectors * n_sets, [&](int64_t first, int64_t last) {
    static thread_local Terms<S> terms;
    for (int64_t task = first; task < last; ++task) {
      const int64_t set = task % n_sets;
      const int c = int(task / n_sets) * S::lanes;
      const int64_t at = set * S::n_terms * S::channels + c;
      terms.read(coefficients + at);
      for (int64_t k = atoms.begin[set]; k < atoms.begin[set + 1]; k += block_of_atoms) {
        const int64_t left = atoms.begin[set + 1] - k;
        const int64_t n = left < block_of_atoms ? left : block_of_atoms;
        unroll<S::n_rows>([&](auto M) {
          contract_component<S, pass, M>(x, atoms.order + k, n, c, terms);
        });
      }
      if constexpr (pass != Pass::value) terms.write_gradient(d_coefficients + at);
    }
  });
}

template <TrainedContractionShape S>
struct TrainedContractionOperators {
  using Real = typename S::Real;

  template <class In>
  static const Real* features_of(const In& in, const Tensor& features) {
    return read<Real>(features, in.features.size(0) * S::dim * S::channels);
  }

  template <class In>
  static Rows atoms_of(const In& in) {
    return {read<int32_t>(in.order, in.features.size(0)),
            read<int32_t>(in.begin, in.coefficients.size(0) + 1)};
  }

  template <class In>
  static const Real* coefficients_of(const In& in) {
    return read<Real>(in.coefficients, in.coefficients.size(0) * S::n_terms * S::channels);
  }

  template <class In>
  static const Real* gradient_of(const In& in) {
    return read<Real>(in.gradient, in.features.size(0) * S::n_rows * S::channels);
  }

  template <class In>
  static Tensor forward(const In& in) {
    Output<Real> products(in.features, {in.features.size(0), S::n_rows, S::channels});
    const ContractionArrays<Real> x{features_of(in, in.features), nullptr, nullptr, products.data,
                                    nullptr};
    contract_sets<S, Pass::value>(x, atoms_of(in), in.coefficients.size(0), coefficients_of(in),
                                  static_cast<Real*>(nullptr));
    return products.tensor;
  }

  template <class In>
  static std::tuple<Tensor, Tensor> backward(const In& in) {
    Output<Real> d_features = output_like<Real>(in.features);
    Output<Real> d_coefficients = output_like<Real>(in.coefficients);
    const ContractionArrays<Real> x{features_of(in, in.features), gradient_of(in), nullptr,
                                    nullptr, d_features.data};
    contract_sets<S, Pass::backward>(x, atoms_of(in), in.coefficients.size(0), coefficients_of(in),
                                     d_coefficients.data);
    return {d_features.tensor, d_coefficients.tensor};
  }

  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> second(const In& in) {
    Output<Real> d_gradient = output_like<Real>(in.gradient);
    Output<Real> d_features = output_like<Real>(in.features);
    Output<Real> d_coefficients = output_like<Real>(in.coefficients);
    const ContractionArrays<Real> x{features_of(in, in.features), gradient_of(in),
                                    features_of(in, in.cotangent), d_gradient.data,
                                    d_features.data};
    contract_sets<S, Pass::second>(x, atoms_of(in), in.coefficients.size(0), coefficients_of(in),
                                   d_coefficients.data);
    return {d_gradient.tensor, d_features.tensor, d_coefficients.tensor};
  }
};

}  // namespace mhff
