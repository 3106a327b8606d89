// Position schemes: how people spell them, and how a spelling becomes plans.
//
// The folder position/ decides, in float64 and without tensors or files, by
// which distance a query and a key are rotated, which pairs are masked, and
// how scores are scaled. ParseScheme reads a spelling, Resolve fills in what
// it leaves out, and BuildStack makes one Plan (plan.h) for each layer. To add
// a scheme, define it in a file of its own as definition.h says and list it in
// registry.cc. Code above this folder reads plans and must not ask for a
// scheme's name, except to print help and advice.
//
//   name[:key=value[,key=value]...] then any of +logn[:base=LEN], +logn-clip,
//   +logn-learned, then @all; or @FILE.toml with one spelling for each layer.
//
// A scheme changes the layers that read the whole text. Layers with a window
// of their own, and layers without positions, stay as the model file has
// them, unless the spelling ends in @all.
//
// Values are integers, decimals or fractions (k=1/16); lengths take the suffix
// k for 1024. A spelling may leave parameters out: Resolve fills them in from
// the model and the length, and ToString of its result shows them.

#ifndef ROPEWALK_POSITION_SCHEME_H_
#define ROPEWALK_POSITION_SCHEME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::position {

struct Scheme {
  std::string name;  // "rerope"; "@FILE.toml" for a stack read from a file
  // In the order in which the scheme declares them.
  std::vector<std::pair<std::string, double>> parameters;
  // k = 1/16 is kept as a fraction, so that it prints as it was written.
  std::vector<std::pair<std::string, std::string>> spelled;
  ScoreScale::Kind logn = ScoreScale::Kind::kNone;
  int64_t logn_base = 512;
  bool all_layers = false;     // @all
  std::vector<Scheme> layers;  // one for each layer of a stack; else empty

  std::optional<double> Find(std::string_view key) const;
  // The value of a parameter that is set, as all are after Resolve.
  double Get(std::string_view key) const;
  int64_t GetLength(std::string_view key) const;
  // Also removes the fraction as which the old value was spelled.
  void Set(std::string_view key, double value);
};

// Throws std::invalid_argument with the reason: an unknown name or key, a
// value that the key does not allow, a stack file that cannot be read.
Scheme ParseScheme(std::string_view spelling);

// The canonical spelling, from which ParseScheme gives the same scheme again.
// A stack read from a file prints as "@FILE"; any other prints its layers.
std::string ToString(const Scheme& scheme);

// `scheme` with every parameter set. Those that the spelling left out come
// from the model's trained length N and the length L at hand. `rope` becomes
// the scheme that the model file names, and `auto` becomes AdvisedSpelling.
// Throws std::invalid_argument with the reason where the scheme is not defined
// for this model.
Scheme Resolve(const Scheme& scheme, const ModelPositions& model,
               int64_t length);

// The plans of a resolved scheme, for sequences of up to `length` tokens.
Stack BuildStack(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, int64_t layers);

// The reason why a resolved scheme is known to fail at `length`, with advice;
// nullopt where it is not. BuildStack builds such a scheme all the same.
std::optional<std::string> KnownToFail(const Scheme& resolved,
                                       const ModelPositions& model,
                                       int64_t length);

// Which layers a resolved scheme changes, in words: "on 3 of 18 layers, 15
// keep their window of 512 keys"; empty where it changes all of them.
std::string ChangedLayers(const Scheme& resolved, const ModelPositions& model);
// The same for any scheme except `rope`, without @all.
std::string ChangedLayers(const ModelPositions& model);

// The spelling that messages advise and `auto` picks for a model at `length`:
// "rope", the model's own scheme, up to the length where that is known to
// fail, and ReRoPE with a far offset beyond.
std::string AdvisedSpelling(const ModelPositions& model, int64_t length);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_SCHEME_H_
