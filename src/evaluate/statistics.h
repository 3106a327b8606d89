// Means, standard errors, medians and rank correlation, also of tokens grouped
// in documents.

#ifndef ROPEWALK_EVALUATE_STATISTICS_H_
#define ROPEWALK_EVALUATE_STATISTICS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "evaluate/scorer.h"

namespace ropewalk::evaluate {

// The mean of a sample, which must not be empty.
double Mean(std::span<const double> sample);

// The standard error of the mean of a sample; 0 for fewer than two numbers.
double StandardError(std::span<const double> sample);

// The median; the mean of the middle two for an even number, 0 for an empty
// sample.
double Median(std::vector<double> values);

// The two-sided 95 % quantile of Student's t for `degrees` of freedom, rounded
// down and at most 30: the margin is never too small. Requires degrees >= 1.
double StudentT95(double degrees);

// Spearman's rank correlation of two samples of one length: Pearson's of the
// ranks, equal numbers sharing their mean rank. Nothing where all numbers of
// one sample are equal, or where one is not a number.
std::optional<double> Spearman(std::span<const double> x,
                               std::span<const double> y);

class ScoreSummary {
 public:
  // Adds the scores of one document.
  void AddDocument(std::span<const TokenScore> scores);

  int64_t tokens() const { return tokens_; }
  // The mean loss of each document that has scores, in their order.
  const std::vector<double>& document_losses() const {
    return document_losses_;
  }
  double loss() const;      // mean over tokens; NaN without any
  double accuracy() const;  // in [0, 1]

  // The standard error of the loss. Tokens of one document depend on each
  // other, so the sample is the means of the documents. With one document it is
  // the tokens, whose standard error is too small.
  double loss_stderr() const;
  // The same for the accuracy.
  double accuracy_stderr() const;

 private:
  std::vector<double> document_losses_;
  std::vector<double> document_accuracies_;
  int64_t tokens_ = 0;
  int64_t correct_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_STATISTICS_H_
