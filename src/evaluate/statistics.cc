#include "evaluate/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace ropewalk::evaluate {
namespace {

double StandardError(double sum, double squares, double n) {
  if (n < 2) return 0;
  const double mean = sum / n;
  // Rounding may turn a variance of 0 into a small negative number.
  const double variance = std::max(0.0, (squares - n * mean * mean) / (n - 1));
  return std::sqrt(variance / n);
}

}  // namespace

double Mean(std::span<const double> sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) /
         static_cast<double>(sample.size());
}

double StandardError(std::span<const double> sample) {
  double sum = 0;
  double squares = 0;
  for (const double x : sample) {
    sum += x;
    squares += x * x;
  }
  return StandardError(sum, squares, static_cast<double>(sample.size()));
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half]
                                : (values[half - 1] + values[half]) / 2;
}

double StudentT95(int64_t degrees) {
  ROPEWALK_CHECK(degrees >= 1);
  constexpr std::array kQuantiles = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706,
                                     2.4469,  2.3646, 2.3060, 2.2622, 2.2281};
  if (degrees <= static_cast<int64_t>(kQuantiles.size())) {
    return kQuantiles[static_cast<size_t>(degrees - 1)];
  }
  // The expansion in 1 / degrees around the normal quantile (Abramowitz and
  // Stegun 26.7.5), here within 1e-4.
  constexpr double z = 1.959963984540054;
  const auto n = static_cast<double>(degrees);
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  const double z7 = z5 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

void ScoreSummary::AddDocument(std::span<const TokenScore> scores) {
  if (scores.empty()) return;
  double sum = 0;
  int64_t correct = 0;
  for (const TokenScore& score : scores) {
    sum += score.loss;
    squares_ += score.loss * score.loss;
    correct += score.correct ? 1 : 0;
  }
  correct_ += correct;
  sum_ += sum;
  tokens_ += static_cast<int64_t>(scores.size());
  const auto size = static_cast<double>(scores.size());
  document_losses_.push_back(sum / size);
  document_accuracies_.push_back(static_cast<double>(correct) / size);
}

double ScoreSummary::accuracy_stderr() const {
  const auto correct = static_cast<double>(correct_);
  if (document_accuracies_.size() < 2) {
    return StandardError(correct, correct, static_cast<double>(tokens_));
  }
  return StandardError(document_accuracies_);
}

double ScoreSummary::loss() const {
  if (tokens_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return sum_ / static_cast<double>(tokens_);
}

double ScoreSummary::accuracy() const {
  if (tokens_ == 0) return 0;
  return static_cast<double>(correct_) / static_cast<double>(tokens_);
}

double ScoreSummary::loss_stderr() const {
  if (document_losses_.size() < 2) {
    return StandardError(sum_, squares_, static_cast<double>(tokens_));
  }
  return StandardError(document_losses_);
}

}  // namespace ropewalk::evaluate
