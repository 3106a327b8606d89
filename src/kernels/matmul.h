// Matrix products y = x W^T over threads, for weights in the types of a model
// file.
//
// The folder kernels/ is arithmetic on raw pointers; it knows no model and
// makes no threads of its own (functions that run in parallel take a
// ParallelFor). Each kernel has a float64 definition in kernels/reference/,
// which only tests and other definitions include, and a fast form on Highway
// in kernels/cpu/, compiled once for each instruction set. Change the fast
// form freely as long as its test against the definition holds on every
// instruction set; change a definition only together with what it defines.

#ifndef ROPEWALK_KERNELS_MATMUL_H_
#define ROPEWALK_KERNELS_MATMUL_H_

#include <cstdint>
#include <span>

#include "base/aligned.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "kernels/interleaved.h"
#include "kernels/quantized_rows.h"

namespace ropewalk::kernels {

// A stored matrix [rows, columns], row-major without gaps.
struct Matrix {
  DType type = DType::kF32;
  const void* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;

  const void* Row(int64_t row) const {
    return static_cast<const uint8_t*>(data) + row * RowBytes(type, columns);
  }
};

// Memory that MatMul needs: activations in 8 bits, and panels for each worker.
// Grows on first use.
class MatMulScratch {
 public:
  RowQuantizer& quantizer() { return quantizer_; }
  float* Panel(int64_t worker, int64_t workers, int64_t size) {
    if (size > size_ || workers > workers_) {
      buffer_.EnsureSize(size * workers);
      size_ = size;
      workers_ = workers;
    }
    return buffer_.data() + worker * size_;
  }

 private:
  RowQuantizer quantizer_;
  AlignedBuffer<float> buffer_;
  int64_t size_ = 0;
  int64_t workers_ = 0;
};

// The numbers of rows of x that belong to slices of few tokens and to slices of
// many tokens. Rows of few tokens come first. Each kind has its own order of
// sums, so that the bits of a token do not depend on the rest of its batch.
struct BatchRows {
  int64_t few = 0;
  int64_t many = 0;

  int64_t total() const { return few + many; }
};

// A slice of at most so many tokens counts as few, because dot products are
// faster for it.
inline constexpr int64_t kFewTokens = 4;

// The rows of a slice of T tokens.
inline BatchRows RowsOf(int64_t T) {
  return T <= kFewTokens ? BatchRows{.few = T} : BatchRows{.many = T};
}

// A matrix and where its product goes. It is multiplied in integers if it is
// interleaved, else in float32.
struct Product {
  const Matrix* weights = nullptr;
  const InterleavedMatrix* interleaved = nullptr;  // null or empty: float32
  float* y = nullptr;                              // [T, rows]

  bool InIntegers() const {
    return interleaved != nullptr && interleaved->exists();
  }
};

// y[t, r] = sum_c x[t, c] W[r, c] for at most four products, with equally many
// columns. Each weight is read from memory once.
//
//   x [T, columns], y [T, rows], both dense, T = batch.total()
//
// Integers: activations get 8 bits, once for all products (quantized_rows.h);
// the bits of a token do not depend on the batch at all.
// Float32, few tokens: a dot product for each weight row. Many tokens: panels
// of weight rows are unpacked to float32 and transposed once, then multiplied
// with all tokens.
void MatMul(const float* x, BatchRows batch, std::span<const Product> products,
            ParallelFor& threads, MatMulScratch& scratch);

// One matrix in float32.
void MatMul(const float* x, BatchRows batch, const Matrix& weights, float* y,
            ParallelFor& threads, MatMulScratch& scratch);

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_MATMUL_H_
