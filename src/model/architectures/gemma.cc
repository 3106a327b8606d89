// Gemma 1 to 3. Its norms multiply by 1 + w; files store 1 + w, so norms are
// computed as in other models.

#include <cmath>

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadGemma(KeyReader&, Blueprint& blueprint) {
  blueprint.embedding_scale =
      std::sqrt(static_cast<double>(blueprint.config.E));
  blueprint.activation = kernels::Activation::kGeluTanh;
}

// GGUF files do not state the score factor. It is 1 / sqrt(head width), except
// in the largest model of a generation, which has sqrt(heads / model width).
// The number of layers tells which model it is.
void ReadScoreFactor(KeyReader& keys, int64_t layers_of_largest,
                     Blueprint& blueprint) {
  Config& config = blueprint.config;
  config.heads.score_factor = keys.Factor("attention.scale", 0);
  if (config.heads.score_factor > 0) return;
  if (config.L != layers_of_largest) return;
  config.heads.score_factor = std::sqrt(static_cast<double>(config.heads.H) /
                                        static_cast<double>(config.E));
}

void ReadGemma2(KeyReader& keys, Blueprint& blueprint) {
  ReadGemma(keys, blueprint);
  blueprint.norms_after = true;
  // The first files lack these keys, but every Gemma 2 has the same caps.
  blueprint.config.heads.softcap = keys.Factor("attn_logit_softcapping", 50);
  blueprint.final_softcap = keys.Factor("final_logit_softcapping", 30);
  const auto local = ReadWindows(keys, blueprint, IsNotLastOf<2>, 4096);
  ReadLocalBase(keys, blueprint, local, LocalScaling::kAsGlobal);
  ReadScoreFactor(keys, 46, blueprint);
}

void ReadGemma3(KeyReader& keys, Blueprint& blueprint) {
  ReadGemma(keys, blueprint);
  blueprint.norms_after = true;
  blueprint.head_norm = Part::kRequired;
  blueprint.config.heads.softcap = keys.Factor("attn_logit_softcapping", 0);
  blueprint.final_softcap = keys.Factor("final_logit_softcapping", 0);
  const auto local = ReadWindows(keys, blueprint, IsNotLastOf<6>);
  // In some models all layers are global.
  if (HasWindow(keys)) {
    ReadLocalBase(keys, blueprint, local, LocalScaling::kNone, 10000);
  }
  ReadScoreFactor(keys, 62, blueprint);
}

}  // namespace

extern const Architecture kGemma = {
    .name = "gemma",
    .models = "Gemma 1",
    .read = ReadGemma,
};

// Every second layer has a window.
extern const Architecture kGemma2 = {
    .name = "gemma2",
    .models = "Gemma 2",
    .read = ReadGemma2,
};

// Five of six layers have a window and a base of their own.
extern const Architecture kGemma3 = {
    .name = "gemma3",
    .models = "Gemma 3",
    .read = ReadGemma3,
};

}  // namespace ropewalk::model
