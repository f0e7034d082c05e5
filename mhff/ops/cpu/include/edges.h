// A chunk of one atom's edges, prepared for the loops over paths and channels: everything that is
// the same for all channels.
#pragma once
#include "messages.h"
#include "table.h"

namespace mhff {

// Edges that an atom's accumulators see before they are stored and loaded again; a multiple of all
// lane counts.
constexpr int chunk_edges = 96;

// Which edges an atom has: order[begin[atom]], ..., order[begin[atom + 1] - 1].
struct Rows {
  const int32_t *order, *begin;
};

// Inputs that all kernels share; pointers to contiguous arrays.
template <class Real>
struct EdgeArrays {
  const int64_t *sender, *receiver;  // [E]
  const Real* harmonics;             // [E, B]
  const Real* r;                     // [E]
  const int64_t* species;            // [n_atoms]
  const int64_t* table_of;  // [n_species, n_species]: which table the pair (sender, receiver) has
  int64_t n_species;
  Real r_min, per_r;  // first knot, intervals per unit of r
  int n_intervals;    // intervals up to r_max; a table has n_intervals + 5 rows

  INLINE int rows() const { return n_intervals + taps - 1; }
};

// The radial part: which rows of which table, and their weights.
template <class Real, int lanes>
struct RadialChunk {
  int n;
  int32_t id[chunk_edges], first_row[chunk_edges], table[chunk_edges];
  alignas(64) Real w[taps][chunk_edges];
  alignas(64) Real slope[taps][chunk_edges];

  int padded() const { return (n + lanes - 1) / lanes * lanes; }

  // The last vector is filled up with copies of the last edge.
  void take(const int32_t* order, int count) {
    n = count;
    for (int e = 0; e < padded(); ++e) id[e] = order[e < n ? e : n - 1];
  }

  template <bool with_slopes>
  void prepare(const EdgeArrays<Real>& edges) {
    using V = Vector<Real, lanes>;
    alignas(64) Real x[chunk_edges], near[chunk_edges];
    for (int e = 0; e < padded(); ++e) {
      const int edge = id[e];
      table[e] = edges.table_of[edges.species[edges.sender[edge]] * edges.n_species +
                                edges.species[edges.receiver[edge]]];
      const Real at = (edges.r[edge] - edges.r_min) * edges.per_r, inside = at > 0 ? at : 0;
      near[e] = inside < edges.n_intervals;  // everything is 0 from r_max on
      first_row[e] = near[e] ? int(inside) : 0;
      x[e] = near[e] ? inside - first_row[e] : 0;
    }
    for (int e = 0; e < padded(); e += lanes) {
      V weight[taps];
      spline_weights(load<V>(x + e), weight);
      unroll<taps>([&](auto t) UNROLLED { store(w[t] + e, weight[t] * load<V>(near + e)); });
      if constexpr (with_slopes) {
        spline_slopes(load<V>(x + e), weight);
        unroll<taps>([&](auto t) UNROLLED {
          store(slope[t] + e, weight[t] * (load<V>(near + e) * edges.per_r));
        });
      }
    }
  }
};

// The angular part as well: g[q] of every pair q.
template <ConvolutionShape S>
struct Chunk : RadialChunk<typename S::Real, S::lanes> {
  using Real = typename S::Real;
  static constexpr int B = (S::l_max + 1) * (S::l_max + 1);
  alignas(64) Real y[B][chunk_edges];
  alignas(64) Real g[S::n_pairs][chunk_edges];

  void couple(const EdgeArrays<Real>& edges) {
    using V = Vector<Real, S::lanes>;
    for (int e = 0; e < this->padded(); ++e)
      for (int b = 0; b < B; ++b) y[b][e] = edges.harmonics[int64_t(this->id[e]) * B + b];
    for (int e = 0; e < this->padded(); e += S::lanes)
      unroll<S::n_pairs>([&](auto q) UNROLLED {
        V sum = {};
        unroll<S::pair[q].count>([&](auto t) UNROLLED {
          constexpr Term term = S::term[S::pair[q].first + t];
          sum += Real(term.value) * load<V>(y[term.b] + e);
        });
        store(g[q] + e, sum);
      });
  }
};

}  // namespace mhff
