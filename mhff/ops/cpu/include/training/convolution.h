// Second derivatives of the convolution with weights of each edge.
//
// Its adjoint gives the derivatives of <dM, M> by features h, harmonics Y and weights w. With h',
// Y', w' the cotangents of these, g the couplings of Y and g' those of Y':
//   M'_m  = sum_e g_ma (w' h_a + w h'_a) + g'_ma w h_a
//   dx_a  = sum_m g_ma dM_m,  dx'_a = sum_m g'_ma dM_m
//   dh_a += w' dx_a + w dx'_a,  dw = sum_a h'_a dx_a + h_a dx'_a
//   dY_b += sum_ma CG_bma sum_c dM_m (w' h_a + w h'_a)
// `of_features` says whether there is an h': a first layer's features do not depend on positions.
#pragma once
#include "../operators.h"

namespace mhff {

template <class Real>
struct Cotangents {
  const Real *features, *harmonics, *weights;
};

// Both chunks of the same edges: couplings of the harmonics, and of their cotangents.
template <ConvolutionShape S, class Real = typename S::Real>
struct ChunkPair {
  Chunk<S> value, tangent;

  void take(const EdgeArrays<Real>& edges, const Real* cotangents, const int32_t* order,
            int count) {
    EdgeArrays<Real> along = edges;
    along.harmonics = cotangents;
    value.take(order, count);
    tangent.take(order, count);
    value.couple(edges);
    tangent.couple(along);
  }
};

template <ConvolutionShape S, int p>
INLINE int64_t weight_row(int64_t edge) {
  return (edge * S::n_paths + p) * S::channels;
}

// One path, one tile of channels from c on, one chunk of a receiver's edges; see `gather_path`.
template <ConvolutionShape S, int p, bool of_features, class Real>
INLINE void gather_path_second(const EdgeArrays<Real>& edges, const ChunkPair<S>& chunk,
                               const Real* features, const Real* weights,
                               const Cotangents<Real>& cotangents, int c, Real* out, bool first) {
  constexpr Path path = S::path[p];
  constexpr int n = part_of_tile<S, p>, rows = 2 * path.l3 + 1, components = 2 * path.l1 + 1;
  using V = Vector<Real, S::lanes>;
  V sum[rows][n];
  unroll<rows>([&](auto m) UNROLLED {
    unroll<n>([&](auto v) UNROLLED {
      sum[m][v] = first ? V{} : load<V>(out + m * message_stride<S, p> + c + v * S::lanes);
    });
  });
  for (int e = 0; e < chunk.value.n; ++e) {
    const int64_t edge = chunk.value.id[e];
    const int64_t sent =
        edges.sender[edge] * feature_size<S> + path.l1 * path.l1 * S::channels + c;
    const int64_t row = weight_row<S, p>(edge) + c;
    V w[n], dw[n];
    unroll<n>([&](auto v) UNROLLED {
      w[v] = load<V>(weights + row + v * S::lanes);
      dw[v] = load<V>(cotangents.weights + row + v * S::lanes);
    });
    unroll<components>([&](auto a) UNROLLED {
      V x[n], dx[n];
      unroll<n>([&](auto v) UNROLLED {
        const int64_t at = sent + a * S::channels + v * S::lanes;
        const V h = in_register(load<V>(features + at));
        x[v] = w[v] * h;
        dx[v] = dw[v] * h;
        if constexpr (of_features) dx[v] += w[v] * load<V>(cotangents.features + at);
      });
      unroll<path.count>([&](auto q) UNROLLED {
        constexpr Pair pair = S::pair[path.first + q];
        if constexpr (pair.a == a)
          unroll<n>([&](auto v) UNROLLED {
            sum[pair.m][v] += chunk.value.g[path.first + q][e] * dx[v];
            sum[pair.m][v] += chunk.tangent.g[path.first + q][e] * x[v];
          });
      });
    });
  }
  unroll<rows>([&](auto m) UNROLLED {
    unroll<n>([&](auto v) UNROLLED {
      store(out + m * message_stride<S, p> + c + v * S::lanes, sum[m][v]);
    });
  });
}

// M' of the atoms begin, ..., end - 1, which receive.
template <ConvolutionShape S, bool of_features, class Real = typename S::Real>
void gather_second(const EdgeArrays<Real>& edges, const Rows& by_receiver, const Real* features,
                   const Real* weights, const Cotangents<Real>& cotangents,
                   const Messages<S, Real>& messages, int64_t begin, int64_t end) {
  static thread_local ChunkPair<S> chunk;
  for (int64_t atom = begin; atom < end; ++atom) {
    int at = by_receiver.begin[atom];
    const int stop = by_receiver.begin[atom + 1];
    bool first = true;
    do {  // once at least: an atom without neighbours has 0
      chunk.take(edges, cotangents.harmonics, by_receiver.order + at,
                 stop - at < chunk_edges ? stop - at : chunk_edges);
      unroll<S::n_paths>([&](auto p) UNROLLED {
        for (int c = 0; c < S::channels; c += part_of_tile<S, p> * S::lanes)
          gather_path_second<S, p, of_features>(edges, chunk, features, weights, cotangents, c,
                                                messages.template at<p>(atom), first);
      });
      at += chunk.value.n;
      first = false;
    } while (at < stop);
  }
}

// One edge and one path: adds to dh and d_harmonics, sets dw. All pointers but d_harmonics are
// those of the edge's sender, receiver or weights.
template <ConvolutionShape S, int p, bool of_features, class Real, class V>
INLINE void scatter_path_second(const ChunkPair<S>& chunk, int e, const Real* dM, const Real* h,
                                const Real* weights, const Cotangents<Real>& cotangents, Real* dh,
                                Real* dw, V* d_harmonics) {
  constexpr Path path = S::path[p];
  constexpr int components = 2 * path.l1 + 1, first = path.l1 * path.l1 * S::channels;
  V dg[path.count] = {};
  for (int c = 0; c < S::channels; c += S::lanes) {
    const V w = load<V>(weights + c), along_w = load<V>(cotangents.weights + c);
    V along_x[components], dx[components] = {}, along_dx[components] = {}, d_weight = {};
    unroll<components>([&](auto a) UNROLLED {
      const int at = first + a * S::channels + c;
      along_x[a] = along_w * load<V>(h + at);
      if constexpr (of_features) along_x[a] += w * load<V>(cotangents.features + at);
    });
    unroll<2 * path.l3 + 1>([&](auto m) UNROLLED {
      const V gradient = in_register(load<V>(dM + m * message_stride<S, p> + c));
      unroll<path.count>([&](auto q) UNROLLED {
        constexpr Pair pair = S::pair[path.first + q];
        if constexpr (pair.m == m) {
          dx[pair.a] += chunk.value.g[path.first + q][e] * gradient;
          along_dx[pair.a] += chunk.tangent.g[path.first + q][e] * gradient;
          dg[q] += gradient * along_x[pair.a];
        }
      });
    });
    unroll<components>([&](auto a) UNROLLED {
      const int at = first + a * S::channels + c;
      d_weight += load<V>(h + at) * along_dx[a];
      if constexpr (of_features) d_weight += load<V>(cotangents.features + at) * dx[a];
      store(dh + at, load<V>(dh + at) + along_w * dx[a] + w * along_dx[a]);
    });
    store(dw + c, d_weight);
  }
  unroll<path.count>([&](auto q) UNROLLED {
    unroll<S::pair[path.first + q].count>([&](auto t) UNROLLED {
      constexpr Term term = S::term[S::pair[path.first + q].first + t];
      d_harmonics[term.b] += Real(term.value) * dg[q];
    });
  });
}

// The other derivatives, of the edges of the atoms begin, ..., end - 1.
template <ConvolutionShape S, bool of_features, class Real = typename S::Real>
void scatter_second(const EdgeArrays<Real>& edges, const Rows& of_atoms,
                    const Messages<S, const Real>& gradient, const Real* features,
                    const Real* weights, const Cotangents<Real>& cotangents,
                    const Gradients<Real>& to, Real* d_weights, int64_t begin, int64_t end) {
  using V = Vector<Real, S::lanes>;
  constexpr int B = Chunk<S>::B, groups = (B + S::lanes - 1) / S::lanes;
  static thread_local ChunkPair<S> chunk;
  for (int64_t atom = begin; atom < end; ++atom)
    for (int at = of_atoms.begin[atom], stop = of_atoms.begin[atom + 1]; at < stop;
         at += chunk_edges) {
      chunk.take(edges, cotangents.harmonics, of_atoms.order + at,
                 stop - at < chunk_edges ? stop - at : chunk_edges);
      for (int e = 0; e < chunk.value.n; ++e) {
        const int64_t edge = chunk.value.id[e], receiver = edges.receiver[edge];
        const int64_t sent = edges.sender[edge] * feature_size<S>;
        V dY[groups * S::lanes] = {};
        unroll<S::n_paths>([&](auto p) UNROLLED {
          const int64_t row = weight_row<S, p>(edge);
          const Cotangents<Real> here{of_features ? cotangents.features + sent : nullptr, nullptr,
                                      cotangents.weights + row};
          scatter_path_second<S, p, of_features>(
              chunk, e, gradient.template at<p>(receiver), features + sent, weights + row, here,
              to.features + sent, d_weights + row, dY);
        });
        store_sums<B, S::lanes>(to.harmonics + edge * B, dY);
      }
    }
}

// The operators of a convolution with weights of each edge, and its second derivatives.
template <ConvolutionShape S>
struct TrainedConvolutionOperators : WeightedOperators<S> {
  using Real = typename S::Real;
  using Results = std::tuple<Tensor, Tensor, Tensor, Tensor>;

