// y = x W^T over threads, for weights as a model file stores them.

#ifndef ROPEWALK_KERNELS_MATMUL_H_
#define ROPEWALK_KERNELS_MATMUL_H_

#include <cstdint>

#include "base/aligned.h"
#include "base/dtype.h"
#include "base/parallel.h"

namespace ropewalk::kernels {

// A stored matrix [rows, columns], rows dense and one after another.
struct Matrix {
  DType type = DType::kF32;
  const void* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;

  const void* Row(int64_t row) const {
    return static_cast<const uint8_t*>(data) + row * RowBytes(type, columns);
  }
};

// Memory that MatMul needs for each worker; grows on first use.
class MatMulScratch {
 public:
  float* Panel(int64_t worker, int64_t workers, int64_t size) {
    if (size > size_ || workers > workers_) {
      size_ = size;
      workers_ = workers;
      buffer_.EnsureSize(size * workers);
    }
    return buffer_.data() + worker * size_;
  }

 private:
  AlignedBuffer<float> buffer_;
  int64_t size_ = 0;
  int64_t workers_ = 0;
};

// How many rows of x belong to few tokens of their text, and how many to many.
// The few come first; each kind has its own order of sums, so that a token has
// the same bits whatever else is in its batch.
struct BatchRows {
  int64_t few = 0;
  int64_t many = 0;

  int64_t total() const { return few + many; }
};

// A text's share of a batch counts as few up to here: dot products are faster.
inline constexpr int64_t kFewTokens = 4;

// The rows of T tokens of one text.
inline BatchRows RowsOf(int64_t T) {
  return T <= kFewTokens ? BatchRows{.few = T} : BatchRows{.many = T};
}

// y[t, r] = sum_c x[t, c] W[r, c]. Each weight is read from memory once.
//
//   x [T, columns], y [T, rows], both dense, T = batch.total()
//
// Few tokens: a dot product for each weight row. Many tokens: panels of weight
// rows are unpacked to float32 and transposed once, then multiplied with all
// tokens.
void MatMul(const float* x, BatchRows batch, const Matrix& weights, float* y,
            ParallelFor& threads, MatMulScratch& scratch);

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_MATMUL_H_
