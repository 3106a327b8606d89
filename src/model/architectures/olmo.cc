// OLMo 1 to 3 and OLMoE.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadOlmo(KeyReader& keys, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  blueprint.norm_weights = false;
  blueprint.interleaved = true;
  blueprint.clamp = keys.Factor("attention.clamp_kqv", 0);
}

// OLMo 3 is OLMo 2 with windows in three of four layers. These layers rotate
// without the scaling of the others.
void ReadOlmo2(KeyReader& keys, Blueprint& blueprint) {
  blueprint.attention_norm = false;
  blueprint.feed_norm = false;
  blueprint.norms_after = true;
  blueprint.head_norm = Part::kRequired;
  const auto local = ReadWindows(keys, blueprint, IsNotLastOf<4>);
  if (HasWindow(keys)) {
    ReadLocalBase(keys, blueprint, local, LocalScaling::kNone);
  }
}

void ReadOlmoe(KeyReader&, Blueprint& blueprint) {
  blueprint.head_norm = Part::kRequired;
  blueprint.renormalise = false;
}

}  // namespace

extern const Architecture kOlmo = {
    .name = "olmo",
    .models = "OLMo 1",
    .read = ReadOlmo,
};

extern const Architecture kOlmo2 = {
    .name = "olmo2",
    .models = "OLMo 2 and 3",
    .read = ReadOlmo2,
};

extern const Architecture kOlmoe = {
    .name = "olmoe",
    .models = "OLMoE",
    .read = ReadOlmoe,
};

}  // namespace ropewalk::model
