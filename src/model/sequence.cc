#include "model/sequence.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "position/agreement.h"

namespace ropewalk::model {
namespace {

// The frequencies by which a plan reads keys that are far away.
const position::FrequencyTable& FarTable(const position::Plan& plan) {
  return plan.tables[static_cast<size_t>(plan.bands.back().table)];
}

}  // namespace

std::shared_ptr<const StackAttention> MakeStackAttention(
    const Model& model, const position::Stack& stack) {
  const std::vector<Layer>& layers = model.layers();
  Require(stack.size() == layers.size(),
          "a stack must have one plan for each of the " +
              std::to_string(layers.size()) + " layers, got " +
              std::to_string(stack.size()));
  auto attention = std::make_shared<StackAttention>();
  for (size_t l = 0; l < stack.size(); ++l) {
    const bool needs_scale =
        stack[l].scale.kind == position::ScoreScale::Kind::kLearned;
    Require(!needs_scale || layers[l].attention.logn_scale.size() > 0,
            "layer " + std::to_string(l) +
                " of this model has no learned log n scale");
    attention->emplace_back(stack[l], layers[l].attention.heads);
  }
  return attention;
}

Sequence::Sequence(const Model& model,
                   std::shared_ptr<const StackAttention> attention,
                   const SequenceOptions& options,
                   std::shared_ptr<attention::TilePool> pool)
    : model_(&model),
      attention_(std::move(attention)),
      options_(options),
      pool_(pool != nullptr ? std::move(pool) : attention::TilePool::Make()) {
  Require(options.length > 0, "context length must be above 0, got " +
                                  std::to_string(options.length));
  for (const attention::BandedAttention& layer : *attention_) {
    stores_.push_back(layer.NewStore(options.kv_type, pool_));
  }
}

Sequence::Sequence(const Model& model, const position::Stack& stack,
                   const SequenceOptions& options,
                   std::shared_ptr<attention::TilePool> pool)
    : Sequence(model, MakeStackAttention(model, stack), options,
               std::move(pool)) {}

std::vector<attention::KvStore> Sequence::ForkStores() const {
  std::vector<attention::KvStore> stores;
  stores.reserve(stores_.size());
  for (const attention::KvStore& store : stores_) {
    stores.push_back(store.Fork());
  }
  return stores;
}

Sequence Sequence::Fork() const {
  Sequence fork(*model_, attention_, options_, pool_);
  fork.stores_ = ForkStores();
  fork.memories_ = memories_;
  fork.tokens_ = tokens_;
  fork.exact_ = exact_;
  return fork;
}

template <typename Question>
std::optional<std::string> Sequence::FirstReason(
    const Question& question) const {
  for (size_t l = 0; l < stores_.size(); ++l) {
    if (const auto reason = question(stores_[l], l)) return reason;
  }
  return std::nullopt;
}

std::optional<std::string> Sequence::WhyNotTrim(int64_t size) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotTrim(size);
  });
}

void Sequence::Trim(int64_t size) {
  const auto reason = WhyNotTrim(size);
  Require(!reason, reason.value_or(""));
  if (size == this->size()) return;
  std::vector<attention::KvStore> stores = ForkStores();
  for (attention::KvStore& store : stores) store.Trim(size);
  stores_ = std::move(stores);
  tokens_.resize(static_cast<size_t>(size));
  exact_ = std::min(exact_, size);
}

int64_t Sequence::ReusePrefix(std::span<const Token> tokens) {
  int64_t same = 0;
  const auto most = std::min(exact_, static_cast<int64_t>(tokens.size()) - 1);
  while (same < most && tokens_[static_cast<size_t>(same)] ==
                            tokens[static_cast<size_t>(same)]) {
    ++same;
  }
  if (WhyNotTrim(same)) same = 0;
  Trim(same);
  return same;
}

std::optional<std::string> Sequence::WhyNotShift(int64_t keep,
                                                 int64_t count) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotShift(keep, count);
  });
}

