// Command R and its successors: attention and feed-forward are parallel and
// read the output of one norm.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadCommandR(KeyReader& keys, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  blueprint.parallel = true;
  blueprint.feed_norm = false;
  blueprint.head_norm = Part::kOptional;
  blueprint.interleaved = true;
  blueprint.logit_scale = keys.Factor("logit_scale", 1);
}

void ReadCohere2(KeyReader& keys, Blueprint& blueprint) {
  ReadCommandR(keys, blueprint);
  blueprint.head_norm = Part::kNone;
  const auto local = ReadWindows(keys, blueprint, IsNotLastOf<4>);
  ReadLocalBase(keys, blueprint, local, LocalScaling::kAsGlobal);
  RotateOnly(local, blueprint);
}

}  // namespace

extern const Architecture kCommandR = {
    .name = "command-r",
    .models = "Command R, Aya 23",
    .read = ReadCommandR,
};

// Three layers with a window are followed by one that reads the whole text
// without positions.
extern const Architecture kCohere2 = {
    .name = "cohere2",
    .models = "Command R7B and A",
    .read = ReadCohere2,
};

}  // namespace ropewalk::model
