// How often each token stood in the input of a training.

#ifndef ROPEWALK_LAB_STUDIES_TOKEN_COUNTS_H_
#define ROPEWALK_LAB_STUDIES_TOKEN_COUNTS_H_

#include <cstdint>
#include <vector>

#include "lab/train/checkpoint.h"

namespace ropewalk::lab::studies {

// By id, over the steps that the checkpoint has behind it: its batches are made
// again, as they are a function of seed and step. Throws what reading the texts
// throws; may throw Interrupted.
std::vector<int64_t> TokenCounts(const train::Checkpoint& checkpoint);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_TOKEN_COUNTS_H_
