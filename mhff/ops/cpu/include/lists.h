// Edges from the pairs of a neighbour list, and the results of an evaluation from those of edges
// (mhff/ops/lists.py).
#pragma once
#include <algorithm>
#include <limits>
#include <numeric>

#include "tensors.h"
#include "vector.h"

namespace mhff {

template <class Real>
struct ListOperators {
  using Point = Vector<double, 4>;  // x, y, z, 0

  template <class In>
  static std::tuple<Tensor, Tensor, Tensor> near_edges(const In& in) {
    const int64_t n_atoms = in.positions.size(0);
    const double* before = read<double>(in.before, 3 * n_atoms);
    const Points points(in);
    const bool holds = within(read<double>(in.positions, 3 * n_atoms), before, n_atoms, in.limit);
    const Pairs pairs(in, holds ? n_atoms : 0);
    const Found found(in, points, pairs);

    const int64_t n_edges = found.count();
    Output<Real> vectors(in.senders, {n_edges, 3});
    Output<int64_t> index(in.senders, {2, n_edges}), checks(in.senders, {2});
    int64_t *sender = index.data, *receiver = index.data + n_edges;
    found.each([&](int64_t e, int64_t atom, int32_t point) {
      const Point between = points[atom] - points[point];
      for (int k = 0; k < 3; ++k) vectors.data[3 * e + k] = static_cast<Real>(between[k]);
      sender[e] = points.atoms[point];
      receiver[e] = atom;
    });
    checks.data[0] = holds;
    checks.data[1] = found.closest < in.r_min * in.r_min;
    return {vectors.tensor, index.tensor, checks.tensor};
  }

  template <class In>
  static std::tuple<Tensor, Tensor> near_pairs(const In& in) {
    const Points points(in);
    const Pairs pairs(in, in.positions.size(0));
    const Found found(in, points, pairs);
    Output<int32_t> senders(in.senders, {found.count()});
    Output<int64_t> begin(in.begin, {pairs.n_receivers + 1});
    found.each([&](int64_t e, int64_t, int32_t point) { senders.data[e] = point; });
    std::copy(found.begin.begin(), found.begin.end(), begin.data);
    return {senders.tensor, begin.tensor};
  }

  // Forces in float64, summed in the order of the edges. The terms of a receiver, whose edges lie
  // together, stay in registers.
  template <class In>
  static std::tuple<Tensor, Tensor> results(const In& in) {
    const int64_t n_edges = in.edge_index.size(1);
    const int64_t n_atoms = in.node_energies.size(0), n_heads = in.node_energies.size(1);
    const Real* gradient = read<Real>(in.edge_gradients, 3 * n_edges);
    const int64_t* sender = read<int64_t>(in.edge_index, 2 * n_edges);
    const int64_t* receiver = sender + n_edges;
    const double* energies = read<double>(in.node_energies, n_atoms * n_heads);
    const double* weights = read<double>(in.head_weights, n_atoms * n_heads);
    Output<double> forces(in.node_energies, {n_atoms, 3}), totals(in.node_energies, {2});
    Output<double> sums(in.node_energies, {n_atoms, 4});
    sums.clear();
    Point all{};
    for (int64_t e = 0; e < n_edges;) {
      const int64_t atom = receiver[e];
      Point received{};
      for (; e < n_edges && receiver[e] == atom; ++e) {
        const Real* part = gradient + 3 * e;
        const Point force = in.force_unit * Point{part[0], part[1], part[2], 0};
        double* sent = sums.data + 4 * sender[e];
        store(sent, load<Point>(sent) + force);
        received += force;
      }
      double* sum = sums.data + 4 * atom;
      store(sum, load<Point>(sum) - received);
      all += received;
    }
    for (int64_t atom = 0; atom < n_atoms; ++atom)
      for (int k = 0; k < 3; ++k) forces.data[3 * atom + k] = sums.data[4 * atom + k];
    totals.data[0] = in.energy_unit * std::inner_product(energies, energies + n_atoms * n_heads,
                                                         weights, 0.0);
    totals.data[1] = all[0] + all[1] + all[2];
    return {forces.tensor, totals.tensor};
  }

