// Schemes in words, from position/: the public headers have their names and
// spellings, not their bands.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/model.h>
#include <ropewalk/scheme.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "api/engine_access.h"
#include "base/error.h"
#include "common.h"
#include "position/band_text.h"
#include "position/recommendation.h"
#include "position/scheme.h"

namespace ropewalk::python {
namespace {

using Bands = std::vector<std::tuple<std::string, std::string, std::string>>;

struct Description {
  std::string spelling;
  std::optional<std::string> known_to_fail;
  std::string changed_layers;
  // Layers with equal bands share one entry.
  std::vector<std::pair<std::vector<int64_t>, Bands>> layers;
};

Description DescribeFor(const std::string& spelling,
                        const position::ModelPositions& model, int64_t layers,
                        int64_t length) {
  Require(length >= 1,
          "length must be at least 1, got " + std::to_string(length));
  const position::Scheme resolved =
      position::Resolve(position::ParseScheme(spelling), model, length);
  Description description{
      .spelling = position::ToString(resolved),
      .known_to_fail = position::KnownToFail(resolved, model, length),
      .changed_layers = position::ChangedLayers(resolved, model)};
  const position::Stack stack =
      position::BuildStack(resolved, model, length, layers);
  for (size_t l = 0; l < stack.size(); ++l) {
    Bands bands;
    for (const position::Band& band : stack[l].bands) {
      const position::BandText text = position::Describe(stack[l], band);
      bands.emplace_back(text.pairs, text.query, text.key);
    }
    const auto layer = static_cast<int64_t>(l);
    bool found = false;
    for (auto& [same, known] : description.layers) {
      if (known != bands) continue;
      same.push_back(layer);
      found = true;
      break;
    }
    if (!found) description.layers.emplace_back(std::vector{layer}, bands);
  }
  return description;
}

// For a model of one layer whose heads all rotate, as `ropewalk positions`
// shows schemes.
Description DescribeAlone(const std::string& spelling, int64_t train_length,
                          int64_t length) {
  const position::ModelPositions model{.head_width = 64,
                                       .rotary_width = 64,
                                       .train_length = train_length,
                                       .original_length = train_length,
                                       .has_learned_logn = true};
  position::Validate(model);
  return DescribeFor(spelling, model, 1, length);
}

Description DescribeIn(const Model& model, const std::string& spelling,
                       int64_t length) {
  const auto engine = EngineAccess::Of(model);
  return DescribeFor(spelling, engine->positions(), engine->model().config().L,
                     length);
}

}  // namespace

void BindPositions(nb::module_& module) {
  nb::class_<Description>(module, "SchemeDescription")
      .def_ro("spelling", &Description::spelling)
      .def_ro("known_to_fail", &Description::known_to_fail)
      .def_ro("changed_layers", &Description::changed_layers)
      .def_ro("layers", &Description::layers);
  module.def("describe_alone", &DescribeAlone, nb::arg("spelling"),
             nb::arg("train_length"), nb::arg("length"), ReleaseGil());
  module.def("describe_in", &DescribeIn, nb::arg("model"), nb::arg("spelling"),
             nb::arg("length"), ReleaseGil());
  module.def("list_schemes", [] {
    std::vector<std::tuple<std::string, std::string, std::string,
                           std::vector<std::pair<std::string, std::string>>>>
        out;
    for (const SchemeInfo& info : ListSchemes()) {
      std::vector<std::pair<std::string, std::string>> parameters;
      for (const SchemeParameter& parameter : info.parameters) {
        parameters.emplace_back(parameter.name, parameter.meaning);
      }
      out.emplace_back(info.name, info.summary, info.source, parameters);
    }
    return out;
  });
  module.def(
      "parse_scheme",
      [](const std::string& spelling) {
        return Scheme::Parse(spelling).ToString();
      },
      nb::arg("spelling"), ReleaseGil());
  module.def(
      "recommend",
      [](const Model& model, int64_t length) {
        Require(length >= 1,
                "length must be at least 1, got " + std::to_string(length));
        const auto engine = EngineAccess::Of(model);
        const position::Recommendation advice = position::Recommend(
            engine->positions(), length, engine->model().config().L);
        return std::pair(advice.spelling, advice.reasons);
      },
      nb::arg("model"), nb::arg("length"), ReleaseGil());
}

}  // namespace ropewalk::python
