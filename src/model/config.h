// What a Llama-family model file says of its shape and its positions.

#ifndef ROPEWALK_MODEL_CONFIG_H_
#define ROPEWALK_MODEL_CONFIG_H_

#include <cstdint>
#include <string>

#include "attention/kv_store.h"
#include "formats/gguf.h"
#include "position/model_positions.h"

namespace ropewalk::model {

struct Config {
  std::string name;          // general.name, else the file's
  std::string architecture;  // llama | ropewalk
  int64_t L = 0;             // layers
  int64_t E = 0;             // model width
  int64_t F = 0;             // feed-forward width
  int64_t V = 0;             // vocabulary
  attention::HeadShape heads;
  float rms_epsilon = 1e-5f;
  bool tied = false;  // the output matrix is the embedding
  position::ModelPositions positions;
};

// Reads and checks the keys. Throws FormatError naming the key: missing, of
// the wrong kind, out of range, or at odds with another one.
Config ReadConfig(const formats::GgufFile& file);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONFIG_H_
