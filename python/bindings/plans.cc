#include "plans.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "position/model_positions.h"
#include "position/plan_text.h"
#include "position/scheme.h"

namespace ropewalk::python {
namespace {

namespace nb = nanobind;
using position::LayerPositions;
using position::ModelPositions;

// Sets `field` if the dictionary has the key.
template <typename T>
void Take(const nb::dict& from, const char* key, T& field) {
  if (from.contains(key)) field = nb::cast<T>(from[key]);
}

ModelPositions::Scaling ScalingOf(const std::string& name) {
  if (name == "none") return ModelPositions::Scaling::kNone;
  if (name == "linear") return ModelPositions::Scaling::kLinear;
  if (name == "yarn") return ModelPositions::Scaling::kYarn;
  Require(name == "longrope",
          "scaling '" + name + "' is none of none, linear, yarn, longrope");
  return ModelPositions::Scaling::kLongRope;
}

LayerPositions LayerOf(const nb::dict& from) {
  LayerPositions layer;
  Take(from, "window", layer.window);
  Take(from, "rotates", layer.rotates);
  Take(from, "base", layer.base);
  Take(from, "scaled", layer.scaled);
  return layer;
}

ModelPositions PositionsOf(const nb::dict& from) {
  ModelPositions model;
  Take(from, "head_width", model.head_width);
  Take(from, "rotary_width", model.rotary_width);
  Take(from, "base", model.base);
  Take(from, "train_length", model.train_length);
  Take(from, "original_length", model.original_length);
  Take(from, "declared_length", model.declared_length);
  Take(from, "frequency_divisors", model.frequency_divisors);
  std::string scaling = "none";
  Take(from, "scaling", scaling);
  model.scaling = ScalingOf(scaling);
  Take(from, "scaling_factor", model.scaling_factor);
  Take(from, "yarn_fast", model.yarn_fast);
  Take(from, "yarn_slow", model.yarn_slow);
  Take(from, "yarn_truncates", model.yarn_truncates);
  Take(from, "attention_factor", model.attention_factor);
  Take(from, "has_attention_factor", model.has_attention_factor);
  Take(from, "short_factors", model.short_factors);
  Take(from, "long_factors", model.long_factors);
  if (from.contains("layers")) {
    for (const nb::handle layer : nb::cast<nb::list>(from["layers"])) {
      model.layers.push_back(LayerOf(nb::cast<nb::dict>(layer)));
    }
  }
  return model;
}

nb::dict BuildPlans(const std::string& spelling, const nb::dict& facts,
                    int64_t length, int64_t layers) {
  const ModelPositions model = PositionsOf(facts);
  position::Validate(model);
  Require(
      length > 0 && length <= int64_t{1} << 30,
      "context must be from 1 to 2^30 tokens, got " + std::to_string(length));
  Require(layers > 0 && (model.layers.empty() ||
                         static_cast<int64_t>(model.layers.size()) == layers),
          "one entry of layers is needed for each layer");
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), model, length);
  std::vector<std::string> plans;
  for (const position::Plan& plan :
       position::BuildStack(scheme, model, length, layers)) {
    plans.push_back(position::PlanText(plan));
  }
  nb::dict result;
  result["spelling"] = position::ToString(scheme);
  result["changed_layers"] = position::ChangedLayers(scheme, model);
  result["warning"] = position::KnownToFail(scheme, model, length).value_or("");
  result["plans"] = plans;
  return result;
}

}  // namespace

void BindPlans(nb::module_& module) {
  module.def("build_plans", BuildPlans, nb::arg("spelling"), nb::arg("facts"),
             nb::arg("length"), nb::arg("layers"),
             "The plans of a scheme, one text a layer, for a model with these "
             "positions.\n\n"
             "facts has the fields of ModelPositions by name; those left out "
             "keep their defaults. Returns a dict: spelling (resolved), "
             "changed_layers and warning (texts, may be empty), plans (list of "
             "str). Raises ValueError with the reason.");
}

}  // namespace ropewalk::python
