#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernel.h"

namespace AVATAR_ISA {

// A growing array that keeps its pages between calls: page faults cost more than the projection.
template <class T> class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  ~Buffer() { free(data_); }
  T* reserve(size_t count) {
    if (count > capacity_) {
      free(data_);
      capacity_ = count + count / 4;
      data_ = static_cast<T*>(allocate(capacity_ * sizeof(T)));
    }
    return data_;
  }
  // As reserve, but keeps what is there.
  T* extend(size_t count) {
    if (count > capacity_) {
      Buffer larger;
      larger.reserve(2 * count);
      if (capacity_) memcpy(larger.data_, data_, capacity_ * sizeof(T));
      std::swap(data_, larger.data_), std::swap(capacity_, larger.capacity_);
    }
    return data_;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  static constexpr size_t kHugePage = 2 << 20;
  // Big arrays ask for huge pages: they are read in any order, and a page walk in a virtual machine costs a cache miss.
  static void* allocate(size_t bytes) {
    const size_t page = bytes < 2 * kHugePage ? 64 : kHugePage, rounded = (bytes + page - 1) / page * page;
    void* data = aligned_alloc(page, rounded);
    if (!data) abort();
#if defined(__linux__)
    if (page == kHugePage) madvise(data, rounded, MADV_HUGEPAGE);
#endif
    return data;
  }

  T* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace AVATAR_ISA
