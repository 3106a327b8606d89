#include "model/experts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ropewalk::model {
namespace {

constexpr double kExcluded = -std::numeric_limits<double>::infinity();

// The shares of all experts: a softmax or sigmoids of the logits.
void ShareOf(const Experts& experts, const float* logits,
             std::vector<double>& shares) {
  const auto value = [&](size_t e) { return static_cast<double>(logits[e]); };
  if (experts.sigmoid) {
    for (size_t e = 0; e < shares.size(); ++e) {
      shares[e] = 1 / (1 + std::exp(-value(e)));
    }
    return;
  }
  double top = kExcluded;
  for (size_t e = 0; e < shares.size(); ++e) {
    if (value(e) > top) top = value(e);  // not NaN
  }
  double sum = 0;
  for (size_t e = 0; e < shares.size(); ++e) {
    shares[e] = std::exp(value(e) - top);
    sum += shares[e];
  }
  for (double& share : shares) share /= sum;
}

// Excludes the experts of all groups but the best.
void ChooseGroups(const Experts& experts, std::vector<double>& choice) {
  const auto groups = static_cast<size_t>(experts.groups);
  const size_t size = choice.size() / groups;
  const size_t counted = std::min<size_t>(size, experts.sigmoid ? 2 : 1);
  std::vector<double> best(groups);
  for (size_t g = 0; g < groups; ++g) {
    const auto begin = choice.begin() + static_cast<int64_t>(g * size);
    std::vector<double> sorted(begin, begin + static_cast<int64_t>(size));
    std::sort(sorted.rbegin(), sorted.rend());
    best[g] = std::accumulate(
        sorted.begin(), sorted.begin() + static_cast<int64_t>(counted), 0.0);
  }
  std::vector<size_t> order(groups);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return best[a] > best[b]; });
  for (size_t i = static_cast<size_t>(experts.groups_used); i < groups; ++i) {
    std::fill_n(choice.begin() + static_cast<int64_t>(order[i] * size), size,
                kExcluded);
  }
}

}  // namespace

std::vector<std::vector<ExpertShare>> RouteTokens(const Experts& experts,
                                                  const float* logits,
                                                  int64_t T) {
  const size_t count = experts.experts.size();
  const auto used = static_cast<size_t>(experts.used);
  std::vector<std::vector<ExpertShare>> routed(count);
  std::vector<double> shares(count);
  std::vector<double> choice(count);
  std::vector<size_t> order(count);
  for (int64_t t = 0; t < T; ++t) {
    const float* row = logits + t * static_cast<int64_t>(count);
    ShareOf(experts, row, shares);
    // The choice is by logits, which never tie where shares underflow. NaN has
    // no place in an order, so it counts as the smallest.
    for (size_t e = 0; e < count; ++e) {
      double value = experts.sigmoid ? shares[e] : static_cast<double>(row[e]);
      if (experts.selection_bias.size() > 0) {
        value =
            shares[e] + static_cast<double>(
                            experts.selection_bias[static_cast<int64_t>(e)]);
      }
      choice[e] = std::isnan(value) ? kExcluded : value;
    }
    if (experts.groups > 1) ChooseGroups(experts, choice);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return choice[a] > choice[b]; });
    double sum = 1;
    if (experts.renormalise) {
      sum = 1e-20;  // of sigmoids that are all 0
      for (size_t i = 0; i < used; ++i) sum += shares[order[i]];
    }
    for (size_t i = 0; i < used; ++i) {
      const double share = experts.scale * shares[order[i]] / sum;
      routed[order[i]].push_back({t, static_cast<float>(share)});
    }
  }
  return routed;
}

}  // namespace ropewalk::model
