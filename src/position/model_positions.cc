#include "position/model_positions.h"

#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "position/frequencies.h"

namespace ropewalk::position {
namespace {

void RequireFactors(const std::vector<double>& factors, int64_t pairs,
                    const std::string& what) {
  Require(static_cast<int64_t>(factors.size()) == pairs,
          what + ": one factor is needed for each of " + std::to_string(pairs) +
              " pairs, got " + std::to_string(factors.size()));
  for (const double factor : factors) {
    Require(std::isfinite(factor) && factor > 0,
            what + ": factors must be above 0, got " + FormatNumber(factor));
  }
}

double LongRopeMagnitude(const ModelPositions& model) {
  if (model.has_attention_factor) return model.attention_factor;
  const auto original = static_cast<double>(model.OriginalLength());
  const double stretch = static_cast<double>(model.DeclaredLength()) / original;
  if (stretch <= 1) return 1;
  return std::sqrt(1 + std::log(stretch) / std::log(original));
}

}  // namespace

std::vector<double> GeometricFrequencies(int64_t d, double base) {
  Require(d > 0 && d % 2 == 0,
          "rotary width must be even and above 0, got " + std::to_string(d));
  Require(std::isfinite(base) && base > 1,
          "rope base must be above 1, got " + FormatNumber(base));
  std::vector<double> out(static_cast<size_t>(d / 2));
  for (size_t m = 0; m < out.size(); ++m) {
    out[m] =
        std::pow(base, -2 * static_cast<double>(m) / static_cast<double>(d));
  }
  return out;
}

ModelPositions PositionsOfLayer(const ModelPositions& model, int64_t layer) {
  ModelPositions one = model;
  one.layers.clear();
  if (model.layers.empty()) return one;
  const LayerPositions& own = model.layers[static_cast<size_t>(layer)];
  if (own.base > 0) one.base = own.base;
  if (!own.scaled) {
    one.scaling = ModelPositions::Scaling::kNone;
    one.scaling_factor = 1;
    one.frequency_divisors.clear();
    one.attention_factor = 1;
    one.has_attention_factor = false;
  }
  one.rotates = model.rotates && own.rotates;
  return one;
}

FrequencyTable OwnTable(const ModelPositions& model, int64_t length) {
  if (!model.rotates) return {};
  FrequencyTable table{GeometricFrequencies(model.rotary_width, model.base),
                       model.attention_factor};
  Frequencies& theta = table.frequencies;
  for (size_t m = 0; m < model.frequency_divisors.size(); ++m) {
    theta[m] /= model.frequency_divisors[m];
  }
  switch (model.scaling) {
    case ModelPositions::Scaling::kNone:
      break;
    case ModelPositions::Scaling::kLinear:
      theta = PiFrequencies(theta, model.scaling_factor);
      break;
    case ModelPositions::Scaling::kYarn:
      theta = YarnFrequencies(theta, {.factor = model.scaling_factor,
                                      .fast = model.yarn_fast,
                                      .slow = model.yarn_slow,
                                      .base = model.base,
                                      .original_length = model.OriginalLength(),
                                      .truncates = model.yarn_truncates});
      table.magnitude *= YarnMagnitude(model.scaling_factor);
      break;
    case ModelPositions::Scaling::kLongRope: {
      const std::vector<double>& factors = length <= model.OriginalLength()
                                               ? model.short_factors
                                               : model.long_factors;
      for (size_t m = 0; m < theta.size(); ++m) theta[m] /= factors[m];
      table.magnitude = LongRopeMagnitude(model);
      break;
    }
  }
  return table;
}

void Validate(const ModelPositions& model) {
  Require(model.head_width > 0, "head width must be above 0, got " +
                                    std::to_string(model.head_width));
  Require(model.train_length > 0, "trained length must be above 0, got " +
                                      std::to_string(model.train_length));
  Require(model.original_length >= 0 && model.declared_length >= 0,
          "context lengths of the file must be at least 0, got " +
              std::to_string(model.original_length) + " and " +
              std::to_string(model.declared_length));
  for (const LayerPositions& layer : model.layers) {
    Require(layer.window >= 0, "a layer's window must be at least 0, got " +
                                   std::to_string(layer.window));
    Require(
        layer.base == 0 || (std::isfinite(layer.base) && layer.base > 1),
        "a layer's rope base must be above 1, got " + FormatNumber(layer.base));
  }
  if (!model.rotates) return;
  Require(model.rotary_width <= model.head_width,
          "rotary width " + std::to_string(model.rotary_width) +
              " exceeds the head width " + std::to_string(model.head_width));
  const int64_t pairs = static_cast<int64_t>(
      GeometricFrequencies(model.rotary_width, model.base).size());
  if (!model.frequency_divisors.empty()) {
    RequireFactors(model.frequency_divisors, pairs, "rope_freqs");
  }
  for (const auto& [factor, name] :
       {std::pair{model.scaling_factor, "rope scaling factor"},
        std::pair{model.attention_factor, "rope attention factor"}}) {
    Require(factor >= 1e-6 && factor <= 1e6,
            std::string(name) + " must be above 0, from 1e-6 to 1e6, got " +
                FormatNumber(factor));
  }
  Require(model.yarn_slow > 0 && model.yarn_fast > model.yarn_slow,
          "yarn: fast must be above slow, and both above 0, got " +
              FormatNumber(model.yarn_fast) + " and " +
              FormatNumber(model.yarn_slow));
  if (model.scaling == ModelPositions::Scaling::kLongRope) {
    // The magnitude divides by ln N_orig.
    Require(model.has_attention_factor || model.OriginalLength() > 1,
            "longrope needs an original length above 1, got " +
                std::to_string(model.OriginalLength()));
    RequireFactors(model.short_factors, pairs, "longrope short factors");
    RequireFactors(model.long_factors, pairs, "longrope long factors");
  }
}

}  // namespace ropewalk::position
