#include "lab/optim/embedding_monitor.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/row_limit.h"
#include "lab/optim/fused.h"

namespace ropewalk::lab::optim {
namespace {

struct Row {
  double min = 0, max = 0, norm = 0;
  bool at_limit = false, touching = false;
};

// Of a component that touches the limit.
constexpr double kTouching = 0.01;

Row InspectRow(const float* x, int64_t E, double limit) {
  Row row{.min = x[0], .max = x[0]};
  double squares = 0;
  for (int64_t e = 0; e < E; ++e) {
    const double value = x[e];
    row.min = std::min(row.min, value);
    row.max = std::max(row.max, value);
    squares += value * value;
  }
  const std::span<const float> all(x, static_cast<size_t>(E));
  row.at_limit = StandsAtLimit(CountAtLimit(all, limit), E);
  row.touching = CountAtLimit(all, limit, kTouching) > 0;
  row.norm = std::sqrt(squares);  // not finite where any element is not
  return row;
}

}  // namespace

EmbeddingExtremes InspectEmbedding(const at::Tensor& embedding,
                                   double weight_decay, double fraction) {
  Require(embedding.dim() == 2 && embedding.is_floating_point(),
          "embedding monitor: the table must be floating-point [V, E]");
  Require(weight_decay >= 0 && fraction >= 0,
          "embedding monitor: weight_decay and fraction must be at least 0, "
          "got " +
              std::to_string(weight_decay) + " and " +
              std::to_string(fraction));
  const at::NoGradGuard no_grad;
  const at::Tensor table =
      embedding.detach().to(at::kCPU).to(at::kFloat).contiguous();
  const int64_t V = table.size(0);
  const int64_t E = table.size(1);
  const double limit = weight_decay > 0 ? 1 / weight_decay : INFINITY;
  EmbeddingExtremes result;
  if (E == 0) return result;
  std::vector<Row> rows(static_cast<size_t>(V));
  fused::OverRows(V, E, [&](int64_t v) {
    rows[static_cast<size_t>(v)] =
        InspectRow(table.data_ptr<float>() + v * E, E, limit);
  });
  double norms = 0;
  for (int64_t v = 0; v < V; ++v) {
    const Row& row = rows[static_cast<size_t>(v)];
    if (!std::isfinite(row.norm)) {
      ++result.bad_rows;
      continue;
    }
    const double max_abs = std::max(row.max, -row.min);
    const bool first = result.extreme_row < 0;
    result.min = first ? row.min : std::min(result.min, row.min);
    result.max = first ? row.max : std::max(result.max, row.max);
    if (first || max_abs > result.max_abs) {
      result.max_abs = max_abs;
      result.extreme_row = v;
    }
    result.rows_above += max_abs > fraction * limit ? 1 : 0;
    result.rows_at_limit += row.at_limit ? 1 : 0;
    result.rows_touching += row.touching ? 1 : 0;
    norms += row.norm;
  }
  if (V > result.bad_rows) {
    result.mean_row_norm = norms / static_cast<double>(V - result.bad_rows);
  }
  return result;
}

}  // namespace ropewalk::lab::optim
