// Convolution: messages from neighbours.
#pragma once
#include "radial.h"

namespace mhff {

// Edges whose radial functions are made together: each is a chain of dependent multiply-adds, of
// which a loop needs several at a time.
template <ConvolutionShape S, int p>
constexpr int edges_together = registers == 32 && tile<S, p> < 4 ? 4 / tile<S, p> : 1;

// Adds one edge's message to the sums.
template <ConvolutionShape S, int p, class Real, class V, int rows, int n>
INLINE void add_message(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e,
                        const Real* features, int c, const V (&radial)[n], V (&sum)[rows][n]) {
  constexpr Path path = S::path[p];
  const Real* h = features + edges.sender[chunk.id[e]] * feature_size<S> +
                  path.l1 * path.l1 * S::channels + c;
  unroll<2 * path.l1 + 1>([&](auto a) UNROLLED {
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

// Adds the messages of `count` edges from e on to the sums.
template <ConvolutionShape S, int p, int count, class Radial, class Real, class V, int rows, int n>
INLINE void add_messages(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, int e,
                         const Radial& source, const Real* features, int c, V (&sum)[rows][n]) {
  const Real* row[count];
  unroll<count>([&](auto k) UNROLLED {
    row[k] = source.template begin<p>(edges, chunk, e + k) + c * source.step(edges);
  });
  V radial[count][n];
  source.template values<p>(row, chunk, e, radial);
  unroll<count>([&](auto k) UNROLLED {
    add_message<S, p>(edges, chunk, e + k, features, c, radial[k], sum);
  });
}

// One path, one tile of channels from c on, one chunk of a receiver's edges; the sums stay in
// registers.
template <ConvolutionShape S, int p, class Radial, class Real>
INLINE void gather_path(const EdgeArrays<Real>& edges, const Chunk<S>& chunk, const Radial& source,
                        const Real* features, int c, Real* out, bool first) {
  constexpr int n = tile<S, p>, rows = 2 * S::path[p].l3 + 1, together = edges_together<S, p>;
  using V = Vector<Real, S::lanes>;
  V sum[rows][n];
  unroll<rows>([&](auto m) UNROLLED {
    unroll<n>([&](auto v) UNROLLED {
      sum[m][v] = first ? V{} : load<V>(out + m * message_stride<S, p> + c + v * S::lanes);
    });
  });
  int e = 0;
  for (; e + together <= chunk.n; e += together)
    add_messages<S, p, together>(edges, chunk, e, source, features, c, sum);
  if constexpr (together > 1)
    for (; e < chunk.n; ++e) add_messages<S, p, 1>(edges, chunk, e, source, features, c, sum);
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
