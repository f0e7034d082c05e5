// The kernels as torch operators, through torch's stable C interface: one header's cost, any torch from 2.10 on.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <string>
#include <vector>

#include "contraction.h"
#include "convolution_adjoint.h"
#include "geometry.h"
#include "sort.h"

namespace mhff {

using torch::stable::Tensor;
using Type = torch::headeronly::ScalarType;

template <class Real>
constexpr Type type_of = sizeof(Real) == 4 ? Type::Float : Type::Double;
template <>
constexpr Type type_of<int64_t> = Type::Long;
template <>
constexpr Type type_of<int32_t> = Type::Int;

constexpr int64_t any_count = -1;
// Threads up to which the convolution's adjoint gives each its own copy of the features' gradient.
#ifndef MOST_COPIES
#define MOST_COPIES 8
#endif
constexpr int most_copies = MOST_COPIES;

// Address of a tensor's numbers, in the order of its indices; kernels do not look again whether there are as many.
template <class T>
const T* read(const Tensor& tensor, int64_t count) {
  STD_TORCH_CHECK(tensor.scalar_type() == type_of<T>, "mhff kernel: expected another dtype of an argument");
  STD_TORCH_CHECK(tensor.is_contiguous(), "mhff kernel: expected a contiguous argument");
  STD_TORCH_CHECK(count == any_count || tensor.numel() == count, "mhff kernel: expected ", count,
                  " numbers in an argument, got ", tensor.numel());
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <class T>
struct Output {
  Tensor tensor;
  T* data;
  Output(const Tensor& like, std::initializer_list<int64_t> shape)
      : tensor(torch::stable::new_empty(like, {shape.begin(), shape.size()}, type_of<T>)),
        data(static_cast<T*>(tensor.mutable_data_ptr())) {}
  void clear() { std::memset(data, 0, tensor.numel() * sizeof(T)); }
};

// Calls f(begin, end) on torch's own threads, in equal parts.
template <class F>
void parallel(int64_t n, F&& f) {
  if (n > 0) torch::stable::parallel_for(0, n, 1, f);
}

template <class S, class Real = typename S::Real>
Edges<Real> edges_of(const Tensor& harmonics, const Tensor& edge_index) {
  const int64_t n = edge_index.size(1);
  Edges<Real> edges{};
  edges.sender = read<int64_t>(edge_index, 2 * n);
  edges.receiver = edges.sender + n;
  edges.harmonics = read<Real>(harmonics, n * (S::l_max + 1) * (S::l_max + 1));
  return edges;
}

template <class S, class Real = typename S::Real>
Edges<Real> edges_of(const Tensor& harmonics, const Tensor& edge_index, const Tensor& r, const Tensor& species,
                     const Tensor& table_of, double r_min, double r_max, int64_t n_knots) {
  Edges<Real> edges = edges_of<S>(harmonics, edge_index);
  edges.n_species = table_of.size(0);
  edges.r = read<Real>(r, edge_index.size(1));
  edges.species = read<int64_t>(species, any_count);
  edges.table_of = read<int64_t>(table_of, edges.n_species * edges.n_species);
  edges.r_min = Real(r_min);
  edges.per_r = Real(n_knots / (r_max - r_min));
  edges.n_knots = int(n_knots);
  return edges;
}

inline Rows rows_of(const Tensor& order, const Tensor& begin, const Tensor& edge_index) {
  return {read<int32_t>(order, edge_index.size(1)), read<int32_t>(begin, any_count)};
}

inline void check_atoms(const int64_t* atoms, int64_t n_edges, int64_t n_atoms) {
  for (int64_t e = 0; e < n_edges; ++e)
    STD_TORCH_CHECK(atoms[e] >= 0 && atoms[e] < n_atoms, "mhff kernel: expected atoms below ", n_atoms, ", got ", atoms[e]);
}

inline std::tuple<Tensor, Tensor> sort_edges_operator(Tensor atoms, int64_t n_atoms) {
  const int64_t n_edges = atoms.size(0);
  const int64_t* of_edge = read<int64_t>(atoms, n_edges);
  check_atoms(of_edge, n_edges, n_atoms);
  Output<int32_t> order(atoms, {n_edges}), begin(atoms, {n_atoms + 1});
  sort_edges(of_edge, n_edges, n_atoms, order.data, begin.data);
  return {order.tensor, begin.tensor};
}

template <class S>
struct GeometryOperators {
  using Real = typename S::Real;
  using G = Geometry<S>;

  static std::tuple<Tensor, Tensor> forward(Tensor vectors) {
    const int64_t n = vectors.size(0);
    Output<Real> harmonics(vectors, {n, G::B}), distances(vectors, {n});
    const Real* from = read<Real>(vectors, 3 * n);
    parallel((n + S::lanes - 1) / S::lanes, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin * S::lanes; e < end * S::lanes; e += S::lanes)
        G(from, e, n).write(harmonics.data, distances.data, e, n);
    });
    return {harmonics.tensor, distances.tensor};
  }

