#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/text.h"
#include "position/definition.h"

namespace ropewalk::position {

extern const Definition kRope, kNope, kPi, kNtkOld, kNtkFixed, kNtkMixed,
    kDynamicNtk, kYarn, kLlama3, kLongRope, kCope, kReRope, kLeakyReRope,
    kInvLeaky, kString, kSelfExtend, kDca, kWindow, kSinkWindow, kHwfa, kHwfa2;

const std::vector<const Definition*>& AllDefinitions() {
  static const std::vector<const Definition*> kAll = {
      &kRope,     &kPi,     &kNtkOld,     &kNtkFixed, &kNtkMixed, &kDynamicNtk,
      &kYarn,     &kLlama3, &kLongRope,   &kCope,     &kReRope,   &kLeakyReRope,
      &kInvLeaky, &kString, &kSelfExtend, &kDca,      &kWindow,   &kSinkWindow,
      &kHwfa,     &kHwfa2,  &kNope};
  return kAll;
}

const Definition& DefinitionOf(std::string_view name) {
  std::string list;
  std::vector<std::string> names = {"auto"};
  for (const Definition* definition : AllDefinitions()) {
    if (definition->name == name) return *definition;
    names.emplace_back(definition->name);
    list += names.back() + ", ";
  }
  const std::string meant = DidYouMean(name, names);
  throw std::invalid_argument(
      "position scheme '" + Printable(name, 40) + "' is unknown" + meant +
      (meant.empty() ? "; known: " : " Known: ") + list + "auto, @FILE.toml");
}

Scheme TrainingForm(Scheme scheme, int64_t length) {
  for (Scheme& layer : scheme.layers) {
    layer = TrainingForm(std::move(layer), length);
  }
  if (scheme.layers.empty()) {
    const auto train_as = DefinitionOf(scheme.name).train_as;
    if (train_as != nullptr) train_as(scheme, length);
  }
  return scheme;
}

void Default(Scheme& scheme, std::string_view key, double value) {
  if (!scheme.Find(key)) scheme.Set(key, value);
}

void DefaultFraction(Scheme& scheme, std::string_view key,
                     const ModelPositions& model, int64_t divisor) {
  const int64_t fraction = std::max<int64_t>(1, model.train_length / divisor);
  Default(scheme, key, static_cast<double>(fraction));
}

void DefaultFactor(Scheme& scheme, const ModelPositions& model,
                   int64_t length) {
  Default(scheme, "factor",
          std::max(1.0, static_cast<double>(length) /
                            static_cast<double>(model.train_length)));
}

Plan OneBand(FrequencyTable table) {
  Plan plan;
  plan.bands.push_back({.query = Identity(), .key = Identity()});
  plan.tables.push_back(std::move(table));
  return plan;
}

Plan BuildOwn(const Scheme&, const ModelPositions& model, int64_t length,
              Layer) {
  return OneBand(OwnTable(model, length));
}

ScoreScale ScaleOf(const Scheme& resolved, const ModelPositions& model) {
  const bool clip = resolved.logn == ScoreScale::Kind::kClip;
  return {.kind = resolved.logn,
          .length = clip ? model.train_length : resolved.logn_base};
}

void RequireFor(const Scheme& scheme, bool holds, const std::string& what) {
  Require(holds, scheme.name + ": " + what);
}

}  // namespace ropewalk::position
