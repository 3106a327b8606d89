#include "model/experts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ropewalk::model {

std::vector<std::vector<ExpertShare>> RouteTokens(const Experts& experts,
                                                  const float* logits,
                                                  int64_t T) {
  const size_t count = experts.experts.size();
  const auto used = static_cast<size_t>(experts.used);
  std::vector<std::vector<ExpertShare>> shares(count);
  std::vector<size_t> order(count);
  for (int64_t t = 0; t < T; ++t) {
    const float* row = logits + t * static_cast<int64_t>(count);
    std::iota(order.begin(), order.end(), size_t{0});
    // NaN has no place in an order, so it counts as the smallest logit.
    const auto value = [&](size_t e) {
      return std::isnan(row[e]) ? -HUGE_VALF : row[e];
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return value(a) > value(b); });
    const size_t summed = experts.renormalise ? used : count;
    const double top = row[order.front()];
    double sum = 0;
    for (size_t i = 0; i < summed; ++i) sum += std::exp(row[order[i]] - top);
    for (size_t i = 0; i < used; ++i) {
      const double share = experts.scale * std::exp(row[order[i]] - top) / sum;
      shares[order[i]].push_back({t, static_cast<float>(share)});
    }
  }
  return shares;
}

}  // namespace ropewalk::model
