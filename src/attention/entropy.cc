#include "attention/entropy.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace ropewalk::attention {
namespace {

// What every head of a pair shares: the rotation between the two.
struct Turn {
  std::vector<double> cosines;  // [pairs], magnitude^2 in them
  std::vector<double> sines;    // [pairs]

  void Set(const position::FrequencyTable& table, double r) {
    const double square = table.magnitude * table.magnitude;
    const size_t pairs = table.frequencies.size();
    cosines.resize(pairs);
    sines.resize(pairs);
    for (size_t m = 0; m < pairs; ++m) {
      cosines[m] = square * std::cos(r * table.frequencies[m]);
      sines[m] = square * std::sin(r * table.frequencies[m]);
    }
  }

  // Product of q [D], rotated, and k [D].
  double Product(const float* q, const float* k, size_t D) const {
    const size_t pairs = cosines.size();
    double sum = 0;
    for (size_t m = 0; m < pairs; ++m) {
      const double a = q[m];
      const double b = q[m + pairs];
      sum += (a * cosines[m] - b * sines[m]) * k[m] +
             (a * sines[m] + b * cosines[m]) * k[m + pairs];
    }
    for (size_t d = 2 * pairs; d < D; ++d) {
      sum += static_cast<double>(q[d]) * k[d];
    }
    return sum;
  }
};

// With Z = sum e^x and x counted from the largest score, entropy is
// ln Z - sum e^x x / Z: two terms that are never negative.
double Entropy(std::span<const double> scores) {
  if (scores.empty()) return 0;
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  double weighted = 0;
  for (const double score : scores) {
    const double x = score - largest;
    const double weight = std::exp(x);
    sum += weight;
    // A score of minus infinity has a weight of 0, and no say.
    if (weight > 0) weighted += weight * x;
  }
  return std::log(sum) - weighted / sum;
}

void CheckSizes(const position::Plan& plan, const HeadShape& shape,
                std::span<const float> query, int64_t i,
                std::span<const float> keys,
                std::span<const float> head_scale) {
  Require(shape.H > 0 && shape.G > 0 && shape.D > 0 && shape.H % shape.G == 0,
          "entropy: " + std::to_string(shape.H) + " query heads of width " +
              std::to_string(shape.D) + " over " + std::to_string(shape.G) +
              " key heads");
  Require(static_cast<int64_t>(query.size()) == shape.H * shape.D,
          "entropy: a query of " + std::to_string(query.size()) +
              " numbers for " + std::to_string(shape.H) + " heads of width " +
              std::to_string(shape.D));
  const auto key_size = static_cast<size_t>(shape.G * shape.D);
  Require(i >= 0 && keys.size() % key_size == 0 &&
              static_cast<int64_t>(keys.size() / key_size) > i,
          "entropy: query " + std::to_string(i) + " needs the keys up to it, " +
              std::to_string(key_size) + " numbers each; got " +
              std::to_string(keys.size()) + " numbers");
  Require(
      head_scale.empty() || static_cast<int64_t>(head_scale.size()) == shape.H,
      "entropy: " + std::to_string(head_scale.size()) + " scales for " +
          std::to_string(shape.H) + " heads");
  for (const position::FrequencyTable& table : plan.tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= shape.D,
            "entropy: " + std::to_string(table.frequencies.size()) +
                " frequencies for heads of width " + std::to_string(shape.D));
  }
}

}  // namespace

std::vector<double> RowEntropies(const position::Plan& plan,
                                 const HeadShape& shape,
                                 std::span<const float> query, int64_t i,
                                 std::span<const float> keys,
                                 std::span<const float> head_scale) {
  CheckSizes(plan, shape, query, i, keys, head_scale);
  const auto H = static_cast<size_t>(shape.H);
  const auto G = static_cast<size_t>(shape.G);
  const auto D = static_cast<size_t>(shape.D);
  std::vector<double> factors(H);
  for (size_t h = 0; h < H; ++h) {
    factors[h] = plan.scale(i) / std::sqrt(static_cast<double>(D)) *
                 (head_scale.empty() ? 1.0 : head_scale[h]);
  }
  std::vector<std::vector<double>> scores(H);  // of the keys seen
  Turn turn;
  for (int64_t j = 0; j <= i; ++j) {
    const auto b = plan.BandOf(i, j);
    if (!b) continue;
    const position::Band& band = plan.bands[static_cast<size_t>(*b)];
    turn.Set(plan.tables[static_cast<size_t>(band.table)],
             *plan.EffectiveDistance(i, j));
    for (size_t h = 0; h < H; ++h) {
      const size_t g = h / (H / G);
      const float* key = keys.data() + (static_cast<size_t>(j) * G + g) * D;
      scores[h].push_back(factors[h] *
                          turn.Product(query.data() + h * D, key, D));
    }
  }
  std::vector<double> entropies;
  for (const auto& row : scores) entropies.push_back(Entropy(row));
  return entropies;
}

int64_t KeysSeen(const position::Plan& plan, int64_t i) {
  int64_t seen = 0;
  for (int64_t j = 0; j <= i; ++j) seen += plan.BandOf(i, j) ? 1 : 0;
  return seen;
}

}  // namespace ropewalk::attention
