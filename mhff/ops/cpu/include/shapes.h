// What a shape must provide: mhff writes one struct of constants for each part of a model, and
// kernels are compiled for it.
//
// The layout of a message's rows comes with the shape (mhff.ops.shapes.MessageLayout); nothing here
// derives it again.
#pragma once
#include <concepts>

#include "vector.h"

namespace mhff {

// Y_out += value * Y_left * u_right: the recursion makes degree l from degree l - 1 and the unit
// vector.
struct RecursionTerm {
  int out, left, right;
  double value;
};

// A path (l1, l2) -> l3 of a convolution.
struct Path {
  int l1, l2, l3;
  int first, count;  // its pairs
  int slot;          // position among the paths to l3
};

// Row m of l3 and component a of l1 of a path, both from 0; its coupling is the sum of value * Y_b
// over its terms.
struct Pair {
  int m, a;
  int first, count;  // its terms
};
struct Term {
  int b;  // harmonic, from 0 to (l_max + 1)^2 - 1
  double value;
};

template <int n>
using Constant = std::integral_constant<int, n>;

template <class Array, class Element>
concept ArrayOf = std::same_as<std::remove_cvref_t<decltype(std::declval<Array>()[0])>, Element>;

// Precision, and numbers of it in a vector (which divide the channels) and in a register.
template <class S>
concept VectorShape = std::floating_point<typename S::Real> && requires {
  typename Constant<S::lanes>;
  typename Constant<S::register_lanes>;
};

// Harmonics up to degree l_max: the terms of their recursion, ordered by degree.
template <class S>
concept GeometryShape =
    VectorShape<S> && ArrayOf<decltype(S::recursion), RecursionTerm> && requires {
      typename Constant<S::l_max>;
      typename Constant<S::n_recursion>;
    };

// A convolution: degrees of messages and features, paths, and the coupling of each.
template <class S>
concept ConvolutionShape =
    VectorShape<S> && ArrayOf<decltype(S::path), Path> && ArrayOf<decltype(S::pair), Pair> &&
    ArrayOf<decltype(S::term), Term> && ArrayOf<decltype(S::paths_to), int> &&
    ArrayOf<decltype(S::rows_below), int> && requires {
      typename Constant<S::channels>;
      typename Constant<S::l_max>;
      typename Constant<S::input_lmax>;
      typename Constant<S::n_paths>;
      typename Constant<S::n_pairs>;
    };

// A convolution and the linear map that follows it: mapped[l] is the width of degree l after the
// map.
template <class S>
concept MappedConvolutionShape = ConvolutionShape<S> && ArrayOf<decltype(S::mapped), int>;

// A gate of features up to degree l_max, the first n_residuals of which have a residual;
// residuals(in) are those tensors of an operator's arguments.
template <class S>
concept GateShape = VectorShape<S> && requires {
  typename Constant<S::channels>;
  typename Constant<S::l_max>;
  typename Constant<S::n_residuals>;
};

// A contraction: its polynomials are code, row(M, a, c) the value of component M from features a(i)
// and coefficients c(q); row_adjoint(M, a, c, g, d) adds g dB_M/da_i to d[i]. order[q] is the
// coefficient that is read as number q.
template <class S>
concept ContractionShape =
    VectorShape<S> && ArrayOf<decltype(S::order), int> &&
    requires(Vector<typename S::Real, S::lanes> (*a)(int), Vector<typename S::Real, S::lanes>* d) {
      typename Constant<S::channels>;
      typename Constant<S::dim>;
      typename Constant<S::n_rows>;
      typename Constant<S::n_terms>;
      S::template row<Vector<typename S::Real, S::lanes>>(Constant<0>{}, a, a);
      S::template row_adjoint<Vector<typename S::Real, S::lanes>>(Constant<0>{}, a, a, a(0), d);
    };

}  // namespace mhff
