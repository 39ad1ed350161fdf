// Weighted sums of rows of a table, the weights constant: a sparse matrix by rows times a narrow dense one.
#include <algorithm>

#include "buffer.h"
#include "pool.h"
#include "simd.h"

namespace AVATAR_ISA {

template <class S> struct SparseProductArguments {
  int64_t num_rows, num_columns;
  const S *table, *base;  // m d; n d to start from, or null
  const int64_t* starts;  // n + 1: where the entries of each row begin
  const int32_t* ids;
  const S* weights;
  S* out;  // n d
};

namespace {

constexpr int64_t kEntriesInChunk = 8192;

// COLUMNS is the number of columns where it is known, or 0.
template <class S, int COLUMNS> void multiply_rows(const SparseProductArguments<S>& a, int64_t begin, int64_t end) {
  const int64_t d = COLUMNS ? COLUMNS : a.num_columns;
  for (int64_t row = begin; row < end; row++) {
    S sums[COLUMNS ? COLUMNS : 1];
    S *const out = a.out + row * d, *const sum = COLUMNS ? sums : out;
    for (int64_t c = 0; c < d; c++) sum[c] = a.base ? a.base[row * d + c] : S(0);
    for (int64_t e = a.starts[row]; e < a.starts[row + 1]; e++) {
      const S *const entry = a.table + a.ids[e] * d, weight = a.weights[e];
      for (int64_t c = 0; c < d; c++) sum[c] += weight * entry[c];
    }
    if (COLUMNS) std::copy_n(sum, d, out);
  }
}

template <class S> int64_t sparse_product(const SparseProductArguments<S>& a) {
  const int64_t entries = a.num_rows ? a.starts[a.num_rows] : 0;
  const int64_t chunks = std::max<int64_t>(1, (entries + a.num_rows) / kEntriesInChunk);
  avatar_pool::parallel_chunks(a.num_rows, a.num_rows / chunks + 1, [&](int64_t begin, int64_t end, int) {
    switch (a.num_columns) {
      case 1: return multiply_rows<S, 1>(a, begin, end);
      case 3: return multiply_rows<S, 3>(a, begin, end);
      case 6: return multiply_rows<S, 6>(a, begin, end);
      default: return multiply_rows<S, 0>(a, begin, end);
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(sparse_product, SparseProductArguments)
