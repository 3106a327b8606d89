// Our own architecture: Llama layers with any position scheme, and gated
// attention units (GAU, arXiv 2202.10447). `ropewalk train` exports both.

#include <string>

#include "base/text.h"
#include "model/architectures/architecture.h"

namespace ropewalk::model {

extern const Architecture kLlama;

namespace {

std::string BlockOf(const KeyReader& keys) {
  return keys.file().metadata().FindString("ropewalk.block").value_or("llama");
}

void ReadRopewalk(KeyReader& keys, Blueprint& blueprint) {
  for (const char* name : {"block", "position", "position_trained",
                           "train_length", "attention.key_norm"}) {
    keys.Ignore(name);  // read elsewhere, for every architecture
  }
  if (!blueprint.config.gau) return kLlama.read(keys, blueprint);
  blueprint.unit_keys = keys.Bool("attention.key_norm", false);
  blueprint.norm_weights = false;
  blueprint.feed_norm = false;
}

// A GAU has one head, whose values are as wide as the expansion.
void ReadRopewalkShape(KeyReader& keys, Blueprint& blueprint) {
  if (BlockOf(keys) != "gau") return ReadUsualShape(keys, blueprint);
  Config& config = blueprint.config;
  config.gau = true;
  config.F = keys.Count("gau.expansion", kLargestWidth);
  config.heads = {.H = 1,
                  .G = 1,
                  .D = keys.Count("gau.key_length", kLargestHead),
                  .value_width = config.F};
  for (const char* heads :
       {"attention.head_count", "attention.head_count_kv"}) {
    if (keys.FindCount(heads, kLargestWidth).value_or(1) != 1) {
      keys.Fail("key '" + keys.Key(heads) +
                "' must be 1: a gated attention unit has one head");
    }
  }
}

}  // namespace

extern const Architecture kRopewalk = {
    .name = "ropewalk",
    .models = "models of `ropewalk train`",
    .read = ReadRopewalk,
    .read_shape = ReadRopewalkShape,
};

}  // namespace ropewalk::model
