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

struct PairVariant {
  // Variants of one title are columns of one table, and have one task.
  const char* title;
  const char* task;
  const char* of[4];   // architectures; null where there are fewer
  const char* suffix;  // of its rows: ", rate 0.01"
  const char* column;  // "rate 0.01"
  ModelSpec (*model)(const Setting&, const PairArchitecture&,
                     const PairTaskName&, uint64_t seed);
  bool all_seeds = false;
};
std::span<const PairVariant> PairVariants();

// The one with this suffix on this task.
const PairVariant& FindPairVariant(const std::string& suffix,
                                   const std::string& task);

bool Has(const PairVariant& variant, const PairArchitecture& of);
std::string RowOf(const PairVariant& variant, const std::string& row);
const PairTaskName& TaskOf(const PairVariant& variant);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_PAIR_VARIANTS_H_
