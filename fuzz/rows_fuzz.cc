// Rows of weights in every stored type, unpacked, and multiplied in float32
// and, interleaved, in integers. The first byte of the input is the type, the
// second gives the numbers of rows and tokens, and the rest is the matrix.

#include <cmath>
#include <cstring>
#include <vector>

#include "base/aligned.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "fuzz/input.h"
#include "kernels/blocks.h"
#include "kernels/interleaved.h"
#include "kernels/matmul.h"
#include "kernels/reference/blocks.h"

namespace ropewalk {
namespace {

// True if both are the same number or both are NaN.
bool Same(float a, float b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0 ||
         (std::isnan(a) && std::isnan(b));
}

void Use(const kernels::Matrix& matrix, int64_t T) {
  std::vector<float> fast(static_cast<size_t>(matrix.columns));
  std::vector<float> slow(fast.size());
  for (int64_t r = 0; r < matrix.rows; ++r) {
    kernels::UnpackRow(matrix.type, matrix.Row(r), matrix.columns, fast.data());
    kernels::reference::UnpackRow(matrix.type, matrix.Row(r), matrix.columns,
                                  slow.data());
    for (size_t i = 0; i < fast.size(); ++i) {
      fuzz::Claim(Same(fast[i], slow[i]),
                  std::string(InfoOf(matrix.type).name) + ", element " +
                      std::to_string(i) + ": unpacked to another number");
    }
  }
  SerialFor threads;
  kernels::MatMulScratch scratch;
  const std::vector<float> x(static_cast<size_t>(T * matrix.columns), 0.5f);
  std::vector<float> y(static_cast<size_t>(T * matrix.rows));
  const kernels::BatchRows batch = kernels::RowsOf(T);
  kernels::MatMul(x.data(), batch, matrix, y.data(), threads, scratch);

  if (!kernels::CanInterleave(matrix.type)) return;
  kernels::InterleavedMatrix form{matrix.type, nullptr, matrix.rows,
                                  matrix.columns};
  AlignedBuffer<uint8_t> group(
      kernels::InterleavedGroupBytes(matrix.type, matrix.columns));
  kernels::InterleaveGroup(matrix.type, matrix.Row(0), matrix.rows,
                           matrix.columns, group.data());
  form.data = group.data();
  const kernels::Product product{&matrix, &form, y.data()};
  kernels::MatMul(x.data(), batch, {&product, 1}, threads, scratch);
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  if (size < 2) return 0;
  const DTypeInfo& type = AllDTypes()[data[0] % AllDTypes().size()];
  const int64_t rows = 1 + data[1] % 4;
  const int64_t tokens = 1 + (data[1] >> 2) % 40;
  const auto left = static_cast<int64_t>(size) - 2;
  const int64_t blocks = left / (rows * type.block_bytes);
  if (blocks == 0) return 0;
  // On the heap, as long as the rows and no longer: a read beyond them is seen.
  const std::vector<uint8_t> bytes(data + 2,
                                   data + 2 + rows * blocks * type.block_bytes);
  Use({type.type, bytes.data(), rows, blocks * type.block_elements}, tokens);
  return 0;
}
