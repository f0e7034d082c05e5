// Moments of an atom's neighbours: S_kb = sum over edges of phi_k(r) Y_b, for radial functions phi_k without channels.
//
// A first layer's features depend on the species only, and its radial functions have low rank, R_l[c](r) = sum_k phi_k(r)
// V_lk[c]; so the sum over edges knows no channels, and V follows as a matrix product per atom. The senders' species are
// kept apart.
#pragma once
#include <vector>

#include "edges.h"
#include "reduce.h"

namespace mhff {

// One atom's edges by the species of the sender.
struct BySpecies {
  std::vector<int32_t> order, begin;

  template <class Real>
  void sort(const Edges<Real>& edges, const Rows& by_receiver, int64_t atom) {
    const int32_t *first = by_receiver.order + by_receiver.begin[atom],
                  *last = by_receiver.order + by_receiver.begin[atom + 1];
    order.resize(last - first);
    begin.assign(edges.n_species + 1, 0);
    for (auto e = first; e < last; ++e) ++begin[edges.species[edges.sender[*e]] + 1];
    for (int64_t z = 0; z < edges.n_species; ++z) begin[z + 1] += begin[z];
    for (auto e = first; e < last; ++e) order[begin[edges.species[edges.sender[*e]]]++] = *e;
    for (int64_t z = edges.n_species; z > 0; --z) begin[z] = begin[z - 1];
    begin[0] = 0;
  }
};

// A shape has: Real, lanes, l_max, n_functions (a multiple of lanes).
template <class S>
struct Moments {
  using Real = typename S::Real;
  using V = Vector<Real, S::lanes>;
  static constexpr int B = (S::l_max + 1) * (S::l_max + 1), K = S::n_functions, vectors = K / S::lanes;
  static constexpr int groups = (B + S::lanes - 1) / S::lanes;
  using Sums = Real[B][K];

  struct Workspace {
    RadialChunk<Real, S::lanes> chunk;
    BySpecies edges;
  };

  // Address of S_0b in the blocks [n_atoms, 2 l + 1, n_species, K] of the degrees l.
  template <class Pointer>
  static INLINE Pointer at(Pointer moments, int64_t n_atoms, int64_t n_species, int64_t atom, int64_t species, int b) {
    const int l = degree_of(b);
    return moments + ((n_atoms * l * l + atom * (2 * l + 1) + b - l * l) * n_species + species) * K;
  }

  // Calls f(species, chunk) for all chunks of an atom's edges, and after those of each species done(species).
  template <bool with_slopes, class F, class Done>
  static INLINE void over_chunks(const Edges<Real>& edges, const Rows& by_receiver, int64_t atom, F&& f, Done&& done) {
    static thread_local Workspace work;
    work.edges.sort(edges, by_receiver, atom);
    for (int64_t species = 0; species < edges.n_species; ++species) {
      for (int at = work.edges.begin[species], stop = work.edges.begin[species + 1]; at < stop; at += chunk_edges) {
        work.chunk.take(work.edges.order.data() + at, stop - at < chunk_edges ? stop - at : chunk_edges);
        work.chunk.template prepare<with_slopes>(edges);
        f(species, work.chunk);
      }
      done(species);
    }
  }

  // Tables are [n_knots + 5, K] each.
  static INLINE const Real* row(const Edges<Real>& edges, const RadialChunk<Real, S::lanes>& chunk, int e,
                                const Real* tables) {
    return tables + (int64_t(chunk.table[e]) * edges.rows() + chunk.first_row[e]) * K;
  }

