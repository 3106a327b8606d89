// Llama 1 to 3 and other models with its layers: RMS norms, grouped queries,
// SwiGLU; biases and experts (Mixtral) if the file has them.

#include <string>
#include <vector>

#include "base/text.h"
#include "model/architectures/architecture.h"

namespace ropewalk::model {
namespace {

void ReadLlama(KeyReader& keys, Blueprint& blueprint) {
  blueprint.interleaved = true;
  const std::string block =
      keys.file().metadata().FindString("ropewalk.block").value_or("llama");
  if (block == "gau") {
    keys.Fail(
        "block 'gau' belongs to the architecture 'ropewalk', got 'llama'");
  }
  if (block != "llama") {
    keys.Fail("block '" + Printable(block, 40) +
              "' is not supported; supported: llama, gau");
  }
  blueprint.unit_keys = keys.file()
                            .metadata()
                            .FindBool("ropewalk.attention.key_norm")
                            .value_or(false);
  // Files of Mistral 7B have the window key; files of Llama do not.
  ReadWindows(keys, blueprint, nullptr);
}

void ReadSmolLm3(KeyReader&, Blueprint& blueprint) {
  blueprint.interleaved = true;
  auto& layers = LayersOf(blueprint);
  for (size_t l = 0; l < layers.size(); ++l) {
    layers[l].rotates = IsNotLastOf<4>(static_cast<int64_t>(l));
  }
}

void ReadGranite(KeyReader& keys, Blueprint& blueprint) {
  blueprint.interleaved = true;
  // In Granite's files this key says whether there are positions.
  if (!keys.Bool("rope.scaling.finetuned", true)) {
    RotateOnly(std::vector<bool>(static_cast<size_t>(blueprint.config.L)),
               blueprint);
  }
  // Granite 4 files without state spaces have these keys too. Models with state
  // spaces are refused because of their tensors.
  for (const char* name :
       {"ssm.conv_kernel", "ssm.state_size", "ssm.group_count",
        "ssm.inner_size", "ssm.time_step_rank"}) {
    keys.Ignore(name);
  }
  blueprint.config.heads.score_factor = keys.Factor("attention.scale", 0);
  blueprint.embedding_scale = keys.Factor("embedding_scale", 1);
  blueprint.residual_scale = keys.Factor("residual_scale", 1);
  // Granite divides by this number; the other models multiply.
  blueprint.logit_scale = 1 / keys.Factor("logit_scale", 1);
}

}  // namespace

extern const Architecture kLlama = {
    .name = "llama",
    .models = "Llama 1 to 3, Mistral, Mixtral, SmolLM 1 and 2, TinyLlama, Yi",
    .read = ReadLlama,
};

// Every fourth layer has no positions.
extern const Architecture kSmolLm3 = {
    .name = "smollm3",
    .models = "SmolLM3",
    .read = ReadSmolLm3,
};

// Llama's layers with four factors.
extern const Architecture kGraniteMoe = {
    .name = "granitemoe",
    .models = "Granite 3 with experts",
    .read = ReadGranite,
};

extern const Architecture kGranite = {
    .name = "granite",
    .models = "Granite 3 and 4 without state spaces",
    .read = ReadGranite,
};

}  // namespace ropewalk::model
