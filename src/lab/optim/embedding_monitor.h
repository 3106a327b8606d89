// Watches an embedding for the anomaly of post 9736: under sign optimizers rows
// of rare tokens run to +-1 / lambda, and the loss does not show it.

#ifndef ROPEWALK_LAB_OPTIM_EMBEDDING_MONITOR_H_
#define ROPEWALK_LAB_OPTIM_EMBEDDING_MONITOR_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace ropewalk::lab::optim {

struct EmbeddingExtremes {
  double max_abs = 0;
  double min = 0;
  double max = 0;
  int64_t extreme_row = -1;   // the first that holds max_abs
  int64_t rows_above = 0;     // rows with max|.| > fraction / lambda
  int64_t rows_at_limit = 0;  // rows at 1 / lambda: base/row_limit.h
  int64_t rows_touching =
      0;                     // rows with any component within 1 % of 1 / lambda
  int64_t bad_rows = 0;      // rows with NaN or infinity, in nothing above
  double mean_row_norm = 0;  // L2, over the other rows
};

// Of a [V, E] table of any floating type, on any device. With weight_decay 0
// there is no limit and the counts of rows there are 0. Throws
// std::invalid_argument when the table is not [V, E] or the numbers are
// negative.
EmbeddingExtremes InspectEmbedding(const at::Tensor& embedding,
                                   double weight_decay, double fraction = 0.5);

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_EMBEDDING_MONITOR_H_