  static void forward(const Edges<Real>& edges, const Rows& by_receiver, const Real* tables, Real* moments, int64_t n_atoms,
                      int64_t begin, int64_t end) {
    alignas(64) Sums sums = {};
    const auto add = [&](int64_t, const auto& chunk) UNROLLED {
      for (int k = 0; k < K; k += S::lanes) {
        V local[B];
        unroll<B>([&](auto b) UNROLLED { local[b] = load<V>(sums[b] + k); });
        for (int e = 0; e < chunk.n; ++e) {
          const Real *from = row(edges, chunk, e, tables) + k, *y = edges.harmonics + int64_t(chunk.id[e]) * B;
          V phi = {};
          unroll<taps>([&](auto t) UNROLLED { phi += chunk.w[t][e] * load<V>(from + t * K); });
          unroll<B>([&](auto b) UNROLLED { local[b] += y[b] * phi; });
        }
        unroll<B>([&](auto b) UNROLLED { store(sums[b] + k, local[b]); });
      }
    };
    for (int64_t atom = begin; atom < end; ++atom)
      over_chunks<false>(edges, by_receiver, atom, add, [&](int64_t species) UNROLLED {
        for (int b = 0; b < B; ++b)
          std::memcpy(at(moments, n_atoms, edges.n_species, atom, species, b), sums[b], sizeof sums[b]);
        std::memset(sums, 0, sizeof sums);
      });
  }

  // dY_b = sum_k phi_k dS_kb and dr = sum_k phi'_k sum_b dS_kb Y_b of one edge; `transposed` is dS with b in the lanes.
  static INLINE void edge_adjoint(const Edges<Real>& edges, const RadialChunk<Real, S::lanes>& chunk, int e,
                                  const Real* tables, const Sums& dS, const Real (*transposed)[groups * S::lanes],
                                  Real* d_harmonics, Real* d_r) {
    const Real *from = row(edges, chunk, e, tables), *y = edges.harmonics + int64_t(chunk.id[e]) * B;
    alignas(64) Real phi[K];
    V dr = {};
    for (int k = 0; k < K; k += S::lanes) {
      V value = {}, slope = {}, d_phi[2] = {};  // two sums at a time, because one would wait for itself
      unroll<taps>([&](auto t) UNROLLED {
        const V coefficient = load<V>(from + t * K + k);
        value += chunk.w[t][e] * coefficient;
        slope += chunk.slope[t][e] * coefficient;
      });
      store(phi + k, value);
      unroll<B>([&](auto b) UNROLLED { d_phi[b % 2] += y[b] * load<V>(dS[b] + k); });
      dr += slope * (d_phi[0] + d_phi[1]);
    }
    unroll<groups>([&](auto g) UNROLLED {
      V dY[4] = {};
      unroll<K>([&](auto k) UNROLLED { dY[k % 4] += phi[k] * load<V>(transposed[k] + g * S::lanes); });
      store_some<B - g * S::lanes, S::lanes>(d_harmonics + int64_t(chunk.id[e]) * B + g * S::lanes,
                                             (dY[0] + dY[1]) + (dY[2] + dY[3]));
    });
    d_r[chunk.id[e]] = sum<V, S::lanes>(dr);
  }

  static void adjoint(const Edges<Real>& edges, const Rows& by_receiver, const Real* tables, const Real* gradient,
                      int64_t n_atoms, Real* d_harmonics, Real* d_r, int64_t begin, int64_t end) {
    alignas(64) Sums dS;
    alignas(64) Real transposed[K][groups * S::lanes] = {};
    int64_t atom = begin, loaded = -1;  // the (atom, species) in dS
    const auto add = [&](int64_t species, const auto& chunk) UNROLLED {
      if (loaded != atom * edges.n_species + species) {
        loaded = atom * edges.n_species + species;
        for (int b = 0; b < B; ++b) {
          std::memcpy(dS[b], at(gradient, n_atoms, edges.n_species, atom, species, b), sizeof dS[b]);
          for (int k = 0; k < K; ++k) transposed[k][b] = dS[b][k];
        }
      }
      for (int e = 0; e < chunk.n; ++e) edge_adjoint(edges, chunk, e, tables, dS, transposed, d_harmonics, d_r);
    };
    for (; atom < end; ++atom) over_chunks<true>(edges, by_receiver, atom, add, [](int64_t) UNROLLED {});
  }
};

}  // namespace mhff
