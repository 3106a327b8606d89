// What a lab model is made of: plain data, read from a training config, stored
// in every checkpoint, and what export goes by.

#ifndef ROPEWALK_LAB_NN_CONFIG_H_
#define ROPEWALK_LAB_NN_CONFIG_H_

#include <cstdint>
#include <string>

#include "lab/ops/product.h"
#include "position/model_positions.h"

namespace ropewalk::lab::nn {

// How a layer mixes its input.
enum class Block {
  kLlama,  // pre-norm RMSNorm, grouped-query attention, SwiGLU
  kGau,    // post-norm gated attention unit, one head (methods: post 9603)
};

// Who sees whom (posts 9529, 9547).
enum class Architecture {
  kDecoder,               // one stack
  kEncoderDecoder,        // a stack each, and cross attention in the second
  kEncoderDecoderShared,  // the same, encoder and decoder weights shared
};

enum class Mask {
  kCausal,
  kPrefix,         // UniLM: the input sees all of itself
  kBidirectional,  // MLM
  kMixedHeads,     // the first half of the heads looks back, the rest ahead
  kMixedLayers,    // even layers look back, odd layers ahead
};

// From hidden states to logits (post 9698).
enum class Head {
  kTied,
  kTiedSigma,  // tied, embeddings of deviation ln(V) / E
  kUntied,
  kTiedOrthogonal,  // an orthogonally initialised projection in between
  kTiedHalfSwap,    // halves of the channels swapped
  kTiedShuffle,     // [2, E/2] transposed
  kTiedRootWidth,   // logits / sqrt(E)
};

enum class Init {
  kOrdinary,  // normal, 0.02; branch outputs / sqrt(2 L)
  kDeepNorm,  // truncated normal of deviation L^(-1/order) / sqrt(E), the
              // embedding's as well; order 3 for GAU, 2 for Llama blocks
};

struct ModelConfig {
  Block block = Block::kLlama;
  Architecture architecture = Architecture::kDecoder;
  Mask mask = Mask::kCausal;
  Head head = Head::kTied;
  Init init = Init::kOrdinary;
  int64_t L = 4;    // layers; of each side of an encoder-decoder
  int64_t E = 256;  // model width
  int64_t V = 0;    // vocabulary
  int64_t H = 4;    // query heads (GAU: 1)
  int64_t G = 2;    // key/value heads (GAU: 1)
  int64_t D = 64;   // head width (GAU: the shared key width)
  int64_t F = 640;  // feed-forward width (GAU: the expansion)
  int64_t N = 256;  // tokens of a training sequence
  double rope_base = 10000;
  double norm_epsilon = 1e-5;
  bool key_norm = false;        // L2-normalised keys, times sqrt(D) (post 9859)
  bool causal_encoder = false;  // of an encoder-decoder
  // Cross attention rotates by the law of its layer, both sides counting from
  // 0, and without its score scale; otherwise it knows of no order.
  bool rotate_cross = false;
  std::string position = "rope";  // the law of training
  std::string inference = "";     // the law to infer with; empty: the same
  ops::Precision precision = ops::Precision::kFull;  // of training
};

// What the position schemes need to know of the model. Throws
// std::invalid_argument for a position that is no spelling.
position::ModelPositions PositionsOf(const ModelConfig& config);

// Throws std::invalid_argument naming the field, the rule and the value.
void Validate(const ModelConfig& config);

// The names used in configs, checkpoints and messages; Parse... throws
// std::invalid_argument listing what is allowed.
std::string ToString(Block block);
std::string ToString(Architecture architecture);
std::string ToString(Mask mask);
std::string ToString(Head head);
std::string ToString(Init init);
std::string ToString(ops::Precision precision);  // "f32", "bf16"
Block ParseBlock(const std::string& name);
Architecture ParseArchitecture(const std::string& name);
Mask ParseMask(const std::string& name);
Head ParseHead(const std::string& name);
Init ParseInit(const std::string& name);
ops::Precision ParsePrecision(const std::string& name);

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_CONFIG_H_
