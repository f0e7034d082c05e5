// Radial functions in training: splines of degree 5 with equidistant knots (mhff.ops.spline).
//
//   values[e, c] = sum_t taps[e, t] table[first[e] + t, c]
//
// is linear in the taps and in the table, so that it, its gradients by both and the derivatives of
// the taps by the distance are all that derivatives of any order need.
//
// Taps and tables are in double precision, values in that of the network. In single precision the
// slopes of splines, differences of neighbouring rows, would have ten times the error of the
// network's own slopes.
#pragma once
#include "../operators.h"

namespace mhff {

// Columns that are treated together. Edges come ordered by their first row, so that the six rows of
// these columns stay in L1 from edge to edge.
constexpr int64_t columns_at_once = 256;

// 120 times the coefficients of x^0, ..., x^5 of the 6 B-splines in an interval.
constexpr double spline_pieces[taps][taps] = {
    {1, -5, 10, -10, 5, -1},     {26, -50, 20, 20, -20, 5}, {66, 0, -60, 0, 30, -10},
    {26, 50, 20, -20, -20, 10}, {1, 5, 10, 10, 5, -5},     {0, 0, 0, 0, 0, 1}};

template <class S>
struct LookUpOperators {
  using Real = typename S::Real;
  // of double precision in a register
  static constexpr int lanes = S::lanes * int(sizeof(Real)) / int(sizeof(double));
  using V = Vector<double, lanes>;

  static INLINE V widened(const Real* from) {
    return __builtin_convertvector(load<Vector<Real, lanes>>(from), V);
  }

  template <class In>
  static const int32_t* first_of(const In& in, int64_t n_edges, int64_t n_rows) {
    const int32_t* first = read<int32_t>(in.first, n_edges);
    for (int64_t e = 0; e < n_edges; ++e)
      STD_TORCH_CHECK(first[e] >= 0 && first[e] + taps <= n_rows,
                      "mhff kernel: expected rows of a table with ", n_rows, ", got ", first[e]);
    return first;
  }

  // Calls f(begin, end) for blocks of columns.
  template <class F>
  static void over_columns(int64_t width, const F& f) {
    parallel((width + columns_at_once - 1) / columns_at_once, [&](int64_t from, int64_t to) {
      for (int64_t block = from; block < to; ++block)
        f(block * columns_at_once, std::min((block + 1) * columns_at_once, width));
    });
  }

  // Interval of each distance.
  template <class In>
  static Tensor locate(const In& in) {
    const int64_t n = in.r.size(0);
    const Real* r = read<Real>(in.r, n);
    Output<int32_t> intervals(in.r, {n});
    for (int64_t e = 0; e < n; ++e) {
      const double at = (r[e] - in.r_min) * in.per_length;
      intervals.data[e] = int32_t(std::min(std::max(at, 0.0), double(in.n_intervals - 1)));
    }
    return intervals.tensor;
  }

  // Derivatives of this order of the taps by the distance.
  template <class In>
  static Tensor taps_of(const In& in) {
    const int64_t n = in.r.size(0);
    const Real* r = read<Real>(in.r, n);
    const int32_t* interval = read<int32_t>(in.intervals, n);
    double pieces[taps][taps] = {};  // of the derivative
    for (int t = 0; t < taps; ++t)
      for (int power = int(in.order); power < taps; ++power) {
        double factor = spline_pieces[t][power] / 120;
        for (int k = 0; k < in.order; ++k) factor *= (power - k) * in.per_length;
        pieces[t][power - in.order] = factor;
      }
    Output<double> found(in.r, {n, taps});
    for (int64_t e = 0; e < n; ++e) {
      const double x = (r[e] - in.r_min) * in.per_length - interval[e];
      for (int t = 0; t < taps; ++t) {
        double value = 0;
        for (int power = taps - 1; power >= 0; --power) value = value * x + pieces[t][power];
        found.data[e * taps + t] = value;
      }
    }
    return found.tensor;
  }

