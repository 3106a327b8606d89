// A forward pass over the next tokens of several sequences of one model. Each
// weight matrix is read once for all of them; each attends under its own plans.
//
// A sequence gets the same bits in a pass with others as in a pass alone, since
// only the number of its own tokens decides how these are multiplied.

#ifndef ROPEWALK_MODEL_FORWARD_H_
#define ROPEWALK_MODEL_FORWARD_H_

#include <cstdint>
#include <span>

#include "base/token.h"
#include "model/sequence.h"
#include "model/workspace.h"

namespace ropewalk::model {

// The next tokens of one sequence.
struct Slice {
  Sequence* sequence = nullptr;
  std::span<const Token> tokens;
  int64_t logits = 1;  // how many of the last `tokens` get logits
};

// Reads the tokens of all slices. Afterwards workspace.Logits returns the
// logits that the slices asked for, slice after slice.
//
// Throws std::invalid_argument for an id outside the vocabulary, a sequence
// that is in two slices or has no room, or more tokens than a pass takes;
// MemoryLimitError and std::bad_alloc if there is too little memory. All
// sequences are then unchanged.
void Forward(const Model& model, std::span<const Slice> slices,
             Workspace& workspace);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_FORWARD_H_
