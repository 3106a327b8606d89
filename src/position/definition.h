// The definition of a scheme. One file in this folder defines one scheme or
// one family of schemes; registry.cc lists them all.

#ifndef ROPEWALK_POSITION_DEFINITION_H_
#define ROPEWALK_POSITION_DEFINITION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "position/model_positions.h"
#include "position/plan.h"
#include "position/scheme.h"

namespace ropewalk::position {

struct Parameter {
  enum class Kind {
    kLength,    // tokens, at least `least`; takes the suffix k
    kCount,     // an integer, at least `least`
    kPositive,  // a number above 0
    kNumber,    // a number at least `least`
    kSwitch,    // 0 or 1
  };
  std::string_view key;
  Kind kind = Kind::kLength;
  std::string_view meaning;  // one line, with the default
  double least = 1;
};

// Where a plan stands in the stack that is being built.
struct Layer {
  int64_t index = 0;
  int64_t count = 1;
};

struct Definition {
  std::string_view name;
  std::string_view summary;
  std::string_view source;  // post or paper
  std::vector<Parameter> parameters;

  // Sets every parameter that the spelling left out. Throws
  // std::invalid_argument where the scheme is not defined.
  void (*resolve)(Scheme& scheme, const ModelPositions& model, int64_t length);

  // Builds bands and tables of one layer. The caller adds the scale that the
  // spelling's suffix asks for, unless `owns_scale`.
  Plan (*build)(const Scheme& resolved, const ModelPositions& model,
                int64_t length, Layer layer);

  // `build` sets the scale itself, because it differs by layer (hwfa).
  bool owns_scale = false;

  // Only models that were trained under it read anything under it.
  bool needs_training = false;

  // Changes the spelled scheme into the one that models are trained under. Null
  // if models are trained and run under the same scheme.
  //
  //   length   of a training sequence
  void (*train_as)(Scheme& scheme, int64_t length) = nullptr;
};

const std::vector<const Definition*>& AllDefinitions();

// Throws std::invalid_argument that lists the known names.
const Definition& DefinitionOf(std::string_view name);

// The scheme under which a model for `scheme` is trained; for a stack, layer by
// layer.
Scheme TrainingForm(Scheme scheme, int64_t length);

// Helpers that definitions share.

// Sets `key` unless the spelling gave it.
void Default(Scheme& scheme, std::string_view key, double value);

// Sets `key` to the trained length / `divisor`, at least 1, unless the
// spelling gave it.
void DefaultFraction(Scheme& scheme, std::string_view key,
                     const ModelPositions& model, int64_t divisor);

// Sets factor to max(1, L / N) unless the spelling gave it.
void DefaultFactor(Scheme& scheme, const ModelPositions& model, int64_t length);

// One band over all distances; queries and keys are rotated by their ids.
Plan OneBand(FrequencyTable table);

// A `build` for schemes that use the model's own table unchanged.
Plan BuildOwn(const Scheme& resolved, const ModelPositions& model,
              int64_t length, Layer layer);

// The scale that `resolved` spells.
ScoreScale ScaleOf(const Scheme& resolved, const ModelPositions& model);

// Throws std::invalid_argument "NAME: WHAT" unless `holds`; NAME is the
// scheme's.
void RequireFor(const Scheme& scheme, bool holds, const std::string& what);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_DEFINITION_H_
