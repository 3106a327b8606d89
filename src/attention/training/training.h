// Attention to train with: forward and backward over the bands of a plan.
//
// Memory grows with the number of tokens, never with its square: the backward
// pass forms the scores anew from queries, keys and the logarithm of each
// row's sum. Queries and keys come unrotated, and their gradients are with
// respect to the unrotated ones. The runtime's tile loop (attention.h) reads a
// key store instead and has no gradient; a test holds the two together.
//
// Query t has the id t and key s the id s, in every sequence of the batch. The
// score scale is Plan::scale of the query's id, in every direction: where n
// should be the whole length, leave the plan's scale out and pass it as
// head_scale.
//
// The result of a row, and every gradient, has the same bits whatever the
// number of threads.

#ifndef ROPEWALK_ATTENTION_TRAINING_TRAINING_H_
#define ROPEWALK_ATTENTION_TRAINING_TRAINING_H_

#include "attention/definition/training_input.h"
#include "attention/serving/attention.h"
#include "attention/serving/rotation_tables.h"
#include "base/parallel.h"

namespace ropewalk::attention {

// Memory and rotation tables kept from call to call. One thread at a time.
struct TrainingScratch {
  AttentionScratch memory;
  RotationTables tables;
};

// out = softmax(score) values, score = head_scale s(i) / sqrt(D) times the
// product of the rotated query and key. A row that sees no key gives zeros.
// NaNs are carried on.
//
// Throws std::invalid_argument when shape, strides or mask make no sense, or
// when the mask needs a mirror that the plan has not.
void TrainForward(const TrainingInput& input, const TrainingOutput& output,
                  ParallelFor& threads, TrainingScratch& scratch);

// The gradients of sum(out * d_out). Throws like TrainForward.
void TrainBackward(const TrainingInput& input,
                   const TrainingGradients& gradients, ParallelFor& threads,
                   TrainingScratch& scratch);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_TRAINING_H_
