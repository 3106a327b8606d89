// Qwen 2, 2.5 and 3, with experts or without.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

// The published files have no windows, but configurations may ask for them.
void ReadQwen2(KeyReader& keys, Blueprint& blueprint) {
  blueprint.renormalise = false;
  ReadWindows(keys, blueprint, nullptr);
}

void ReadQwen3(KeyReader& keys, Blueprint& blueprint) {
  blueprint.head_norm = Part::kRequired;
  ReadWindows(keys, blueprint, nullptr);
}

}  // namespace

extern const Architecture kQwen2 = {
    .name = "qwen2",
    .models = "Qwen 2 and 2.5",
    .read = ReadQwen2,
};

extern const Architecture kQwen2Moe = {
    .name = "qwen2moe",
    .models = "Qwen 1.5 and 2 with experts",
    .read = ReadQwen2,
};

extern const Architecture kQwen3 = {
    .name = "qwen3",
    .models = "Qwen 3",
    .read = ReadQwen3,
};

extern const Architecture kQwen3Moe = {
    .name = "qwen3moe",
    .models = "Qwen 3 with experts",
    .read = ReadQwen3,
};

}  // namespace ropewalk::model
