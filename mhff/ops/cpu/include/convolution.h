// Convolution: messages from neighbours.
#pragma once
#include "radial.h"

namespace mhff {

// One path, one tile of channels from c on, one chunk of a receiver's edges; the sums stay in
// registers.
template <ConvolutionShape S, int p, class Radial, class Real>
INLINE void gather_path(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, const Radial& source,
                        const Real* features, int c, Real* out, bool first) {
  constexpr Path path = S::path[p];
  constexpr int n = tile<S, p>, rows = 2 * path.l3 + 1, components = 2 * path.l1 + 1;
  using V = Vector<Real, S::lanes>;
  V sum[rows][n];
  unroll<rows>([&](auto m) UNROLLED {
    unroll<n>([&](auto v) UNROLLED {
      sum[m][v] = first ? V{} : load<V>(out + m * message_stride<S, p> + c + v * S::lanes);
    });
  });
  for (int e = 0; e < chunk.n; ++e) {
    const Real* h = features + edges.sender[chunk.id[e]] * feature_size<S> +
                    path.l1 * path.l1 * S::channels + c;
    V radial[n];
    source.template value<p>(source.template begin<p>(edges, chunk, e) + c * source.step(edges),
                             chunk, e, radial);
    unroll<components>([&](auto a) UNROLLED {
      V x[n];
      unroll<n>([&](auto v)
                    UNROLLED { x[v] = radial[v] * load<V>(h + a * S::channels + v * S::lanes); });
      unroll<path.count>([&](auto q) UNROLLED {
        constexpr Pair pair = S::pair[path.first + q];
        if constexpr (pair.a == a)
          unroll<n>([&](auto v) UNROLLED { sum[pair.m][v] += chunk.g[path.first + q][e] * x[v]; });
      });
    });
  }
  unroll<rows>([&](auto m) UNROLLED {
    unroll<n>([&](auto v) UNROLLED {
      store(out + m * message_stride<S, p> + c + v * S::lanes, sum[m][v]);
    });
  });
}

// Messages to the atoms begin, ..., end - 1.
template <ConvolutionShape S, class Radial, class Real = typename S::Real>
void gather(const EdgeArrays<Real>& edges, const Rows& by_receiver, const Radial& radial,
            const Real* features, const Messages<S, Real>& messages, int64_t begin, int64_t end) {
  static thread_local Chunk<S> chunk;
  for (int64_t atom = begin; atom < end; ++atom) {
    int at = by_receiver.begin[atom];
    const int stop = by_receiver.begin[atom + 1];
    bool first = true;
    do {  // once at least: the messages of an atom without neighbours are 0
      chunk.take(by_receiver.order + at, stop - at < chunk_edges ? stop - at : chunk_edges);
      if constexpr (Radial::has_slope) chunk.template prepare<false>(edges);
      chunk.couple(edges);
      unroll<S::n_paths>([&](auto p) UNROLLED {
        for (int c = 0; c < S::channels; c += tile<S, p> * S::lanes)
          gather_path<S, p>(edges, chunk, radial, features, c, messages.template at<p>(atom),
                            first);
      });
      at += chunk.n;
      first = false;
    } while (at < stop);
  }
}

}  // namespace mhff
