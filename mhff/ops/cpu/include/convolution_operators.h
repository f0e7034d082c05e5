// Operators of convolutions.
#pragma once
#include "edge_operators.h"
#include "mapping.h"

namespace mhff {

// Threads up to which the convolution's adjoint gives each its own copy of the features' gradient.
#ifndef MOST_COPIES
#define MOST_COPIES 8
#endif
constexpr int most_copies = MOST_COPIES;

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

// What convolutions with radial functions from tables and with those of each edge share.
template <class S>
struct Convolution {
  using Real = typename S::Real;
  static constexpr int64_t message_size = rows_below<S>(S::l_max + 1) * S::channels;

  // Gradients along the receivers: calls walk(begin, end, gradients). Part k of the receivers adds to copy k of the features'
  // gradient, which is the result itself for k = 0.
  template <class Walk>
  static void along_receivers(const Tensor& features, int64_t n, const Gradients<Real>& to, Walk&& walk) {
    const int threads = int(torch::stable::get_num_threads());
    const int64_t size = features.numel();
    Output<Real> copies(features, {(threads - 1) * size});
    const auto copy = [&](int64_t k) { return k ? copies.data + (k - 1) * size : to.features; };
    parallel(threads, [&](int64_t first, int64_t last) {
      for (int64_t k = first; k < last; ++k) {
        std::memset(copy(k), 0, size * sizeof(Real));
        walk(n * k / threads, n * (k + 1) / threads, Gradients<Real>{copy(k), to.harmonics, to.r});
      }
    });
    parallel(size, [&](int64_t first, int64_t last) {
      for (int k = 1; k < threads; ++k)
        for (int64_t i = first; i < last; ++i) to.features[i] += copy(k)[i];
    });
  }

  // Gradients along the senders.
  template <class Radial>
  static void along_senders(const Edges<Real>& edges, int64_t n_edges, const Radial& radial,
                            const Messages<S, const Real>& gradient, const Tensor& features, const Gradients<Real>& to) {
    const int64_t n_atoms = features.size(0);
    std::vector<int32_t> by_sender(n_edges), begin(n_atoms + 1);
    check_atoms(edges.sender, n_edges, n_atoms);
    sort_edges(edges.sender, n_edges, n_atoms, by_sender.data(), begin.data());
    const Rows rows{by_sender.data(), begin.data()};
    const Real* from = features_of(features);
    std::memset(to.features, 0, features.numel() * sizeof(Real));
    parallel(n_atoms, [&](int64_t first, int64_t last) {
      scatter<S, false, true>(edges, rows, radial, gradient, from, to, first, last);
    });
  }

  static bool many_threads() { return torch::stable::get_num_threads() > most_copies; }

  static const Real* features_of(const Tensor& features) { return read<Real>(features, features.size(0) * feature_size<S>); }
};

// Convolution with weights given for each edge.
template <class S>
struct WeightedOperators : Convolution<S> {
  using Real = typename S::Real;
  using Base = Convolution<S>;

  static const Real* weights_of(const Tensor& weights, const Tensor& edge_index) {
    return read<Real>(weights, edge_index.size(1) * S::n_paths * S::channels);
  }

  static Tensor forward(Tensor features, Tensor harmonics, Tensor edge_index, Tensor order, Tensor begin, Tensor weights) {
    const int64_t n = begin.size(0) - 1;
    const auto edges = edges_of<S>(harmonics, edge_index);
    const PerEdge<S> radial{weights_of(weights, edge_index)};
    const Rows rows = rows_of(order, begin, edge_index);
    const Real* from = Base::features_of(features);
    Output<Real> messages(features, {n * Base::message_size});
    parallel(n, [&](int64_t first, int64_t last) {
      gather<S>(edges, rows, radial, from, {messages.data, n, 0}, first, last);
    });
    return messages.tensor;
  }

  static std::tuple<Tensor, Tensor, Tensor> adjoint(Tensor gradient, Tensor features, Tensor harmonics, Tensor edge_index,
                                                    Tensor order, Tensor begin, Tensor weights) {
    const int64_t n = begin.size(0) - 1;
    Output<Real> d_features(features, {features.size(0), features.size(1), features.size(2)}),
        d_harmonics(harmonics, {harmonics.size(0), harmonics.size(1)}),
        d_weights(weights, {weights.size(0), weights.size(1), weights.size(2)});
    const Gradients<Real> to{d_features.data, d_harmonics.data, nullptr};
    const auto edges = edges_of<S>(harmonics, edge_index);
    const PerEdge<S> radial{weights_of(weights, edge_index), d_weights.data};
    const Messages<S, const Real> of_messages{read<Real>(gradient, n * Base::message_size), n, 0};
    const Rows rows = rows_of(order, begin, edge_index);
    const Real* from = Base::features_of(features);
    if (Base::many_threads())
      Base::along_senders(edges, edge_index.size(1), radial, of_messages, features, to);
    else
      Base::along_receivers(features, n, to, [&](int64_t first, int64_t last, const Gradients<Real>& part) {
        scatter<S, true, true>(edges, rows, radial, of_messages, from, part, first, last);
      });
    return {d_features.tensor, d_harmonics.tensor, d_weights.tensor};
  }
};

// Convolution with radial functions from tables, and the linear map that follows it.
template <class S>
struct TabulatedOperators : Convolution<S> {
  using Real = typename S::Real;
  using Base = Convolution<S>;
  static constexpr int64_t mapped_size = mapped_below<S>(S::l_max + 1);

