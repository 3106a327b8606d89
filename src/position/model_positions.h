// What a position scheme needs to know about a model.

#ifndef ROPEWALK_POSITION_MODEL_POSITIONS_H_
#define ROPEWALK_POSITION_MODEL_POSITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "position/plan.h"

namespace ropewalk::position {

// How the positions of one layer differ from those of the model.
struct LayerPositions {
  int64_t window = 0;   // keys that a token sees, itself included; 0: all
  bool rotates = true;  // false: queries and keys are not rotated
  double base = 0;      // of the layer's own table; 0: the model's base
  bool scaled = true;   // the file's scaling applies to its table

  // True for a layer that reads the whole text and rotates; schemes change
  // these layers.
  bool IsGlobal() const { return window == 0 && rotates; }
  bool operator==(const LayerPositions&) const = default;
};

// The scheme `rope` means the model's own frequency table, scaling included;
// every other scheme starts from this table.
struct ModelPositions {
  int64_t head_width = 0;    // D
  int64_t rotary_width = 0;  // d: components that rotate, even, <= D
  double base = 10000;
  int64_t train_length = 0;     // N, tokens
  int64_t original_length = 0;  // N_orig of the file's scaling; 0: N
  int64_t declared_length = 0;  // the file's own context length; 0: N

  // Divisors of the frequencies, from the file's rope_freqs.weight [d/2];
  // empty if the file has no such tensor. GGUF files store llama3 scaling so.
  std::vector<double> frequency_divisors;

  enum class Scaling { kNone, kLinear, kYarn, kLongRope };
  Scaling scaling = Scaling::kNone;
  double scaling_factor = 1;
  double yarn_fast = 32;  // of the file's own yarn
  double yarn_slow = 1;
  bool yarn_truncates = true;         // YarnOptions
  double attention_factor = 1;        // multiplies the scaling's magnitude
  bool has_attention_factor = false;  // longrope: replaces its magnitude
  std::vector<double> short_factors;  // longrope [d/2]
  std::vector<double> long_factors;   // longrope [d/2]

  // The scheme that the file names for inference (`ropewalk.position`): one
  // spelling, or one for each layer; empty for plain `rope`.
  std::vector<std::string> own_spelling;
  // The scheme that the model was trained with (`ropewalk.position_trained`),
  // in the same form; empty if it is the scheme of inference.
  std::vector<std::string> trained_spelling;
  // One entry for each layer; empty if the fields above hold for all layers. A
  // scheme changes the global layers; the others stay as they are unless the
  // spelling ends in @all.
  std::vector<LayerPositions> layers;
  // Why the model works only under its own scheme (ALiBi);
  // empty for models that take any scheme.
  std::string only_own_scheme;
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

// The positions of a model in which every layer has the base, the scaling and
// the rotation of layer `layer`. The result has no `layers`, so a caller reads
// the window from `model.layers`.
ModelPositions PositionsOfLayer(const ModelPositions& model, int64_t layer);

// The model's own table for sequences of up to `length` tokens.
FrequencyTable OwnTable(const ModelPositions& model, int64_t length);

// Every loader calls this. Throws std::invalid_argument that names the field
// and its value when a width, length, factor or table size is out of range.
void Validate(const ModelPositions& model);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_MODEL_POSITIONS_H_
