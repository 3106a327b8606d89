// GLM 4 and EXAONE 4: norms come after attention and feed-forward.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadGlm4(KeyReader&, Blueprint& blueprint) {
  blueprint.norms_after = true;
  blueprint.interleaved = true;
}

// The small model reads the whole text in every layer. In the large model three
// of four layers have a window and the fourth has no positions.
void ReadExaone4(KeyReader& keys, Blueprint& blueprint) {
  blueprint.attention_norm = false;
  blueprint.feed_norm = false;
  blueprint.norms_after = true;
  blueprint.head_norm = Part::kRequired;
  constexpr int64_t kLayersOfLarge = 64;
  const bool large = blueprint.config.L == kLayersOfLarge;
  const auto local =
      ReadWindows(keys, blueprint, IsNotLastOf<4>, large ? 4096 : 0);
  if (!large && !HasWindow(keys)) return;
  ReadLocalBase(keys, blueprint, local, LocalScaling::kAsGlobal);
  RotateOnly(local, blueprint);
}

}  // namespace

extern const Architecture kGlm4 = {
    .name = "glm4",
    .models = "GLM 4 (0414)",
    .read = ReadGlm4,
};

extern const Architecture kExaone4 = {
    .name = "exaone4",
    .models = "EXAONE 4",
    .read = ReadExaone4,
};

}  // namespace ropewalk::model
