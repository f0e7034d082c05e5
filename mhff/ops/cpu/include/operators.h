// All operators of a library of kernels. Each takes one record `in` of its arguments
// (mhff.ops.operators names them).
#pragma once
#include "contraction.h"
#include "convolution_operators.h"
#include "gate_operators.h"
#include "lists.h"
#include "pairs.h"

namespace mhff {

// Return kept memory that is not in use to the system.
struct MemoryOperators {
  template <class In>
  static void release(const In&) {
    kept_memory().release();
  }
};

// Products with packed matrices.
template <class Real, int lanes>
struct MultiplyOperators {
  // x [rows, k], whose rows may lie apart, times a matrix [k, n].
  template <class In>
  static Tensor forward(const In& in) {
    const int64_t rows = in.x.size(0), k = in.x.size(1), n = in.n;
    STD_TORCH_CHECK(
        in.x.scalar_type() == type_of<Real> && (in.x.stride(1) == 1 || k == 1 || rows == 0),
        "mhff kernel: expected rows without gaps, of the program's dtype");
    const Real* from = static_cast<const Real*>(in.x.const_data_ptr());
    const Matrix<Real, lanes> matrix = matrix_of(in.packed, k, n, rows);
    const int64_t stride = in.x.stride(0);
    Output<Real> product(in.x, {rows, n});
    parallel(rows, [&](int64_t first, int64_t last) {
      multiply(from + first * stride, stride, last - first, matrix, product.data + first * n, n);
    });
    return product.tensor;
  }

  // A matrix [k, n], packed, for a product with so many rows.
  static Matrix<Real, lanes> matrix_of(const Tensor& packed, int64_t k, int64_t n, int64_t rows) {
    const int64_t with_tiles = packed_size<Real, lanes>(k, n, true);
    const int64_t without = packed_size<Real, lanes>(k, n, false);
    const int64_t found = packed.numel();
    const Real* numbers = read<Real>(packed, found == with_tiles ? with_tiles : without);
    return {numbers, k, n, uses_tiles(found, with_tiles, without, rows)};
  }

  // The form for this machine, and the one that all have.
  template <class In>
  static Tensor pack(const In& in) {
    return packed(in.matrix, Tiles::allowed());
  }
  template <class In>
  static Tensor pack_in_panels(const In& in) {
    return packed(in.matrix, false);
  }

  static Tensor packed(const Tensor& matrix, bool with_tiles) {
    const int64_t k = matrix.size(0), n = matrix.size(1);
    Output<Real> packed(matrix, {packed_size<Real, lanes>(k, n, with_tiles)});
    pack_matrix<Real, lanes>(read<Real>(matrix, k * n), k, n, with_tiles, packed.data);
    return packed.tensor;
  }
};

template <ContractionShape S>
struct ContractionOperators {
  using Real = typename S::Real;

  // Features come as one flat tensor, degree after degree. (A list of tensors would save a copy,
  // but through torch's stable interface a compiled script loses the tensors of a list that it
  // passes twice.)
  template <class Pointer>
  static Degrees<S, Pointer> blocks(Pointer features, int64_t n) {
    Degrees<S, Pointer> degrees;
    for (int l = 0; l < degrees.count; ++l) degrees.block[l] = features + n * l * l * S::channels;
    return degrees;
  }

  template <class In>
  static int64_t atoms_of(const In& in) {
    return in.features.numel() / (S::dim * S::channels);
  }

  template <class In>
  static Sets<Real> sets_of(const In& in) {
    const int64_t n_sets = in.coefficients.size(0);
    return {read<Real>(in.coefficients, n_sets * S::n_terms * S::channels),
            n_sets > 1 ? read<int64_t>(in.species, atoms_of(in)) : nullptr};
  }

  template <class In>
  static Tensor forward(const In& in) {
    const int64_t n = atoms_of(in);
    Output<Real> products(in.features, {n * S::n_rows * S::channels});
    const auto degrees = blocks(read<Real>(in.features, n * S::dim * S::channels), n);
    const Sets<Real> sets = sets_of(in);
    parallel(n, [&](int64_t first, int64_t last) {
      contract<S>(degrees, sets, products.data, n, first, last);
    });
    return products.tensor;
  }

  template <class In>
  static Tensor adjoint(const In& in) {
    const int64_t n = atoms_of(in);
    Output<Real> d_features = output_like<Real>(in.features);
    const auto degrees = blocks(read<Real>(in.features, n * S::dim * S::channels), n);
    const auto d_degrees = blocks(d_features.data, n);
    const Sets<Real> sets = sets_of(in);
    const Real* of_products = read<Real>(in.gradient, n * S::n_rows * S::channels);
    parallel(n, [&](int64_t first, int64_t last) {
      contract_adjoint<S>(of_products, degrees, sets, d_degrees, n, first, last);
    });
    return d_features.tensor;
  }

  template <class In>
  static Tensor pack(const In& in) {
    const int64_t n_sets = in.coefficients.size(0);
    Output<Real> packed = output_like<Real>(in.coefficients);
    pack_coefficients<S>(read<Real>(in.coefficients, n_sets * S::n_terms * S::channels), n_sets,
                         packed.data);
    return packed.tensor;
  }
};

}  // namespace mhff
