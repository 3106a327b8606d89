#include "model/architectures/architecture.h"

namespace ropewalk::model {

extern const Architecture kLlama, kRopewalk, kQwen2, kQwen2Moe, kQwen3,
    kQwen3Moe, kGemma, kGemma2, kGemma3, kPhi2, kPhi3, kSmolLm3, kCommandR,
    kCohere2, kOlmo, kOlmo2, kOlmoe, kStableLm, kGptNeox, kStarcoder2, kGranite,
    kGraniteMoe, kGlm4, kExaone4, kDeepSeek2, kGptOss;

const std::vector<const Architecture*>& AllArchitectures() {
  static const std::vector<const Architecture*> kAll = {
      &kLlama,      &kQwen2,   &kQwen2Moe,   &kQwen3, &kQwen3Moe, &kGemma,
      &kGemma2,     &kGemma3,  &kPhi2,       &kPhi3,  &kSmolLm3,  &kCommandR,
      &kCohere2,    &kOlmo,    &kOlmo2,      &kOlmoe, &kStableLm, &kGptNeox,
      &kStarcoder2, &kGranite, &kGraniteMoe, &kGlm4,  &kExaone4,  &kDeepSeek2,
      &kGptOss,     &kRopewalk};
  return kAll;
}

const Architecture* FindArchitecture(std::string_view name) {
  for (const Architecture* architecture : AllArchitectures()) {
    if (architecture->name == name) return architecture;
  }
  return nullptr;
}

}  // namespace ropewalk::model
