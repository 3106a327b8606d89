// Reads the keys that all architectures have, and helpers for the others.

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "model/architectures/architecture.h"
#include "model/position_keys.h"

namespace ropewalk::model {

void ReadUsualShape(KeyReader& keys, Blueprint& blueprint) {
  Config& config = blueprint.config;
  config.F = keys.Count("feed_forward_length", kLargestWidth);
  attention::HeadShape& heads = config.heads;
  heads.H = keys.Count("attention.head_count", kLargestWidth);
  heads.G = keys.FindCount("attention.head_count_kv", kLargestWidth)
                .value_or(heads.H);
  if (heads.H % heads.G != 0) {
    keys.Fail("key heads must divide query heads, got " +
              std::to_string(heads.G) + " and " + std::to_string(heads.H));
  }
  const auto width = keys.FindCount("attention.key_length", kLargestHead);
  if (!width && config.E % heads.H != 0) {
    keys.Fail("width " + std::to_string(config.E) + " is not a multiple of " +
              std::to_string(heads.H) + " heads");
  }
  heads.D = width.value_or(config.E / heads.H);
  if (heads.D > kLargestHead) {
    keys.Fail("heads of width " + std::to_string(heads.D) + " are beyond the " +
              std::to_string(kLargestHead) + " that this build computes");
  }
  // Layers with a window may have keys of their own, with the same values.
  for (const char* name : {"attention.value_length", "attention.key_length_swa",
                           "attention.value_length_swa"}) {
    if (keys.FindCount(name, kLargestHead).value_or(heads.D) != heads.D) {
      keys.Fail("key '" + keys.Key(name) + "' must be the width of keys, " +
                std::to_string(heads.D) +
                ": heads of another width are not supported");
    }
  }
}

namespace {

void ReadEpsilon(KeyReader& keys, Blueprint& blueprint) {
  const std::string name = blueprint.norm == NormKind::kRms
                               ? "attention.layer_norm_rms_epsilon"
                               : "attention.layer_norm_epsilon";
  const double epsilon = keys.Float(name, 1e-5);
  if (!(epsilon >= 0 && epsilon < 1)) {
    keys.Fail("key '" + keys.Key(name) + "' must be in [0, 1), got " +
              FormatNumber(epsilon));
  }
  blueprint.epsilon = static_cast<float>(epsilon);
}

void ReadExpertGroups(KeyReader& keys, Blueprint& blueprint) {
  const int64_t groups =
      keys.CountOrZero("expert_group_count", kLargestExperts);
  const int64_t used =
      keys.CountOrZero("expert_group_used_count", kLargestExperts);
  if (groups <= 1) return;
  if (blueprint.experts % groups != 0 || used < 1 || used > groups ||
      used * (blueprint.experts / groups) < blueprint.experts_used) {
    keys.Fail("key '" + keys.Key("expert_group_count") +
              "' = " + std::to_string(groups) + ", of which " +
              std::to_string(used) + " are used, does not fit " +
              std::to_string(blueprint.experts) + " experts, of which " +
              std::to_string(blueprint.experts_used) + " are used");
  }
  blueprint.expert_groups = groups;
  blueprint.expert_groups_used = used;
}

void ReadExperts(KeyReader& keys, Blueprint& blueprint) {
  blueprint.experts = keys.CountOrZero("expert_count", kLargestExperts);
  if (blueprint.experts == 0) return;
  // 1: a softmax of all logits. One of the logits of those used is the same,
  // renormalised.
  constexpr int64_t kSigmoid = 2;
  constexpr int64_t kSoftmaxOfUsed = 3;
  const int64_t gating = keys.CountOrZero("expert_gating_func", 255);
  if (gating > kSoftmaxOfUsed) {
    keys.Fail("key '" + keys.Key("expert_gating_func") +
              "' must be 1 (softmax), 2 (sigmoid) or 3 (softmax of those "
              "used), got " +
              std::to_string(gating));
  }
  if (gating != 0) blueprint.sigmoid_router = gating == kSigmoid;
  blueprint.renormalise = keys.Bool(
      "expert_weights_norm", blueprint.renormalise || gating == kSoftmaxOfUsed);
  blueprint.expert_scale = keys.Factor("expert_weights_scale", 1);
  const int64_t experts = blueprint.experts;
  blueprint.experts_used = keys.Count("expert_used_count", experts);
  blueprint.expert_width =
      keys.FindCount("expert_feed_forward_length", kLargestWidth)
          .value_or(blueprint.config.F);
  blueprint.shared_width =
      keys.CountOrZero("expert_shared_feed_forward_length", kLargestWidth);
  const int64_t shared = keys.CountOrZero("expert_shared_count", 1024);
  if (blueprint.shared_width == 0) {
    blueprint.shared_width = shared * blueprint.expert_width;
  }
  ReadExpertGroups(keys, blueprint);
  // Which layers have none the tensors say.
  keys.Ignore("leading_dense_block_count");
}

// Files of architectures without windows may have a window that no text of the
// context reaches; a shorter window is refused.
void IgnoreVoidWindow(KeyReader& keys, const Config& config) {
  constexpr const char* kWindow = "attention.sliding_window";
  if (keys.Taken(kWindow) || !keys.Has(kWindow)) return;
  const int64_t window = keys.CountOrZero(kWindow, kLargestContext);
  if (window == 0 || window >= config.positions.DeclaredLength()) {
    keys.Ignore("attention.sliding_window_pattern");
    return;
  }
  keys.Fail("key '" + keys.Key(kWindow) + "' = " + std::to_string(window) +
            ": this build computes no windows for the architecture '" +
            config.architecture + "'");
}

}  // namespace

std::vector<position::LayerPositions>& LayersOf(Blueprint& blueprint) {
  auto& layers = blueprint.config.positions.layers;
  layers.resize(static_cast<size_t>(blueprint.config.L));
  return layers;
}

std::vector<bool> ReadWindows(KeyReader& keys, Blueprint& blueprint,
                              bool (*is_local)(int64_t layer),
                              int64_t otherwise) {
  constexpr const char* kWindow = "attention.sliding_window";
  constexpr const char* kPattern = "attention.sliding_window_pattern";
  const int64_t L = blueprint.config.L;
  const bool given = keys.Has(kWindow);
  const int64_t window =
      given ? keys.CountOrZero(kWindow, kLargestContext) : otherwise;
  std::vector<bool> local(static_cast<size_t>(L));
  if (const auto flags = keys.FindFlags(kPattern, L)) {
    local = *flags;
  } else if (keys.Has(kPattern)) {
    // The value is a period whose last layer is global; 0: all are local.
    const int64_t period = keys.CountOrZero(kPattern, kLargestLayers);
    for (int64_t l = 0; l < L; ++l) {
      local[static_cast<size_t>(l)] = period == 0 || (l + 1) % period != 0;
    }
  } else {
    for (int64_t l = 0; l < L; ++l) {
      local[static_cast<size_t>(l)] = is_local == nullptr || is_local(l);
    }
  }
  if (window == 0 || window >= blueprint.config.positions.DeclaredLength()) {
    return local;
  }
  auto& layers = LayersOf(blueprint);
  for (size_t l = 0; l < layers.size(); ++l) {
    if (local[l]) layers[l].window = window;
  }
  return local;
}

bool HasWindow(KeyReader& keys) {
  return keys.CountOrZero("attention.sliding_window", kLargestContext) > 0;
}

void RotateOnly(const std::vector<bool>& local, Blueprint& blueprint) {
  auto& layers = LayersOf(blueprint);
  for (size_t l = 0; l < layers.size(); ++l) layers[l].rotates = local[l];
}

void ReadLocalBase(KeyReader& keys, Blueprint& blueprint,
                   const std::vector<bool>& local, LocalScaling scaling,
                   double otherwise) {
  const double base = keys.Factor("rope.freq_base_swa", otherwise);
  auto& layers = LayersOf(blueprint);
  for (size_t l = 0; l < layers.size(); ++l) {
    if (!local[l]) continue;
    layers[l].base = base;
    layers[l].scaled = scaling == LocalScaling::kAsGlobal;
  }
}

Blueprint ReadBlueprint(const formats::GgufFile& file) {
  const formats::Metadata& metadata = file.metadata();
  Blueprint blueprint;
  Config& config = blueprint.config;
  config.architecture =
      metadata.FindString("general.architecture").value_or("");
  KeyReader keys(file, config.architecture);
  const Architecture* architecture = FindArchitecture(config.architecture);
  if (architecture == nullptr) {
    std::string names;
    for (const Architecture* known : AllArchitectures()) {
      names += (names.empty() ? "" : ", ") + std::string(known->name);
    }
    keys.Fail("architecture '" + Printable(config.architecture, 40) +
              "' is not supported; supported: " + names);
  }
  config.name = metadata.FindString("general.name")
                    .value_or(std::filesystem::path(file.path()).stem());
  config.L = keys.Count("block_count", kLargestLayers);
  config.E = keys.Count("embedding_length", kLargestWidth);
  try {
    architecture->read_shape(keys, blueprint);
    ReadPositionKeys(keys, config);
    architecture->read(keys, blueprint);
    ReadExperts(keys, blueprint);
    ReadEpsilon(keys, blueprint);
    IgnoreVoidWindow(keys, config);
    position::Validate(config.positions);
    attention::Validate(config.heads);
  } catch (const std::invalid_argument& error) {
    keys.Fail(error.what());
  }
  keys.RequireAllTaken();
  return blueprint;
}

}  // namespace ropewalk::model
