#include "lab/train/identity.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::train {
namespace {

struct Declared {
  std::string_view key;
  KeyEffect effect;
};

constexpr Declared kDeclared[] = {
    {"train.steps", KeyEffect::kCourse},
    {"optimizer.learning_rate", KeyEffect::kCourse},
    {"optimizer.embedding_learning_rate", KeyEffect::kCourse},
    {"optimizer.clip", KeyEffect::kCourse},
    {"optimizer.schedule", KeyEffect::kCourse},
    {"optimizer.warmup", KeyEffect::kCourse},
    {"optimizer.decay", KeyEffect::kCourse},
    {"optimizer.floor", KeyEffect::kCourse},
    {"optimizer.points", KeyEffect::kCourse},

    {"model.inference", KeyEffect::kReport},
    {"evaluate.every", KeyEffect::kReport},
    {"evaluate.schemes", KeyEffect::kReport},
    {"evaluate.lengths", KeyEffect::kReport},
    {"evaluate.documents", KeyEffect::kReport},
    {"evaluate.score_last", KeyEffect::kReport},
    {"evaluate.repeat", KeyEffect::kReport},

    {"name", KeyEffect::kNothing},
    {"data.train", KeyEffect::kNothing},
    {"data.heldout", KeyEffect::kNothing},
    {"data.tokenizer", KeyEffect::kNothing},
    {"data.cache", KeyEffect::kNothing},
    {"train.init_from", KeyEffect::kNothing},
    {"train.threads", KeyEffect::kNothing},
    {"train.device", KeyEffect::kNothing},
    {"train.checkpoint_every", KeyEffect::kNothing},
    {"train.log_every", KeyEffect::kNothing},
    {"export.types", KeyEffect::kNothing},
};

// Tensors of these fit each other.
constexpr std::string_view kShape[] = {
    "model.block",      "model.architecture", "model.head",    "model.layers",
    "model.width",      "model.vocabulary",   "model.heads",   "model.kv_heads",
    "model.head_width", "model.feed_width",   "model.key_norm"};

ConfigValues ValuesWhere(const TrainConfig& config,
                         const std::function<bool(std::string_view)>& holds) {
  ConfigValues values;
  for (const auto& [key, value] : config.values) {
    if (holds(key)) values.emplace_back(key, value);
  }
  return values;
}

std::string Shown(const std::string& value) {
  return value.empty() ? "empty" : Printable(value, 60);
}

}  // namespace

KeyEffect EffectOf(std::string_view key) {
  const auto* const declared =
      std::ranges::find(kDeclared, key, &Declared::key);
  return declared == std::end(kDeclared) ? KeyEffect::kRun : declared->effect;
}

ConfigValues IdentityOf(const TrainConfig& config, KeyEffect least) {
  return ValuesWhere(
      config, [least](std::string_view key) { return EffectOf(key) <= least; });
}

ConfigValues ShapeOf(const TrainConfig& config) {
  return ValuesWhere(config, [](std::string_view key) {
    return std::ranges::find(kShape, key) != std::end(kShape);
  });
}

std::optional<std::string> FirstDifference(const ConfigValues& was,
                                           const ConfigValues& is) {
  ROPEWALK_CHECK(was.size() == is.size());
  for (size_t i = 0; i < was.size(); ++i) {
    ROPEWALK_CHECK(was[i].first == is[i].first);
    if (was[i].second == is[i].second) continue;
    return is[i].first + " was " + Shown(was[i].second) + " and is " +
           Shown(is[i].second);
  }
  return std::nullopt;
}

}  // namespace ropewalk::lab::train
