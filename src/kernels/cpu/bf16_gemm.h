// Matrix products in bfloat16 on the tiles of AMX: what mixed-precision
// training multiplies with. Weights and states stay float32; operands are
// rounded as they are packed.

#ifndef ROPEWALK_KERNELS_CPU_BF16_GEMM_H_
#define ROPEWALK_KERNELS_CPU_BF16_GEMM_H_

#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/parallel.h"

namespace ropewalk::kernels {

// Whether this processor has tiles for bfloat16 and the system lets this
// process use them; asked once.
bool HasBf16Tiles();

// A matrix in memory, read as it lies or as its transpose.
struct Bf16Operand {
  const float* data = nullptr;
  int64_t stride = 0;  // from one row in memory to the next
  bool transposed = false;
};

// Packed operands, kept from call to call. One call at a time.
struct Bf16Scratch {
  AlignedBuffer<uint16_t> a;  // where it is read as its transpose
  AlignedBuffer<uint16_t> b;
  std::vector<AlignedBuffer<uint16_t>> rows;  // of A else, a worker
};

// C [M, N], rows `stride` apart, = A [M, K] B [K, N], or with `add` += it. Each
// operand is rounded to bfloat16 (to nearest, ties to even; what is below
// 2^-126 counts as 0), products are exact, sums float32 in an order that
// depends on the shape alone. Only where HasBf16Tiles.
void Bf16Gemm(int64_t M, int64_t N, int64_t K, const Bf16Operand& a,
              const Bf16Operand& b, float* c, int64_t stride, bool add,
              ParallelFor& parallel, Bf16Scratch& scratch);

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_BF16_GEMM_H_