void Sequence::Shift(int64_t keep, int64_t count) {
  const auto reason = WhyNotShift(keep, count);
  Require(!reason, reason.value_or(""));
  if (count == 0) return;
  std::vector<attention::KvStore> stores = ForkStores();
  for (attention::KvStore& store : stores) {
    store.Evict(keep, count);
    store.CloseGap();
  }
  stores_ = std::move(stores);
  tokens_.erase(tokens_.begin() + keep, tokens_.begin() + keep + count);
  exact_ = std::min(exact_, keep);
}

std::optional<std::string> Sequence::WhyNotChangePlan(
    size_t layer, const position::Plan& plan) const {
  const attention::KvStore& store = stores_[layer];
  if (MemoriesOf(static_cast<int64_t>(layer)) != nullptr &&
      FarTable(store.plan()) != FarTable(plan)) {
    return "memories are read by the frequencies of the positions that they "
           "were attached under; layer " +
           std::to_string(layer) + " would have others";
  }
  return store.WhyNotChangePlan(plan);
}

std::optional<std::string> Sequence::WhyNotChangeStack(
    const position::Stack& stack) const {
  return FirstReason([&](const attention::KvStore&, size_t l) {
    return WhyNotChangePlan(l, stack[l]);
  });
}

std::optional<std::string> Sequence::WhyNotAttach(
    const Memories& memories) const {
  if (size() > 0) {
    return "memories are attached before the first token is read; " +
           std::to_string(size()) + " have been";
  }
  if (memories_ != nullptr) {
    return "memories are attached once, all together; this text has some";
  }
  if (memories.size() != stores_.size()) {
    return "memories of " + std::to_string(memories.size()) +
           " layers do not fit a model of " + std::to_string(stores_.size());
  }
  for (const attention::LayerMemories& layer : memories) {
    if (layer.parts.empty() || layer.type == kv_type()) continue;
    return "memories in " + std::string(InfoOf(layer.type).name) +
           " cannot be read beside keys and values in " +
           std::string(InfoOf(kv_type()).name);
  }
  return std::nullopt;
}

void Sequence::Attach(std::shared_ptr<const Memories> memories) {
  Require(memories != nullptr, "no memories are given");
  const auto reason = WhyNotAttach(*memories);
  Require(!reason, reason.value_or(""));
  memories_ = std::move(memories);
}

const attention::LayerMemories* Sequence::MemoriesOf(int64_t layer) const {
  if (memories_ == nullptr) return nullptr;
  const attention::LayerMemories& of = (*memories_)[static_cast<size_t>(layer)];
  return of.parts.empty() ? nullptr : &of;
}

void Sequence::ChangeStack(const position::Stack& stack, int64_t length) {
  ChangeStack(MakeStackAttention(*model_, stack), length);
}

void Sequence::ChangeStack(std::shared_ptr<const StackAttention> attention,
                           int64_t length) {
  Require(length > 0 && size() <= length, std::to_string(size()) +
                                              " tokens do not fit plans for " +
                                              std::to_string(length));
  Require(attention->size() == stores_.size(),
          std::to_string(attention->size()) + " position plans for " +
              std::to_string(stores_.size()) + " layers");
  const auto reason = FirstReason([&](const attention::KvStore&, size_t l) {
    return WhyNotChangePlan(l, (*attention)[l].plan());
  });
  Require(!reason, reason.value_or(""));
  int64_t exact = exact_;
  std::vector<attention::KvStore> stores = ForkStores();
  for (size_t l = 0; l < stores.size(); ++l) {
    const auto& plan = (*attention)[l].shared_plan();
    const attention::LayerMemories* memories =
        MemoriesOf(static_cast<int64_t>(l));
    // The scale of the plan counts the tokens of memories too.
    if (memories != nullptr && stores[l].plan().scale != plan->scale) {
      exact = std::min(exact, memories->from);
    }
    exact = position::AgreeUpTo(stores[l].plan(), *plan, exact);
    stores[l].ChangePlan(plan);
  }
  stores_ = std::move(stores);
  attention_ = std::move(attention);
  options_.length = length;
  exact_ = exact;
}

