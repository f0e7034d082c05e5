// Operators of edges: sorted by atom, sums, geometry.
#pragma once
#include "edges.h"
#include "geometry.h"
#include "sort.h"
#include "tensors.h"

namespace mhff {

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

}  // namespace mhff
