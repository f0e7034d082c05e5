// Memory of large results, kept for the next step. The C library returns large arrays to the
// system, which clears them page by page before it hands them out again; that costs up to a quarter
// of a step.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>

namespace mhff {

class KeptMemory {
 public:
  // At least this many bytes, aligned to a cache line; `bytes` becomes the size to give back.
  void* take(size_t& bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    bytes = rounded(bytes);
    auto found = free_.lower_bound(bytes);
    if (found != free_.end() && found->first <= bytes + bytes / 4) {
      bytes = found->first;
      void* block = found->second;
      free_.erase(found);
      kept_ -= bytes;
      use(bytes);
      return block;
    }
    use(bytes);
    if (kept_ + used_ > 2 * most_used_) release_all();  // what is kept is of other sizes
    return ::operator new(bytes, line);
  }

  void give_back(void* block, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.emplace_hint(free_.lower_bound(bytes), bytes,
                       block);  // the latest goes out first: it may be in the cache
    kept_ += bytes;
    used_ -= bytes;
  }

  // Return what is not in use to the system.
  void release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    release_all();
    most_used_ = used_;
  }

 private:
  static constexpr std::align_val_t line{64};

  // Up to an eighth more, so that arrays whose sizes change a little between steps find the same
  // memory.
  static size_t rounded(size_t bytes) {
    size_t step = 64;
    while (16 * step <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
  }

  void use(size_t bytes) {
    used_ += bytes;
    most_used_ = std::max(most_used_, used_);
  }

  void release_all() {
    for (const auto& [bytes, block] : free_) ::operator delete(block, line);
    free_.clear();
    kept_ = 0;
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> free_;
  size_t kept_ = 0, used_ = 0, most_used_ = 0;
};

// The kept memory of this library; never destroyed, because tensors may outlive everything else.
inline KeptMemory& kept_memory() {
  static KeptMemory* const memory = new KeptMemory;
  return *memory;
}

}  // namespace mhff
