// Phi 1 to 4.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadPhi2(KeyReader&, Blueprint& blueprint) {
  blueprint.norm = NormKind::kLayer;
  blueprint.parallel = true;
  blueprint.feed_norm = false;
  blueprint.activation = kernels::Activation::kGeluTanh;
  blueprint.gated = false;
}

void ReadPhi3(KeyReader& keys, Blueprint& blueprint) {
  ReadWindows(keys, blueprint, nullptr);
}

}  // namespace

extern const Architecture kPhi2 = {
    .name = "phi2",
    .models = "Phi 1, 1.5 and 2",
    .read = ReadPhi2,
};

extern const Architecture kPhi3 = {
    .name = "phi3",
    .models = "Phi 3, 3.5 and 4",
    .read = ReadPhi3,
};

}  // namespace ropewalk::model
