// Operators around a program that an engine calls: its pairs become edges, and the program's results
// become the engine's. Each array is read and written once; see `mhff/ops/pairs.py`.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <numeric>

#include "tensors.h"

namespace mhff {

template <class Real>
struct PairOperators {
  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> edges(const In& in) {
    const int64_t n_pairs = in.rij.size(0), n_atoms = in.positions.size(0);
    const double* rij = read<double>(in.rij, 3 * n_pairs);
    const int32_t* senders = read<int32_t>(in.senders, n_pairs);
    const int32_t* receivers = read<int32_t>(in.receivers, n_pairs);
    const int64_t* rows = read<int64_t>(in.rows, any_count);
    Output<Real> vectors(in.rij, {n_pairs, 3});
    Output<int64_t> index(in.rows, {2, n_pairs});
    Output<double> moved(in.positions, {1});
    parallel(n_pairs, [&](int64_t first, int64_t last) {
      for (int64_t k = 3 * first; k < 3 * last; ++k) vectors.data[k] = static_cast<Real>(-rij[k]);
      for (int64_t e = first; e < last; ++e) index.data[e] = rows[senders[e]];
      for (int64_t e = first; e < last; ++e) index.data[n_pairs + e] = rows[receivers[e]];
    }, few_pairs);
    moved.data[0] = largest_square(read<double>(in.positions, 3 * n_atoms),
                                   read<double>(in.positions_before, 3 * n_atoms), n_atoms);
    return {vectors.tensor, index.tensor, moved.tensor};
  }

  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> results(const In& in) {
    const int64_t n_edges = in.edge_gradients.size(0);
    const int64_t n_atoms = in.node_energies.size(0), n_heads = in.node_energies.size(1);
    const Real* gradients = read<Real>(in.edge_gradients, 3 * n_edges);
    const double* of_heads = read<double>(in.node_energies, n_atoms * n_heads);
    const double* weights = read<double>(in.head_weights, n_atoms * n_heads);
    Output<double> forces(in.node_energies, {n_edges, 3}), energies(in.node_energies, {n_atoms});
    Output<double> totals(in.node_energies, {2});
    totals.clear();
    std::mutex adding;
    parallel(n_edges, [&](int64_t first, int64_t last) {
      const int64_t from = 3 * first, n = 3 * (last - first);
      const Real sum = scaled(gradients + from, -in.unit, n, forces.data + from);
      const std::lock_guard<std::mutex> lock(adding);
      totals.data[1] += sum;
    }, few_pairs);
    for (int64_t atom = 0; atom < n_atoms; ++atom) {
      double energy = 0;
      for (int64_t h = 0; h < n_heads; ++h)
        energy += weights[atom * n_heads + h] * of_heads[atom * n_heads + h];
      energies.data[atom] = in.unit * energy;
      totals.data[0] += in.unit * energy;
    }
    return {forces.tensor, energies.tensor, totals.tensor};
  }

  // Points are sorted along their longest extent, so that those near a centre lie together.
  template <class In>
  static Tensor count(const In& in) {
    const int64_t n_points = in.points.size(0);
    const double* x = read<double>(in.points, 3 * n_points);
    const int axis = longest_extent(x, n_points);
    std::vector<int64_t> order(n_points);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return x[3 * a + axis] < x[3 * b + axis]; });
    std::vector<double> sorted[3];
    for (int k = 0; k < 3; ++k) {
      sorted[k].resize(n_points);
      for (int64_t p = 0; p < n_points; ++p) sorted[k][p] = x[3 * order[p] + (axis + k) % 3];
    }
    const double *along = sorted[0].data(), *second = sorted[1].data(), *third = sorted[2].data();
    const double limit = in.r_max * in.r_max;
    std::atomic<int64_t> all{0};
    parallel(in.n_centres, [&](int64_t first, int64_t last) {
      int64_t found = first - last;  // a centre is not its own neighbour
      for (int64_t centre = first; centre < last; ++centre) {
        const double a = x[3 * centre + axis];
        const double b = x[3 * centre + (axis + 1) % 3], c = x[3 * centre + (axis + 2) % 3];
        const int64_t begin = std::lower_bound(along, along + n_points, a - in.r_max) - along;
        const int64_t end = std::upper_bound(along, along + n_points, a + in.r_max) - along;
        for (int64_t p = begin; p < end; ++p) {
          const double da = along[p] - a, db = second[p] - b, dc = third[p] - c;
          found += da * da + db * db + dc * dc < limit;
        }
      }
      all += found;
    });
    Output<int64_t> result(in.points, {1});
    result.data[0] = all;
    return result.tensor;
  }

 private:
  static int longest_extent(const double* x, int64_t n) {
    double extent[3] = {};
    for (int k = 0; n && k < 3; ++k) {
      double low = x[k], high = x[k];
      for (int64_t p = 1; p < n; ++p) {
        low = std::min(low, x[3 * p + k]);
        high = std::max(high, x[3 * p + k]);
      }
      extent[k] = high - low;
    }
    return std::max_element(extent, extent + 3) - extent;
  }

  // to[k] = factor * from[k]; returns the sum of `from`, in as many parts as a vector has lanes.
  static Real scaled(const Real* from, double factor, int64_t n, double* to) {
    constexpr int parts = 16;
    Real sums[parts] = {};
    int64_t k = 0;
    for (; k + parts <= n; k += parts)
      for (int i = 0; i < parts; ++i) {
        to[k + i] = factor * from[k + i];
        sums[i] += from[k + i];
      }
    for (; k < n; ++k) {
      to[k] = factor * from[k];
      sums[0] += from[k];
    }
    Real sum = 0;
    for (Real part : sums) sum += part;
    return sum;
  }

  // NaN if one of the squares is.
  static double largest_square(const double* x, const double* before, int64_t n) {
    double largest = 0;
    for (int64_t atom = 0; atom < n; ++atom) {
      double square = 0;
      for (int64_t k = 3 * atom; k < 3 * atom + 3; ++k)
        square += (x[k] - before[k]) * (x[k] - before[k]);
      if (square > largest || std::isnan(square)) largest = square;
    }
    return largest;
  }
};

}  // namespace mhff
