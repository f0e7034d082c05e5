// The gate of a non-linear block and the linear map that follows it, a degree and a block of atoms
// at a time, so that gated features stay in the cache until they are mapped.
#pragma once
#include <memory>
#include <new>

#include "exponential.h"
#include "multiply.h"
#include "shapes.h"

namespace mhff {

// Blocks of the degrees of n atoms, one after the other: [n, 2 l + 1, channels], and for degree 0 of
// what enters a gate [n, 1, (l_max + 1) channels], scalars and then the gate of each degree.
template <GateShape S>
struct GateLayout {
  static constexpr int channels = S::channels, degrees = S::l_max + 1;

  static constexpr int64_t entering(int l) { return l ? channels : channels * degrees; }
  static constexpr int64_t entering_below(int l) {
    return l ? channels * (degrees + l * l - 1) : 0;
  }
  static constexpr int64_t leaving_below(int l) { return int64_t(channels) * l * l; }
};

// What enters a gate: scale * mapped + residual, where a degree has a residual.
template <GateShape S, class Real = typename S::Real>
struct GateInputs {
  const Real *mapped, *scale;  // of n atoms, and one number for each
  const Real* residual[S::n_residuals];
  int64_t n;
};

// Gradients of the inputs; those of the residuals are written with `of_residuals` only.
template <GateShape S, class Real = typename S::Real>
struct GateGradients {
  Real *mapped, *scale;
  Real* residual[S::n_residuals];
};

// The packed maps of all degrees, which are of one size.
template <GateShape S, class Real = typename S::Real>
struct GateMaps {
  const Real* packed;
  bool with_tiles, in_tiles;

  static constexpr int64_t size(bool with_tiles) {
    return packed_size<Real, S::register_lanes>(S::channels, S::channels, with_tiles);
  }
  Matrix<Real, S::register_lanes> map(int l) const {
    return {packed + l * size(with_tiles), S::channels, S::channels, in_tiles};
  }
};

// A thread's memory for the rows of a block, kept for its next block.
template <GateShape S, class Real = typename S::Real>
Real* gated_rows() {
  constexpr std::align_val_t line{64};
  struct Free {
    void operator()(void* p) const { ::operator delete(p, line); }
  };
  constexpr int64_t size = rows_at_once * S::channels * sizeof(Real);
  static thread_local std::unique_ptr<void, Free> memory(::operator new(size, line));
  return static_cast<Real*>(memory.get());
}

// One atom's rows of a degree, and its scalars or gates, at a vector of channels.
template <GateShape S, int l>
struct GateRows {
  using Real = typename S::Real;
  using V = Vector<Real, S::lanes>;
  using Layout = GateLayout<S>;
  static constexpr bool has_residual = l < S::n_residuals;
  static constexpr int components = 2 * l + 1;

  // Position of the atom's first row of this degree, and of its scalars or gates.
  static int64_t row(int64_t n, int64_t atom) {
    return n * Layout::entering_below(l) + atom * components * Layout::entering(l);
  }
  static int64_t gate(int64_t atom) { return atom * Layout::entering(0) + l * S::channels; }

  // Position of the atom's first row in the residual of this degree.
  static int64_t residual_row(int64_t atom) { return atom * components * Layout::entering(l); }

  const GateInputs<S>& in;
  int64_t atom;