position::Stack Sequence::StackOf(const StackAttention& attention) {
  position::Stack stack;
  for (const attention::BandedAttention& layer : attention) {
    stack.push_back(layer.plan());
  }
  return stack;
}

std::vector<attention::KvImage> Sequence::Images() const {
  std::vector<attention::KvImage> images;
  for (const attention::KvStore& store : stores_) {
    images.push_back(store.Image());
  }
  return images;
}

void Sequence::Restore(std::vector<Token> tokens, int64_t exact,
                       std::span<const attention::KvImage> images) {
  const auto size = static_cast<int64_t>(tokens.size());
  Require(images.size() == stores_.size(),
          "the saved text has " + std::to_string(images.size()) +
              " layers of keys and values, this model has " +
              std::to_string(stores_.size()));
  Require(size <= options_.length,
          "the saved text has " + std::to_string(size) +
              " tokens and does not fit a context of " +
              std::to_string(options_.length));
  Require(exact >= 0 && exact <= size,
          "exact tokens of the saved text must be from 0 to its " +
              std::to_string(size) + " tokens, got " + std::to_string(exact));
  for (const Token token : tokens) {
    Require(token >= 0 && token < model_->config().V,
            "the saved text has a token " + std::to_string(token) +
                " outside the vocabulary of " +
                std::to_string(model_->config().V));
  }
  std::vector<attention::KvStore> stores;
  for (size_t l = 0; l < stores_.size(); ++l) {
    Require(images[l].size == size && images[l].frame == images[0].frame,
            "keys and values of layer " + std::to_string(l) +
                " do not belong to the saved text of " + std::to_string(size) +
                " tokens");
    stores.push_back((*attention_)[l].NewStore(options_.kv_type, pool_));
    stores.back().Restore(images[l]);
  }
  stores_ = std::move(stores);
  tokens_ = std::move(tokens);
  exact_ = exact;
}

int64_t Sequence::KvBytes() const {
  int64_t sum = 0;
  for (const attention::KvStore& store : stores_) sum += store.bytes();
  return sum;
}

int64_t Sequence::KvBytesFor(int64_t size, int64_t chunk) const {
  int64_t sum = 0;
  for (const attention::KvStore& store : stores_) {
    sum += store.BytesFor(size, chunk);
  }
  return sum;
}

int64_t Sequence::BytesToPrepare(int64_t T) const {
  int64_t sum = 0;
  for (const attention::KvStore& store : stores_) {
    sum += store.BytesToPrepare(T);
  }
  return sum;
}

void Sequence::Prepare(int64_t T) {
  try {
    // Accept must not fail.
    const size_t needed = tokens_.size() + static_cast<size_t>(T);
    if (needed > tokens_.capacity()) tokens_.reserve(2 * needed);
    for (attention::KvStore& store : stores_) store.Prepare(T);
  } catch (...) {
    GiveSpareBack();
    throw;
  }
}

void Sequence::RequireFits(std::span<const Token> tokens) const {
  const auto T = static_cast<int64_t>(tokens.size());
  Require(size() + T <= length(),
          "context is full: it was opened for " + std::to_string(length()) +
              " tokens, and has " + std::to_string(size()) + " and " +
              std::to_string(T) + " more");
  const int64_t V = model_->config().V;
  for (const Token token : tokens) {
    Require(token >= 0 && token < V, "token " + std::to_string(token) +
                                         " is outside the vocabulary of " +
                                         std::to_string(V));
  }
}

void Sequence::DropUnreachable() {
  for (attention::KvStore& store : stores_) store.DropUnreachable();
}

void Sequence::GiveSpareBack() {
  for (attention::KvStore& store : stores_) {
    store.Rewind(size());
    store.GiveSpareBack();
  }
}

void Sequence::Accept(std::span<const Token> tokens) {
  if (exact_ == size()) exact_ += static_cast<int64_t>(tokens.size());
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

}  // namespace ropewalk::model
