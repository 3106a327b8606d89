#include "attention/definition/scores.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace ropewalk::attention {
namespace {

// The rotation between query and key of a pair, the same for all heads.
struct Turn {
  std::vector<double> cosines;  // [pairs], times magnitude^2
  std::vector<double> sines;    // [pairs], times magnitude^2

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

  // The product of q [D], rotated, and k [D].
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

void CheckSizes(const position::Plan& plan, const HeadShape& shape,
                std::span<const float> query, int64_t i,
                std::span<const float> keys,
                std::span<const float> head_scale) {
  Require(shape.H > 0 && shape.G > 0 && shape.D > 0 && shape.H % shape.G == 0,
          "attention scores: " + std::to_string(shape.H) +
              " query heads of width " + std::to_string(shape.D) + " over " +
              std::to_string(shape.G) +
              " key heads (query heads must be a multiple of key heads)");
  Validate(shape);
  Require(static_cast<int64_t>(query.size()) == shape.H * shape.D,
          "attention scores: a query has " + std::to_string(query.size()) +
              " numbers, which do not fit " + std::to_string(shape.H) +
              " heads of width " + std::to_string(shape.D));
  const auto key_size = static_cast<size_t>(shape.G * shape.D);
  Require(i >= 0 && keys.size() % key_size == 0 &&
              static_cast<int64_t>(keys.size() / key_size) > i,
          "attention scores: query " + std::to_string(i) +
              " needs the keys up to it, " + std::to_string(key_size) +
              " numbers each; got " + std::to_string(keys.size()) + " numbers");
  Require(
      head_scale.empty() || static_cast<int64_t>(head_scale.size()) == shape.H,
      "attention scores: one scale is needed for each of " +
          std::to_string(shape.H) + " heads, got " +
          std::to_string(head_scale.size()));
  for (const position::FrequencyTable& table : plan.tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= shape.D,
            "attention scores: " + std::to_string(table.frequencies.size()) +
                " frequencies do not fit heads of width " +
                std::to_string(shape.D));
  }
}

}  // namespace

std::vector<std::vector<double>> RowScores(
    const position::Plan& plan, const HeadShape& shape,
    std::span<const float> query, int64_t i, std::span<const float> keys,
    std::span<const float> head_scale, Direction direction) {
  CheckSizes(plan, shape, query, i, keys, head_scale);
  const auto H = static_cast<size_t>(shape.H);
  const auto G = static_cast<size_t>(shape.G);
  const auto D = static_cast<size_t>(shape.D);
  std::vector<double> factors(H);
  for (size_t h = 0; h < H; ++h) {
    factors[h] = plan.scale(i) * shape.ScoreFactor() *
                 (head_scale.empty() ? 1.0 : head_scale[h]);
  }
  std::vector<std::vector<double>> scores(H);
  Turn turn;
  const int64_t n = static_cast<int64_t>(keys.size() / (G * D));
  const int64_t begin = direction == Direction::kBackward ? i : 0;
  const int64_t end = direction == Direction::kForward ? i + 1 : n;
  for (int64_t j = begin; j < end; ++j) {
    const int64_t late = std::max(i, j);
    const int64_t early = std::min(i, j);
    const auto b = plan.BandOf(late, early);
    if (!b) continue;
    const position::Band& band = plan.bands[static_cast<size_t>(*b)];
    const double r = *plan.EffectiveDistance(late, early);
    turn.Set(plan.tables[static_cast<size_t>(band.table)], j > i ? -r : r);
    for (size_t h = 0; h < H; ++h) {
      const size_t g = h / (H / G);
      const float* key = keys.data() + (static_cast<size_t>(j) * G + g) * D;
      scores[h].push_back(shape.Capped(
          factors[h] * turn.Product(query.data() + h * D, key, D)));
    }
  }
  return scores;
}

}  // namespace ropewalk::attention
