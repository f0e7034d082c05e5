// Edges from the pairs of a neighbour list, and the results of an evaluation from those of edges
// (mhff/ops/lists.py).
#pragma once
#include <algorithm>
#include <limits>
#include <mutex>
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
    Growing<Real> vectors(3 * pairs.count());
    Growing<int64_t> index(2 * pairs.count());
    const auto write = [vectors = vectors.data, index = index.data, atoms = points.atoms](
                           int64_t at, int32_t point, Point between) {
      const auto vector = __builtin_convertvector(between, Vector<Real, 4>);
      Real* const to = vectors + 3 * at;
      store(to, Vector<Real, 2>{vector[0], vector[1]});
      to[2] = vector[2];
      __builtin_prefetch(to + 3 * ahead, for_writing);
      __builtin_prefetch(index + at + ahead, for_writing);
      index[at] = atoms[point];
    };
    const Found found(pairs, points, in.r_max, write);
    found.close_gaps(vectors.data, 3);
    found.close_gaps(index.data, 1);
    const int64_t n_edges = found.count();
    for (int64_t atom = 0; atom < pairs.n_receivers; ++atom)
      std::fill(index.data + n_edges + found.begin[atom],
                index.data + n_edges + found.begin[atom + 1], atom);
    Output<int64_t> checks(in.begin, {2});
    checks.data[0] = holds;
    checks.data[1] = found.closest < in.r_min * in.r_min;
    return {vectors.tensor(in.begin, {n_edges, 3}), index.tensor(in.begin, {2, n_edges}),
            checks.tensor};
  }

  template <class In>
  static std::tuple<Tensor, Tensor> near_pairs(const In& in) {
    const Points points(in);
    const Pairs pairs(in, in.positions.size(0));
    Growing<int32_t> senders(pairs.count());
    const auto write = [senders = senders.data](int64_t at, int32_t point, Point) {
      senders[at] = point;
    };
    const Found found(pairs, points, in.r_max, write);
    found.close_gaps(senders.data, 1);
    Output<int64_t> begin(in.begin, {pairs.n_receivers + 1});
    std::copy(found.begin.begin(), found.begin.end(), begin.data);
    return {senders.tensor(in.begin, {found.count()}), begin.tensor};
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
    const Scratch<double> sums(4 * n_atoms);
    std::memset(sums.data, 0, 4 * n_atoms * sizeof(double));
    double* const sum_of = sums.data;
    const double force_unit = in.force_unit;
    Point all{};
    for (int64_t e = 0; e < n_edges;) {
      const int64_t atom = receiver[e];
      Point received{};
      for (; e < n_edges && receiver[e] == atom; ++e) {
        const Real* part = gradient + 3 * e;
        __builtin_prefetch(part + 3 * ahead);
        __builtin_prefetch(sender + e + ahead);
        __builtin_prefetch(receiver + e + ahead);
        const Point force = force_unit * Point{part[0], part[1], part[2], 0};
        double* sent = sum_of + 4 * sender[e];
        store(sent, load<Point>(sent) + force);
        received += force;
      }
      double* sum = sum_of + 4 * atom;
      store(sum, load<Point>(sum) - received);
      all += received;
    }
    for (int64_t atom = 0; atom < n_atoms; ++atom)
      for (int k = 0; k < 3; ++k) forces.data[3 * atom + k] = sum_of[4 * atom + k];
    totals.data[0] = in.energy_unit * std::inner_product(energies, energies + n_atoms * n_heads,
                                                         weights, 0.0);
    totals.data[1] = all[0] + all[1] + all[2];
    return {forces.tensor, totals.tensor};
  }

 private:
  // How many edges ahead memory is asked for: a step's program has taken all of the cache.
  static constexpr int64_t ahead = 128;
  static constexpr int for_writing = 1;

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
    Scratch<double> at;

    template <class In>
    explicit Points(const In& in)
        : atoms(read<int32_t>(in.atoms, in.shifts.size(0))),
          at(4 * in.shifts.size(0)) {
      const int64_t n_points = in.shifts.size(0);
      const double* shifts = read<double>(in.shifts, 3 * n_points);
      const double* positions = read<double>(in.positions, 3 * in.positions.size(0));
      double* point = at.data;
      for (int64_t p = 0; p < n_points; ++p, point += 4) {
        const double *atom = positions + 3 * atoms[p], *shift = shifts + 3 * p;
        store(point, Point{atom[0] + shift[0], atom[1] + shift[1], atom[2] + shift[2], 0});
      }
    }
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

    int64_t count() const { return begin[n_receivers]; }
  };

  // The pairs within r_max. Each thread writes what it finds from where its first pair would be;
  // then the gaps between threads are closed.
  struct Found {
    struct Part {
      int64_t first, start, count;  // first receiver, and where its pairs begin
      bool operator<(const Part& other) const { return first < other.first; }
    };
    std::vector<Part> parts;
    std::vector<int64_t> begin;
    double closest = std::numeric_limits<double>::infinity();  // squared

    // Calls write(place, sender, vector) for each pair; the next one found takes the place of one
    // that is too far. All that its loop reads is its own: otherwise the compiler must read it again
    // after each write, which could have changed it.
    template <class F>
    Found(const Pairs& pairs, const Points& points, double r_max, const F& write)
        : begin(pairs.n_receivers + 1, 0) {
      std::mutex adding;
      int64_t* const counts = begin.data() + 1;
      parallel(pairs.n_receivers, [&, counts](int64_t first, int64_t last) {
        const F write_pair = write;
        const Pairs own = pairs;
        const double *const at_point = points.at.data, limit = r_max * r_max;
        const int64_t start = own.begin[first];
        int64_t at = start;
        double smallest = std::numeric_limits<double>::infinity();
        for (int64_t atom = first; atom < last; ++atom) {
          const Point here = load<Point>(at_point + 4 * atom);
          const int64_t before = at, end = own.begin[atom + 1];
          for (int64_t p = own.begin[atom]; p < end; ++p) {
            const int32_t sender = own.senders[p];
            const Point between = here - load<Point>(at_point + 4 * sender);
            const Point squares = between * between;
            const double square = squares[0] + squares[1] + squares[2];
            write_pair(at, sender, between);
            at += square < limit;
            smallest = square < smallest ? square : smallest;
          }
          counts[atom] = at - before;
        }
        const std::lock_guard<std::mutex> lock(adding);
        parts.push_back({first, start, at - start});
        closest = std::min(closest, smallest);
      }, few_pairs * pairs.n_receivers / std::max<int64_t>(pairs.count(), 1) + 1);
      std::sort(parts.begin(), parts.end());
      std::partial_sum(begin.begin(), begin.end(), begin.begin());
    }

    int64_t count() const { return begin.back(); }

    template <class T>
    void close_gaps(T* data, int64_t width) const {
      int64_t end = 0;
      for (const Part& part : parts) {
        std::memmove(data + width * end, data + width * part.start, width * part.count * sizeof(T));
        end += part.count;
      }
    }
  };
};

}  // namespace mhff
