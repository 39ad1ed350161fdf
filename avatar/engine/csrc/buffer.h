#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

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
      data_ = static_cast<T*>(aligned_alloc(64, (capacity_ * sizeof(T) + 63) / 64 * 64));
      if (!data_) abort();
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
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace AVATAR_ISA
