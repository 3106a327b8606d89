// What a model file says of positions.

#ifndef ROPEWALK_MODEL_POSITION_KEYS_H_
#define ROPEWALK_MODEL_POSITION_KEYS_H_

#include "model/config.h"
#include "model/key_reader.h"

namespace ropewalk::model {

// Fills config.positions but for its layers: lengths, rotary width and base,
// the file's scaling and the law that it names. Throws FormatError, and
// std::invalid_argument for what contradicts itself.
void ReadPositionKeys(KeyReader& keys, Config& config);

// Holds the laws that the file names, those of its layers too, to being
// defined. Makes a plan for each layer, so the layers must have been found in
// the file before. Throws std::invalid_argument.
void CheckLaws(const position::ModelPositions& positions);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_POSITION_KEYS_H_
