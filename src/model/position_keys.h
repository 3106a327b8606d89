// Reads the keys of a model file that describe positions.

#ifndef ROPEWALK_MODEL_POSITION_KEYS_H_
#define ROPEWALK_MODEL_POSITION_KEYS_H_

#include "model/config.h"
#include "model/key_reader.h"

namespace ropewalk::model {

// Fills config.positions except its layers: lengths, rotary width and base,
// the file's scaling and the scheme that it names. Throws FormatError, and
// std::invalid_argument if keys contradict each other.
void ReadPositionKeys(KeyReader& keys, Config& config);

// Throws std::invalid_argument if a scheme that the file names, for the model
// or for one layer, is not defined. Makes a plan for each layer, so the layers
// must have been found in the file before.
void CheckSchemes(const position::ModelPositions& positions);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_POSITION_KEYS_H_
