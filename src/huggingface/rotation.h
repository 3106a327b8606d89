// Positions as config.json spells them, in the keys of GGUF.

#ifndef ROPEWALK_HUGGINGFACE_ROTATION_H_
#define ROPEWALK_HUGGINGFACE_ROTATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf_metadata.h"
#include "huggingface/config_reader.h"

namespace ropewalk::huggingface {

// Vectors that GGUF files keep as tensors.
struct RotationTensors {
  std::vector<float> divisors;       // rope_freqs: llama3's; one a pair
  std::vector<float> short_factors;  // rope_factors_short, rope_factors_long
  std::vector<float> long_factors;
};

struct RotationShape {
  int64_t width = 0;    // of the heads, or of the part of them that may rotate
  int64_t context = 0;  // max_position_embeddings
  double base = 10000;  // where the file states none
};

// Reads the base, the share of components that rotate and the scaling, as
// transformers 5 spells them (rope_parameters) or transformers 4 (rope_theta,
// rope_scaling, partial_rotary_factor and older names), and sets
// `architecture`.rope.* in `metadata`. Throws FormatError for a kind of scaling
// that is not known.
RotationTensors ReadRotation(ConfigReader& config, const RotationShape& shape,
                             const std::string& architecture,
                             formats::Metadata& metadata);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_ROTATION_H_
