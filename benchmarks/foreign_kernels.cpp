// Kernels of a model without torch, so that they run under an emulator: reads arrays, writes results.
//
// foreign_kernels.py writes `shapes_of_model.h`, with the structs geometry, convolution and
// contraction and the sizes of the arrays, and compares the results.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "contraction.h"
#include "geometry.h"
#include "mapping.h"

// after the others
#include "shapes_of_model.h"

namespace mhff {

using Real = geometry::Real;
using C = convolution;
using P = contraction;
using Arrays = std::vector<Real>;

template <class T>
std::vector<T> take(FILE* in, int64_t n) {
  std::vector<T> values(n);
  if (std::fread(values.data(), sizeof(T), n, in) != size_t(n)) std::abort();
  return values;
}

void give(FILE* out, const Arrays& values) {
  std::fwrite(values.data(), sizeof(Real), values.size(), out);
}

void run_geometry(FILE* in, FILE* out) {
  const auto vectors = take<Real>(in, 3 * n_edges);
  using G = Geometry<geometry>;
  Arrays harmonics(n_edges * G::B), distances(n_edges), d_vectors(3 * n_edges);
  for (int64_t e = 0; e < n_edges; e += geometry::lanes) {
    const G edges(vectors.data(), e, n_edges);
    edges.write(harmonics.data(), distances.data(), e, n_edges);
    edges.adjoint(harmonics.data(), distances.data(), d_vectors.data(), e, n_edges);
  }
  give(out, harmonics);
  give(out, distances);
  give(out, d_vectors);
}

// All maps, one after the other, packed.
template <bool forward>
Arrays packed_maps(const Arrays& maps) {
  Arrays packed(packed_below<C, forward>(C::l_max + 1, false));
  const Real* from = maps.data();
  unroll<C::l_max + 1>([&](auto l) {
    constexpr int64_t width = message_width<C, l>, mapped = C::mapped[l];
    constexpr int64_t rows = forward ? width : mapped, columns = forward ? mapped : width;
    pack_matrix<Real, C::register_lanes>(from, rows, columns, false,
                                         packed.data() + packed_below<C, forward>(l, false));
    from += rows * columns;
  });
  return packed;
}

void run_convolution(FILE* in, FILE* out) {
  constexpr int B = (C::l_max + 1) * (C::l_max + 1), rows = n_intervals + taps - 1;
  constexpr int64_t mapped_size = mapped_below<C>(C::l_max + 1);
  int64_t map_size = 0;
  for (int l = 0; l <= C::l_max; ++l) map_size += C::paths_to[l] * C::channels * C::mapped[l];
  const auto ends = take<int64_t>(in, 2 * n_edges), species = take<int64_t>(in, n_atoms);
  const auto table_of = take<int64_t>(in, n_tables * n_tables);
  const auto order = take<int32_t>(in, n_edges), begin = take<int32_t>(in, n_atoms + 1);
  const auto features = take<Real>(in, n_atoms * feature_size<C>);
  const auto harmonics = take<Real>(in, n_edges * B), r = take<Real>(in, n_edges);
  const auto tables = take<Real>(in, int64_t(n_tables) * rows * C::n_paths * C::channels);
  const auto maps = take<Real>(in, map_size), transposed = take<Real>(in, map_size);
  const auto gradient = take<Real>(in, n_atoms * mapped_size);

  EdgeArrays<Real> edges{};
  edges.sender = ends.data();
  edges.receiver = ends.data() + n_edges;
  edges.harmonics = harmonics.data();
  edges.r = r.data();
  edges.species = species.data();
  edges.table_of = table_of.data();
  edges.n_species = n_tables;
  edges.r_min = Real(r_min);
  edges.per_r = Real(n_intervals / (r_max - r_min));
  edges.n_intervals = n_intervals;
  Arrays packed(tables.size()), mapped(n_atoms * mapped_size);
  pack_tables<C>(tables.data(), n_tables, rows, packed.data());
  const Arrays forward = packed_maps<true>(maps), backward = packed_maps<false>(transposed);
  const Tabulated<C> radial{packed.data()};
  const Rows of_atoms{order.data(), begin.data()};
  const Maps<C, true> to_mapped{forward.data(), false, false};
  gather_mapped<C>(edges, of_atoms, radial, features.data(), to_mapped, mapped.data(),
                   int64_t(n_atoms), 0, n_atoms);
  give(out, mapped);

  Arrays d_features(features.size()), d_harmonics(harmonics.size()), d_r(n_edges);
  const Gradients<Real> to{d_features.data(), d_harmonics.data(), d_r.data()};
  const Maps<C, false> from_mapped{backward.data(), false, false};
  scatter_mapped<C, true>(edges, of_atoms, radial, gradient.data(), from_mapped, features.data(),
                          to, n_atoms, 0, n_atoms);
  give(out, d_features);
  give(out, d_harmonics);
  give(out, d_r);
}

template <class Pointer>
Degrees<P, Pointer> degrees_of(Pointer features) {
  Degrees<P, Pointer> degrees;
  for (int l = 0; l < degrees.count; ++l)
    degrees.block[l] = features + int64_t(n_atoms) * l * l * P::channels;
  return degrees;
}

void run_contraction(FILE* in, FILE* out) {
  const auto species = take<int64_t>(in, n_atoms);
  const auto coefficients = take<Real>(in, int64_t(n_sets) * P::n_terms * P::channels);
  const auto features = take<Real>(in, n_atoms * P::dim * P::channels);
  const auto gradient = take<Real>(in, n_atoms * P::n_rows * P::channels);
  Arrays packed(coefficients.size()), products(gradient.size()), d_features(features.size());
  pack_coefficients<P>(coefficients.data(), n_sets, packed.data());
  const Sets<Real> sets{packed.data(), n_sets > 1 ? species.data() : nullptr};
  const auto degrees = degrees_of(features.data());
  contract<P>(degrees, sets, products.data(), n_atoms, 0, n_atoms);
  contract_adjoint<P>(gradient.data(), degrees, sets, degrees_of(d_features.data()), n_atoms, 0,
                      n_atoms);
  give(out, products);
  give(out, d_features);
}

}  // namespace mhff

int main(int, char** arguments) {
  FILE* in = std::fopen(arguments[1], "rb");
  FILE* out = std::fopen(arguments[2], "wb");
  mhff::run_geometry(in, out);
  mhff::run_convolution(in, out);
  mhff::run_contraction(in, out);
  return std::fclose(out);
}
