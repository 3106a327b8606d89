// Means, standard errors and medians; a mean with its error, from tokens
// grouped in documents.

#ifndef ROPEWALK_EVALUATE_STATISTICS_H_
#define ROPEWALK_EVALUATE_STATISTICS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "evaluate/scorer.h"

namespace ropewalk::evaluate {

// Of a sample that is not empty.
double Mean(std::span<const double> sample);

// Standard error of the mean of a sample; 0 for fewer than two.
double StandardError(std::span<const double> sample);

// Of an even number the mean of the middle two; 0 of none.
double Median(std::vector<double> values);

class ScoreSummary {
 public:
  // The scores of one document.
  void AddDocument(std::span<const TokenScore> scores);

  int64_t tokens() const { return tokens_; }
  // The mean of each document that has scores, in their order.
  const std::vector<double>& document_losses() const {
    return document_losses_;
  }
  double loss() const;      // mean over tokens; NaN without any
  double accuracy() const;  // in [0, 1]

  // Of the loss. Tokens of one document hang together, so the documents'
  // means are the sample; a single document leaves only its tokens, whose
  // standard error is too small.
  double loss_stderr() const;
  // The same, of the accuracy.
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
