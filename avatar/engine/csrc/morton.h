// The order of points along a Morton curve: neighbours in the order are neighbours in space.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "buffer.h"
#include "pool.h"

namespace AVATAR_ISA {

// The ten low bits of x, two zeros between each.
AVATAR_INLINE uint32_t spread_bits(uint32_t x) {
  x = (x | x << 16) & 0x030000ff;
  x = (x | x << 8) & 0x0300f00f;
  x = (x | x << 4) & 0x030c30c3;
  return (x | x << 2) & 0x09249249;
}

struct MortonEntry {
  uint32_t key;
  int32_t id;
};

// Keys of 30 bits in the box of the points that are finite; the others come first.
template <class S> void morton_keys(const S* points, int64_t count, MortonEntry* entries) {
  S low[3], scale[3];
  for (int axis = 0; axis < 3; axis++) {
    S least = std::numeric_limits<S>::max(), most = -least;
    for (int64_t i = 0; i < count; i++) {
      const S x = points[3 * i + axis];
      if (std::isfinite(x)) least = std::min(least, x), most = std::max(most, x);
    }
    low[axis] = least, scale[axis] = most > least ? S(1023) / (most - least) : S(0);
  }
  avatar_pool::parallel_chunks(count, 8192, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      uint32_t key = 0;
      for (int axis = 0; axis < 3; axis++) {
        const S x = (points[3 * i + axis] - low[axis]) * scale[axis];
        key |= spread_bits(x >= 0 && x < 1024 ? static_cast<uint32_t>(x) : 0) << axis;
      }
      entries[i] = {key, static_cast<int32_t>(i)};
    }
  });
}

// Sorted by key, stable, in three passes of ten bits; the result lies in one of the two buffers.
inline const MortonEntry* sort_morton(MortonEntry* entries, MortonEntry* other, int64_t count) {
  constexpr int kBits = 10, kBins = 1 << kBits;
  uint32_t histogram[3][kBins] = {};
  for (int64_t i = 0; i < count; i++) {
    for (int pass = 0; pass < 3; pass++) histogram[pass][entries[i].key >> (kBits * pass) & (kBins - 1)]++;
  }
  for (int pass = 0; pass < 3; pass++) {
    uint32_t start = 0;
    for (uint32_t& bin : histogram[pass]) {
      const uint32_t size = bin;
      bin = start, start += size;
    }
    for (int64_t i = 0; i < count; i++) other[histogram[pass][entries[i].key >> (kBits * pass) & (kBins - 1)]++] = entries[i];
    std::swap(entries, other);
  }
  return entries;
}

}  // namespace AVATAR_ISA
