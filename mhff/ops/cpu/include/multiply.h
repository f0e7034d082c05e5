// Products of matrices with a constant right factor, which is packed beforehand.
#pragma once
#include "tiles.h"

namespace mhff {

// The registers that are left hold a row of the panel and a number.
constexpr int panel_vectors = registers == 32 ? 4 : 2, max_sums = 3 * registers / 4;

// The packed matrix [k, n] is panels [k, panel_vectors * lanes], columns filled up with zeros to
// whole vectors; the last panel has as many vectors as it needs. The same matrix in tiles (tiles.h)
// may follow.
template <class Real, int lanes>
struct Matrix {
  const Real* packed;
  int64_t k, n;
  bool in_tiles = false;  // whether to use those
};

constexpr int64_t whole_vectors(int64_t n, int lanes) { return (n + lanes - 1) / lanes * lanes; }

// Numbers of a packed matrix, with its tiles if it has any.
template <class Real, int lanes>
constexpr int64_t packed_size(int64_t k, int64_t n, bool with_tiles) {
  const int64_t panels = k * whole_vectors(n, lanes);
  if constexpr (Tiles::exist)
    if (with_tiles && suits_tiles<Real>(k, n))
      return panels + Tiles::packed_size(k, n) / int64_t(sizeof(Real) / sizeof(uint16_t));
  return panels;
}

// For fewer rows, tiles take longer to read than to multiply.
constexpr int64_t min_rows_of_tiles = 24;

// Whether a product uses tiles: matrices of `found` numbers in all have them if that is their size.
inline bool uses_tiles(int64_t found, int64_t with_tiles, int64_t without, int64_t rows) {
  return found == with_tiles && with_tiles != without && rows >= min_rows_of_tiles &&
         Tiles::allowed();
}

template <class Real, int lanes>
void pack_matrix(const Real* matrix, int64_t k, int64_t n, bool with_tiles, Real* packed) {
  for (int64_t first = 0; first < n; first += panel_vectors * lanes) {
    const int64_t columns = n - first < panel_vectors * lanes ? n - first : panel_vectors * lanes;
    for (int64_t row = 0; row < k; ++row)
      for (int64_t column = 0; column < whole_vectors(columns, lanes); ++column)
        *packed++ = column < columns ? matrix[row * n + first + column] : Real(0);
  }
  if constexpr (Tiles::exist && std::is_same_v<Real, float>)
    if (with_tiles && suits_tiles<Real>(k, n))
      Tiles::pack(matrix, k, n, reinterpret_cast<uint16_t*>(packed));
}

// rows x (vectors * lanes) numbers of the product; `valid` of the last vector's lanes are stored.
template <int rows, int vectors, int lanes, class Real>
INLINE void multiply_tile(const Real* a, int64_t a_stride, const Real* panel, int64_t k, Real* out,
                          int64_t out_stride, int64_t valid) {
  using V = Vector<Real, lanes>;
  V sum[rows][vectors] = {};
  for (int64_t at = 0; at < k; ++at, panel += vectors * lanes) {
    V b[vectors];
    unroll<vectors>([&](auto v) UNROLLED { b[v] = load<V>(panel + v * lanes); });
    unroll<rows>([&](auto i) UNROLLED {
      const Real x = a[i * a_stride + at];
      unroll<vectors>([&](auto v) UNROLLED { sum[i][v] += x * b[v]; });
    });
  }
  unroll<rows>([&](auto i) UNROLLED {
    Real* to = out + i * out_stride;
    unroll<vectors - 1>([&](auto v) UNROLLED { store(to + v * lanes, sum[i][v]); });
    if (valid == lanes)
      store(to + (vectors - 1) * lanes, sum[i][vectors - 1]);
    else
      std::memcpy(to + (vectors - 1) * lanes, &sum[i][vectors - 1], valid * sizeof(Real));
  });
}

// As many tiles of `rows` rows as there are, then tiles of half as many.
template <int rows, int vectors, int lanes, class Real>
INLINE void multiply_rows(const Real* a, int64_t a_stride, int64_t n_rows, const Real* panel,
                          int64_t k, Real* out, int64_t out_stride, int64_t valid) {
  for (; n_rows >= rows; n_rows -= rows, a += rows * a_stride, out += rows * out_stride)
    multiply_tile<rows, vectors, lanes>(a, a_stride, panel, k, out, out_stride, valid);
  if constexpr (rows > 1)
    multiply_rows<rows / 2, vectors, lanes>(a, a_stride, n_rows, panel, k, out, out_stride, valid);
}

// A panel of at most `vectors` vectors; their number is known at run time only.
template <int vectors, int lanes, class Real>
INLINE void multiply_panel(int64_t width, const Real* a, int64_t a_stride, int64_t n_rows,
                           const Real* panel, int64_t k, Real* out, int64_t out_stride) {
  if constexpr (vectors > 1) {
    if (width <= (vectors - 1) * lanes)
      return multiply_panel<vectors - 1, lanes>(width, a, a_stride, n_rows, panel, k, out,
                                                out_stride);
  }
  constexpr int max_rows = max_sums / vectors < 12 ? max_sums / vectors : 12;
  multiply_rows<max_rows, vectors, lanes>(a, a_stride, n_rows, panel, k, out, out_stride,
                                          width - (vectors - 1) * lanes);
}

// Rows that stay in L2 while they are multiplied with one panel after the other; a multiple of
// every tile's rows.
constexpr int64_t rows_at_once = 240;

// out[i] = a[i] B for n_rows rows; strides are between rows.
template <class Real, int lanes>
void multiply(const Real* a, int64_t a_stride, int64_t n_rows, const Matrix<Real, lanes>& b,
              Real* out, int64_t out_stride) {
  if constexpr (Tiles::exist && std::is_same_v<Real, float>)
    if (b.in_tiles && suits_tiles<Real>(b.k, b.n)) {
      const auto* tiles = reinterpret_cast<const uint16_t*>(b.packed + b.k * b.n);
      return Tiles::multiply(a, a_stride, n_rows, tiles, b.k, b.n, out, out_stride);
    }
  constexpr int64_t width = panel_vectors * lanes;
  for (int64_t first = 0; first < n_rows; first += rows_at_once) {
    const int64_t rows = n_rows - first < rows_at_once ? n_rows - first : rows_at_once;
    for (int64_t column = 0; column < b.n; column += width)
      multiply_panel<panel_vectors, lanes>(
          b.n - column < width ? b.n - column : width, a + first * a_stride, a_stride, rows,
          b.packed + column * b.k, b.k, out + first * out_stride + column, out_stride);
  }
}

}  // namespace mhff
