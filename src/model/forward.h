// A forward pass: sequences of one model are read on together. All of them
// share each weight matrix's read; each attends under its own plans.
//
// A sequence gets the same bits in a pass with others as in one of its own: the
// way its tokens are multiplied depends on how many of its own there are.

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
  int64_t logits = 1;  // of so many of the last of `tokens` logits are wanted
};

// Reads the tokens of all slices. Afterwards workspace.Logits gives the logits
// that they asked for, slice after slice.
//
// Throws std::invalid_argument for an id outside the vocabulary, a sequence
// that stands in two slices or has no room, or more tokens than a pass takes;
// MemoryLimitError and std::bad_alloc where memory is missing. All sequences
// are then as they were.
void Forward(const Model& model, std::span<const Slice> slices,
             Workspace& workspace);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_FORWARD_H_
