#include "lab/studies/entropy_simulation.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace ropewalk::lab::studies {
namespace {

void Check(const EntropyOptions& options) {
  Require(options.keys >= 1, "entropy: keys must be at least 1, got " +
                                 std::to_string(options.keys));
  Require(options.trials >= 2,
          "entropy: a standard error needs at least 2 trials, got " +
              std::to_string(options.trials));
  Require(
      std::isfinite(options.score_deviation) && options.score_deviation >= 0,
      "entropy: score_deviation must be finite and at least 0, got " +
          FormatNumber(options.score_deviation));
}

// The scores of one row, times `factor`.
class Rows {
 public:
  explicit Rows(const EntropyOptions& options)
      : rng_(options.seed),
        deviation_(options.score_deviation),
        normals_(static_cast<size_t>(options.keys)),
        scores_(normals_.size()) {}

  void Next() {
    for (double& z : normals_) z = rng_.Normal();
  }
  std::span<const double> Scores(double factor) {
    std::transform(normals_.begin(), normals_.end(), scores_.begin(),
                   [&](double z) { return factor * (deviation_ * z); });
    return scores_;
  }

 private:
  Rng rng_;
  double deviation_;
  std::vector<double> normals_;
  std::vector<double> scores_;
};

}  // namespace

double SoftmaxEntropy(std::span<const double> scores) {
  Require(!scores.empty(), "entropy: there is no score");
  // ln sum e^s - sum p s, with the largest score at 0.
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  double weighted = 0;
  for (const double s : scores) {
    const double weight = std::exp(s - top);
    sum += weight;
    weighted += weight * (s - top);
  }
  return std::log(sum) - weighted / sum;
}

double ReluSquaredEntropy(std::span<const double> scores) {
  Require(!scores.empty(), "entropy: there is no score");
  double sum = 0;
  for (const double s : scores) {
    if (s > 0) sum += s * s;
  }
  if (sum == 0) return 0;
  double entropy = 0;
  for (const double s : scores) {
    const double p = s > 0 ? s * s / sum : 0;
    if (p > 0) entropy -= p * std::log(p);
  }
  return entropy;
}

EntropyEstimate SimulatedEntropy(const EntropyOptions& options,
                                 const position::ScoreScale& scale) {
  Check(options);
  const double factor = scale(options.keys - 1);
  Rows rows(options);
  std::vector<double> entropies;
  for (int64_t trial = 0; trial < options.trials; ++trial) {
    rows.Next();
    entropies.push_back(SoftmaxEntropy(rows.Scores(factor)));
  }
  const auto n = static_cast<double>(options.trials);
  EntropyEstimate estimate;
  for (const double entropy : entropies) estimate.mean += entropy / n;
  double squares = 0;
  for (const double entropy : entropies) {
    squares += (entropy - estimate.mean) * (entropy - estimate.mean);
  }
  estimate.standard_error = std::sqrt(squares / (n - 1) / n);
  return estimate;
}

std::vector<EntropyAtLambda> EntropyByLambda(const EntropyOptions& options,
                                             std::span<const double> lambdas) {
  Check(options);
  std::vector<EntropyAtLambda> means;
  for (const double lambda : lambdas) {
    Require(std::isfinite(lambda) && lambda > 0,
            "entropy: lambda must be finite and above 0, got " +
                FormatNumber(lambda));
    means.push_back({.lambda = lambda});
  }
  const auto n = static_cast<double>(options.trials);
  Rows rows(options);
  for (int64_t trial = 0; trial < options.trials; ++trial) {
    rows.Next();
    for (EntropyAtLambda& mean : means) {
      const std::span<const double> scores = rows.Scores(mean.lambda);
      mean.softmax += SoftmaxEntropy(scores) / n;
      mean.relu_squared += ReluSquaredEntropy(scores) / n;
    }
  }
  return means;
}

}  // namespace ropewalk::lab::studies
