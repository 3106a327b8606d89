// A picture of what a scheme does to positions: the effective distance of every
// pair of tokens, and where pairs of components turn at another rate than the
// model's own, by how much.

#ifndef ROPEWALK_CLI_DISTANCE_PICTURE_H_
#define ROPEWALK_CLI_DISTANCE_PICTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::cli {

// The layers of a stack that share a plan.
struct LayerKind {
  position::Plan plan;
  std::string layers;  // "layers 1-3 and 5", counted from 1
};

// In the order of their first layers.
std::vector<LayerKind> KindsOf(const position::Stack& stack);

// A map for each kind of layer, side by side, of a text of `length` tokens:
// queries down, keys to the right. `title` stands above.
std::string DistanceSvg(const std::vector<LayerKind>& kinds,
                        const position::ModelPositions& model, int64_t length,
                        const std::string& title);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_DISTANCE_PICTURE_H_
