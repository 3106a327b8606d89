// How people spell position schemes, and how a spelling becomes plans.
//
//   name[:key=value[,key=value]...] then any of +logn[:base=LEN], +logn-clip,
//   +logn-learned, then @all; or @FILE.toml with one spelling a layer.
//
// A scheme changes the layers that read the whole text. Layers with a window
// of their own, and layers without positions, keep their law, unless @all
// asks for them too.
//
// Values are integers, decimals or fractions (k=1/16); lengths take the suffix
// k for 1024. A spelling may leave parameters out: Resolve fills them in from
// the model and the length, and says so by printing the result.

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
  std::vector<Scheme> layers;  // of a stack, else empty

  std::optional<double> Find(std::string_view key) const;
  // A parameter that Resolve has filled in.
  double Get(std::string_view key) const;
  int64_t GetLength(std::string_view key) const;
  // Forgets a fraction that the old value was spelled as.
  void Set(std::string_view key, double value);
};

// Throws std::invalid_argument with the reason: an unknown name or key, a
// value that the key does not allow, a stack file that cannot be read.
Scheme ParseScheme(std::string_view spelling);

// The canonical spelling: ParseScheme of it gives the same scheme again. A
// stack with its file known prints as "@FILE"; one without prints its layers.
std::string ToString(const Scheme& scheme);

// `scheme` with every parameter given: from the model's trained length N and
// the length L at hand where the spelling left it out. `rope` is resolved to
// the law that the model file names, `auto` to the scheme we would choose.
// Throws std::invalid_argument with the reason where the scheme is not defined
// for this model.
Scheme Resolve(const Scheme& scheme, const ModelPositions& model,
               int64_t length);

// The plans of a resolved scheme, for sequences of up to `length` tokens.
Stack BuildStack(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, int64_t layers);

// Why a resolved scheme is known to fail at `length` (it is computed all the
// same by those who want to see it), or nothing.
std::optional<std::string> KnownToFail(const Scheme& resolved,
                                       const ModelPositions& model,
                                       int64_t length);

// Which layers a resolved scheme changes, in words: "on 3 of 18 layers, 15
// keep their window of 512 keys"; empty where it changes all of them.
std::string ChangedLayers(const Scheme& resolved, const ModelPositions& model);
// The same of any scheme but `rope`, without @all.
std::string ChangedLayers(const ModelPositions& model);

// What we would run a model with at `length`, as a spelling: the advice in
// messages, and what `auto` picks. It is the model's own law for as long as
// that is not known to fail, ReRoPE with a log n scale beyond.
std::string AdvisedSpelling(const ModelPositions& model, int64_t length);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_SCHEME_H_
