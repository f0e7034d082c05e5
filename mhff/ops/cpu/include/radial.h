// Radial functions of an edge, for one path and tile of channels: from a table, or given for each
// edge.
#pragma once
#include "edges.h"

namespace mhff {

// Tables [table][path][tile][row][channels of the tile]: the rows that one loop over edges reads
// fit into L1.
template <ConvolutionShape S>
struct Tabulated {
  using Real = typename S::Real;
  static constexpr bool has_slope = true;
  const Real* tables;

  // What an edge reads for channels c lies at begin + c * step.
  template <int p>
  INLINE const Real* begin(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e) const {
    return tables + (int64_t(chunk.table[e]) * S::n_paths + p) * S::channels * edges.rows() +
           chunk.first_row[e] * (tile<S, p> * S::lanes);
  }
  INLINE int64_t step(const EdgeArrays<Real>& edges) const { return edges.rows(); }

  // Values for edges that follow one another, whose rows are given.
  template <int p, class V, int count, int vectors>
  INLINE void values(const Real* const (&row)[count], const Chunk<S>& chunk, int e,
                     V (&radial)[count][vectors]) const {
    unroll<count>([&](auto k) UNROLLED {
      unroll<vectors>([&](auto v) UNROLLED { radial[k][v] = V{}; });
    });
    unroll<taps>([&](auto t) UNROLLED {
      unroll<count>([&](auto k) UNROLLED {
        unroll<vectors>([&](auto v) UNROLLED {
          radial[k][v] += chunk.w[t][e + k] * load<V>(row[k] + (t * tile<S, p> + v) * S::lanes);
        });
      });
    });
  }

  template <int p, class V, int vectors>
  INLINE void value_and_slope(const Real* row, const Chunk<S>& chunk, int e, V (&radial)[vectors],
                              V (&slope)[vectors]) const {
    unroll<vectors>([&](auto v) UNROLLED { radial[v] = slope[v] = V{}; });
    unroll<taps>([&](auto t) UNROLLED {
      unroll<vectors>([&](auto v) UNROLLED {
        const V coefficient = in_register(load<V>(row + (t * tile<S, p> + v) * S::lanes));
        radial[v] += chunk.w[t][e] * coefficient;
        slope[v] += chunk.slope[t][e] * coefficient;
      });
    });
  }
};

// Copies tables [table][row][path][channel] to the form above.
template <ConvolutionShape S, class Real = typename S::Real>
void pack_tables(const Real* tables, int64_t n_tables, int64_t rows, Real* packed) {
  for (int64_t table = 0; table < n_tables; ++table)
    unroll<S::n_paths>([&](auto p) {
      constexpr int width = tile<S, p> * S::lanes;
      for (int c = 0; c < S::channels; c += width)
        for (int64_t row = 0; row < rows; ++row, packed += width)
          std::memcpy(packed, tables + ((table * rows + row) * S::n_paths + p) * S::channels + c,
                      width * sizeof(Real));
    });
}

// Weights [edge][path][channel], and their gradient in the same form.
template <ConvolutionShape S>
struct PerEdge {
  using Real = typename S::Real;
  static constexpr bool has_slope = false;
  const Real* weights;
  Real* gradient = nullptr;

  template <int p>
  INLINE const Real* begin(const EdgeArrays<Real>&, const Chunk<S>& chunk, int e) const {
    return weights + (int64_t(chunk.id[e]) * S::n_paths + p) * S::channels;
  }
  INLINE int64_t step(const EdgeArrays<Real>&) const { return 1; }

  template <int p, class V, int count, int vectors>
  INLINE void values(const Real* const (&row)[count], const Chunk<S>&, int,
                     V (&radial)[count][vectors]) const {
    unroll<count>([&](auto k) UNROLLED {
      unroll<vectors>([&](auto v) UNROLLED { radial[k][v] = load<V>(row[k] + v * S::lanes); });
    });
  }

  template <int p, class V>
  INLINE void set_gradient(const Chunk<S>& chunk, int e, int c, V d_radial) const {
    store(gradient + (int64_t(chunk.id[e]) * S::n_paths + p) * S::channels + c, d_radial);
  }
};

}  // namespace mhff
