// Which 4 x 4-pixel stamps of a tile each Gaussian of its list overlaps, and the same turned round: the Gaussians of each stamp.
#pragma once
#include <algorithm>

#include "state.h"

namespace AVATAR_ISA {

constexpr int kWords = 4, kBlock = 64 * kWords;  // entries of a tile's list that are looked at together

// Bits of eight rows of stamps for sixteen Gaussians, from the exact extent of the ellipse q <= q_max in each row. With
// u = dy / radius_y its ends on the line dy are x + slope dy -+ half_width sqrt(1 - u^2); they are outermost at u = -+tip.
template <class S> AVATAR_INLINE void stamps_of(const S* x, const S* y, const S* A, const S* B, const S* C, const S* q_max,
                                                const S* radius_x, const S* radius_y, S* words) {
  typedef Vec<S> V;
  const V inverse = S(1) / V::load(radius_y), a = V::load(A), half_b = V::load(B) * S(-0.5), rx = V::load(radius_x);
  const V top = V::load(y) * inverse, tip = half_b / V::load(C) * rx * inverse;
  const V lean = half_b / a * V::load(radius_y), half_width = vsqrt(V::load(q_max) / a);
  const V left_end = V::load(x) - rx * S(1e-6) - S(1e-3 + 3.5 - 4), right_end = V::load(x) + rx * S(1e-6) + S(1e-3 - 0.5 + 4);
  const V zero = splat<S>(0), one = splat<S>(1), last = splat<S>(kStamps);
  V word[3] = {zero, zero, zero};
  AVATAR_UNROLL for (int row = kStamps - 1; row >= 0; row--) {
    const V low = vmax(S(4 * row + 0.5) * inverse - top, -one), high = vmin(S(4 * row + 3.5) * inverse - top, one);
    const V left = vmin(vmax(-tip, low), high), right = vmin(vmax(tip, low), high);
    const V x0 = left_end + lean * left - half_width * vsqrt(one - left * left);
    const V x1 = right_end + lean * right + half_width * vsqrt(one - right * right);
    const V first = vmin(vmax(x0 * S(0.25), zero), last), end = vmin(vmax(x1 * S(0.25), zero), last);
    const V bits = power_of_two_below(end) - power_of_two_below(first);
    word[row / 3] = word[row / 3] * S(1 << kStamps) + select(less_equal(low, high), bits, zero);
  }
  for (int k = 0; k < 3; k++) word[k].store(words + k * kBlock);
}

// 64 x 64 bits, turned round: bit j of word i becomes bit i of word j.
inline void transpose_bits(uint64_t* words) {
  uint64_t mask = 0x00000000ffffffffull;
  AVATAR_UNROLL for (int size = 32; size; size >>= 1, mask ^= mask << size) {
    for (int start = 0; start < 64; start += 2 * size) {
      for (int k = start; k < start + size; k++) {
        const uint64_t swapped = ((words[k] >> size) ^ words[k + size]) & mask;
        words[k] ^= swapped << size, words[k + size] ^= swapped;
      }
    }
  }
}

// A part of a tile's list: records relative to the tile, the stamps of each, and the records of each stamp.
template <class S> struct alignas(64) TileBlock {
  Record<S> records[kBlock];
  uint64_t stamps[kBlock];
  uint64_t members[kWords][kStampsInTile];
  S geometry[8][kBlock], words[3][kBlock];

  void load(const CameraState<S>& camera, const int32_t* list, int count, int tile_x, int tile_y) {
    for (int i = 0; i < count; i++) {
      if (i + 16 < count) __builtin_prefetch(&camera.records[list[i + 16]]);
      Record<S>& r = records[i] = camera.records[list[i]];
      r.x -= S(tile_x), r.y -= S(tile_y);
      geometry[0][i] = r.x, geometry[1][i] = r.y, geometry[2][i] = r.A, geometry[3][i] = r.B, geometry[4][i] = r.C;
      geometry[5][i] = r.q_max, geometry[6][i] = r.radius_x, geometry[7][i] = r.radius_y;
    }
    for (int i = 0; i < count; i += kLanes) {
      stamps_of(geometry[0] + i, geometry[1] + i, geometry[2] + i, geometry[3] + i, geometry[4] + i, geometry[5] + i,
                geometry[6] + i, geometry[7] + i, words[0] + i);
    }
    for (int i = 0; i < kBlock; i++) {
      auto word = [&](int k) { return static_cast<uint64_t>(static_cast<uint32_t>(words[k][i])) << (24 * k); };
      stamps[i] = i < count ? word(0) | word(1) | word(2) : 0;
    }
    memcpy(members, stamps, sizeof(stamps));
    for (int k = 0; k < kWords; k++) transpose_bits(members[k]);
  }
};

}  // namespace AVATAR_ISA
