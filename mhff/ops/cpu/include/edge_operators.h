// Operators of edges: sorting by atom, sums, geometry.
#pragma once
#include "edges.h"
#include "geometry.h"
#include "sort.h"
#include "tensors.h"

namespace mhff {

template <class In>
Rows rows_of(const In& in) {
  return {read<int32_t>(in.order, in.edge_index.size(1)), read<int32_t>(in.begin, any_count)};
}

inline void check_atoms(const int64_t* atoms, int64_t n_edges, int64_t n_atoms) {
  for (int64_t e = 0; e < n_edges; ++e)
    STD_TORCH_CHECK(atoms[e] >= 0 && atoms[e] < n_atoms, "mhff kernel: expected atoms below ",
                    n_atoms, ", got ", atoms[e]);
}

template <class Real>
struct EdgeOperators {
  template <class In>
  static std::tuple<Tensor, Tensor> sort(const In& in) {
    const int64_t n_edges = in.atoms.size(0);
    const int64_t* of_edge = read<int64_t>(in.atoms, n_edges);
    check_atoms(of_edge, n_edges, in.n_atoms);
    Output<int32_t> order(in.atoms, {n_edges}), begin(in.atoms, {in.n_atoms + 1});
    sort_edges(of_edge, n_edges, in.n_atoms, order.data, begin.data);
    return {order.tensor, begin.tensor};
  }

  // Sums of values [E, ...] over each atom's edges, in the order of the edges, so that every run
  // gives the same.
  template <class In>
  static Tensor sum(const In& in) {
    const int64_t n_edges = in.values.size(0), n_atoms = in.begin.size(0) - 1;
    const int64_t width = in.values.dim() > 1 ? in.values.size(1) : 1;
    const Real* from = read<Real>(in.values, n_edges * width);
    const Rows rows{read<int32_t>(in.order, n_edges), read<int32_t>(in.begin, any_count)};
    std::vector<int64_t> shape{n_atoms};
    if (in.values.dim() > 1) shape.push_back(width);
    Output<Real> sums(in.values, shape);
    sums.clear();
    parallel(n_atoms, [&](int64_t first, int64_t last) {
      for (int64_t atom = first; atom < last; ++atom)
        for (int64_t at = rows.begin[atom]; at < rows.begin[atom + 1]; ++at)
          for (int64_t k = 0; k < width; ++k)
            sums.data[atom * width + k] += from[rows.order[at] * width + k];
    });
    return sums.tensor;
  }
};

template <GeometryShape S>
struct GeometryOperators {
  using Real = typename S::Real;
  using G = Geometry<S>;

  template <class In>
  static std::tuple<Tensor, Tensor> forward(const In& in) {
    const int64_t n = in.vectors.size(0);
    Output<Real> harmonics(in.vectors, {n, G::B}), distances(in.vectors, {n});
    const Real* from = read<Real>(in.vectors, 3 * n);
    parallel((n + S::lanes - 1) / S::lanes, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin * S::lanes; e < end * S::lanes; e += S::lanes)
        G(from, e, n).write(harmonics.data, distances.data, e, n);
    });
    return {harmonics.tensor, distances.tensor};
  }

  template <class In>
  static Tensor adjoint(const In& in) {
    const int64_t n = in.vectors.size(0);
    Output<Real> d_vectors(in.vectors, {n, 3});
    const Real* from = read<Real>(in.vectors, 3 * n);
    const Real* dY = read<Real>(in.d_harmonics, n * G::B);
    const Real* dr = read<Real>(in.d_r, n);
    parallel((n + S::lanes - 1) / S::lanes, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin * S::lanes; e < end * S::lanes; e += S::lanes)
        G(from, e, n).adjoint(dY, dr, d_vectors.data, e, n);
    });
    return d_vectors.tensor;
  }
};

}  // namespace mhff
