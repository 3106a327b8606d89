// DeepSeek V2 and V3: latent attention and many small experts.

#include <cmath>
#include <string>

#include "model/architectures/architecture.h"
#include "position/frequencies.h"

namespace ropewalk::model {
namespace {

// Files state the widths of keys as they are stored, a latent vector and what
// rotates, and (`_mla`) as heads have them; older files the latter alone.
void ReadShape(KeyReader& keys, Blueprint& blueprint) {
  Config& config = blueprint.config;
  config.F = keys.Count("feed_forward_length", kLargestWidth);
  attention::HeadShape& heads = config.heads;
  heads.H = keys.Count("attention.head_count", kLargestWidth);
  heads.G = 1;
  const auto first = [&](const char* name, const char* other) {
    const auto found = keys.FindCount(name, kLargestHead);
    const auto usual = keys.FindCount(other, kLargestHead);
    if (!found && !usual) keys.Fail("key '" + keys.Key(other) + "' is missing");
    return found.value_or(usual.value_or(0));
  };
  keys.CountOrZero("attention.head_count_kv", kLargestWidth);
  const int64_t width =
      first("attention.key_length_mla", "attention.key_length");
  blueprint.value_head_width =
      first("attention.value_length_mla", "attention.value_length");
  blueprint.latent_width = keys.Count("attention.kv_lora_rank", kLargestHead);
  blueprint.query_rank =
      keys.CountOrZero("attention.q_lora_rank", kLargestWidth);
  const int64_t rotated = keys.Count("rope.dimension_count", kLargestHead);
  if (rotated >= width) {
    keys.Fail("key '" + keys.Key("rope.dimension_count") +
              "' = " + std::to_string(rotated) +
              " must be below the width of heads, " + std::to_string(width));
  }
  blueprint.unrotated_width = width - rotated;
  heads.D = blueprint.latent_width + rotated;
  heads.value_width = blueprint.latent_width;
  heads.score_factor = 1 / std::sqrt(static_cast<double>(width));
}

// Scaling by yarn also scales scores, by the square of a magnitude of its own,
// and leaves the rotation's magnitude at 1.
void ReadYarn(KeyReader& keys, Blueprint& blueprint) {
  position::ModelPositions& positions = blueprint.config.positions;
  const double multiplier = keys.Float("rope.scaling.yarn_log_multiplier", 0);
  if (positions.scaling != position::ModelPositions::Scaling::kYarn ||
      multiplier == 0) {
    return;
  }
  const double m = 1 + multiplier * std::log(positions.scaling_factor);
  blueprint.config.heads.score_factor *= m * m;
  if (positions.has_attention_factor) return;
  positions.attention_factor =
      1 / position::YarnMagnitude(positions.scaling_factor);
  positions.has_attention_factor = true;
}

void ReadDeepSeek2(KeyReader& keys, Blueprint& blueprint) {
  blueprint.renormalise = false;
  ReadYarn(keys, blueprint);
}

}  // namespace

extern const Architecture kDeepSeek2 = {
    .name = "deepseek2",
    .models = "DeepSeek V2, V2 Lite, V3 and R1",
    .read = ReadDeepSeek2,
    .read_shape = ReadShape,
};

}  // namespace ropewalk::model
