// GPT-NeoX and other models with layer norms: StableLM, StarCoder 2.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadGptNeox(KeyReader& keys, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  blueprint.parallel = keys.Bool("use_parallel_residual", true);
  blueprint.activation = kernels::Activation::kGelu;
  blueprint.gated = false;
}

void ReadStableLm(KeyReader& keys, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  // Files of serial models have a wrong value here; the tensors tell.
  keys.Ignore("use_parallel_residual");
  blueprint.parallel = keys.file().Find("blk.0.ffn_norm.weight") == nullptr;
  blueprint.feed_norm = !blueprint.parallel;
  blueprint.head_norm = Part::kOptional;
}

void ReadStarcoder2(KeyReader& keys, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  blueprint.activation = kernels::Activation::kGeluTanh;
  blueprint.gated = false;
  ReadWindows(keys, blueprint, nullptr);
}

}  // namespace

extern const Architecture kGptNeox = {
    .name = "gptneox",
    .models = "GPT-NeoX, Pythia",
    .read = ReadGptNeox,
};

extern const Architecture kStableLm = {
    .name = "stablelm",
    .models = "StableLM 2 and 3B",
    .read = ReadStableLm,
};

extern const Architecture kStarcoder2 = {
    .name = "starcoder2",
    .models = "StarCoder 2",
    .read = ReadStarcoder2,
};

}  // namespace ropewalk::model
