#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::kernels {
namespace {

constexpr int64_t kPanelRows = 32;    // weight rows: two AVX-512 vectors
constexpr int64_t kPanelDepth = 512;  // 32 x 512 floats: 64 KiB, half an L2
constexpr int64_t kDotRows = 16;      // weight rows in a task of few tokens
constexpr int64_t kTileTokens = 3;    // from this T on rows are unpacked first
constexpr int64_t kTileFloats = 32 << 10;  // of unpacked rows: 128 KiB

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

// The number of weight rows that are unpacked together for a tile of dot
// products.
int64_t TileRows(const Matrix& weights) {
  return std::clamp<int64_t>(kTileFloats / weights.columns, 1, kDotRows);
}

int64_t TileScratch(int64_t T, const Matrix& weights) {
  const bool unpacks = T >= kTileTokens && weights.type != DType::kF32;
  return unpacks ? TileRows(weights) * weights.columns : 0;
}

// Computes y[:, row .. row + rows) of few tokens.
void MultiplyByDots(const float* x, int64_t T, const Matrix& weights,
                    int64_t row, int64_t rows, float* y, float* unpacked) {
  if (T < kTileTokens) {
    for (int64_t r = row; r < row + rows; ++r) {
      for (int64_t t = 0; t < T; ++t) {
        y[t * weights.rows + r] = Dot(weights.type, weights.Row(r),
                                      x + t * weights.columns, weights.columns);
      }
    }
    return;
  }
  const int64_t step = TileRows(weights);
  for (int64_t r = row; r < row + rows; r += step) {
    const int64_t count = std::min(step, row + rows - r);
    const auto* tile = static_cast<const float*>(weights.Row(r));
    if (weights.type != DType::kF32) {
      for (int64_t i = 0; i < count; ++i) {
        UnpackRow(weights.type, weights.Row(r + i), weights.columns,
                  unpacked + i * weights.columns);
      }
      tile = unpacked;
    }
    DotTile({.weights = tile,
             .x = x,
             .y = y + r,
             .rows = count,
             .T = T,
             .columns = weights.columns,
             .weight_stride = weights.columns,
             .x_stride = weights.columns,
             .y_stride = weights.rows});
  }
}

// The same for many tokens, with rows at most kPanelRows.
void MultiplyByPanels(const float* x, int64_t T, const Matrix& weights,
                      int64_t row, int64_t rows, float* y, float* panel) {
  float* line = panel + kPanelDepth * kPanelRows;
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
}

}  // namespace

void MatMul(const float* x, BatchRows batch, const Matrix& weights, float* y,
            ParallelFor& threads, MatMulScratch& scratch) {
  if (batch.total() <= 0 || weights.rows <= 0) return;
  const int64_t step = batch.many > 0 ? kPanelRows : kDotRows;
  const int64_t floats =
      std::max(TileScratch(batch.few, weights),
               batch.many > 0 ? kPanelDepth * (kPanelRows + 1) : 0);
  scratch.Panel(0, threads.workers(), floats);
  threads.Run(
      (weights.rows + step - 1) / step, [&](int64_t task, int64_t worker) {
        float* memory = scratch.Panel(worker, threads.workers(), floats);
        const int64_t row = task * step;
        const int64_t rows = std::min(step, weights.rows - row);
        if (batch.few > 0) {
          MultiplyByDots(x, batch.few, weights, row, rows, y, memory);
        }
        if (batch.many > 0) {
          MultiplyByPanels(x + batch.few * weights.columns, batch.many, weights,
                           row, rows, y + batch.few * weights.rows, memory);
        }
      });
}

}  // namespace ropewalk::kernels
