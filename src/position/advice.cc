// Which schemes are known to fail beyond the trained length, and which scheme
// to choose instead.

#include <algorithm>
#include <string>

#include "base/text.h"
#include "position/definition.h"
#include "position/scheme.h"

namespace ropewalk::position {
namespace {

// Largest effective distance of query i. Within a band the distance falls from
// the first key on; where key positions start again with every chunk, it falls
// from the first chunk that lies wholly within the band.
double LargestDistance(const Plan& plan, int64_t i) {
  double largest = 0;
  for (const Band& band : plan.bands) {
    const int64_t first = std::max<int64_t>(0, band.selector.KeysOf(i).first);
    const int64_t divisor = band.key.divisor;
    for (const int64_t j : {first, (first + divisor - 1) / divisor * divisor}) {
      largest = std::max(largest, plan.EffectiveDistance(i, j).value_or(0));
    }
  }
  return largest;
}

// The largest effective distance that the model met in training. It is N - 1
// unless the model was trained with a scheme that reaches further (inv-leaky).
double TrainedDistance(const ModelPositions& model) {
  double largest = static_cast<double>(model.train_length - 1);
  if (model.trained_spelling.empty()) return largest;
  ModelPositions bare = model;
  bare.own_spelling.clear();
  bare.layers.clear();  // any layer that reads the whole text will do
  for (const std::string& spelling : model.trained_spelling) {
    Scheme trained = ParseScheme(spelling);
    trained.logn = ScoreScale::Kind::kNone;  // it does not change distances
    trained = Resolve(trained, bare, model.train_length);
    for (const Plan& plan : BuildStack(trained, bare, model.train_length, 1)) {
      if (plan.tables.front() != OwnTable(bare, model.train_length)) continue;
      largest =
          std::max(largest, LargestDistance(plan, model.train_length - 1));
    }
  }
  return largest;
}

// How many layers to look at: 1 where scheme and model treat all layers alike.
int64_t LayersToLookAt(const Scheme& resolved, const ModelPositions& model) {
  return static_cast<int64_t>(
      std::max({resolved.layers.size(), model.layers.size(), size_t{1}}));
}

// The largest distance at which the last query of `length` uses the model's
// own frequencies. Plans with changed frequencies do not count: there a
// distance beyond training need not be an angle beyond training.
double LargestOwnDistance(const Scheme& resolved, const ModelPositions& model,
                          int64_t length) {
  const int64_t count = LayersToLookAt(resolved, model);
  const Stack stack = BuildStack(resolved, model, length, count);
  double largest = 0;
  for (int64_t layer = 0; layer < count; ++layer) {
    const Plan& plan = stack[static_cast<size_t>(layer)];
    const FrequencyTable own = OwnTable(PositionsOfLayer(model, layer), length);
    // Without rotation a distance makes no angle.
    if (own.frequencies.empty() || plan.tables.front() != own) continue;
    largest = std::max(largest, LargestDistance(plan, length - 1));
  }
  return largest;
}

bool Rotates(const Stack& stack) {
  return std::any_of(stack.begin(), stack.end(), [](const Plan& plan) {
    return !plan.tables.front().frequencies.empty();
  });
}

bool SpellsNope(const Scheme& scheme) {
  return scheme.name == "nope" ||
         std::any_of(scheme.layers.begin(), scheme.layers.end(), SpellsNope);
}

// `rope` always means the model's own scheme.
Scheme OwnScheme(const ModelPositions& model, int64_t length) {
  return Resolve(ParseScheme("rope"), model, length);
}

bool OwnSchemeHolds(const ModelPositions& model, int64_t length) {
  if (length <= model.train_length) return true;
  return LargestOwnDistance(OwnScheme(model, length), model, length) <=
         TrainedDistance(model);
}

// A model that was trained with a log n scale needs it under any scheme. Given
// afterwards it changes little (studies/real).
std::string AdvisedScale(const ModelPositions& model) {
  if (model.own_spelling.size() == 1) {
    const std::string& own = model.own_spelling.front();
    const size_t plus = own.find('+');
    if (plus != std::string::npos) return own.substr(plus);
  }
  return "";
}

}  // namespace

std::string AdvisedSpelling(const ModelPositions& model, int64_t length) {
  if (OwnSchemeHolds(model, length)) return "rope";
  // Measured on real models (studies/real): a window just below N reads as well
  // as any window, and far keys at 5N/8 are found and cost nothing at 2N.
  const auto sixteenths = [&](int64_t count) {
    return std::to_string(
        std::max<int64_t>(1, model.train_length * count / 16));
  };
  return "rerope:window=" + sixteenths(15) + ",far=" + sixteenths(10) +
         AdvisedScale(model);
}

std::optional<std::string> KnownToFail(const Scheme& resolved,
                                       const ModelPositions& model,
                                       int64_t length) {
  const Scheme own = OwnScheme(model, length);
  const bool is_own = ToString(own) == ToString(resolved);
  if (SpellsNope(resolved) && !is_own) {
    if (Rotates(BuildStack(own, model, length, LayersToLookAt(own, model)))) {
      return "nope: this model was trained with rotation; expect noise";
    }
  }
  if (length <= model.train_length) return std::nullopt;
  const double trained = TrainedDistance(model);
  const double largest = LargestOwnDistance(resolved, model, length);
  if (largest <= trained) return std::nullopt;
  const std::string advice = AdvisedSpelling(model, length);
  if (resolved.name == "rope") {
    return "rope: this model was trained on " +
           std::to_string(model.train_length) + " tokens; at " +
           std::to_string(length) + " expect noise; choose the scheme " +
           advice;
  }
  return ToString(resolved) + ": at " + std::to_string(length) +
         " tokens distances reach " + FormatNumber(largest) +
         ", beyond the largest in training, " + FormatNumber(trained) +
         "; expect noise; choose the scheme " + advice;
}

}  // namespace ropewalk::position
