// What a model file says of its shape and its positions.

#ifndef ROPEWALK_MODEL_CONFIG_H_
#define ROPEWALK_MODEL_CONFIG_H_

#include <cstdint>
#include <string>

#include "attention/kv_store.h"
#include "formats/gguf.h"
#include "position/model_positions.h"

namespace ropewalk::model {

// How a layer mixes its input; see model/layers.h.
enum class Block { kLlama, kGau };

struct Config {
  std::string name;          // general.name, else the file's
  std::string architecture;  // llama | ropewalk
  Block block = Block::kLlama;
  int64_t L = 0;               // layers
  int64_t E = 0;               // model width
  int64_t F = 0;               // feed-forward width; of a GAU the expansion
  int64_t V = 0;               // vocabulary
  attention::HeadShape heads;  // a GAU has one, its values F wide
  float rms_epsilon = 1e-5f;
  bool key_norm = false;  // keys take the length sqrt(D) before rotation
  bool tied = false;      // the output matrix is the embedding
  position::ModelPositions positions;

  // Elements of the matrices of one layer.
  int64_t LayerElements() const;
};

// Reads and checks the keys. Throws FormatError naming the key: missing, of
// the wrong kind, out of range, or at odds with another one.
Config ReadConfig(const formats::GgufFile& file);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONFIG_H_