 private:
  // Whether no atom has moved farther than the limit; false for NaN.
  static bool within(const double* x, const double* before, int64_t n_atoms, double limit) {
    bool all = true;
    for (int64_t i = 0; i < 3 * n_atoms; i += 3) {
      double square = 0;
      for (int64_t k = i; k < i + 3; ++k) square += (x[k] - before[k]) * (x[k] - before[k]);
      all &= square <= limit * limit;
    }
    return all;
  }

  // Where the images of atoms are.
  struct Points {
    const int32_t* atoms;
    Output<double> at;

    template <class In>
    explicit Points(const In& in)
        : atoms(read<int32_t>(in.atoms, in.shifts.size(0))),
          at(in.positions, {in.shifts.size(0), 4}) {
      const int64_t n_points = in.shifts.size(0);
      const double* shifts = read<double>(in.shifts, 3 * n_points);
      const double* positions = read<double>(in.positions, 3 * in.positions.size(0));
      for (int64_t p = 0; p < n_points; ++p) {
        const double *atom = positions + 3 * atoms[p], *shift = shifts + 3 * p;
        store(at.data + 4 * p, Point{atom[0] + shift[0], atom[1] + shift[1], atom[2] + shift[2], 0});
      }
    }

    Point operator[](int64_t p) const { return load<Point>(at.data + 4 * p); }
  };

  // Pairs, receiver after receiver.
  struct Pairs {
    int64_t n_receivers;
    const int32_t* senders;
    const int64_t* begin;

    template <class In>
    Pairs(const In& in, int64_t n)
        : n_receivers(n),
          senders(read<int32_t>(in.senders, any_count)),
          begin(read<int64_t>(in.begin, in.positions.size(0) + 1)) {}
  };

  // The pairs within r_max: their senders, those of each receiver where its pairs begin. Vectors are
  // computed when their place is known: points lie in the cache, vectors would not.
  struct Found {
    const Pairs& pairs;
    Output<int32_t> senders;
    std::vector<int64_t> begin;
    double closest;  // squared

    template <class In>
    Found(const In& in, const Points& points, const Pairs& all)
        : pairs(all), senders(in.senders, {in.senders.size(0)}), begin(all.n_receivers + 1, 0) {
      const double longest = in.r_max * in.r_max;
      constexpr double infinite = std::numeric_limits<double>::infinity();
      std::vector<double> least(pairs.n_receivers, infinite);
      parallel(pairs.n_receivers, [&](int64_t first, int64_t last) {
        for (int64_t atom = first; atom < last; ++atom) {
          const Point here = points[atom];
          int64_t at = pairs.begin[atom];
          double smallest = infinite;
          for (int64_t p = pairs.begin[atom]; p < pairs.begin[atom + 1]; ++p) {
            const Point between = here - points[pairs.senders[p]];
            const Point squares = between * between;
            const double square = squares[0] + squares[1] + squares[2];
            senders.data[at] = pairs.senders[p];
            at += square < longest;
            smallest = square < smallest ? square : smallest;
          }
          begin[atom + 1] = at - pairs.begin[atom];
          least[atom] = smallest;
        }
      });
      std::partial_sum(begin.begin(), begin.end(), begin.begin());
      closest = std::accumulate(least.begin(), least.end(), infinite,
                                [](double a, double b) { return std::min(a, b); });
    }

    int64_t count() const { return begin.back(); }

    // Calls f(number of the pair among those found, receiver, sender).
    template <class F>
    void each(F&& f) const {
      parallel(pairs.n_receivers, [&](int64_t first, int64_t last) {
        for (int64_t atom = first; atom < last; ++atom) {
          const int32_t* sender = senders.data + pairs.begin[atom];
          for (int64_t e = begin[atom]; e < begin[atom + 1]; ++e) f(e, atom, *sender++);
        }
      });
    }
  };
};

}  // namespace mhff
