// Controls of the study decoder-only: some of its models with one thing
// changed, on one task; of the first seed, or of all.

#ifndef ROPEWALK_LAB_STUDIES_PAIR_VARIANTS_H_
#define ROPEWALK_LAB_STUDIES_PAIR_VARIANTS_H_

#include <cstdint>
#include <span>
#include <string>

#include "lab/studies/sequence_models.h"
#include "lab/studies/setting.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

// Behind the rows of variants.
inline constexpr const char* kFasterRate = ", rate 0.01";
inline constexpr const char* kSlowerRate = ", rate 0.001";
inline constexpr const char* kAtGptsWork = ", at GPT's work";
inline constexpr const char* kRotates = ", cross attention rotates";
inline constexpr const char* kLonger = ", four times the steps";

// An encoder-decoder of shared weights does so much of GPT's work on
// "continue", numerator and denominator; a claim holds the ledger to it.
inline constexpr int64_t kSharedWork[] = {15, 13};

struct PairVariant {
  // Variants of one title are columns of one table, and have one task.
  const char* title;
  const char* task;
  const char* of[4];     // architectures; null where there are fewer
  const char* suffix;    // of its rows: kFasterRate
  const char* column;    // "rate 0.01"
  const char* name;      // of its models, behind the plain one's: "-faster"
  const char* override;  // "optimizer.learning_rate=0.01"; null: none
  int64_t steps[2] = {1, 1};  // of the plain model's, as in TimesTheSteps
  bool all_seeds = false;
};
std::span<const PairVariant> PairVariants();

// The one with this suffix on this task.
const PairVariant& FindPairVariant(const std::string& suffix,
                                   const std::string& task);

// Of one of its architectures.
ModelSpec VariantModel(const Setting& setting, const PairVariant& variant,
                       const PairArchitecture& of, uint64_t seed);

bool Has(const PairVariant& variant, const PairArchitecture& of);
std::string RowOf(const PairVariant& variant, const std::string& row);
const PairTaskName& TaskOf(const PairVariant& variant);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_PAIR_VARIANTS_H_
