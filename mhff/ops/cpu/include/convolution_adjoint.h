// Adjoint of the convolution: gradients with respect to features, harmonics and distances (or
// weights), in one walk.
//
// A walk along the receivers is fastest: an atom's messages (40 rows for l_max 3) stay in cache,
// while its neighbours' features and gradients (4 rows) come and go. But two receivers may share a
// neighbour, so every thread needs its own copy of the features' gradient. A walk along the senders
// needs no copies, so it suits many threads; it fetches messages instead, which takes up to a third
// longer.
#pragma once
#include "convolution.h"
#include "reduce.h"

namespace mhff {

template <class Real>
INLINE void prefetch(const Real* from, int count) {
  for (int i = 0; i < count; i += 64 / int(sizeof(Real))) __builtin_prefetch(from + i, 0, 2);
}

// One edge and one path. With dM the messages' gradient and x_a = R h_a:
//   dx_a = sum_m g_ma dM_m;  dh_a += R dx_a;  dR = sum_a h_a dx_a;  dr += R' dR;  dY_b += sum_ma
//   CG_bma sum_c dM_m x_a
template <ConvolutionShape S, int p, bool of_features, class Radial, class Real, class V>
INLINE void scatter_path(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e,
                         const Radial& source, const Real* dM, const Real* h, Real* dh,
                         V* d_harmonics, V& d_r) {
  constexpr Path path = S::path[p];
  constexpr int n = tile<S, p>, components = 2 * path.l1 + 1,
                first = path.l1 * path.l1 * S::channels;
  V dg[path.count] = {};
  const Real* row = source.template begin<p>(edges, chunk, e);
  for (int tile_at = 0; tile_at < S::channels;
       tile_at += n * S::lanes, row += n * S::lanes * source.step(edges)) {
    V radial[n], slope[n];
    if constexpr (Radial::has_slope)
      source.template value_and_slope<p>(row, chunk, e, radial, slope);
    else
      source.template value<p>(row, chunk, e, radial);
    unroll<n>([&](auto v) UNROLLED {
      const int c = tile_at + v * S::lanes;
      V x[components], dx[components] = {}, d_radial = {};
      unroll<components>(
          [&](auto a) UNROLLED { x[a] = radial[v] * load<V>(h + first + a * S::channels + c); });
      unroll<2 * path.l3 + 1>([&](auto m) UNROLLED {
        const V gradient = in_register(load<V>(dM + m * message_stride<S, p> + c));
        unroll<path.count>([&](auto q) UNROLLED {
          constexpr Pair pair = S::pair[path.first + q];
          if constexpr (pair.m == m) {
            dx[pair.a] += chunk.g[path.first + q][e] * gradient;
            dg[q] += gradient * x[pair.a];
          }
        });
      });
      unroll<components>([&](auto a) UNROLLED {
        const int at = first + a * S::channels + c;
        d_radial += load<V>(h + at) * dx[a];
        if constexpr (of_features) store(dh + at, load<V>(dh + at) + radial[v] * dx[a]);
      });
      if constexpr (Radial::has_slope)
        d_r += d_radial * slope[v];
      else
        source.template set_gradient<p>(chunk, e, c, d_radial);
    });
  }
  unroll<path.count>([&](auto q) UNROLLED {
    unroll<S::pair[path.first + q].count>([&](auto t) UNROLLED {
      constexpr Term term = S::term[S::pair[path.first + q].first + t];
      d_harmonics[term.b] += Real(term.value) * dg[q];
    });
  });
}

// Results of the adjoint. `features` is added to, and null where it is not needed; `r` is unused
// where weights are given for each edge.
template <class Real>
struct Gradients {
  Real *features, *harmonics, *r;
};

// Gradients of the edges of the atoms begin, ..., end - 1, which receive (`along_receivers`) or
// send, and of the senders' features, if `of_features`.
template <ConvolutionShape S, bool along_receivers, bool of_features, class Radial,
          class Real = typename S::Real>
void scatter(const EdgeArrays<Real>& edges, const Rows& of_atoms, const Radial& radial,
             const Messages<S, const Real>& gradient, const Real* features,
             const Gradients<Real>& to, int64_t begin, int64_t end) {
  using V = Vector<Real, S::lanes>;
  constexpr int B = Chunk<S>::B, groups = (B + S::lanes - 1) / S::lanes;
  static thread_local Chunk<S> chunk;
  for (int64_t atom = begin; atom < end; ++atom)
    for (int at = of_atoms.begin[atom], stop = of_atoms.begin[atom + 1]; at < stop;
         at += chunk_edges) {
      chunk.take(of_atoms.order + at, stop - at < chunk_edges ? stop - at : chunk_edges);
      if constexpr (Radial::has_slope) chunk.template prepare<true>(edges);
      chunk.couple(edges);
      for (int e = 0; e < chunk.n; ++e) {
        const int64_t sender = edges.sender[chunk.id[e]], receiver = edges.receiver[chunk.id[e]];
        if constexpr (along_receivers) {
          const int64_t next = edges.sender[chunk.id[e + 1 < chunk.n ? e + 1 : e]];
          prefetch(features + next * feature_size<S>, feature_size<S>);
          if constexpr (of_features)
            prefetch(to.features + next * feature_size<S>, feature_size<S>);
        }
        V dY[groups * S::lanes] = {}, dr = {};
        unroll<S::n_paths>([&](auto p) UNROLLED {
          scatter_path<S, p, of_features>(
              edges, chunk, e, radial, gradient.template at<p>(receiver),
              features + sender * feature_size<S>, to.features + sender * feature_size<S>, dY, dr);
        });
        store_sums<B, S::lanes>(to.harmonics + int64_t(chunk.id[e]) * B, dY);
        if constexpr (Radial::has_slope) to.r[chunk.id[e]] = sum<V, S::lanes>(dr);
      }
    }
}

}  // namespace mhff
