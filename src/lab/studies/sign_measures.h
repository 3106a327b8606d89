// What an embedding became under an optimizer, by how often its tokens stood in
// the input.

#ifndef ROPEWALK_LAB_STUDIES_SIGN_MEASURES_H_
#define ROPEWALK_LAB_STUDIES_SIGN_MEASURES_H_

#include <cstdint>
#include <vector>

#include "lab/studies/bench.h"
#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

inline constexpr const char* kTraining = "training";  // a set
inline constexpr const char* kRareTimes =
    "largest of rare ids, times the start";
inline constexpr const char* kRareMedian = "median of rare ids";
inline constexpr const char* kGhosts = "rare ids of denormal momentum";

// A token seen fewer times than this in a whole training is rare.
inline constexpr int64_t kRare = 20;

// The task's losses, the embedding's extremes against 1 / lambda (0: none are
// measured), and the curves.
std::vector<Measurement> EmbeddingTrainedLines(Bench& bench, double lambda);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_SIGN_MEASURES_H_
