// Products of small dense matrices: samples in rows, the lanes along columns that are padded to whole bundles of lanes.
#pragma once
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

constexpr int64_t kBlock = 64;  // samples that go through a net together: what is between its layers stays in the cache
constexpr int64_t kForwardGrain = 8 * kBlock;
constexpr int64_t kPartialSums = 64;  // whatever the number of threads

inline int64_t padded(int64_t columns) { return (columns + kLanes - 1) / kLanes * kLanes; }

// Elements `row` and `column` apart, either way round.
template <class S> struct Strided {
  const S* data;
  int64_t row, column;
};

// out = start + a b. Rows of `start` may be one and the same (stride 0), those of `out` itself, or nothing (null).
template <class S> struct Product {
  Strided<S> a;  // rows depth
  const S* b;    // depth columns
  S* out;        // rows columns
  int64_t rows, depth, columns;  // columns are padded, and how far apart rows of `b` and `out` are
  const S* start = nullptr;
  int64_t start_stride = 0;
};

namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTileParts = 2;  // of 32 registers, half hold sums
#else
constexpr int kTileParts = 1;
#endif
constexpr int kTileRows = 8;

template <int kRows, int kParts, class S> AVATAR_INLINE void multiply_tile(const Product<S>& p, int64_t row, int64_t column) {
  constexpr int kWidth = Vec<S>::kPerPart;
  typedef Vec<S, kWidth> Part;
  Part sums[kRows][kParts];
  AVATAR_UNROLL for (int r = 0; r < kRows; r++) {
    const S* start = p.start + (row + r) * p.start_stride + column;
    AVATAR_UNROLL for (int c = 0; c < kParts; c++) sums[r][c] = p.start ? Part::load(start + c * kWidth) : splat<S, kWidth>(0);
  }
  const S *a = p.a.data + row * p.a.row, *b = p.b + column;
  for (int64_t k = 0; k < p.depth; k++, a += p.a.column, b += p.columns) {
    Part parts[kParts];
    AVATAR_UNROLL for (int c = 0; c < kParts; c++) parts[c] = Part::load(b + c * kWidth);
    AVATAR_UNROLL for (int r = 0; r < kRows; r++) {
      const Part factor = splat<S, kWidth>(a[r * p.a.row]);
      AVATAR_UNROLL for (int c = 0; c < kParts; c++) sums[r][c] += factor * parts[c];
    }
  }
  AVATAR_UNROLL for (int r = 0; r < kRows; r++) {
    AVATAR_UNROLL for (int c = 0; c < kParts; c++) sums[r][c].store(p.out + (row + r) * p.columns + column + c * kWidth);
  }
}

template <int kRows, class S> void multiply_rows(const Product<S>& p, int64_t row) {
  constexpr int64_t kWidth = Vec<S>::kPerPart;
  int64_t column = 0;
  for (; column + kTileParts * kWidth <= p.columns; column += kTileParts * kWidth) multiply_tile<kRows, kTileParts>(p, row, column);
  for (; column < p.columns; column += kWidth) multiply_tile<kRows, 1>(p, row, column);
}

template <class S> void multiply(const Product<S>& p) {
  int64_t row = 0;
  for (; row + kTileRows <= p.rows; row += kTileRows) multiply_rows<kTileRows>(p, row);
  if (p.rows - row >= 4) multiply_rows<4>(p, row), row += 4;
  if (p.rows - row >= 2) multiply_rows<2>(p, row), row += 2;
  if (p.rows - row >= 1) multiply_rows<1>(p, row);
}

// out = start + a b for rows of samples, the same `start` for all.
template <class S>
void apply(const S* a, int64_t a_stride, const S* b, const S* start, S* out, int64_t samples, int64_t depth, int64_t columns) {
  multiply(Product<S>{{a, a_stride, 1}, b, out, samples, depth, columns, start, 0});
}
// sums += a^T b, over rows of samples.
template <class S>
void add_outer(const S* a, int64_t a_stride, const S* b, S* sums, int64_t rows, int64_t samples, int64_t columns) {
  multiply(Product<S>{{a, 1, a_stride}, b, sums, rows, samples, columns, sums, columns});
}

// Rows to rows that are `stride` long, filled up with zeros, and back.
template <class S> void pad_rows(const S* from, S* to, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; r++, from += columns, to += stride) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) Vec<S>::load(from + c).store(to + c);
    for (; c < stride; c += kLanes) Vec<S>::load(from + c, std::max<int64_t>(columns - c, 0)).store(to + c);
  }
}
template <class S> void unpad_rows(const S* from, S* to, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; r++, from += stride, to += columns) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) Vec<S>::load(from + c).store(to + c);
    if (c < columns) Vec<S>::load(from + c).store(to + c, columns - c);
  }
}
// The transpose of rows, padded likewise.
template <class S> void pad_columns(const S* from, S* to, int64_t rows, int64_t columns, int64_t stride) {
  std::fill_n(to, columns * stride, S(0));
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) to[c * stride + r] = from[r * columns + c];
  }
}
// sums += rows.
template <class S> void add_rows(const S* rows, S* sums, int64_t count, int64_t stride) {
  for (int64_t c = 0; c < stride; c += kLanes) {
    Vec<S> total = Vec<S>::load(sums + c);
    for (int64_t r = 0; r < count; r++) total += Vec<S>::load(rows + r * stride + c);
    total.store(sums + c);
  }
}
// Runs add(begin, end, sums) on fixed parts of the samples, each with `size` sums of its own, and leaves their total first.
template <class S, class F> void sum_of_samples(int64_t samples, int64_t size, Buffer<S>& partials, F&& add) {
  const int64_t blocks = (samples + kBlock - 1) / kBlock, grain = std::max<int64_t>((blocks + kPartialSums - 1) / kPartialSums, 1) * kBlock;
  S* total = partials.reserve(kPartialSums * size);
  std::fill_n(total, kPartialSums * size, S(0));
  avatar_pool::parallel_chunks(samples, grain, [&](int64_t begin, int64_t end, int part) { add(begin, end, total + part * size); });
  for (int64_t part = 1; part < kPartialSums; part++) {
    for (int64_t k = 0; k < size; k++) total[k] += total[part * size + k];
  }
}

}  // namespace
}  // namespace AVATAR_ISA
