#include "attention/definition/reference.h"

#include <limits>

#include "attention/definition/rotated_product.h"
#include "kernels/reference/reference.h"

namespace ropewalk::attention {

double ReferenceScore(const position::Plan& plan, const HeadShape& shape,
                      std::span<const double> q, int64_t i,
                      std::span<const double> k, int64_t j, double head_scale) {
  const auto b = plan.BandOf(i, j);
  if (!b) return -std::numeric_limits<double>::infinity();
  const position::Band& band = plan.bands[static_cast<size_t>(*b)];
  const position::FrequencyTable& table =
      plan.tables[static_cast<size_t>(band.table)];
  const double product =
      RotatedProduct(q, k, *plan.EffectiveDistance(i, j), table);
  return shape.Capped(head_scale * plan.scale(i) * shape.ScoreFactor() *
                      product);
}

std::vector<double> ReferenceAttention(const position::Plan& plan,
                                       const HeadShape& shape,
                                       std::span<const double> queries,
                                       std::span<const double> keys,
                                       std::span<const double> values,
                                       std::span<const double> head_scale,
                                       std::span<const double> sinks) {
  const auto D = static_cast<size_t>(shape.D);
  const auto H = static_cast<size_t>(shape.H);
  const auto G = static_cast<size_t>(shape.G);
  const auto width = static_cast<size_t>(shape.ValueWidth());
  const size_t n = queries.size() / (H * D);
  std::vector<double> output(n * H * width, 0.0);
  std::vector<double> scores(n + 1);
  for (size_t i = 0; i < n; ++i) {
    for (size_t h = 0; h < H; ++h) {
      const size_t g = h / (H / G);
      for (size_t j = 0; j <= i; ++j) {
        scores[j] = ReferenceScore(
            plan, shape, queries.subspan((i * H + h) * D, D),
            static_cast<int64_t>(i), keys.subspan((j * G + g) * D, D),
            static_cast<int64_t>(j), head_scale.empty() ? 1.0 : head_scale[h]);
      }
      int64_t count = static_cast<int64_t>(i + 1);
      if (!sinks.empty()) scores[static_cast<size_t>(count++)] = sinks[h];
      kernels::reference::Softmax(scores.data(), count, scores.data());
      for (size_t j = 0; j <= i; ++j) {
        for (size_t d = 0; d < width; ++d) {
          output[(i * H + h) * width + d] +=
              scores[j] * values[(j * G + g) * width + d];
        }
      }
    }
  }
  return output;
}

}  // namespace ropewalk::attention
