// torch before 2.11, whose stable interface lacks tensors over memory of ours and threads: its C++
// interface, for the version that the library is compiled with and no other.
#pragma once
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <torch/library.h>

#include <vector>

#define STABLE_TORCH_LIBRARY_FRAGMENT TORCH_LIBRARY_FRAGMENT
#define STABLE_TORCH_LIBRARY_IMPL TORCH_LIBRARY_IMPL
#define TORCH_BOX(function) function
#ifndef STD_TORCH_CHECK
#define STD_TORCH_CHECK TORCH_CHECK
#endif

namespace mhff {

using at::Tensor;
using Type = c10::ScalarType;
using Sizes = std::vector<int64_t>;

inline Tensor uninitialised(const Tensor& like, const Sizes& shape, Type type) {
  return at::empty(shape, like.options().dtype(type).requires_grad(false));
}

// A tensor over memory that `release` is called for at its end.
template <class Release>
Tensor over_memory(void* memory, const Tensor& like, const Sizes& shape, const Sizes& strides,
                   Type type, Release&& release) {
  return at::from_blob(memory, shape, strides, release,
                       like.options().dtype(type).requires_grad(false));
}

inline int64_t n_threads() { return at::get_num_threads(); }

template <class F>
void parallel_for(int64_t n, F&& f, int64_t least) {
  at::parallel_for(0, n, least, f);
}

}  // namespace mhff
