// Operators of gates. Each takes one record `in` of its arguments, which mhff writes
// (mhff.ops.gate_operators names them).
#pragma once
#include <array>

#include "gate.h"
#include "tensors.h"

namespace mhff {

template <GateShape S>
struct GateOperators {
  using Real = typename S::Real;
  static constexpr int64_t entering = GateLayout<S>::entering_below(S::l_max + 1);
  static constexpr int64_t leaving = GateLayout<S>::leaving_below(S::l_max + 1);

  template <class In>
  static Tensor forward(const In& in) {
    const auto inputs = inputs_of(in);
    const auto maps = maps_of(in.maps, inputs.n);
    Output<Real> mapped(in.mapped, {inputs.n * leaving});
    parallel(inputs.n, [&](int64_t first, int64_t last) {
      gate_mapped<S>(inputs, maps, mapped.data, first, last);
    });
    return mapped.tensor;
  }

  template <class In>
  static auto adjoint(const In& in) {
    const auto residuals = S::residuals(in);
    return gradients<true>(in, [&]<size_t... l>(std::index_sequence<l...>) {
      return std::array{output_like<Real>(residuals[l])...};
    }(std::make_index_sequence<S::n_residuals>{}));
  }

  // For residuals that do not depend on positions, as in a first layer.
  template <class In>
  static std::tuple<Tensor, Tensor> adjoint_of_messages(const In& in) {
    return gradients<false>(in, std::array<Output<Real>, 0>{});
  }

 private:
  template <bool of_residuals, class In, size_t n>
  static auto gradients(const In& in, std::array<Output<Real>, n> d_residuals) {
    const auto inputs = inputs_of(in);
    const auto maps = maps_of(in.transposed, inputs.n);
    Output<Real> d_mapped = output_like<Real>(in.mapped), d_scale = output_like<Real>(in.scale);
    GateGradients<S> to{d_mapped.data, d_scale.data, {}};
    for (size_t l = 0; l < n; ++l) to.residual[l] = d_residuals[l].data;
    const Real* from = read<Real>(in.gradient, inputs.n * leaving);
    parallel(inputs.n, [&](int64_t first, int64_t last) {
      gate_mapped_adjoint<S, of_residuals>(from, inputs, maps, to, first, last);
    });
    return std::apply(
        [&](auto&... residual) {
          return std::make_tuple(d_mapped.tensor, d_scale.tensor, residual.tensor...);
        },
        d_residuals);
  }

  template <class In>
  static GateInputs<S> inputs_of(const In& in) {
    const int64_t n = in.scale.numel();
    GateInputs<S> inputs{read<Real>(in.mapped, n * entering), read<Real>(in.scale, n), {}, n};
    const auto residuals = S::residuals(in);
    for (int l = 0; l < S::n_residuals; ++l)
      inputs.residual[l] =
          read<Real>(residuals[l], n * (2 * l + 1) * GateLayout<S>::entering(l));
    return inputs;
  }

  static GateMaps<S> maps_of(const Tensor& packed, int64_t n) {
    constexpr int64_t with_tiles = (S::l_max + 1) * GateMaps<S>::size(true);
    constexpr int64_t without = (S::l_max + 1) * GateMaps<S>::size(false);
    const int64_t found = packed.numel();
    const Real* numbers = read<Real>(packed, found == with_tiles ? with_tiles : without);
    return {numbers, found == with_tiles, uses_tiles(found, with_tiles, without, n)};
  }
};

}  // namespace mhff
