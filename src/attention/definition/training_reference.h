// Training attention by its definition: float64, one pair at a time, straight
// from the effective distance. Slow, and what the fast one is held to; it also
// serves tensors of doubles, so that gradients can be checked numerically.

#ifndef ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_
#define ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_

#include "attention/definition/training_input.h"

namespace ropewalk::attention {

// TrainForward and TrainBackward in float64. Memory beside the results is
// O(S); one thread. Both throw as those do.
void ReferenceTrainForward(const TrainingInputOf<double>& input,
                           const TrainingOutputOf<double>& output);
void ReferenceTrainBackward(const TrainingInputOf<double>& input,
                            const TrainingGradientsOf<double>& gradients);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_
