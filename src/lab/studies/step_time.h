// What a position law costs in training: steps of two models in turns, so that
// a noisy machine is noisy for both.

#ifndef ROPEWALK_LAB_STUDIES_STEP_TIME_H_
#define ROPEWALK_LAB_STUDIES_STEP_TIME_H_

#include <cstdint>

#include "lab/train/config.h"

namespace ropewalk::lab::studies {

struct StepTimes {
  double first_seconds = 0;  // median of a step
  double second_seconds = 0;
  double ratio = 0;  // median of second / first, pair by pair
};

// Forward and backward over random ids, a batch of the config's shape; the
// optimizer, which is the same for both, is left out. Throws
// std::invalid_argument unless rounds >= 1.
StepTimes TimeSteps(const train::TrainConfig& first,
                    const train::TrainConfig& second, int64_t rounds);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_STEP_TIME_H_
