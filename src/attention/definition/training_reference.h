// The definition of training attention: float64, one pair at a time, directly
// from the effective distance. It is slow; tests compare the fast form with it.
// It also runs on tensors of doubles, so that gradients can be checked
// numerically.

#ifndef ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_
#define ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_

#include "attention/definition/training_input.h"

namespace ropewalk::attention {

// TrainForward and TrainBackward in float64, in one thread, with O(S) memory in
// addition to the results. They throw the same exceptions.
void ReferenceTrainForward(const TrainingInputOf<double>& input,
                           const TrainingOutputOf<double>& output);
void ReferenceTrainBackward(const TrainingInputOf<double>& input,
                            const TrainingGradientsOf<double>& gradients);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_TRAINING_REFERENCE_H_