  INLINE V gate_at(int c) const {
    return in.scale[atom] * load<V>(in.mapped + gate(atom) + c) +
           load<V>(in.residual[0] + gate(atom) + c);
  }
  INLINE V mapped_at(int m, int c) const {
    return load<V>(in.mapped + row(in.n, atom) + m * S::channels + c);
  }
  INLINE V row_at(int m, int c) const {
    V z = in.scale[atom] * mapped_at(m, c);
    if constexpr (has_residual) z += load<V>(in.residual[l] + residual_row(atom) + m * S::channels + c);
    return z;
  }
};

// Gated features of an atom and a degree, to rows of a block.
template <GateShape S, int l>
INLINE void gate_rows(const GateInputs<S>& in, int64_t atom, typename S::Real* to) {
  using Rows = GateRows<S, l>;
  using V = typename Rows::V;
  const Rows rows{in, atom};
  for (int c = 0; c < S::channels; c += S::lanes) {
    const V x = rows.gate_at(c), s = sigmoid<typename S::Real, S::lanes>(x);
    if constexpr (l == 0)
      store(to + c, s * x);
    else
      unroll<2 * l + 1>(
          [&](auto m) UNROLLED { store(to + m * S::channels + c, s * rows.row_at(m, c)); });
  }
}

// Its adjoint, from the gradient of those rows. Degrees come in ascending order: the first one sets
// the gradient of the scale, the others add to it.
template <GateShape S, int l, bool of_residuals>
INLINE void gate_rows_adjoint(const GateInputs<S>& in, int64_t atom,
                              const typename S::Real* gradient, const GateGradients<S>& to) {
  using Real = typename S::Real;
  using Rows = GateRows<S, l>;
  using V = typename Rows::V;
  const Rows rows{in, atom};
  const Real scale = in.scale[atom];
  V of_scale = {};
  for (int c = 0; c < S::channels; c += S::lanes) {
    const V x = rows.gate_at(c), s = sigmoid<Real, S::lanes>(x);
    V d_gate = {};  // gradient of the gate's argument
    if constexpr (l == 0) {
      d_gate = load<V>(gradient + c) * s * (Real(1) + x * (Real(1) - s));
    } else {
      V along = {};
      unroll<2 * l + 1>([&](auto m) UNROLLED {
        const V g = load<V>(gradient + m * S::channels + c), mapped = rows.mapped_at(m, c);
        const V d = s * g;
        along += g * rows.row_at(m, c);
        of_scale += d * mapped;
        store(to.mapped + Rows::row(in.n, atom) + m * S::channels + c, scale * d);
        if constexpr (of_residuals && Rows::has_residual)
          store(to.residual[l] + Rows::residual_row(atom) + m * S::channels + c, d);
      });
      d_gate = along * s * (Real(1) - s);
    }
    of_scale += d_gate * load<V>(in.mapped + Rows::gate(atom) + c);
    store(to.mapped + Rows::gate(atom) + c, scale * d_gate);
    if constexpr (of_residuals) store(to.residual[0] + Rows::gate(atom) + c, d_gate);
  }
  Real sum = 0;
  for (int lane = 0; lane < S::lanes; ++lane) sum += of_scale[lane];
  to.scale[atom] = l ? to.scale[atom] + sum : sum;
}

// Calls f(first, count) for blocks of the atoms begin, ..., end - 1 of at most rows_at_once rows.
template <int l, class F>
INLINE void over_blocks(int64_t begin, int64_t end, F&& f) {
  constexpr int64_t atoms = rows_at_once / (2 * l + 1);
  for (int64_t first = begin; first < end; first += atoms)
    f(first, end - first < atoms ? end - first : atoms);
}

// Gated and mapped features of the atoms begin, ..., end - 1.
template <GateShape S, class Real = typename S::Real>
void gate_mapped(const GateInputs<S>& in, const GateMaps<S>& maps, Real* out, int64_t begin,
                 int64_t end) {
  Real* const gated = gated_rows<S>();
  unroll<S::l_max + 1>([&](auto l) UNROLLED {
    constexpr int64_t rows = 2 * l + 1, width = S::channels;
    over_blocks<l>(begin, end, [&](int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) gate_rows<S, l>(in, first + i, gated + i * rows * width);
      Real* to = out + in.n * GateLayout<S>::leaving_below(l) + first * rows * width;
      multiply(gated, width, count * rows, maps.map(l), to, width);
    });
  });
}

// Its adjoint; `maps` are the transposed ones.
template <GateShape S, bool of_residuals, class Real = typename S::Real>
void gate_mapped_adjoint(const Real* gradient, const GateInputs<S>& in, const GateMaps<S>& maps,
                         const GateGradients<S>& to, int64_t begin, int64_t end) {
  Real* const of_gated = gated_rows<S>();
  unroll<S::l_max + 1>([&](auto l) UNROLLED {
    constexpr int64_t rows = 2 * l + 1, width = S::channels;
    over_blocks<l>(begin, end, [&](int64_t first, int64_t count) {
      const Real* from = gradient + in.n * GateLayout<S>::leaving_below(l) + first * rows * width;
      multiply(from, width, count * rows, maps.map(l), of_gated, width);
      for (int64_t i = 0; i < count; ++i)
        gate_rows_adjoint<S, l, of_residuals>(in, first + i, of_gated + i * rows * width, to);
    });
  });
}

}  // namespace mhff
