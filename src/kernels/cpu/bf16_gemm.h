// Matrix products in bfloat16 on AMX tiles, for mixed-precision training.
// Weights and states stay float32; operands are rounded when they are packed.

#ifndef ROPEWALK_KERNELS_CPU_BF16_GEMM_H_
#define ROPEWALK_KERNELS_CPU_BF16_GEMM_H_

#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/parallel.h"

namespace ropewalk::kernels {

// Whether this processor has tiles for bfloat16 and the system lets this
// process use them. The first call asks the system, later calls remember.
bool HasBf16Tiles();

// A matrix in memory, read as it is or transposed.
struct Bf16Operand {
  const float* data = nullptr;
  int64_t stride = 0;  // from one row in memory to the next
  bool transposed = false;
};

// Packed operands, reused from call to call by one call at a time.
struct Bf16Scratch {
  AlignedBuffer<uint16_t> a;  // all of A, if it is transposed
  AlignedBuffer<uint16_t> b;
  std::vector<AlignedBuffer<uint16_t>> rows;  // else rows of A, by worker
};

// C = A B, or C += A B with `add`, for A [M, K], B [K, N] and C [M, N], whose
// rows are `stride` apart. Operands are rounded to bfloat16, to nearest with
// ties to even; magnitudes below 2^-126 count as 0. Products are exact, and
// sums are float32 in an order that depends only on the shape. May be called
// only where HasBf16Tiles().
void Bf16Gemm(int64_t M, int64_t N, int64_t K, const Bf16Operand& a,
              const Bf16Operand& b, float* c, int64_t stride, bool add,
              ParallelFor& parallel, Bf16Scratch& scratch);

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_BF16_GEMM_H_
