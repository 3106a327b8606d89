// The shape and the positions of a model, as its file states them.

#ifndef ROPEWALK_MODEL_CONFIG_H_
#define ROPEWALK_MODEL_CONFIG_H_

#include <cstdint>
#include <string>

#include "attention/definition/heads.h"
#include "position/model_positions.h"

namespace ropewalk::model {

struct Config {
  std::string name;            // general.name, or else the file's name
  std::string architecture;    // as in the file: llama, gemma3, ...
  int64_t L = 0;               // layers
  int64_t E = 0;               // model width
  int64_t F = 0;               // feed-forward width; in a GAU the expansion
  int64_t V = 0;               // vocabulary
  attention::HeadShape heads;  // a GAU has one head, with values F wide
  bool gau = false;            // layers are gated attention units
  bool tied = false;           // the output matrix is the embedding
  position::ModelPositions positions;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONFIG_H_
