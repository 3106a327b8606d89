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

// Holds finished positions, those of layers too, to their rules, and the laws
// that the file names to being defined. Throws std::invalid_argument.
void CheckPositions(const position::ModelPositions& positions);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_POSITION_KEYS_H_
