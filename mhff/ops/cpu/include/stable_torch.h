// torch from 2.11 on, through its stable C interface: it compiles fast, and a library works with any
// of these versions.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <vector>

namespace mhff {

using torch::stable::Tensor;
using Type = torch::headeronly::ScalarType;
using Sizes = std::vector<int64_t>;

inline Tensor uninitialised(const Tensor& like, const Sizes& shape, Type type) {
  return torch::stable::new_empty(like, {shape.data(), shape.size()}, type);
}

// A tensor over memory that `release` is called for at its end.
template <class Release>
Tensor over_memory(void* memory, const Tensor& like, const Sizes& shape, const Sizes& strides,
                   Type type, Release&& release) {
  return torch::stable::from_blob(memory, {shape.data(), shape.size()},
                                  {strides.data(), strides.size()}, like.device(), type, release);
}

inline int64_t n_threads() { return torch::stable::get_num_threads(); }

template <class F>
void parallel_for(int64_t n, F&& f, int64_t least) {
  torch::stable::parallel_for(0, n, least, f);
}

}  // namespace mhff