  static Tensor forward(Tensor features, Tensor harmonics, Tensor edge_index, Tensor order, Tensor begin, Tensor r,
                        Tensor species, Tensor table_of, Tensor tables, Tensor maps, Tensor transposed, double r_min,
                        double r_max, int64_t n_knots) {
    const int64_t n = begin.size(0) - 1;
    const auto edges = edges_of<S>(harmonics, edge_index, r, species, table_of, r_min, r_max, n_knots);
    const Tabulated<S> radial{read<Real>(tables, any_count)};
    const Rows rows = rows_of(order, begin, edge_index);
    const Real *from = Base::features_of(features), *packed = read<Real>(maps, packed_below<S, true>(S::l_max + 1));
    Output<Real> mapped(features, {n * mapped_size});
    parallel(n, [&](int64_t first, int64_t last) {
      gather_mapped<S>(edges, rows, radial, from, packed, mapped.data, n, first, last);
    });
    return mapped.tensor;
  }

  static std::tuple<Tensor, Tensor, Tensor> adjoint(Tensor gradient, Tensor features, Tensor harmonics, Tensor edge_index,
                                                    Tensor order, Tensor begin, Tensor r, Tensor species, Tensor table_of,
                                                    Tensor tables, Tensor maps, Tensor transposed, double r_min,
                                                    double r_max, int64_t n_knots) {
    const int64_t n = begin.size(0) - 1, n_edges = edge_index.size(1);
    Output<Real> d_features(features, {features.size(0), features.size(1), features.size(2)}),
        d_harmonics(harmonics, {n_edges, harmonics.size(1)}), d_r(r, {n_edges});
    const Gradients<Real> to{d_features.data, d_harmonics.data, d_r.data};
    const auto edges = edges_of<S>(harmonics, edge_index, r, species, table_of, r_min, r_max, n_knots);
    const Tabulated<S> radial{read<Real>(tables, any_count)};
    const Rows rows = rows_of(order, begin, edge_index);
    const Real *from = Base::features_of(features), *packed = unmaps_of(transposed),
               *of_mapped = read<Real>(gradient, n * mapped_size);
    if (Base::many_threads()) {
      Output<Real> messages(features, {n * Base::message_size});
      unmap<S>(of_mapped, packed, n, {messages.data, n, 0});
      Base::along_senders(edges, n_edges, radial, {messages.data, n, 0}, features, to);
    } else {
      Base::along_receivers(features, n, to, [&](int64_t first, int64_t last, const Gradients<Real>& part) {
        scatter_mapped<S, true>(edges, rows, radial, of_mapped, packed, from, part, n, first, last);
      });
    }
    return {d_features.tensor, d_harmonics.tensor, d_r.tensor};
  }

  // For features that do not depend on positions, as those of a first layer.
  static std::tuple<Tensor, Tensor> adjoint_of_edges(Tensor gradient, Tensor features, Tensor harmonics, Tensor edge_index,
                                                     Tensor order, Tensor begin, Tensor r, Tensor species, Tensor table_of,
                                                     Tensor tables, Tensor maps, Tensor transposed, double r_min,
                                                     double r_max, int64_t n_knots) {
    const int64_t n = begin.size(0) - 1, n_edges = edge_index.size(1);
    Output<Real> d_harmonics(harmonics, {n_edges, harmonics.size(1)}), d_r(r, {n_edges});
    const auto edges = edges_of<S>(harmonics, edge_index, r, species, table_of, r_min, r_max, n_knots);
    const Tabulated<S> radial{read<Real>(tables, any_count)};
    const Rows rows = rows_of(order, begin, edge_index);
    const Real *from = Base::features_of(features), *packed = unmaps_of(transposed),
               *of_mapped = read<Real>(gradient, n * mapped_size);
    parallel(n, [&](int64_t first, int64_t last) {
      scatter_mapped<S, false>(edges, rows, radial, of_mapped, packed, from, {nullptr, d_harmonics.data, d_r.data}, n, first,
                               last);
    });
    return {d_harmonics.tensor, d_r.tensor};
  }

  static const Real* unmaps_of(const Tensor& transposed) {
    return read<Real>(transposed, packed_below<S, false>(S::l_max + 1));
  }

  static Tensor pack(Tensor tables) {
    Output<Real> packed(tables, {tables.numel()});
    pack_tables<S>(read<Real>(tables, tables.size(0) * tables.size(1) * S::n_paths * S::channels), tables.size(0),
                   tables.size(1), packed.data);
    return packed.tensor;
  }
};

}  // namespace mhff
