// A sequence: one text in progress, with its ids, the position plans it is read
// under, and its keys and values. Buffers and threads belong to a Workspace, so
// an idle sequence needs no other memory.

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

// The attention of each layer under one stack of plans. Immutable. A pass
// attends together for sequences that share one.
using StackAttention = std::vector<attention::BandedAttention>;

// Throws std::invalid_argument unless `stack` has one plan for each layer, and
// unless a layer has the learned log n scale if its plan uses it.
std::shared_ptr<const StackAttention> MakeStackAttention(
    const Model& model, const position::Stack& stack);

// What a sequence attends to beside its own text, for each layer. Layers
// without parts read their own text alone.
using Memories = std::vector<attention::LayerMemories>;

struct SequenceOptions {
  int64_t length = 0;  // tokens the plans were made for; the most that fit
  DType kv_type = DType::kF32;  // keys and values: kernels::CanStore
};

// Movable; one thread at a time. Borrows `model`, which must outlive it.
//
// WhyNotX() returns the reason why X() would fail, or nullopt. If X() fails, it
// throws std::invalid_argument with that reason, or MemoryLimitError, and
// leaves the sequence unchanged.
class Sequence {
 public:
  // Tiles come from `pool`, or from a new pool if it is null.
  Sequence(const Model& model, std::shared_ptr<const StackAttention> attention,
           const SequenceOptions& options,
           std::shared_ptr<attention::TilePool> pool = nullptr);
  Sequence(const Model& model, const position::Stack& stack,
           const SequenceOptions& options,
           std::shared_ptr<attention::TilePool> pool = nullptr);

  // Returns another sequence with the same text. Both share the keys and values
  // of what was read so far; reading on, changing or destroying one of them
  // does not change the other.
  Sequence Fork() const;

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t length() const { return options_.length; }
  DType kv_type() const { return options_.kv_type; }
  const std::shared_ptr<attention::TilePool>& pool() const { return pool_; }
  const Model& model() const { return *model_; }

  // The tokens read; the token with id j is tokens()[j].
  std::span<const Token> tokens() const { return tokens_; }

  // The number of first tokens whose keys and values a fresh sequence under
  // these plans would also compute. The tokens after them were read next to
  // tokens that Shift has taken out, or under other plans.
  int64_t exact() const { return exact_; }

  // Lets every token attend to `memories` too. Forks share them. The sequence
  // must be empty, because what was read without them would differ, and have no
  // memories yet.
  std::optional<std::string> WhyNotAttach(const Memories& memories) const;
  void Attach(std::shared_ptr<const Memories> memories);
  // Null where there are none.
  const std::shared_ptr<const Memories>& memories() const { return memories_; }

  // The bytes of keys and values of all layers, those shared with forks
  // included, those of memories not.
  int64_t KvBytes() const;
  // The most that KvBytes() returns after `size` tokens were read in passes of
  // at most `chunk` tokens.
  int64_t KvBytesFor(int64_t size, int64_t chunk) const;

  // Keeps the first `size` tokens.
  std::optional<std::string> WhyNotTrim(int64_t size) const;
  void Trim(int64_t size);

  // Trims to the longest exact prefix that the sequence shares with `tokens`,
  // or to nothing if Trim refuses that. At least one of `tokens` is left to
  // read. Returns the number of tokens kept.
  int64_t ReusePrefix(std::span<const Token> tokens);

  // Takes out `count` tokens after the first `keep` and closes the gap, which
  // makes room for `count` more.
  std::optional<std::string> WhyNotShift(int64_t keep, int64_t count) const;
  void Shift(int64_t keep, int64_t count);

  // Continues under other plans, made for `length` tokens. Tokens read so far
  // keep what the old plans computed; docs/attention.md says when that equals
  // what the new plans give and when it is close. exact() drops to the tokens
  // whose pairs have the same distances and scales under both. Memories stay
  // where they are, so the frequencies by which they are read must stay too.
  std::optional<std::string> WhyNotChangeStack(
      const position::Stack& stack) const;
  void ChangeStack(const position::Stack& stack, int64_t length);
  void ChangeStack(std::shared_ptr<const StackAttention> attention,
                   int64_t length);
  position::Stack stack() const { return StackOf(*attention_); }
  static position::Stack StackOf(const StackAttention& attention);

  // Images returns the contents for a file, one image for each layer; Restore
  // takes them back (engine/prompt_cache.h). Restore throws
  // std::invalid_argument if they do not fit.
  std::vector<attention::KvImage> Images() const;
  void Restore(std::vector<Token> tokens, int64_t exact,
               std::span<const attention::KvImage> images);

  // The methods below are for the forward pass (forward.cc).
  const StackAttention& attention() const { return *attention_; }
  // What layer `layer` attends to beside the store; null if nothing.
  const attention::LayerMemories* MemoriesOf(int64_t layer) const;
  attention::KvStore& store(int64_t layer) {
    return stores_[static_cast<size_t>(layer)];
  }
  // The slot of a token minus its id. It is the same in all layers, because
  // Shift changes all of them together.
  int64_t frame() const { return stores_.front().frame(); }
  // The bytes that Prepare takes from the pool.
  int64_t BytesToPrepare(int64_t T) const;
  // Takes the memory of T more tokens in all layers; if that fails, gives back
  // what it took.
  void Prepare(int64_t T);
  // Throws std::invalid_argument where `tokens` have an id outside the
  // vocabulary or find no room behind what was read.
  void RequireFits(std::span<const Token> tokens) const;
  // Undoes Prepare, and what a pass that failed stored since.
  void GiveSpareBack();
  // Drops the keys and values that no later token can reach.
  void DropUnreachable();
  // Appends `tokens`, whose keys and values were stored, to tokens().
  void Accept(std::span<const Token> tokens);

 private:
  std::vector<attention::KvStore> ForkStores() const;
  template <typename Question>
  std::optional<std::string> FirstReason(const Question& question) const;
  std::optional<std::string> WhyNotChangePlan(size_t layer,
                                              const position::Plan& plan) const;

  const Model* model_;
  std::shared_ptr<const StackAttention> attention_;
  SequenceOptions options_;
  std::shared_ptr<attention::TilePool> pool_;
  std::vector<attention::KvStore> stores_;  // one for each layer
  std::shared_ptr<const Memories> memories_;
  std::vector<Token> tokens_;
  int64_t exact_ = 0;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_SEQUENCE_H_
