// A transformer under training.
//
// Position laws come from position/, a plan a layer; the same weights can be
// read under any other stack, which is how a model is evaluated past the
// length it was trained on.

#ifndef ROPEWALK_LAB_NN_MODEL_H_
#define ROPEWALK_LAB_NN_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lab/nn/config.h"
#include "lab/nn/head.h"
#include "lab/nn/layers.h"
#include "lab/nn/parameters.h"
#include "lab/ops/cross_entropy.h"
#include "position/plan.h"

namespace ropewalk::lab::nn {

struct Inputs {
  at::Tensor ids;              // [B, T] int64
  at::Tensor prefix;           // [B] int64: input tokens, for Mask::kPrefix
  at::Tensor lengths;          // [B] int64 or undefined: real tokens
  at::Tensor encoder_ids;      // [B, S] int64, of an encoder-decoder
  at::Tensor encoder_lengths;  // [B] int64 or undefined
};

// One thread at a time; not copyable, since layers refer to the config.
class Model {
 public:
  // Throws std::invalid_argument where Validate does.
  Model(const ModelConfig& config, uint64_t seed);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelConfig& config() const { return config_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t ParameterCount() const;
  // Parameters within the blocks: without embedding, head and final norm.
  int64_t BlockParameterCount() const;

  // The stack of the training law for sequences of up to `length` tokens.
  position::Stack TrainingStack(int64_t length) const;

  // States [B T, E] that go into the head, under the training law or another.
  at::Tensor Hidden(const Inputs& inputs) const;
  at::Tensor Hidden(const Inputs& inputs, const position::Stack& stack) const;

  // ops::LinearCrossEntropy through the head.
  at::Tensor Loss(const at::Tensor& hidden, const at::Tensor& targets,
                  const at::Tensor& weights, double normaliser) const;
  ops::RowScores Score(const at::Tensor& hidden,
                       const at::Tensor& targets) const;
  at::Tensor Logits(const at::Tensor& hidden) const;  // [R, V]

  // Multiply-adds count two: forward and backward of one sequence of T tokens
  // (encoder-decoders: T of each side), 6 a weight and token, and attention
  // over the pairs that its masks leave.
  double TrainingFlops(int64_t T) const;

  // Moves parameters to a device ("cpu", "cuda:0").
  void To(const std::string& device);

 private:
  using Plans = std::vector<std::shared_ptr<const position::Plan>>;

  static Plans Share(const position::Stack& stack);
  View SelfView(const Inputs& inputs, int64_t layer, const Plans& plans) const;
  Memory Encode(const Inputs& inputs, const Plans& plans) const;
  at::Tensor Embed(const at::Tensor& ids) const;

  ModelConfig config_;
  at::Tensor embedding_;  // [V, E]
  std::vector<std::unique_ptr<Layer>> encoder_;
  std::vector<std::unique_ptr<Layer>> layers_;
  at::Tensor encoder_norm_;  // [E] of encoder-decoders
  at::Tensor norm_;          // [E] of Llama blocks
  std::unique_ptr<OutputHead> head_;
  std::vector<Parameter> parameters_;
  Plans training_;  // the training law for N tokens
  int64_t training_length_ = 0;
};

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_MODEL_H_
