#include "attention/definition/entropy.h"

#include <algorithm>
#include <cmath>

#include "attention/definition/scores.h"

namespace ropewalk::attention {
namespace {

// With x = score - largest score and Z = sum e^x, entropy is
// ln Z - sum e^x x / Z, of which both terms are at least 0.
double Entropy(std::span<const double> scores) {
  if (scores.empty()) return 0;
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  double weighted = 0;
  for (const double score : scores) {
    const double x = score - largest;
    const double weight = std::exp(x);
    sum += weight;
    // A score of minus infinity has weight 0 and adds nothing.
    if (weight > 0) weighted += weight * x;
  }
  return std::log(sum) - weighted / sum;
}

}  // namespace

std::vector<double> RowEntropies(const position::Plan& plan,
                                 const HeadShape& shape,
                                 std::span<const float> query, int64_t i,
                                 std::span<const float> keys,
                                 std::span<const float> head_scale) {
  std::vector<double> entropies;
  for (const auto& row : RowScores(plan, shape, query, i, keys, head_scale)) {
    entropies.push_back(Entropy(row));
  }
  return entropies;
}

int64_t KeysSeen(const position::Plan& plan, int64_t i) {
  int64_t seen = 0;
  for (int64_t j = 0; j <= i; ++j) seen += plan.BandOf(i, j) ? 1 : 0;
  return seen;
}

}  // namespace ropewalk::attention
