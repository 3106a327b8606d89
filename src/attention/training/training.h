// Attention for training: forward and backward over the bands of a plan.
//
// The folder attention/training/ computes attention and its gradients on the
// CPU for the lab, which calls it through this header; it knows no LibTorch.
// Serving attention reads a key store instead and has no gradient; a test
// compares the two. Change the loops freely as long as training_test holds them
// to attention/definition/training_reference.h on every instruction set.
//
// Memory grows with the number of tokens, not with its square, because the
// backward pass computes the scores again from queries, keys and the logarithm
// of each row's sum. Queries and keys are passed unrotated, and their gradients
// are with respect to the unrotated ones.
//
// Query t has the id t and key s the id s, in every sequence of the batch. The
// score scale is Plan::scale of the query's id, in every direction. If n should
// be the whole length instead, leave the scale out of the plan and pass it as
// head_scale.
//
// Results and gradients have the same bits with any number of threads.

#ifndef ROPEWALK_ATTENTION_TRAINING_TRAINING_H_
#define ROPEWALK_ATTENTION_TRAINING_TRAINING_H_

#include "attention/definition/training_input.h"
#include "attention/serving/attention.h"
#include "attention/serving/rotation_tables.h"
#include "base/parallel.h"

namespace ropewalk::attention {

// Memory and rotation tables that are reused from call to call, by one call at
// a time.
struct TrainingScratch {
  AttentionScratch memory;
  RotationTables tables;
};

// out = softmax(score) values, score = head_scale s(i) / sqrt(D) times the
// product of the rotated query and key. A row that sees no key gives zeros.
// NaNs propagate.
//
// Throws std::invalid_argument if the shape is not possible, if strides or mask
// do not fit it, or if the mask needs a mirror that the plan does not have.
void TrainForward(const TrainingInput& input, const TrainingOutput& output,
                  ParallelFor& threads, TrainingScratch& scratch);

// The gradients of sum(out * d_out). Throws as TrainForward does.
void TrainBackward(const TrainingInput& input,
                   const TrainingGradients& gradients, ParallelFor& threads,
                   TrainingScratch& scratch);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_TRAINING_H_
