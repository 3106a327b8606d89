// What a model file says of its shape and its positions.

#ifndef ROPEWALK_MODEL_CONFIG_H_
#define ROPEWALK_MODEL_CONFIG_H_

#include <cstdint>
#include <string>

#include "attention/definition/heads.h"
#include "position/model_positions.h"

namespace ropewalk::model {

struct Config {
  std::string name;            // general.name, else the file's
  std::string architecture;    // as in the file: llama, gemma3, ...
  int64_t L = 0;               // layers
  int64_t E = 0;               // model width
  int64_t F = 0;               // feed-forward width; of a GAU the expansion
  int64_t V = 0;               // vocabulary
  attention::HeadShape heads;  // a GAU has one, its values F wide
  bool gau = false;            // layers are gated attention units
  bool tied = false;           // the output matrix is the embedding
  position::ModelPositions positions;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONFIG_H_
