// Tensors and threads of torch.
#pragma once
#ifdef TORCH_TARGET_VERSION
#include "stable_torch.h"
#else
#include "older_torch.h"
#endif

#include <string>

#include "memory.h"

namespace mhff {

template <class Real>
constexpr Type type_of = sizeof(Real) == 4 ? Type::Float : Type::Double;
template <>
constexpr Type type_of<int64_t> = Type::Long;
template <>
constexpr Type type_of<int32_t> = Type::Int;

constexpr int64_t any_count = -1;

// Address of a tensor's numbers, after checks of dtype, layout and count; kernels do not check
// again.
template <class T>
const T* read(const Tensor& tensor, int64_t count) {
  STD_TORCH_CHECK(tensor.scalar_type() == type_of<T>,
                  "mhff kernel: expected another dtype of an argument");
  STD_TORCH_CHECK(tensor.is_contiguous(), "mhff kernel: expected a contiguous argument");
  STD_TORCH_CHECK(count == any_count || tensor.numel() == count, "mhff kernel: expected ", count,
                  " numbers in an argument, got ", tensor.numel());
  return static_cast<const T*>(tensor.const_data_ptr());
}

// Results of at least this many bytes use kept memory; malloc itself keeps smaller ones.
constexpr size_t large = 1 << 18;

inline Sizes contiguous(const Sizes& shape) {
  Sizes strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// A tensor over kept memory, which it gives back.
inline Tensor over_kept(void* memory, size_t bytes, const Tensor& like, const Sizes& shape,
                        Type type) {
  return over_memory(memory, like, shape, contiguous(shape), type,
                     [bytes](void* block) { kept_memory().give_back(block, bytes); });
}

inline Tensor new_tensor(const Tensor& like, const Sizes& shape, Type type,
                         size_t size_of_number) {
  size_t bytes = size_of_number;
  for (int64_t n : shape) bytes *= n;
  if (bytes < large) return uninitialised(like, shape, type);
  void* memory = kept_memory().take(bytes);
  return over_kept(memory, bytes, like, shape, type);
}

template <class T>
struct Output {
  Tensor tensor;
  T* data;
  Output(const Tensor& like, const Sizes& shape)
      : tensor(new_tensor(like, shape, type_of<T>, sizeof(T))),
        data(static_cast<T*>(tensor.mutable_data_ptr())) {}
  void clear() { std::memset(data, 0, tensor.numel() * sizeof(T)); }
};

// Kept memory for a count of numbers, to be given back.
template <class T>
struct Kept {
  size_t bytes;
  T* data;
  explicit Kept(int64_t count)
      : bytes(std::max<size_t>(1, count * sizeof(T))),
        data(static_cast<T*>(kept_memory().take(bytes))) {}
};

// Kept memory for a result whose size is known only at the end, at most as many numbers.
template <class T>
struct Growing : Kept<T> {
  using Kept<T>::Kept;

  // The result, which takes over the memory; called once.
  Tensor tensor(const Tensor& like, const Sizes& shape) {
    return over_kept(this->data, this->bytes, like, shape, type_of<T>);
  }
};

// Kept memory for a call's own use; a tensor would take torch longer to make than to fill.
template <class T>
struct Scratch : Kept<T> {
  using Kept<T>::Kept;
  Scratch(const Scratch&) = delete;
  ~Scratch() { kept_memory().give_back(this->data, this->bytes); }
};

// A result with the shape of a tensor.
template <class T>
Output<T> output_like(const Tensor& like) {
  Sizes shape(like.dim());
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = like.size(i);
  return {like, shape};
}

// Pairs that a thread handles in the time that it takes to wake it.
constexpr int64_t few_pairs = 1 << 14;

// Calls f(begin, end) for equal parts of n on torch's own threads; each has `least` or more.
template <class F>
void parallel(int64_t n, F&& f, int64_t least = 1) {
  if (n > 0) parallel_for(n, f, least);
}

}  // namespace mhff
