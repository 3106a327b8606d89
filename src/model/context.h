// One sequence in progress: a model, a stack of position plans, and the keys
// and values of what has been read so far.

#ifndef ROPEWALK_MODEL_CONTEXT_H_
#define ROPEWALK_MODEL_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attention/serving/attention.h"
#include "attention/serving/kv_store.h"
#include "base/aligned.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "base/token.h"
#include "kernels/matmul.h"
#include "model/attention_probe.h"
#include "model/model.h"
#include "position/plan.h"

namespace ropewalk::model {

struct ContextOptions {
  int64_t length = 0;           // tokens the plans were made for; no more fit
  int64_t chunk = 512;          // tokens of one forward pass at most
  DType kv_type = DType::kF32;  // keys and values: f32, f16, bf16 or q8_0
};

// One thread at a time. Borrows `model` and `threads`, which must outlive it.
class Context {
 public:
  // `stack` has one plan a layer; one with a learned log n needs a layer that
  // has the scale. Throws std::invalid_argument otherwise.
  Context(const Model& model, const position::Stack& stack,
          ContextOptions options, ParallelFor& threads);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t length() const { return options_.length; }
  int64_t chunk() const { return options_.chunk; }

  // Reads `tokens`, at most chunk() of them. Throws std::invalid_argument for
  // an id outside the vocabulary, and when the context is full.
  void Forward(std::span<const Token> tokens);

  // Logits after tokens [first, first + rows) of the last Forward, as
  // [rows, V], each row answering what comes next. Valid until the next call.
  std::span<const float> Logits(int64_t first, int64_t rows);

  // Shows `probe`, which must outlive its use, what attention gets from now
  // on; null shows nobody. No result changes.
  void SetProbe(AttentionProbe* probe) { probe_ = probe; }

  // What was read, by id.
  std::span<const Token> tokens() const { return tokens_; }

  // Keys and values, all layers.
  int64_t KvBytes() const;

  // Changes of what was read, all layers at once
  // (attention/serving/kv_store.h). The questions say why it cannot be done, or
  // nothing; the changes throw std::invalid_argument with that reason, having
  // changed nothing.

  // Keeps the first `size` tokens.
  std::optional<std::string> WhyNotTrim(int64_t size) const;
  void Trim(int64_t size);

  // Trims to what `tokens` begin with, or to nothing where that cannot be had
  // back; one token of theirs at least is left to read. Returns how many are
  // kept.
  int64_t ReusePrefix(std::span<const Token> tokens);

  // Takes `count` tokens out behind the first `keep` and closes up, so that
  // there is room for as many.
  std::optional<std::string> WhyNotShift(int64_t keep, int64_t count) const;
  void Shift(int64_t keep, int64_t count);

  // Goes on under other plans, made for `length` tokens. What was read so far
  // stays as the old ones saw it: docs/attention.md says when that is the same
  // and when it is close.
  std::optional<std::string> WhyNotChangeStack(
      const position::Stack& stack) const;
  void ChangeStack(const position::Stack& stack, int64_t length);

  // Contents for a file, a layer each, and back (model/session.h).
  std::vector<attention::KvImage> Images() const;
  DType kv_type() const { return options_.kv_type; }
  position::Stack stack() const;
  // Throws std::invalid_argument where they do not fit, having changed nothing.
  void Restore(std::vector<Token> tokens,
               std::span<const attention::KvImage> images);

 private:
  // A layer's share of the sequence.
  struct Memory {
    attention::BandedAttention attention;
    attention::KvStore store;
  };

  void CheckStack(const position::Stack& stack) const;
  template <typename Question>
  std::optional<std::string> FirstReason(const Question& question) const;

  // The forward pass (forward.cc). T is the number of rows.
  void Reserve(int64_t T);
  void Embed(std::span<const Token> tokens);
  // hidden_ <- the layer's output.
  void Apply(const Layer& layer, Memory& memory, int64_t T);
  // branch_ <- attention of x, and all before.
  void Attend(const Attention& layer, Memory& memory, const float* x,
              int64_t T);
  // queries_, keys_ and values_ of x, not rotated.
  void ProjectHeads(const Attention& layer, const float* x, int64_t T);
  // branch_ <- the feed-forward of x.
  void Feed(const FeedForward& feed, const float* x, int64_t T, float* y);
  void Feed(const Experts& experts, const float* x, int64_t T, float* y);
  void Project(const float* x, int64_t T, const Linear& linear, float* y);
  // Rows of norm.width; y may be x. Nothing where the norm does not exist.
  void Normalise(const Norm& norm, const float* x, int64_t rows, float* y);
  // The norm of x in normed_, or x itself where the norm does not exist.
  const float* Normed(const Norm& norm, const float* x, int64_t T);
  // y = act(x) * factor; `stride` 0 takes one row of factors for all. y may be
  // x.
  void Gate(kernels::Activation activation, const float* x, const float* factor,
            int64_t stride, int64_t width, int64_t T, float* y);
  void AddBranch(float scale, int64_t T);

  const Model& model_;
  ContextOptions options_;
  ParallelFor& threads_;
  std::shared_ptr<attention::TilePool> pool_ =
      std::make_shared<attention::TilePool>();
  std::vector<Memory> layers_;
  std::vector<Token> tokens_;
  int64_t last_ = 0;  // tokens of the last Forward
  AttentionProbe* probe_ = nullptr;

  attention::RotationTables tables_;
  attention::AttentionScratch attention_scratch_;
  kernels::MatMulScratch matmul_scratch_;
  AlignedBuffer<float> hidden_;      // [chunk, E]
  AlignedBuffer<float> normed_;      // [chunk, E]
  AlignedBuffer<float> queries_;     // [chunk, H * D]
  AlignedBuffer<float> keys_;        // [chunk, G * D]
  AlignedBuffer<float> values_;      // [chunk, G * value width]
  AlignedBuffer<float> attended_;    // [chunk, H * value width]
  AlignedBuffer<float> gate_;        // [chunk, F or H * value width]
  AlignedBuffer<float> up_;          // [chunk, F]
  AlignedBuffer<float> branch_;      // [chunk, E], what a layer adds
  AlignedBuffer<float> router_;      // [chunk, experts]
  AlignedBuffer<float> expert_in_;   // [chunk, E], tokens of one expert
  AlignedBuffer<float> expert_out_;  // [chunk, E]
  AlignedBuffer<float> logits_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONTEXT_H_
