#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::kernels {
namespace {

constexpr int64_t kPanelRows = 32;    // weight rows: two AVX-512 vectors
constexpr int64_t kPanelDepth = 512;  // 32 x 512 floats: 64 KiB, half an L2
constexpr int64_t kDotTokens = 4;     // up to here dot products are faster
constexpr int64_t kDotRows = 16;      // weight rows a task takes

// panel[c, r] = W[row + r, column + c] for a block of the matrix.
void Transpose(const Matrix& weights, int64_t row, int64_t rows, int64_t column,
               int64_t columns, float* line, float* panel) {
  const int64_t skip = column / InfoOf(weights.type).block_elements *
                       InfoOf(weights.type).block_bytes;
  for (int64_t r = 0; r < rows; ++r) {
    const auto* data = static_cast<const uint8_t*>(weights.Row(row + r)) + skip;
    UnpackRow(weights.type, data, columns, line);
    for (int64_t c = 0; c < columns; ++c) {
      panel[c * kPanelRows + r] = line[c];
    }
  }
}

void MultiplyByDots(const float* x, int64_t T, const Matrix& weights, float* y,
                    ParallelFor& threads) {
  const int64_t tasks = (weights.rows + kDotRows - 1) / kDotRows;
  threads.Run(tasks, [&](int64_t task, int64_t) {
    const int64_t end = std::min(weights.rows, (task + 1) * kDotRows);
    for (int64_t r = task * kDotRows; r < end; ++r) {
      for (int64_t t = 0; t < T; ++t) {
        y[t * weights.rows + r] = Dot(weights.type, weights.Row(r),
                                      x + t * weights.columns, weights.columns);
      }
    }
  });
}

void MultiplyByPanels(const float* x, int64_t T, const Matrix& weights,
                      float* y, ParallelFor& threads, MatMulScratch& scratch) {
  const int64_t tasks = (weights.rows + kPanelRows - 1) / kPanelRows;
  constexpr int64_t kScratch = kPanelDepth * (kPanelRows + 1);
  scratch.Panel(0, threads.workers(), kScratch);
  threads.Run(tasks, [&](int64_t task, int64_t worker) {
    float* panel = scratch.Panel(worker, threads.workers(), kScratch);
    float* line = panel + kPanelDepth * kPanelRows;
    const int64_t row = task * kPanelRows;
    const int64_t rows = std::min(kPanelRows, weights.rows - row);
    for (int64_t c = 0; c < weights.columns; c += kPanelDepth) {
      const int64_t depth = std::min(kPanelDepth, weights.columns - c);
      Transpose(weights, row, rows, c, depth, line, panel);
      Gemm({.a = x + c,
            .b = panel,
            .c = y + row,
            .rows = T,
            .columns = rows,
            .depth = depth,
            .a_stride = weights.columns,
            .b_stride = kPanelRows,
            .c_stride = weights.rows,
            .accumulate = c > 0});
    }
  });
}

}  // namespace

void MatMul(const float* x, int64_t T, const Matrix& weights, float* y,
            ParallelFor& threads, MatMulScratch& scratch) {
  if (T <= 0 || weights.rows <= 0) return;
  if (T <= kDotTokens) {
    MultiplyByDots(x, T, weights, y, threads);
  } else {
    MultiplyByPanels(x, T, weights, y, threads, scratch);
  }
}

}  // namespace ropewalk::kernels
