// Geometry of edges: distances and real harmonics of edge vectors, and their adjoint.
#pragma once
#include <cmath>

#include "shapes.h"

namespace mhff {

// Distances and harmonics of as many edges as there are lanes.
template <GeometryShape S>
struct Geometry {
  using Real = typename S::Real;
  using V = Vector<Real, S::lanes>;
  static constexpr int B = (S::l_max + 1) * (S::l_max + 1);

  V u[3], r, y[B];  // unit vector, distance, harmonics of unit norm

  static INLINE Real norm(int b) { return std::sqrt(Real(2 * degree_of(b) + 1)); }

  // Edges beyond the last are copies of the last.
  INLINE Geometry(const Real* vectors, int64_t first, int64_t n) {
    alignas(64) Real x[3][S::lanes], length[S::lanes];
    for (int i = 0; i < S::lanes; ++i)
      for (int k = 0; k < 3; ++k) x[k][i] = vectors[3 * (first + i < n ? first + i : n - 1) + k];
    for (int i = 0; i < S::lanes; ++i)
      length[i] = std::sqrt(x[0][i] * x[0][i] + x[1][i] * x[1][i] + x[2][i] * x[2][i]);
    r = load<V>(length);
    for (int k = 0; k < 3; ++k) u[k] = load<V>(x[k]) / r;
    for (int b = 0; b < B; ++b) y[b] = V{};
    y[0] += 1;
    for (int k = 0; k < 3; ++k) y[1 + k] = u[k];
    unroll<S::n_recursion>([&](auto i) UNROLLED {
      constexpr RecursionTerm p = S::recursion[i];
      y[p.out] += Real(p.value) * y[p.left] * u[p.right];
    });
  }

  INLINE void write(Real* harmonics, Real* distances, int64_t first, int64_t n) const {
    const int count = first + S::lanes < n ? S::lanes : int(n - first);
    alignas(64) Real rows[B][S::lanes];
    for (int b = 0; b < B; ++b) store(rows[b], norm(b) * y[b]);
    for (int i = 0; i < count; ++i) {
      distances[first + i] = r[i];
      for (int b = 0; b < B; ++b) harmonics[(first + i) * B + b] = rows[b][i];
    }
  }

  // Gradient with respect to the vectors.
  INLINE void adjoint(const Real* d_harmonics, const Real* d_distances, Real* d_vectors,
                      int64_t first, int64_t n) const {
    V dy[B], du[3] = {}, dr = {};
    alignas(64) Real transposed[B][S::lanes] = {};
    for (int i = 0; i < S::lanes && first + i < n; ++i) {
      dr[i] = d_distances[first + i];
      for (int b = 0; b < B; ++b) transposed[b][i] = d_harmonics[(first + i) * B + b];
    }
    for (int b = 0; b < B; ++b) dy[b] = norm(b) * load<V>(transposed[b]);
    unroll<S::n_recursion>([&](auto i) UNROLLED {
      constexpr RecursionTerm p = S::recursion[S::n_recursion - 1 - i];
      dy[p.left] += Real(p.value) * u[p.right] * dy[p.out];
      du[p.right] += Real(p.value) * y[p.left] * dy[p.out];
    });
    for (int k = 0; k < 3; ++k) du[k] += dy[1 + k];
    const V along = u[0] * du[0] + u[1] * du[1] + u[2] * du[2];
    for (int k = 0; k < 3; ++k) {
      const V d = (du[k] - u[k] * along) / r + u[k] * dr;
      for (int i = 0; i < S::lanes && first + i < n; ++i) d_vectors[3 * (first + i) + k] = d[i];
    }
  }
};

}  // namespace mhff
