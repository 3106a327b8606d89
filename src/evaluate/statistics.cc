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

std::vector<double> Ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) {
      ++end;
    }
    for (size_t i = first; i < end; ++i) {
      ranks[order[i]] = 1 + static_cast<double>(first + end - 1) / 2;
    }
    first = end;
  }
  return ranks;
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

double StudentT95(double degrees) {
  constexpr std::array kQuantiles = {
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
      2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
      2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  // Rounding may leave 2 a little short. Not-a-number takes the widest.
  const double whole = std::floor(degrees + 1e-9);
  if (!(whole > 1)) return kQuantiles[0];
  const auto last = static_cast<double>(kQuantiles.size());
  return kQuantiles[static_cast<size_t>(std::min(whole, last)) - 1];
}

std::optional<double> Spearman(std::span<const double> x,
                               std::span<const double> y) {
  ROPEWALK_CHECK(x.size() == y.size());
  const auto is_nan = [](double value) { return std::isnan(value); };
  if (x.empty() || std::ranges::any_of(x, is_nan) ||
      std::ranges::any_of(y, is_nan)) {
    return std::nullopt;
  }
  const std::vector<double> a = Ranks(x);
  const std::vector<double> b = Ranks(y);
  const double mean = Mean(a);  // that of b as well
  double products = 0;
  double squares_a = 0;
  double squares_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    products += (a[i] - mean) * (b[i] - mean);
    squares_a += (a[i] - mean) * (a[i] - mean);
    squares_b += (b[i] - mean) * (b[i] - mean);
  }
  if (squares_a == 0 || squares_b == 0) return std::nullopt;
  return products / std::sqrt(squares_a * squares_b);
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
