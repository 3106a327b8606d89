#include "kernels/quantized_rows.h"

#include <algorithm>

#include "kernels/cpu/interleaved.h"

namespace ropewalk::kernels {

const QuantizedRows& RowQuantizer::Quantize(const float* x, int64_t T,
                                            int64_t columns,
                                            ParallelFor& threads) {
  const int64_t units = columns / kUnitColumns;
  codes_.EnsureSize(T * columns);
  scales_.EnsureSize(T * units);
  sums_.EnsureSize(T * units * 3);
  rows_ = {.codes = codes_.data(),
           .scales = scales_.data(),
           .sums = sums_.data(),
           .T = T,
           .units = units,
           .biased = BiasesCodes(T)};
  const auto panel = [&](int64_t first, int64_t tokens) {
    QuantizePanel(x + first * columns, tokens, units, rows_.biased,
                  rows_.codes + first * columns, rows_.scales + first * units,
                  rows_.sums + first * units * 3);
  };
  // A task is a wide panel, or all that is left of the tokens.
  threads.Run((T + kPanelTokens - 1) / kPanelTokens,
              [&](int64_t task, int64_t) {
                const int64_t from = task * kPanelTokens;
                const int64_t left = std::min(kPanelTokens, T - from);
                ForPanels(left, [&](int64_t first, int64_t tokens) {
                  panel(from + first, tokens);
                });
              });
  return rows_;
}

}  // namespace ropewalk::kernels
