// What may not change while a run goes on, or between the processes of one.

#ifndef ROPEWALK_LAB_TRAIN_IDENTITY_H_
#define ROPEWALK_LAB_TRAIN_IDENTITY_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/train/config.h"

namespace ropewalk::lab::train {

using Identity = std::vector<std::pair<std::string, std::string>>;

// What the weights of a checkpoint mean, whatever law they are read under.
Identity ShapeOf(const nn::ModelConfig& model);

// That, the law, the seed, the data and the batch: the same of these give the
// same run. Steps, rates, logs and exports may change.
Identity IdentityOf(const TrainConfig& config);

// "model.heads was 2 and is 4", or nothing.
std::optional<std::string> FirstDifference(const Identity& was,
                                           const Identity& is);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_IDENTITY_H_