  static Tensor adjoint(Tensor d_harmonics, Tensor d_distances, Tensor vectors) {
    const int64_t n = vectors.size(0);
    Output<Real> d_vectors(vectors, {n, 3});
    const Real *from = read<Real>(vectors, 3 * n), *dY = read<Real>(d_harmonics, n * G::B), *dr = read<Real>(d_distances, n);
    parallel((n + S::lanes - 1) / S::lanes, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin * S::lanes; e < end * S::lanes; e += S::lanes)
        G(from, e, n).adjoint(dY, dr, d_vectors.data, e, n);
    });
    return d_vectors.tensor;
  }
};

template <class S>
struct ConvolutionOperators {
  using Real = typename S::Real;

  template <class Radial>
  static Tensor forward(const Edges<Real>& edges, const Radial& radial, const Tensor& features, const Rows& rows,
                        int64_t n) {
    Output<Real> messages(features, {n * rows_below<S>(S::l_max + 1) * S::channels});
    const Real* from = read<Real>(features, features.size(0) * feature_size<S>);
    parallel(n, [&](int64_t first, int64_t last) { gather<S>(edges, rows, radial, from, messages.data, n, first, last); });
    return messages.tensor;
  }

  template <class Radial>
  static void adjoint(const Edges<Real>& edges, const Radial& radial, const Tensor& gradient, const Tensor& features,
                      const Rows& rows, int64_t n_receivers, Output<Real>& d_features, Output<Real>& d_harmonics,
                      Real* d_r) {
    const int64_t n_atoms = features.size(0), n_edges = d_harmonics.tensor.size(0);
    const Real* from = read<Real>(features, n_atoms * feature_size<S>);
    const Real* of_messages = read<Real>(gradient, n_receivers * rows_below<S>(S::l_max + 1) * S::channels);
    const int threads = int(torch::stable::get_num_threads());
    if (threads <= most_copies) {
      // part k of the receivers adds to copy k, which is the result itself for k = 0
      const int64_t size = n_atoms * feature_size<S>;
      Output<Real> copies(features, {(threads - 1) * size});
      const auto copy = [&](int64_t k) { return k ? copies.data + (k - 1) * size : d_features.data; };
      parallel(threads, [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; ++k) {
          std::memset(copy(k), 0, size * sizeof(Real));
          scatter<S, true>(edges, rows, radial, of_messages, n_receivers, from, copy(k), d_harmonics.data, d_r,
                           n_receivers * k / threads, n_receivers * (k + 1) / threads);
        }
      });
      parallel(size, [&](int64_t first, int64_t last) {
        for (int k = 1; k < threads; ++k)
          for (int64_t i = first; i < last; ++i) d_features.data[i] += copy(k)[i];
      });
    } else {
      std::vector<int32_t> by_sender(n_edges), sender_begin(n_atoms + 1);
      check_atoms(edges.sender, n_edges, n_atoms);
      sort_edges(edges.sender, n_edges, n_atoms, by_sender.data(), sender_begin.data());
      const Rows rows_of_senders{by_sender.data(), sender_begin.data()};
      d_features.clear();
      parallel(n_atoms, [&](int64_t first, int64_t last) {
        scatter<S, false>(edges, rows_of_senders, radial, of_messages, n_receivers, from, d_features.data, d_harmonics.data,
                          d_r, first, last);
      });
    }
  }

  static Tensor tabulated(Tensor features, Tensor harmonics, Tensor edge_index, Tensor order, Tensor begin, Tensor r,
                          Tensor species, Tensor table_of, Tensor tables, double r_min, double r_max, int64_t n_knots) {
    const auto edges = edges_of<S>(harmonics, edge_index, r, species, table_of, r_min, r_max, n_knots);
    return forward(edges, Tabulated<S>{read<Real>(tables, any_count)}, features, rows_of(order, begin, edge_index),
                   begin.size(0) - 1);
  }

  static std::tuple<Tensor, Tensor, Tensor> tabulated_adjoint(Tensor gradient, Tensor features, Tensor harmonics,
                                                              Tensor edge_index, Tensor order, Tensor begin, Tensor r,
                                                              Tensor species, Tensor table_of, Tensor tables, double r_min,
                                                              double r_max, int64_t n_knots) {
    const auto edges = edges_of<S>(harmonics, edge_index, r, species, table_of, r_min, r_max, n_knots);
    Output<Real> d_features(features, {features.size(0), features.size(1), features.size(2)}),
        d_harmonics(harmonics, {harmonics.size(0), harmonics.size(1)}), d_r(r, {r.size(0)});
    adjoint(edges, Tabulated<S>{read<Real>(tables, any_count)}, gradient, features, rows_of(order, begin, edge_index),
            begin.size(0) - 1, d_features, d_harmonics, d_r.data);
    return {d_features.tensor, d_harmonics.tensor, d_r.tensor};
  }

  static Tensor weighted(Tensor features, Tensor harmonics, Tensor edge_index, Tensor order, Tensor begin, Tensor weights) {
    return forward(edges_of<S>(harmonics, edge_index),
                   PerEdge<S>{read<Real>(weights, edge_index.size(1) * S::n_paths * S::channels)}, features,
                   rows_of(order, begin, edge_index), begin.size(0) - 1);
  }

  static std::tuple<Tensor, Tensor, Tensor> weighted_adjoint(Tensor gradient, Tensor features, Tensor harmonics,
                                                             Tensor edge_index, Tensor order, Tensor begin, Tensor weights) {
    Output<Real> d_features(features, {features.size(0), features.size(1), features.size(2)}),
        d_harmonics(harmonics, {harmonics.size(0), harmonics.size(1)}),
        d_weights(weights, {weights.size(0), weights.size(1), weights.size(2)});
    adjoint(edges_of<S>(harmonics, edge_index),
            PerEdge<S>{read<Real>(weights, edge_index.size(1) * S::n_paths * S::channels), d_weights.data}, gradient,
            features, rows_of(order, begin, edge_index), begin.size(0) - 1, d_features, d_harmonics, nullptr);
    return {d_features.tensor, d_harmonics.tensor, d_weights.tensor};
  }

  static Tensor pack(Tensor tables) {
    Output<Real> packed(tables, {tables.numel()});
    pack_tables<S>(read<Real>(tables, tables.size(0) * tables.size(1) * S::n_paths * S::channels), tables.size(0),
                   tables.size(1), packed.data);
    return packed.tensor;
  }
};

