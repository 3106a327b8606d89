// What belongs to one text: its ids, the position plans it is read under, and
// its keys and values. Buffers and threads belong to a Workspace, so that a
// sequence that waits holds nothing else.

#ifndef ROPEWALK_MODEL_SEQUENCE_H_
#define ROPEWALK_MODEL_SEQUENCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attention/serving/attention.h"
#include "attention/serving/kv_store.h"
#include "base/dtype.h"
#include "base/token.h"
#include "model/model.h"
#include "position/plan.h"

namespace ropewalk::model {

// The attention of each layer under one stack of plans. Immutable; sequences
// that share one are attended together in a pass.
using StackAttention = std::vector<attention::BandedAttention>;

// `stack` has one plan for each layer; a plan with a learned log n needs a
// layer that has the scale. Throws std::invalid_argument otherwise.
std::shared_ptr<const StackAttention> MakeStackAttention(
    const Model& model, const position::Stack& stack);

struct SequenceOptions {
  int64_t length = 0;           // tokens the plans were made for; no more fit
  DType kv_type = DType::kF32;  // keys and values: f32, f16, bf16 or q8_0
};

// Movable; one thread at a time. Borrows `model`, which must outlive it.
//
// Each change has a question beside it that says why the change would fail, or
// nothing. A change that fails throws std::invalid_argument with that reason,
// or MemoryLimitError, and leaves the sequence as it was.
class Sequence {
 public:
  // Tiles come from `pool`, or from one of its own.
  Sequence(const Model& model, std::shared_ptr<const StackAttention> attention,
           const SequenceOptions& options,
           std::shared_ptr<attention::TilePool> pool = nullptr);
  Sequence(const Model& model, const position::Stack& stack,
           const SequenceOptions& options,
           std::shared_ptr<attention::TilePool> pool = nullptr);

  // The same text in another sequence. Both share the keys and values of what
  // was read so far, whichever is read on, changed or destroyed.
  Sequence Fork() const;

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t length() const { return options_.length; }
  DType kv_type() const { return options_.kv_type; }
  const std::shared_ptr<attention::TilePool>& pool() const { return pool_; }
  const Model& model() const { return *model_; }

  // What was read, by id.
  std::span<const Token> tokens() const { return tokens_; }

  // The first so many tokens have the keys and values that a fresh sequence
  // under these plans would compute for them. Behind those stand tokens that
  // were read beside others since taken out, or under other plans.
  int64_t exact() const { return exact_; }

  // Keys and values of all layers; those shared with forks are counted too.
  int64_t KvBytes() const;
  // What KvBytes comes to when `size` tokens have been read, in passes of at
  // most `chunk`.
  int64_t KvBytesFor(int64_t size, int64_t chunk) const;

  // Keeps the first `size` tokens.
  std::optional<std::string> WhyNotTrim(int64_t size) const;
  void Trim(int64_t size);

  // Trims to the longest exact beginning that `tokens` share, or to nothing
  // where that is gone; at least one of `tokens` is left to read. Returns how
  // many are kept.
  int64_t ReusePrefix(std::span<const Token> tokens);

  // Takes `count` tokens out behind the first `keep` and closes up, so that
  // there is room for as many.
  std::optional<std::string> WhyNotShift(int64_t keep, int64_t count) const;
  void Shift(int64_t keep, int64_t count);

  // Goes on under other plans, made for `length` tokens. What was read so far
  // stays as the old plans saw it: docs/attention.md says when that is the same
  // and when it is close. exact() falls to the tokens whose pairs have the same
  // distances and scales under both.
  std::optional<std::string> WhyNotChangeStack(
      const position::Stack& stack) const;
  void ChangeStack(const position::Stack& stack, int64_t length);
  void ChangeStack(std::shared_ptr<const StackAttention> attention,
                   int64_t length);
  position::Stack stack() const { return StackOf(*attention_); }
  static position::Stack StackOf(const StackAttention& attention);

  // Contents for a file, one image for each layer, and back
  // (engine/prompt_cache.h). Restore throws std::invalid_argument where they do
  // not fit.
  std::vector<attention::KvImage> Images() const;
  void Restore(std::vector<Token> tokens, int64_t exact,
               std::span<const attention::KvImage> images);

  // What a forward pass reads and writes (forward.cc).
  const StackAttention& attention() const { return *attention_; }
  attention::KvStore& store(int64_t layer) {
    return stores_[static_cast<size_t>(layer)];
  }
  // By how much slots differ from ids; all layers are shifted together.
  int64_t frame() const { return stores_.front().frame(); }
  // Bytes that Prepare takes from the pool.
  int64_t BytesToPrepare(int64_t T) const;
  // Takes the memory of T more tokens, in all layers or in none.
  void Prepare(int64_t T);
  void GiveSpareBack();
  void Accept(std::span<const Token> tokens);

 private:
  std::vector<attention::KvStore> ForkStores() const;
  template <typename Question>
  std::optional<std::string> FirstReason(const Question& question) const;

  const Model* model_;
  std::shared_ptr<const StackAttention> attention_;
  SequenceOptions options_;
  std::shared_ptr<attention::TilePool> pool_;
  std::vector<attention::KvStore> stores_;  // one for each layer
  std::vector<Token> tokens_;
  int64_t exact_ = 0;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_SEQUENCE_H_
