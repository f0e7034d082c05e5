// Operators of convolutions. Each takes one record `in` of its arguments, which mhff writes
// (mhff.ops.operators names them).
#pragma once
#include "edge_operators.h"
#include "mapping.h"

namespace mhff {

// With up to this many threads, the convolution's adjoint gives each its own copy of the features'
// gradient.
constexpr int max_copies = 8;

template <ConvolutionShape S, class In, class Real = typename S::Real>
EdgeArrays<Real> edges_of(const In& in) {
  const int64_t n = in.edge_index.size(1);
  EdgeArrays<Real> edges{};
  edges.sender = read<int64_t>(in.edge_index, 2 * n);
  edges.receiver = edges.sender + n;
  edges.harmonics = read<Real>(in.harmonics, n * (S::l_max + 1) * (S::l_max + 1));
  return edges;
}

// The same with what radial functions from tables need.
template <ConvolutionShape S, class In, class Real = typename S::Real>
EdgeArrays<Real> tabulated_edges_of(const In& in) {
  EdgeArrays<Real> edges = edges_of<S>(in);
  edges.n_species = in.table_of.size(0);
  edges.r = read<Real>(in.r, in.edge_index.size(1));
  edges.species = read<int64_t>(in.species, any_count);
  edges.table_of = read<int64_t>(in.table_of, edges.n_species * edges.n_species);
  edges.r_min = Real(in.r_min);
  edges.n_intervals = int(in.tables.size(1)) - taps + 1;
  edges.per_r = Real(edges.n_intervals / (in.r_max - in.r_min));
  return edges;
}

template <ConvolutionShape S, class Real = typename S::Real>
const Real* features_of(const Tensor& features) {
  return read<Real>(features, features.size(0) * feature_size<S>);
}

inline bool many_threads() { return n_threads() > max_copies; }

// Gradients along the receivers: calls walk(begin, end, gradients). Part k of the receivers adds to
// copy k of the features' gradient, which is the result itself for k = 0.
template <class Real, class Walk>
void along_receivers(const Tensor& features, int64_t n, const Gradients<Real>& to, Walk&& walk) {
  const int threads = int(n_threads());
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
template <ConvolutionShape S, class Radial, class Real = typename S::Real>
void along_senders(const EdgeArrays<Real>& edges, int64_t n_edges, const Radial& radial,
                   const Messages<S, const Real>& gradient, const Tensor& features,
                   const Gradients<Real>& to) {
  const int64_t n_atoms = features.size(0);
  std::vector<int32_t> by_sender(n_edges), begin(n_atoms + 1);
  check_atoms(edges.sender, n_edges, n_atoms);
  sort_edges(edges.sender, n_edges, n_atoms, by_sender.data(), begin.data());
  const Rows rows{by_sender.data(), begin.data()};
  const Real* from = features_of<S>(features);
  std::memset(to.features, 0, features.numel() * sizeof(Real));
  parallel(n_atoms, [&](int64_t first, int64_t last) {
    scatter<S, true>(edges, rows, radial, gradient, from, to, first, last);
  });
}

// Convolution with weights given for each edge.
template <ConvolutionShape S>
struct WeightedOperators {
  using Real = typename S::Real;

  template <class In>
  static const Real* weights_of(const In& in) {
    return read<Real>(in.weights, in.edge_index.size(1) * S::n_paths * S::channels);
  }

  template <class In>
  static Tensor forward(const In& in) {
    const int64_t n = in.begin.size(0) - 1;
    const auto edges = edges_of<S>(in);
    const PerEdge<S> radial{weights_of(in)};
    const Rows rows = rows_of(in);
    const Real* from = features_of<S>(in.features);
    Output<Real> messages(in.features, {n * message_size<S>});
    parallel(n, [&](int64_t first, int64_t last) {
      gather<S>(edges, rows, radial, from, {messages.data, n, 0}, first, last);
    });
    return messages.tensor;
  }

  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> adjoint(const In& in) {
    const int64_t n = in.begin.size(0) - 1;
    Output<Real> d_features = output_like<Real>(in.features);
    Output<Real> d_harmonics = output_like<Real>(in.harmonics);
    Output<Real> d_weights = output_like<Real>(in.weights);
    const Gradients<Real> to{d_features.data, d_harmonics.data, nullptr};
    const auto edges = edges_of<S>(in);
    const PerEdge<S> radial{weights_of(in), d_weights.data};
    const Messages<S, const Real> of_messages{read<Real>(in.gradient, n * message_size<S>), n, 0};
    const Rows rows = rows_of(in);
    const Real* from = features_of<S>(in.features);
    if (many_threads())
      along_senders<S>(edges, in.edge_index.size(1), radial, of_messages, in.features, to);
    else
      along_receivers(
          in.features, n, to, [&](int64_t first, int64_t last, const Gradients<Real>& part) {
            scatter<S, true>(edges, rows, radial, of_messages, from, part, first, last);
          });
    return {d_features.tensor, d_harmonics.tensor, d_weights.tensor};
  }
};

// Convolution with radial functions from tables, and the linear map that follows it.
template <MappedConvolutionShape S>
struct TabulatedOperators {
  using Real = typename S::Real;
  static constexpr int64_t mapped_size = mapped_below<S>(S::l_max + 1);

  template <class In>
  static Tensor forward(const In& in) {
    const int64_t n = in.begin.size(0) - 1;
    const auto edges = tabulated_edges_of<S>(in);
    const Tabulated<S> radial{read<Real>(in.tables, any_count)};
    const Rows rows = rows_of(in);
    const Real* from = features_of<S>(in.features);
    const auto packed = maps_of<true>(in.maps, n);
    Output<Real> mapped(in.features, {n * mapped_size});
    parallel(n, [&](int64_t first, int64_t last) {
      gather_mapped<S>(edges, rows, radial, from, packed, mapped.data, n, first, last);
    });
    return mapped.tensor;
  }

  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> adjoint(const In& in) {
    const int64_t n = in.begin.size(0) - 1;
    Output<Real> d_features = output_like<Real>(in.features);
    Output<Real> d_harmonics = output_like<Real>(in.harmonics);
    Output<Real> d_r = output_like<Real>(in.r);
    const Gradients<Real> to{d_features.data, d_harmonics.data, d_r.data};
    const auto edges = tabulated_edges_of<S>(in);
    const Tabulated<S> radial{read<Real>(in.tables, any_count)};
    const Rows rows = rows_of(in);
    const Real* from = features_of<S>(in.features);
    const auto packed = maps_of<false>(in.transposed, n);
    const Real* of_mapped = read<Real>(in.gradient, n * mapped_size);
    if (many_threads()) {
      Output<Real> messages(in.features, {n * message_size<S>});
      unmap<S>(of_mapped, packed, n, {messages.data, n, 0});
      along_senders<S>(edges, in.edge_index.size(1), radial, {messages.data, n, 0}, in.features,
                       to);
    } else {
      along_receivers(in.features, n, to,
                      [&](int64_t first, int64_t last, const Gradients<Real>& part) {
                        scatter_mapped<S, true>(edges, rows, radial, of_mapped, packed, from, part,
                                                n, first, last);
                      });
    }
    return {d_features.tensor, d_harmonics.tensor, d_r.tensor};
  }

  // For features that do not depend on positions, as in a first layer.
  template <class In>
  static std::tuple<Tensor, Tensor> adjoint_of_edges(const In& in) {
    const int64_t n = in.begin.size(0) - 1;
    Output<Real> d_harmonics = output_like<Real>(in.harmonics);
    Output<Real> d_r = output_like<Real>(in.r);
    const Gradients<Real> to{nullptr, d_harmonics.data, d_r.data};
    const auto edges = tabulated_edges_of<S>(in);
    const Tabulated<S> radial{read<Real>(in.tables, any_count)};
    const Rows rows = rows_of(in);
    const Real* from = features_of<S>(in.features);
    const auto packed = maps_of<false>(in.transposed, n);
    const Real* of_mapped = read<Real>(in.gradient, n * mapped_size);
    parallel(n, [&](int64_t first, int64_t last) {
      scatter_mapped<S, false>(edges, rows, radial, of_mapped, packed, from, to, n, first, last);
    });
    return {d_harmonics.tensor, d_r.tensor};
  }

  // Packed maps, for the messages of n atoms.
  template <bool forward>
  static Maps<S, forward> maps_of(const Tensor& packed, int64_t n) {
    constexpr int64_t with_tiles = packed_below<S, forward>(S::l_max + 1, true);
    constexpr int64_t without = packed_below<S, forward>(S::l_max + 1, false);
    const int64_t found = packed.numel();
    const Real* numbers = read<Real>(packed, found == with_tiles ? with_tiles : without);
    return {numbers, found == with_tiles, uses_tiles(found, with_tiles, without, n)};
  }

  template <class In>
  static Tensor pack(const In& in) {
    const int64_t n_tables = in.tables.size(0), rows = in.tables.size(1);
    Output<Real> packed(in.tables, {n_tables, rows, S::n_paths * S::channels});
    pack_tables<S>(read<Real>(in.tables, n_tables * rows * S::n_paths * S::channels), n_tables,
                   rows, packed.data);
    return packed.tensor;
  }
};

}  // namespace mhff
