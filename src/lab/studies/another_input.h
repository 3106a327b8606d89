// What a model of pairs makes of its input: the same outputs scored after the
// input of another pair.

#ifndef ROPEWALK_LAB_STUDIES_ANOTHER_INPUT_H_
#define ROPEWALK_LAB_STUDIES_ANOTHER_INPUT_H_

#include <vector>

#include "lab/nn/model.h"
#include "lab/studies/bench.h"
#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

// Every sequence with the input of the one before it. All must have inputs of
// one length; throws std::invalid_argument otherwise.
nn::Inputs OfTheOneBefore(const nn::Inputs& inputs);

// The loss of the task's own tests as the set "another's input", and by how
// much it lies above that with the right input as the set "brought by the
// input": nats a token, standard errors over pairs.
std::vector<Measurement> WithAnothersInput(Bench& bench);

inline constexpr const char* kAnothersInput = "another's input";
inline constexpr const char* kBrought = "brought by the input";

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_ANOTHER_INPUT_H_
