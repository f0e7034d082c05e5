// Edges from the pairs of a neighbour list with a skin, and forces on atoms from the gradients of
// edges (mhff/ops/lists.py).
#pragma once
#include <algorithm>
#include <numeric>

#include "tensors.h"
#include "vector.h"

namespace mhff {

// Pairs that one thread goes through at a time: their vectors stay in its cache.
constexpr int64_t chunk_pairs = 4096;

template <class Real>
struct ListOperators {
  using Point = Vector<double, 4>;  // x, y, z, 0

  static std::vector<Point> points(const Tensor& tensor) {
    const int64_t n = tensor.size(0);
    const double* from = read<double>(tensor, 3 * n);
    std::vector<Point> points(n);
    for (int64_t i = 0; i < n; ++i)
      points[i] = Point{from[3 * i], from[3 * i + 1], from[3 * i + 2], 0};
    return points;
  }

  // The pairs within r_max, in their order. A first pass gathers those of each chunk at the chunk's
  // place, a second one closes the gaps.
  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> near(const In& in) {
    const int64_t n_pairs = in.pairs.size(1);
    const int64_t n_chunks = (n_pairs + chunk_pairs - 1) / chunk_pairs;
    const std::vector<Point> x = points(in.positions), shift = points(in.shifts);
    const int32_t* sender = read<int32_t>(in.pairs, 3 * n_pairs);
    const int32_t *receiver = sender + n_pairs, *image = receiver + n_pairs;
    const double longest = in.r_max * in.r_max, shortest = in.r_min * in.r_min;

    Output<Real> gathered(in.pairs, {n_pairs, 4});
    Output<int32_t> senders(in.pairs, {n_pairs}), receivers(in.pairs, {n_pairs});
    std::vector<int64_t> begin(n_chunks + 1, 0), too_close(n_chunks + 1, 0);
    parallel(n_chunks, [&](int64_t first, int64_t last) {
      for (int64_t chunk = first; chunk < last; ++chunk) {
        const int64_t start = chunk * chunk_pairs, end = std::min(n_pairs, start + chunk_pairs);
        int64_t at = start, close = 0;
        for (int64_t p = start; p < end; ++p) {
          const Point between = x[receiver[p]] - x[sender[p]] - shift[image[p]];
          const Point squares = between * between;
          const double square = squares[0] + squares[1] + squares[2];
          store(gathered.data + 4 * at, __builtin_convertvector(between, Vector<Real, 4>));
          senders.data[at] = sender[p];
          receivers.data[at] = receiver[p];
          at += square < longest;
          close += square < shortest;
        }
        begin[chunk + 1] = at - start;
        too_close[chunk] = close;
      }
    });
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk) begin[chunk + 1] += begin[chunk];

    const int64_t n_edges = begin[n_chunks];
    Output<Real> vectors(in.pairs, {n_edges, 3});
    Output<int64_t> index(in.pairs, {2, n_edges}), count(in.pairs, {1});
    parallel(n_chunks, [&](int64_t first, int64_t last) {
      for (int64_t e = begin[first], chunk = first; chunk < last; ++chunk) {
        const int64_t start = chunk * chunk_pairs, end = start + begin[chunk + 1] - begin[chunk];
        std::copy(senders.data + start, senders.data + end, index.data + e);
        std::copy(receivers.data + start, receivers.data + end, index.data + n_edges + e);
        for (int64_t from = start; from < end; ++from, ++e)
          for (int k = 0; k < 3; ++k) vectors.data[3 * e + k] = gathered.data[4 * from + k];
      }
    });
    count.data[0] = std::accumulate(too_close.begin(), too_close.end(), int64_t(0));
    return {vectors.tensor, index.tensor, count.tensor};
  }

  // Forces in float64, summed in the order of the edges. The terms of a receiver, whose edges lie
  // together, stay in registers.
  template <class In>
  static Tensor forces(const In& in) {
    const int64_t n_edges = in.edge_index.size(1);
    const Real* gradient = read<Real>(in.edge_gradients, 3 * n_edges);
    const int64_t* sender = read<int64_t>(in.edge_index, 2 * n_edges);
    const int64_t* receiver = sender + n_edges;
    Output<double> forces(in.edge_index, {in.n_atoms, 3});
    forces.clear();
    for (int64_t e = 0; e < n_edges;) {
      const int64_t atom = receiver[e];
      double sum[3] = {};
      for (; e < n_edges && receiver[e] == atom; ++e)
        for (int k = 0; k < 3; ++k) {
          const double part = gradient[3 * e + k];
          forces.data[3 * sender[e] + k] += part;
          sum[k] += part;
        }
      for (int k = 0; k < 3; ++k) forces.data[3 * atom + k] -= sum[k];
    }
    return forces.tensor;
  }
};

}  // namespace mhff
