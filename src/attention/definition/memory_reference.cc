#include "attention/definition/memory_reference.h"

#include "attention/definition/reference.h"
#include "attention/definition/rotated_product.h"
#include "kernels/reference/reference.h"

namespace ropewalk::attention {
std::vector<double> ReferenceMemoryAttention(const position::Plan& plan,
                                             const HeadShape& shape,
                                             std::span<const double> queries,
                                             std::span<const double> keys,
                                             std::span<const double> values,
                                             std::span<const double> head_scale,
                                             const ReferenceMemory& memory) {
  const auto D = static_cast<size_t>(shape.D);
  const auto H = static_cast<size_t>(shape.H);
  const auto G = static_cast<size_t>(shape.G);
  const auto width = static_cast<size_t>(shape.ValueWidth());
  const size_t n = queries.size() / (H * D);
  const size_t m = memory.keys.size() / (G * D);
  std::vector<double> output(n * H * width, 0.0);
  for (size_t i = 0; i < n; ++i) {
    const auto id = static_cast<int64_t>(i);
    const size_t seen = id < memory.from ? 0 : m;
    const double s = plan.scale(id + static_cast<int64_t>(seen));
    for (size_t h = 0; h < H; ++h) {
      const size_t g = h / (H / G);
      const double learned = head_scale.empty() ? 1.0 : head_scale[h];
      const auto q = queries.subspan((i * H + h) * D, D);
      std::vector<double> scores;
      for (size_t j = 0; j < seen; ++j) {
        const double r = memory.query(id) - memory.key(static_cast<int64_t>(j));
        const double product = RotatedProduct(
            q, memory.keys.subspan((j * G + g) * D, D), r, memory.table);
        scores.push_back(shape.Capped(learned * s * shape.ScoreFactor() *
                                      memory.sharpness * product) +
                         memory.bias);
      }
      for (size_t j = 0; j <= i; ++j) {
        scores.push_back(ReferenceScore(
            plan, shape, q, id, keys.subspan((j * G + g) * D, D),
            static_cast<int64_t>(j), learned * s / plan.scale(id)));
      }
      kernels::reference::Softmax(
          scores.data(), static_cast<int64_t>(scores.size()), scores.data());
      for (size_t at = 0; at < scores.size(); ++at) {
        const auto value =
            at < seen ? memory.values.subspan((at * G + g) * width, width)
                      : values.subspan(((at - seen) * G + g) * width, width);
        for (size_t d = 0; d < width; ++d) {
          output[(i * H + h) * width + d] += scores[at] * value[d];
        }
      }
    }
  }
  return output;
}

}  // namespace ropewalk::attention