template <class S>
struct ContractionOperators {
  using Real = typename S::Real;

  // Features come as one flat tensor, degree after degree. (A list of tensors would save a copy, but through torch's stable
  // interface a compiled script loses the tensors of a list that it passes twice.)
  template <class Pointer>
  static Degrees<S, Pointer> blocks(Pointer features, int64_t n) {
    Degrees<S, Pointer> degrees;
    for (int l = 0; l < degrees.count; ++l) degrees.block[l] = features + n * l * l * S::channels;
    return degrees;
  }

  static Sets<Real> sets_of(const Tensor& coefficients, const Tensor& species, int64_t n) {
    const int64_t n_sets = coefficients.size(0);
    return {read<Real>(coefficients, n_sets * S::n_terms * S::channels), n_sets > 1 ? read<int64_t>(species, n) : nullptr};
  }

  static Tensor forward(Tensor features, Tensor coefficients, Tensor species) {
    const int64_t n = features.numel() / (S::dim * S::channels);
    Output<Real> products(features, {n * S::n_rows * S::channels});
    const auto degrees = blocks(read<Real>(features, n * S::dim * S::channels), n);
    const Sets<Real> sets = sets_of(coefficients, species, n);
    parallel(n, [&](int64_t first, int64_t last) { contract<S>(degrees, sets, products.data, n, first, last); });
    return products.tensor;
  }

  static Tensor adjoint(Tensor gradient, Tensor features, Tensor coefficients, Tensor species) {
    const int64_t n = features.numel() / (S::dim * S::channels);
    Output<Real> d_features(features, {features.numel()});
    const auto degrees = blocks(read<Real>(features, n * S::dim * S::channels), n);
    const auto d_degrees = blocks(d_features.data, n);
    const Sets<Real> sets = sets_of(coefficients, species, n);
    const Real* of_products = read<Real>(gradient, n * S::n_rows * S::channels);
    parallel(
        n, [&](int64_t first, int64_t last) { contract_adjoint<S>(of_products, degrees, sets, d_degrees, n, first, last); });
    return d_features.tensor;
  }

  static Tensor pack(Tensor coefficients) {
    Output<Real> packed(coefficients, {coefficients.size(0), coefficients.size(1), coefficients.size(2)});
    pack_coefficients<S>(read<Real>(coefficients, coefficients.size(0) * S::n_terms * S::channels), coefficients.size(0),
                         packed.data);
    return packed.tensor;
  }
};

}  // namespace mhff
