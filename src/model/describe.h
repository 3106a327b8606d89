// Describes layers in words for `inspect`.

#ifndef ROPEWALK_MODEL_DESCRIBE_H_
#define ROPEWALK_MODEL_DESCRIBE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace ropewalk::model {

// Layers with the same description.
struct LayerGroup {
  std::vector<int64_t> layers;
  std::string positions;     // "window of 512 keys, rope base 10000"
  std::string attention;     // "4 query heads on 1 key head of 256, normed"
  std::string feed_forward;  // "gelu-tanh, gated, 2048 wide"
  std::string norms;         // "rms before and after"

  // The numbers of `layers` as text: "0-4, 6-10".
  std::string Layers() const;
};

// The groups of the model's layers, in the order of their first layers.
std::vector<LayerGroup> DescribeLayers(const Model& model);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_DESCRIBE_H_
