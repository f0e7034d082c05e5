// Adjoint of the convolution: gradients with respect to features, harmonics and distances (or
// weights), in one walk.
//
// A walk along the receivers is fastest: an atom's messages (40 rows for l_max 3) stay in cache,
// while its neighbours' features and gradients (4 rows) come and go. But two receivers may share a
// neighbour, so every thread needs its own copy of the features' gradient. A walk along the senders
// needs no copies, so it suits many threads; it fetches messages instead, which takes up to a third
// longer.
//
// A chunk of edges takes its paths from one degree after the other: the rows of the messages'
// gradient that these read, the same for all edges of a receiver, then stay in L1. Few channels need
// no such order, because all rows stay there.
#pragma once
#include "convolution.h"
#include "reduce.h"

namespace mhff {

// Rows of a receiver that stay in L1 beside all else.
constexpr int64_t few_bytes = 8 << 10;

// One edge and one path. With dM the messages' gradient and x_a = R h_a:
//   dx_a = sum_m g_ma dM_m;  dh_a += R dx_a;  dR = sum_a h_a dx_a;  dr += R' dR;  dY_b += sum_ma
//   CG_bma sum_c dM_m x_a
template <ConvolutionShape S, int p, bool of_features, class Radial, class Real, class V>
INLINE void scatter_path(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e,
                         const Radial& source, const Real* dM, const Real* h, Real* dh,
                         V* d_harmonics, V& d_r) {
  constexpr Path path = S::path[p];
  constexpr int n = part_of_tile<S, p>, tile_channels = tile<S, p> * S::lanes;
  constexpr int components = 2 * path.l1 + 1, first = path.l1 * path.l1 * S::channels;
  V dg[path.count] = {};
  const Real* of_edge = source.template begin<p>(edges, chunk, e);
  for (int at = 0; at < S::channels; at += n * S::lanes) {
    const int in_tile = at % tile_channels;
    const Real* const row[1] = {of_edge + (at - in_tile) * source.step(edges) + in_tile};
    V radials[1][n], slope[n];
    V(&radial)[n] = radials[0];
    if constexpr (Radial::has_slope)
      source.template value_and_slope<p>(row[0], chunk, e, radial, slope);
    else
      source.template values<p>(row, chunk, e, radials);
    unroll<n>([&](auto v) UNROLLED {
      const int c = at + v * S::lanes;
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

// One edge and its paths from the degrees first, ..., last. Sums over paths are stored for the first
// degrees, and added to for others.
template <ConvolutionShape S, int first, int last, bool of_features, class Radial, class Real>
INLINE void scatter_edge(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e,
                         const Radial& radial, const Messages<S, const Real>& gradient,
                         const Real* features, const Gradients<Real>& to) {
  using V = Vector<Real, S::lanes>;
  constexpr int B = Chunk<S>::B, groups = (B + S::lanes - 1) / S::lanes;
  const int64_t id = chunk.id[e], sender = edges.sender[id], receiver = edges.receiver[id];
  V dY[groups * S::lanes] = {}, dr = {};
  unroll<S::n_paths>([&](auto p) UNROLLED {
    if constexpr (S::path[p].l1 >= first && S::path[p].l1 <= last)
      scatter_path<S, p, of_features>(
          edges, chunk, e, radial, gradient.template at<p>(receiver),
          features + sender * feature_size<S>, to.features + sender * feature_size<S>, dY, dr);
  });
  Real* d_harmonics = to.harmonics + id * B;
  if constexpr (first == 0) {
    store_sums<B, S::lanes>(d_harmonics, dY);
    if constexpr (Radial::has_slope) to.r[id] = sum<V, S::lanes>(dr);
  } else {
    alignas(64) Real more[groups * S::lanes];
    store_sums<B, S::lanes>(more, dY);
    for (int b = 0; b < B; ++b) d_harmonics[b] += more[b];
    if constexpr (Radial::has_slope) to.r[id] += sum<V, S::lanes>(dr);
  }
}

// Gradients of the edges of the atoms begin, ..., end - 1, which receive or send; also of the senders'
// features, if `of_features`.
template <ConvolutionShape S, bool of_features, class Radial, class Real = typename S::Real>
void scatter(const EdgeArrays<Real>& edges, const Rows& of_atoms, const Radial& radial,
             const Messages<S, const Real>& gradient, const Real* features,
             const Gradients<Real>& to, int64_t begin, int64_t end) {
  static thread_local Chunk<S> chunk;
  for (int64_t atom = begin; atom < end; ++atom)
    for (int at = of_atoms.begin[atom], stop = of_atoms.begin[atom + 1]; at < stop;
         at += chunk_edges) {
      chunk.take(of_atoms.order + at, stop - at < chunk_edges ? stop - at : chunk_edges);
      if constexpr (Radial::has_slope) chunk.template prepare<true>(edges);
      chunk.couple(edges);
      constexpr bool together = message_size<S> * sizeof(Real) <= few_bytes;
      constexpr int n_passes = together ? 1 : S::input_lmax + 1;
      unroll<n_passes>([&](auto pass) UNROLLED {
        constexpr int last = together ? S::input_lmax : int(pass);
        for (int e = 0; e < chunk.n; ++e)
          scatter_edge<S, pass, last, of_features>(edges, chunk, e, radial, gradient, features, to);
      });
    }
}

}  // namespace mhff