  template <class In>
  static Results second(const In& in) {
    return derivatives<true>(in, features_of<S>(in.along_features));
  }

  // For features that do not depend on positions, as in a first layer.
  template <class In>
  static Results second_of_edges(const In& in) {
    return derivatives<false>(in, nullptr);
  }

  template <bool of_features, class In>
  static Results derivatives(const In& in, const Real* along_features) {
    const int64_t n = in.begin.size(0) - 1, n_edges = in.edge_index.size(1);
    Output<Real> d_gradient = output_like<Real>(in.gradient);
    Output<Real> d_features = output_like<Real>(in.features);
    Output<Real> d_harmonics = output_like<Real>(in.harmonics);
    Output<Real> d_weights = output_like<Real>(in.weights);
    const auto edges = edges_of<S>(in);
    const Real* weights = WeightedOperators<S>::weights_of(in);
    const Real* features = features_of<S>(in.features);
    const Cotangents<Real> cotangents{
        along_features, read<Real>(in.along_harmonics, in.harmonics.numel()),
        read<Real>(in.along_weights, in.weights.numel())};
    const Messages<S, const Real> gradient{read<Real>(in.gradient, n * message_size<S>), n, 0};
    const Gradients<Real> to{d_features.data, d_harmonics.data, nullptr};
    const Rows rows = rows_of(in);
    parallel(n, [&](int64_t first, int64_t last) {
      gather_second<S, of_features>(edges, rows, features, weights, cotangents,
                                    {d_gradient.data, n, 0}, first, last);
    });
    const auto walk = [&](const Rows& of_atoms, int64_t first, int64_t last,
                          const Gradients<Real>& part) {
      scatter_second<S, of_features>(edges, of_atoms, gradient, features, weights, cotangents,
                                     part, d_weights.data, first, last);
    };
    if (many_threads())
      over_senders(edges, n_edges, in.features, to, walk);
    else
      along_receivers(in.features, n, to,
                      [&](int64_t first, int64_t last, const Gradients<Real>& part) {
                        walk(rows, first, last, part);
                      });
    return {d_gradient.tensor, d_features.tensor, d_harmonics.tensor, d_weights.tensor};
  }

  // A walk along the senders needs no copies of the features' gradient.
  template <class Walk>
  static void over_senders(const EdgeArrays<Real>& edges, int64_t n_edges, const Tensor& features,
                           const Gradients<Real>& to, const Walk& walk) {
    const int64_t n_atoms = features.size(0);
    std::vector<int32_t> by_sender(n_edges), begin(n_atoms + 1);
    check_atoms(edges.sender, n_edges, n_atoms);
    sort_edges(edges.sender, n_edges, n_atoms, by_sender.data(), begin.data());
    std::memset(to.features, 0, features.numel() * sizeof(Real));
    parallel(n_atoms, [&](int64_t first, int64_t last) {
      walk({by_sender.data(), begin.data()}, first, last, to);
    });
  }
};

}  // namespace mhff
