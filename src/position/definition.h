// What a scheme has to say of itself. One file in this folder defines one
// scheme or one family; registry.cc lists them all.

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

  // Gives every parameter that the spelling left out, and throws
  // std::invalid_argument where the scheme is not defined.
  void (*resolve)(Scheme& scheme, const ModelPositions& model, int64_t length);

  // Bands and tables of one layer. The caller puts the scale of the
  // spelling's +logn on top unless `owns_scale`.
  Plan (*build)(const Scheme& resolved, const ModelPositions& model,
                int64_t length, Layer layer);

  // The scheme decides by layer where log n applies (hwfa).
  bool owns_scale = false;

  // Changes the spelled scheme into the one that models are trained under,
  // where that is another; null: they are trained as they are run.
  //
  //   length   of a training sequence
  void (*train_as)(Scheme& scheme, int64_t length) = nullptr;
};

const std::vector<const Definition*>& AllDefinitions();

// Throws std::invalid_argument that lists the known names.
const Definition& DefinitionOf(std::string_view name);

// The scheme that a model of `scheme` is trained under, layer by layer for a
// stack.
Scheme TrainingForm(Scheme scheme, int64_t length);

// Helpers that definitions share.

// Sets `key` unless the spelling gave it.
void Default(Scheme& scheme, std::string_view key, double value);

// The trained length over `divisor`, at least 1, unless given.
void DefaultShare(Scheme& scheme, std::string_view key,
                  const ModelPositions& model, int64_t divisor);

// factor = max(1, L / N) unless given.
void DefaultFactor(Scheme& scheme, const ModelPositions& model, int64_t length);

// One band over all distances, both sides rotated by their own id.
Plan OneBand(FrequencyTable table);

// The model's own table: a `build` for schemes that change nothing of it.
Plan BuildOwn(const Scheme& resolved, const ModelPositions& model,
              int64_t length, Layer layer);

// The scale that `resolved` spells.
ScoreScale ScaleOf(const Scheme& resolved, const ModelPositions& model);

// Throws std::invalid_argument "NAME: WHAT" unless `holds`.
void RequireFor(const Scheme& scheme, bool holds, const std::string& what);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_DEFINITION_H_