  template <class In>
  static Tensor forward(const In& in) {
    const int64_t n = in.first.size(0), rows = in.table.size(0), width = in.table.size(1);
    const int32_t* first = first_of(in, n, rows);
    const double* weights = read<double>(in.taps, n * taps);
    const double* table = read<double>(in.table, rows * width);
    Output<Real> values(in.table, {n, width});
    const int32_t* order = read<int32_t>(in.order, n);
    over_columns(width, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < n; ++k) {
        const int64_t e = order[k];
        const double *w = weights + e * taps, *row = table + first[e] * width;
        Real* to = values.data + e * width;
        int64_t c = begin;
        for (; c + lanes <= end; c += lanes) {
          V sum = w[0] * load<V>(row + c);
          for (int t = 1; t < taps; ++t) sum += w[t] * load<V>(row + t * width + c);
          store(to + c, __builtin_convertvector(sum, Vector<Real, lanes>));
        }
        for (; c < end; ++c) {
          double sum = 0;
          for (int t = 0; t < taps; ++t) sum += w[t] * row[t * width + c];
          to[c] = Real(sum);
        }
      }
    });
    return values.tensor;
  }

  // Gradient by the taps.
  template <class In>
  static Tensor by_taps(const In& in) {
    const int64_t n = in.first.size(0), rows = in.table.size(0), width = in.table.size(1);
    const int32_t* first = first_of(in, n, rows);
    const Real* gradient = read<Real>(in.gradient, n * width);
    const double* table = read<double>(in.table, rows * width);
    Output<double> found(in.table, {n, taps});
    const int32_t* order = read<int32_t>(in.order, n);
    parallel(n, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) {
        const int64_t e = order[k];
        const Real* g = gradient + e * width;
        const double* row = table + first[e] * width;
        V sums[taps] = {};
        int64_t c = 0;
        for (; c + lanes <= width; c += lanes) {
          const V x = widened(g + c);
          unroll<taps>([&](auto t) UNROLLED { sums[t] += x * load<V>(row + t * width + c); });
        }
        unroll<taps>([&](auto t) UNROLLED {
          double total = sum<V, lanes>(sums[t]);
          for (int64_t left = c; left < width; ++left) total += g[left] * row[t * width + left];
          found.data[e * taps + t] = total;
        });
      }
    });
    return found.tensor;
  }

  // Gradient by the table. Threads divide columns, so that sums do not depend on their number.
  template <class In>
  static Tensor by_table(const In& in) {
    const int64_t n = in.first.size(0), width = in.gradient.size(1);
    const int32_t* first = first_of(in, n, in.n_rows);
    const Edges edges = {read<int32_t>(in.order, n), read<double>(in.taps, n * taps),
                         read<Real>(in.gradient, n * width), width};
    Output<double> found(in.gradient, {in.n_rows, width});
    found.clear();
    over_columns(width, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < n;) {
        const int32_t row = first[edges.order[k]];
        int64_t stop = k + 1;
        while (stop < n && first[edges.order[stop]] == row) ++stop;
        double* to = found.data + row * width;
        int64_t c = begin;
        for (; c + strip * lanes <= end; c += strip * lanes)
          edges.template add<strip>(k, stop, c, to);
        for (; c + lanes <= end; c += lanes) edges.template add<1>(k, stop, c, to);
        for (; c < end; ++c) edges.add_column(k, stop, c, to);
        k = stop;
      }
    });
    return found.tensor;
  }

  // Vectors of columns whose sums for six rows fit into registers.
  static constexpr int strip = lanes >= 8 ? 4 : 2;

  struct Edges {
    const int32_t* order;
    const double* weights;
    const Real* gradient;
    int64_t width;

    // Adds edges begin, ..., end - 1 of the order, whose first row is the same, to six rows. Their
    // sums stay in registers: through memory, rows a multiple of 2 kB apart wait for each other.
    template <int N>
    INLINE void add(int64_t begin, int64_t end, int64_t c, double* rows) const {
      V sums[taps * N] = {};
      for (int64_t k = begin; k < end; ++k) {
        const double* w = weights + order[k] * int64_t(taps);
        const Real* g = gradient + order[k] * width + c;
        unroll<N>([&](auto i) UNROLLED {
          const V x = widened(g + i * lanes);
          unroll<taps>([&](auto t) UNROLLED { sums[t * N + i] += w[t] * x; });
        });
      }
      unroll<taps>([&](auto t) UNROLLED {
        unroll<N>([&](auto i) UNROLLED {
          double* to = rows + t * width + c + i * lanes;
          store(to, load<V>(to) + sums[t * N + i]);
        });
      });
    }

    void add_column(int64_t begin, int64_t end, int64_t c, double* rows) const {
      for (int64_t k = begin; k < end; ++k) {
        const double g = gradient[order[k] * width + c];
        const double* w = weights + order[k] * int64_t(taps);
        for (int t = 0; t < taps; ++t) rows[t * width + c] += w[t] * g;
      }
    }
  };
};

}  // namespace mhff
