// What a position scheme needs to know of a model.

#ifndef ROPEWALK_POSITION_MODEL_POSITIONS_H_
#define ROPEWALK_POSITION_MODEL_POSITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "position/plan.h"

namespace ropewalk::position {

// What sets the position law of one layer apart from the model's.
struct LayerPositions {
  int64_t window = 0;   // keys that a token sees, itself included; 0: all
  bool rotates = true;  // false: queries and keys are not rotated
  double base = 0;      // of its own table; 0: the model's
  bool scaled = true;   // the file's scaling applies to its table

  // A layer that reads the whole text by its positions: what schemes change.
  bool IsGlobal() const { return window == 0 && rotates; }
  bool operator==(const LayerPositions&) const = default;
};

// The model's own frequency table, scaling included, is what `rope` means and
// what every other scheme starts from.
struct ModelPositions {
  int64_t head_width = 0;    // D
  int64_t rotary_width = 0;  // d: components that rotate, even, <= D
  double base = 10000;
  int64_t train_length = 0;     // N, tokens: windows, logn-clip, dca
  int64_t original_length = 0;  // N_orig of the file's scaling; 0 for N
  int64_t declared_length = 0;  // the file's own context length; 0 for N

  // Divisors of the frequencies, from the file's rope_freqs.weight [d/2];
  // empty for none. This is how GGUF files carry llama3 scaling.
  std::vector<double> frequency_divisors;

  enum class Scaling { kNone, kLinear, kYarn, kLongRope };
  Scaling scaling = Scaling::kNone;
  double scaling_factor = 1;
  double yarn_fast = 32;  // of the file's own yarn
  double yarn_slow = 1;
  double attention_factor = 1;        // on top of the scaling's own magnitude
  bool has_attention_factor = false;  // longrope: replaces its formula
  std::vector<double> short_factors;  // longrope [d/2]
  std::vector<double> long_factors;   // longrope [d/2]

  // The law the file names for inference (`ropewalk.position`): a spelling,
  // or one for each layer; empty for plain `rope`.
  std::vector<std::string> own_spelling;
  // The law of its training (`ropewalk.position_trained`), spelled alike;
  // empty for the law of inference.
  std::vector<std::string> trained_spelling;
  // One a layer; empty where all layers are as the fields above say. A scheme
  // changes the global ones; the others keep their own law unless the
  // spelling ends in @all.
  std::vector<LayerPositions> layers;
  // Why no law but the model's own can hold (learned sinks, ALiBi); empty for
  // models that take any scheme.
  std::string only_own_law;
  bool has_learned_logn = false;  // the file carries blk.N.attn_logn.weight
  bool rotates = true;            // false for models trained without RoPE

  int64_t OriginalLength() const {
    return original_length > 0 ? original_length : train_length;
  }
  int64_t DeclaredLength() const {
    return declared_length > 0 ? declared_length : train_length;
  }
};

// base^(-2m/d) for m in [0, d/2). Throws std::invalid_argument unless d is
// even and positive and base above 1.
std::vector<double> GeometricFrequencies(int64_t d, double base);

// The positions of one layer as if every layer were like it: its base, its
// scaling, whether it rotates. The window stays in `model.layers`.
ModelPositions PositionsOfLayer(const ModelPositions& model, int64_t layer);

// The model's own table for sequences of up to `length` tokens.
FrequencyTable OwnTable(const ModelPositions& model, int64_t length);

// The checks that every loader wants: throws std::invalid_argument naming the
// field when widths, lengths, factors or table sizes make no sense.
void Validate(const ModelPositions& model);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_MODEL_POSITIONS_H_
