// The kernels as torch operators, through torch's stable C interface: one header's cost, any torch from 2.11 on.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <string>
#include <vector>

#include "contraction.h"
#include "geometry.h"
#include "mapping.h"
#include "memory.h"
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

// Bytes from which on memory is kept for the next step; torch has smaller arrays from malloc, which keeps them, too.
constexpr size_t large = 1 << 18;

inline Tensor new_tensor(const Tensor& like, const std::vector<int64_t>& shape, Type type, size_t size_of_number) {
  size_t bytes = size_of_number;
  for (int64_t n : shape) bytes *= n;
  if (bytes < large) return torch::stable::new_empty(like, {shape.data(), shape.size()}, type);
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * shape[i];
  void* memory = kept_memory().take(bytes);
  return torch::stable::from_blob(memory, {shape.data(), shape.size()}, {strides.data(), strides.size()}, like.device(), type,
                                  [bytes](void* block) { kept_memory().give_back(block, bytes); });
}

template <class T>
struct Output {
  Tensor tensor;
  T* data;
  Output(const Tensor& like, const std::vector<int64_t>& shape)
      : tensor(new_tensor(like, shape, type_of<T>, sizeof(T))), data(static_cast<T*>(tensor.mutable_data_ptr())) {}
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

inline void release_memory() { kept_memory().release(); }

inline std::tuple<Tensor, Tensor> sort_edges_operator(Tensor atoms, int64_t n_atoms) {
  const int64_t n_edges = atoms.size(0);
  const int64_t* of_edge = read<int64_t>(atoms, n_edges);
  check_atoms(of_edge, n_edges, n_atoms);
  Output<int32_t> order(atoms, {n_edges}), begin(atoms, {n_atoms + 1});
  sort_edges(of_edge, n_edges, n_atoms, order.data, begin.data);
  return {order.tensor, begin.tensor};
}

// Sums of values [E, ...] over each atom's edges, in the order of the edges, so that every run gives the same.
template <class Real>
Tensor sum_edges_operator(Tensor values, Tensor atoms, Tensor order, Tensor begin) {
  const int64_t n_edges = values.size(0), n_atoms = begin.size(0) - 1, width = values.dim() > 1 ? values.size(1) : 1;
  const Real* from = read<Real>(values, n_edges * width);
  const Rows rows{read<int32_t>(order, n_edges), read<int32_t>(begin, any_count)};
  std::vector<int64_t> shape{n_atoms};
  if (values.dim() > 1) shape.push_back(width);
  Output<Real> sums(values, shape);
  sums.clear();
  parallel(n_atoms, [&](int64_t first, int64_t last) {
    for (int64_t atom = first; atom < last; ++atom)
      for (int64_t at = rows.begin[atom]; at < rows.begin[atom + 1]; ++at)
        for (int64_t k = 0; k < width; ++k) sums.data[atom * width + k] += from[rows.order[at] * width + k];
  });
  return sums.tensor;
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

// Products with packed matrices.
template <class Real, int lanes>
struct MultiplyOperators {
  // x [rows, k], whose rows may lie apart, times a matrix [k, n].
  static Tensor forward(Tensor x, Tensor packed, int64_t n) {
    const int64_t rows = x.size(0), k = x.size(1);
    STD_TORCH_CHECK(x.scalar_type() == type_of<Real> && (x.stride(1) == 1 || k == 1 || rows == 0),
                    "mhff kernel: expected rows without gaps, of the program's dtype");
    const Real* from = static_cast<const Real*>(x.const_data_ptr());
    const Matrix<Real, lanes> matrix{read<Real>(packed, k * whole_vectors(n, lanes)), k, n};
    const int64_t stride = x.stride(0);
    Output<Real> product(x, {rows, n});
    parallel(rows, [&](int64_t first, int64_t last) {
      multiply(from + first * stride, stride, last - first, matrix, product.data + first * n, n);
    });
    return product.tensor;
  }

  static Tensor pack(Tensor matrix) {
    const int64_t k = matrix.size(0), n = matrix.size(1);
    Output<Real> packed(matrix, {k * whole_vectors(n, lanes)});
    pack_matrix<Real, lanes>(read<Real>(matrix, k * n), k, n, packed.data);
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
