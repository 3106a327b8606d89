#include "lab/studies/difference.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/error.h"
#include "evaluate/statistics.h"

namespace ropewalk::lab::studies {
namespace {

using Test = Difference::Test;
using BySeed = std::map<uint64_t, const Measurement*>;

// The two-sided 95 % quantile of the normal distribution.
constexpr double kNormal = 1.960;

BySeed LinesOf(const std::vector<Measurement>& lines, const CellKey& key) {
  BySeed found;
  for (const Measurement& line : lines) {
    if (IsOf(line, key)) found[line.seed] = &line;
  }
  return found;
}

std::vector<double> Values(const BySeed& lines) {
  std::vector<double> values;
  values.reserve(lines.size());
  for (const auto& [seed, line] : lines) values.push_back(line->value);
  return values;
}

double MeanError(const BySeed& lines) {
  double sum = 0;
  for (const auto& [seed, line] : lines) sum += line->error;
  return sum / static_cast<double>(lines.size());
}

// Seed 0 stands for none.
size_t SeedsOf(const BySeed& lines) { return lines.size() - lines.count(0); }

void KeepShared(BySeed* left, BySeed* right) {
  std::erase_if(*left,
                [&](const auto& one) { return !right->contains(one.first); });
  std::erase_if(*right,
                [&](const auto& one) { return !left->contains(one.first); });
}

void ByErrors(double left, double right, Difference* difference) {
  const double error = std::hypot(left, right);
  difference->test = error > 0 ? Test::kStandardErrors : Test::kSeenOnce;
  difference->margin = kNormal * error;
}

// The margin of a mean of two or more differences.
double MeanMargin(const std::vector<double>& differences) {
  return evaluate::StudentT95(static_cast<double>(differences.size() - 1)) *
         evaluate::StandardError(differences);
}

double LargestOf(const std::vector<double>& differences) {
  double largest = 0;
  for (const double difference : differences) {
    // A NaN stays one.
    if (!(std::abs(difference) <= largest)) largest = std::abs(difference);
  }
  return largest;
}

double WelchMargin(const std::vector<double>& left,
                   const std::vector<double>& right) {
  const double a = std::pow(evaluate::StandardError(left), 2);
  const double b = std::pow(evaluate::StandardError(right), 2);
  if (a + b == 0) return 0;
  const double degrees = (a + b) * (a + b) /
                         (a * a / static_cast<double>(left.size() - 1) +
                          b * b / static_cast<double>(right.size() - 1));
  return evaluate::StudentT95(degrees) * std::sqrt(a + b);
}

}  // namespace

std::optional<Difference> Compare(const std::vector<Measurement>& lines,
                                  const CellKey& left_key,
                                  const CellKey& right_key) {
  BySeed left = LinesOf(lines, left_key);
  BySeed right = LinesOf(lines, right_key);
  if (left.empty() || right.empty()) return std::nullopt;
  BySeed shared_left = left;
  BySeed shared_right = right;
  KeepShared(&shared_left, &shared_right);
  const bool shares = !shared_left.empty();
  if (shares) {
    left = std::move(shared_left);
    right = std::move(shared_right);
  }
  const std::vector<double> on_left = Values(left);
  const std::vector<double> on_right = Values(right);
  Difference difference{.left = evaluate::Mean(on_left),
                        .right = evaluate::Mean(on_right),
                        .left_seeds = SeedsOf(left),
                        .right_seeds = SeedsOf(right)};
  if (!shares) {
    difference.largest = std::abs(difference.gap());
    if (left.size() > 1 && right.size() > 1) {
      difference.test = Test::kWelch;
      difference.margin = WelchMargin(on_left, on_right);
    } else {
      ByErrors(MeanError(left), MeanError(right), &difference);
    }
    return difference;
  }
  std::vector<double> differences;
  for (size_t i = 0; i < on_left.size(); ++i) {
    differences.push_back(on_right[i] - on_left[i]);
  }
  difference.largest = LargestOf(differences);
  if (differences.size() > 1) {
    difference.test = Test::kPairedT;
    difference.margin = MeanMargin(differences);
  } else {
    ByErrors(MeanError(left), MeanError(right), &difference);
  }
  return difference;
}

std::optional<Difference> CompareToBound(const std::vector<Measurement>& lines,
                                         const CellKey& key, double bound) {
  const BySeed found = LinesOf(lines, key);
  if (found.empty()) return std::nullopt;
  std::vector<double> values = Values(found);
  Difference difference{.left = evaluate::Mean(values),
                        .right = bound,
                        .left_seeds = SeedsOf(found),
                        .right_seeds = SeedsOf(found)};
  if (values.size() > 1) {
    difference.test = Test::kT;
    difference.margin = MeanMargin(values);
  } else {
    ByErrors(MeanError(found), 0, &difference);
  }
  for (double& value : values) value = bound - value;
  difference.largest = LargestOf(values);
  return difference;
}

std::string ToString(const Difference& difference) {
  const size_t left = difference.left_seeds;
  const size_t right = difference.right_seeds;
  const size_t most = std::max(left, right);
  const std::string seeds =
      left != right && std::min(left, right) > 0
          ? std::to_string(left) + " and " + std::to_string(right) + " seeds"
      : most == 1 ? "one seed"
                  : std::to_string(most) + " seeds";
  switch (difference.test) {
    case Test::kPairedT:
      return seeds + ", paired t";
    case Test::kT:
      return seeds + ", t";
    case Test::kWelch:
      return seeds + ", Welch's t";
    case Test::kStandardErrors:
      return (most == 0 ? "" : seeds + ", ") + "standard errors";
    case Test::kSeenOnce:
      return "seen once";
  }
  ROPEWALK_CHECK(false);
  return {};
}

}  // namespace ropewalk::lab::studies
