// All operators that a library of kernels has.
#pragma once
#include "contraction.h"
#include "convolution_operators.h"

namespace mhff {

// Memory that results leave behind, back to the system.
inline void release_memory() { kept_memory().release(); }

// Products with packed matrices.
template <class Real, int lanes>
struct MultiplyOperators {
  // x [rows, k], whose rows may lie apart, times a matrix [k, n].
  static Tensor forward(Tensor x, Tensor packed, int64_t n) {
    const int64_t rows = x.size(0), k = x.size(1);
    STD_TORCH_CHECK(x.scalar_type() == type_of<Real> && (x.stride(1) == 1 || k == 1 || rows == 0),
                    "mhff kernel: expected rows without gaps, of the program's dtype");
    const Real* from = static_cast<const Real*>(x.const_data_ptr());
    const Matrix<Real, lanes> matrix{read<Real>(packed, k * whole_vectors(n, lanes)), k, n};
    const int64_t stride = x.stride(0);
    Output<Real> product(x, {rows, n});
    parallel(rows, [&](int64_t first, int64_t last) {
      multiply(from + first * stride, stride, last - first, matrix, product.data + first * n, n);
    });
    return product.tensor;
  }

  static Tensor pack(Tensor matrix) {
    const int64_t k = matrix.size(0), n = matrix.size(1);
    Output<Real> packed(matrix, {k * whole_vectors(n, lanes)});
    pack_matrix<Real, lanes>(read<Real>(matrix, k * n), k, n, packed.data);
    return packed.tensor;
  }
};

template <class S>
struct ContractionOperators {
  using Real = typename S::Real;

  // Features come as one flat tensor, degree after degree. (A list of tensors would save a copy, but through torch's stable
  // interface a compiled script loses the tensors of a list that it passes twice.)
  template <class Pointer>
  static Degrees<S, Pointer> blocks(Pointer features, int64_t n) {
    Degrees<S, Pointer> degrees;
    for (int l = 0; l < degrees.count; ++l) degrees.block[l] = features + n * l * l * S::channels;
    return degrees;
  }

  static Sets<Real> sets_of(const Tensor& coefficients, const Tensor& species, int64_t n) {
    const int64_t n_sets = coefficients.size(0);
    return {read<Real>(coefficients, n_sets * S::n_terms * S::channels), n_sets > 1 ? read<int64_t>(species, n) : nullptr};
  }

  static Tensor forward(Tensor features, Tensor coefficients, Tensor species) {
    const int64_t n = features.numel() / (S::dim * S::channels);
    Output<Real> products(features, {n * S::n_rows * S::channels});
    const auto degrees = blocks(read<Real>(features, n * S::dim * S::channels), n);
    const Sets<Real> sets = sets_of(coefficients, species, n);
    parallel(n, [&](int64_t first, int64_t last) { contract<S>(degrees, sets, products.data, n, first, last); });
    return products.tensor;
  }

  static Tensor adjoint(Tensor gradient, Tensor features, Tensor coefficients, Tensor species) {
    const int64_t n = features.numel() / (S::dim * S::channels);
    Output<Real> d_features(features, {features.numel()});
    const auto degrees = blocks(read<Real>(features, n * S::dim * S::channels), n);
    const auto d_degrees = blocks(d_features.data, n);
    const Sets<Real> sets = sets_of(coefficients, species, n);
    const Real* of_products = read<Real>(gradient, n * S::n_rows * S::channels);
    parallel(
        n, [&](int64_t first, int64_t last) { contract_adjoint<S>(of_products, degrees, sets, d_degrees, n, first, last); });
    return d_features.tensor;
  }

  static Tensor pack(Tensor coefficients) {
    Output<Real> packed(coefficients, {coefficients.size(0), coefficients.size(1), coefficients.size(2)});
    pack_coefficients<S>(read<Real>(coefficients, coefficients.size(0) * S::n_terms * S::channels), coefficients.size(0),
                         packed.data);
    return packed.tensor;
  }
};

}  // namespace mhff
