// A transformer under training.
//
// Position laws come from position/, a plan a layer; the same weights can be
// read under any other stack, which is how a model is evaluated past the
// length it was trained on.

#ifndef ROPEWALK_LAB_NN_MODEL_H_
#define ROPEWALK_LAB_NN_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
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

  // Shown, layer by layer, what the self-attention of a decoder is given in
  // every pass from now on: View::probe. Empty: nobody looks.
  using Probe = std::function<void(int64_t layer, const at::Tensor& q,
                                   const at::Tensor& k)>;
  void SetProbe(Probe probe) { probe_ = std::move(probe); }

  // ops::LinearCrossEntropy through the head.
  at::Tensor Loss(const at::Tensor& hidden, const at::Tensor& targets,
                  const at::Tensor& weights, double normaliser) const;
  ops::RowScores Score(const at::Tensor& hidden,
                       const at::Tensor& targets) const;
  at::Tensor Logits(const at::Tensor& hidden) const;  // [R, V]

  // Operations of reading one pair of S input and T output tokens, where a
  // multiplication and an addition are two; a decoder reads them as one stream
  // of S + T. All weights of the blocks at every token that meets them, the
  // head at the T outputs, attention over the pairs that the masks leave.
  double ForwardFlops(int64_t S, int64_t T) const;
  // Forward and backward of a sequence of T tokens (encoder-decoders: T of each
  // side), all of them targets: three times forward.
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
  Probe probe_;
};

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_MODEL_H_
