#include "kernels/matmul.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "kernels/blocks.h"
#include "kernels/cpu/interleaved.h"
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

// How a product is cut into tasks.
struct Cut {
  int64_t step = 1;  // weight rows, or groups of them in integers
  int64_t tasks = 0;
  int64_t scratch = 0;  // bytes for each worker
};

// Weights that a task of few tokens streams, so that taking a task costs
// little.
constexpr int64_t kStreamBytes = 32 << 10;
// Unpacked weights that stay in a level-2 cache beside activations.
constexpr int64_t kUnpackedBytes = 256 << 10;
// Tasks for each worker, so that the last ones end together.
constexpr int64_t kTasksOfWorker = 4;

Cut CutIntegers(const InterleavedMatrix& matrix, int64_t T, int64_t workers) {
  Cut cut;
  const int64_t groups = matrix.groups();
  const bool streams = T <= kStreamTokens;
  const int64_t bytes = streams
                            ? InterleavedGroupBytes(matrix.type, matrix.columns)
                            : UnpackedBytes(matrix);
  const int64_t most = (streams ? kStreamBytes : kUnpackedBytes) / bytes;
  cut.step = std::clamp<int64_t>(groups / (workers * kTasksOfWorker), 1,
                                 std::max<int64_t>(1, most));
  cut.tasks = (groups + cut.step - 1) / cut.step;
  cut.scratch = streams ? 0 : cut.step * bytes;
  return cut;
}

Cut CutFloats(const Matrix& weights, BatchRows batch) {
  Cut cut;
  cut.step = batch.many > 0 ? kPanelRows : kDotRows;
  cut.tasks = (weights.rows + cut.step - 1) / cut.step;
  const int64_t floats =
      std::max(TileScratch(batch.few, weights),
               batch.many > 0 ? kPanelDepth * (kPanelRows + 1) : 0);
  cut.scratch = floats * static_cast<int64_t>(sizeof(float));
  return cut;
}

void RunIntegers(const InterleavedMatrix& matrix, const Cut& cut, int64_t task,
                 const QuantizedRows& x, float* y, float* memory) {
  const int64_t first = task * cut.step;
  const int64_t groups = std::min(cut.step, matrix.groups() - first);
  if (x.T > kStreamTokens) {
    MultiplyUnpacked(matrix, first, groups, x, y,
                     reinterpret_cast<uint8_t*>(memory));
    return;
  }
  for (int64_t g = first; g < first + groups; ++g) {
    MultiplyStreamed(matrix, g, x, y);
  }
}

void RunFloats(const float* x, BatchRows batch, const Matrix& weights,
               const Cut& cut, int64_t task, float* y, float* memory) {
  const int64_t row = task * cut.step;
  const int64_t rows = std::min(cut.step, weights.rows - row);
  if (batch.few > 0) {
    MultiplyByDots(x, batch.few, weights, row, rows, y, memory);
  }
  if (batch.many > 0) {
    MultiplyByPanels(x + batch.few * weights.columns, batch.many, weights, row,
                     rows, y + batch.few * weights.rows, memory);
  }
}

constexpr size_t kProducts = 4;  // of one call: queries, keys, values, a gate

}  // namespace

void MatMul(const float* x, BatchRows batch, std::span<const Product> products,
            ParallelFor& threads, MatMulScratch& scratch) {
  const int64_t T = batch.total();
  ROPEWALK_CHECK(products.size() <= kProducts);
  if (T <= 0 || products.empty()) return;
  std::array<Cut, kProducts> cuts;
  int64_t tasks = 0;
  int64_t bytes = 0;
  const QuantizedRows* quantized = nullptr;
  for (size_t p = 0; p < products.size(); ++p) {
    const Product& product = products[p];
    if (product.InIntegers()) {
      if (quantized == nullptr) {
        quantized = &scratch.quantizer().Quantize(
            x, T, product.interleaved->columns, threads);
      }
      cuts[p] = CutIntegers(*product.interleaved, T, threads.workers());
    } else {
      cuts[p] = CutFloats(*product.weights, batch);
    }
    tasks += cuts[p].tasks;
    bytes = std::max(bytes, cuts[p].scratch);
  }
  const auto floats = (bytes + kAlignment - 1) / kAlignment * kAlignment / 4;
  scratch.Panel(0, threads.workers(), floats);
  threads.Run(tasks, [&](int64_t task, int64_t worker) {
    float* memory = scratch.Panel(worker, threads.workers(), floats);
    size_t p = 0;
    for (; task >= cuts[p].tasks; ++p) task -= cuts[p].tasks;
    const Product& product = products[p];
    if (product.InIntegers()) {
      RunIntegers(*product.interleaved, cuts[p], task, *quantized, product.y,
                  memory);
    } else {
      RunFloats(x, batch, *product.weights, cuts[p], task, product.y, memory);
    }
  });
}

void MatMul(const float* x, BatchRows batch, const Matrix& weights, float* y,
            ParallelFor& threads, MatMulScratch& scratch) {
  const Product product{.weights = &weights, .y = y};
  MatMul(x, batch, {&product, 1}, threads, scratch);
}

}  // namespace ropewalk::kernels
