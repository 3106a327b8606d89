// gpt-oss: experts with biases, a bounded gate, and a sink in every head.

#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadGptOss(KeyReader& keys, Blueprint& blueprint) {
  blueprint.feed_norm_is_post_attention = true;
  blueprint.sinks = true;
  // act(g) = g / (1 + exp(-1.702 g)) of a gate of at most 7, times 1 + u.
  blueprint.activation = kernels::Activation::kQuickGelu;
  blueprint.gate_limit = 7;
  blueprint.up_shift = 1;
  blueprint.renormalise = true;
  // Its frequencies go over from scaled to own ones at exact components.
  blueprint.config.positions.yarn_truncates = false;
  const auto local = ReadWindows(keys, blueprint, IsNotLastOf<2>);
  ReadLocalBase(keys, blueprint, local, LocalScaling::kAsGlobal);
}

}  // namespace

// Every second layer has a window.
extern const Architecture kGptOss = {
    .name = "gpt-oss",
    .models = "gpt-oss",
    .read = ReadGptOss,
};

}  // namespace ropewalk::model
