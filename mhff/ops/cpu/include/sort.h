// Which edges each atom has, by counting.
#pragma once
#include <cstdint>
#include <cstring>

namespace mhff {

// Edges with atom[e] = i are order[begin[i]], ..., order[begin[i + 1] - 1], in their own order;
// begin has n_atoms + 1 numbers.
inline void sort_edges(const int64_t* atom, int64_t n_edges, int64_t n_atoms, int32_t* order,
                       int32_t* begin) {
  std::memset(begin, 0, (n_atoms + 1) * sizeof(int32_t));
  for (int64_t e = 0; e < n_edges; ++e) ++begin[atom[e] + 1];
  for (int64_t i = 0; i < n_atoms; ++i) begin[i + 1] += begin[i];
  for (int64_t e = 0; e < n_edges; ++e) order[begin[atom[e]]++] = int32_t(e);
  for (int64_t i = n_atoms; i > 0; --i) begin[i] = begin[i - 1];
  begin[0] = 0;
}

}  // namespace mhff
