#include "position/recommendation.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "base/text.h"
#include "position/definition.h"
#include "position/scheme.h"

namespace ropewalk::position {
namespace {

std::string Count(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

const char* NameOf(ModelPositions::Scaling scaling) {
  switch (scaling) {
    case ModelPositions::Scaling::kLinear:
      return "linear";
    case ModelPositions::Scaling::kYarn:
      return "yarn";
    case ModelPositions::Scaling::kLongRope:
      return "longrope";
    case ModelPositions::Scaling::kNone:
      break;
  }
  return "";
}

// What the file says of its training, and of stretching it.
void AppendTraining(const ModelPositions& model, int64_t length,
                    std::vector<std::string>& reasons) {
  const std::string trained = Count(model.train_length, "token", "tokens");
  reasons.push_back(
      length <= model.train_length
          ? "the model was trained to " + trained + ", which is enough"
          : "the model was trained to " + trained + ", and " +
                std::to_string(length) + " are " +
                FormatNumber(
                    static_cast<double>(length * 100 / model.train_length) /
                    100) +
                " times as many");
  if (model.scaling != ModelPositions::Scaling::kNone) {
    reasons.push_back(
        std::string("its file has ") + NameOf(model.scaling) + " scaling by " +
        FormatNumber(model.scaling_factor) +
        (model.original_length > 0
             ? " from " + std::to_string(model.original_length) + " tokens"
             : "") +
        ", which every scheme starts from");
  } else if (!model.frequency_divisors.empty()) {
    reasons.push_back(
        "its file has factors for its frequencies, which every scheme starts "
        "from");
  }
}

// The kinds of layers, where they are not all alike.
void AppendLayers(const ModelPositions& model, int64_t layers,
                  std::vector<std::string>& reasons) {
  if (model.layers.empty()) return;
  int64_t reading = 0;
  int64_t without = 0;
  std::map<int64_t, int64_t> windows;
  for (const LayerPositions& layer : model.layers) {
    if (layer.window > 0) {
      ++windows[layer.window];
    } else if (layer.rotates) {
      ++reading;
    } else {
      ++without;
    }
  }
  const std::string of = " of " + Count(layers, "layer", "layers");
  for (const auto& [window, count] : windows) {
    reasons.push_back(std::to_string(count) + of +
                      (count == 1 ? " sees" : " see") + " a window of " +
                      Count(window, "key", "keys") +
                      ", at any length as in training");
  }
  if (without > 0) {
    reasons.push_back(std::to_string(without) + of +
                      (without == 1 ? " has no positions and reads"
                                    : " have no positions and read") +
                      " the whole text as it is");
  }
  if (reading > 0) {
    reasons.push_back("the scheme is for " +
                      Count(reading, "layer that reads", "layers that read") +
                      " the whole text and " +
                      (reading == 1 ? "rotates" : "rotate"));
  } else {
    reasons.push_back(
        "no layer both reads the whole text and rotates, so that no distance "
        "is beyond training");
  }
}

// Why this scheme with these numbers.
void AppendChoice(const ModelPositions& model, const Scheme& scheme,
                  int64_t length, bool is_own,
                  std::vector<std::string>& reasons) {
  if (length <= model.train_length) return;
  if (is_own) {
    reasons.push_back(
        "the largest distance at which it rotates by its own frequencies "
        "stays within training");
    return;
  }
  const auto window = scheme.Find("window");
  const auto far = scheme.Find("far");
  if (window) {
    reasons.push_back("distances stay true within " + FormatNumber(*window) +
                      " keys: a window just below the trained length read as "
                      "well as any on the models that we measured");
  }
  if (far) {
    reasons.push_back(
        "keys beyond are read at the distance " + FormatNumber(*far) +
        ", 5/8 of the trained length, which the model knows and finds things "
        "at");
  }
}

}  // namespace

Recommendation Recommend(const ModelPositions& model, int64_t length,
                         int64_t layers) {
  Recommendation result{.length = length};
  AppendTraining(model, length, result.reasons);
  AppendLayers(model, layers, result.reasons);
  if (!model.only_own_scheme.empty()) {
    result.reasons.push_back("it works only under its own scheme: " +
                             model.only_own_scheme);
  }
  try {
    const Scheme scheme = Resolve(ParseScheme("auto"), model, length);
    if (const auto reason = KnownToFail(scheme, model, length)) {
      result.reasons.push_back(*reason);
      return result;
    }
    result.is_own = AdvisedSpelling(model, length) == "rope";
    result.spelling = ToString(scheme);
    AppendChoice(model, scheme, length, result.is_own, result.reasons);
  } catch (const std::invalid_argument& error) {
    result.reasons.emplace_back(error.what());
  }
  return result;
}

std::optional<std::string> NotTrainedFor(const Scheme& resolved,
                                         const ModelPositions& model,
                                         int64_t length) {
  for (const Scheme& layer : resolved.layers) {
    if (auto warning = NotTrainedFor(layer, model, length)) return warning;
  }
  if (!resolved.layers.empty() || !DefinitionOf(resolved.name).needs_training) {
    return std::nullopt;
  }
  for (const auto* spellings : {&model.own_spelling, &model.trained_spelling}) {
    for (const std::string& spelling : *spellings) {
      if (ParseScheme(spelling).name == resolved.name) return std::nullopt;
    }
  }
  return resolved.name + " is a scheme to train a model with, and this file " +
         "does not say that its model was; expect noise; choose the scheme " +
         AdvisedSpelling(model, length);
}

}  // namespace ropewalk::position
