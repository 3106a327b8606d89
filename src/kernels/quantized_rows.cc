#include "kernels/quantized_rows.h"

#include "kernels/cpu/interleaved.h"

namespace ropewalk::kernels {

const QuantizedRows& RowQuantizer::Quantize(const float* x, int64_t T,
                                            int64_t columns,
                                            ParallelFor& threads) {
  const int64_t units = columns / kUnitColumns;
  const int64_t steps = 2 * units;  // at most
  codes_.EnsureSize(T * steps * kUnitColumns);
  scales_.EnsureSize(T * steps);
  sums_.EnsureSize(T * steps * 3);
  units_.EnsureSize(T * steps);
  maxima_.EnsureSize(T * units);
  rows_.T = T;
  rows_.biased = BiasesCodes(T);
  rows_.panels.clear();
  ForPanels(T, [&](int64_t first, int64_t tokens) {
    rows_.panels.push_back({.first = first, .tokens = tokens});
  });
  threads.Run(static_cast<int64_t>(rows_.panels.size()), [&](int64_t task,
                                                             int64_t) {
    QuantizedPanel& panel = rows_.panels[static_cast<size_t>(task)];
    const int64_t at = panel.first * steps;
    uint8_t* codes = codes_.data() + at * kUnitColumns;
    float* scales = scales_.data() + at;
    float* sums = sums_.data() + at * 3;
    int32_t* own_units = units_.data() + at;
    panel.steps = QuantizePanel({.x = x + panel.first * columns,
                                 .n = panel.tokens,
                                 .units = units,
                                 .biased = rows_.biased,
                                 .maxima = maxima_.data() + panel.first * units,
                                 .codes = codes,
                                 .scales = scales,
                                 .sums = sums,
                                 .unit_of_step = own_units});
    panel.codes = codes;
    panel.scales = scales;
    panel.sums = sums;
    panel.units = own_units;
  });
  return rows_;
}

}  // namespace ropewalk::kernels
