#include "model/context.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace ropewalk::model {
namespace {}  // namespace

Context::Context(const Model& model, const position::Stack& stack,
                 ContextOptions options, ParallelFor& threads)
    : model_(model), options_(options), threads_(threads) {
  CheckStack(stack);
  Require(options.length > 0, "context length must be above 0, got " +
                                  std::to_string(options.length));
  Require(options.chunk > 0,
          "chunk must be above 0, got " + std::to_string(options.chunk));
  for (size_t l = 0; l < stack.size(); ++l) {
    attention::BandedAttention attention(stack[l],
                                         model.layers()[l].attention.heads);
    attention::KvStore store = attention.NewStore(options.kv_type, pool_);
    layers_.push_back({std::move(attention), std::move(store)});
  }
}

void Context::CheckStack(const position::Stack& stack) const {
  const auto L = static_cast<int64_t>(model_.layers().size());
  Require(static_cast<int64_t>(stack.size()) == L,
          "context: " + std::to_string(stack.size()) + " position plans for " +
              std::to_string(L) + " layers");
  for (size_t l = 0; l < stack.size(); ++l) {
    const bool needs_scale =
        stack[l].scale.kind == position::ScoreScale::Kind::kLearned;
    Require(!needs_scale || model_.layers()[l].attention.logn_scale.size() > 0,
            "context: layer " + std::to_string(l) +
                " of this model has no learned log n scale");
  }
}

template <typename Question>
std::optional<std::string> Context::FirstReason(
    const Question& question) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (const auto reason = question(layers_[l].store, l)) return reason;
  }
  return std::nullopt;
}

std::optional<std::string> Context::WhyNotTrim(int64_t size) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotTrim(size);
  });
}

void Context::Trim(int64_t size) {
  const auto reason = WhyNotTrim(size);
  Require(!reason, reason.value_or(""));
  for (Memory& memory : layers_) memory.store.Trim(size);
  tokens_.resize(static_cast<size_t>(size));
  last_ = 0;
}

int64_t Context::ReusePrefix(std::span<const Token> tokens) {
  size_t same = 0;
  while (same < tokens_.size() && same + 1 < tokens.size() &&
         tokens_[same] == tokens[same]) {
    ++same;
  }
  auto size = static_cast<int64_t>(same);
  if (WhyNotTrim(size)) size = 0;
  Trim(size);
  return size;
}

std::optional<std::string> Context::WhyNotShift(int64_t keep,
                                                int64_t count) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotShift(keep, count);
  });
}

void Context::Shift(int64_t keep, int64_t count) {
  const auto reason = WhyNotShift(keep, count);
  Require(!reason, reason.value_or(""));
  for (Memory& memory : layers_) {
    memory.store.Evict(keep, count);
    memory.store.CloseGap();
  }
  tokens_.erase(tokens_.begin() + keep, tokens_.begin() + keep + count);
  last_ = 0;
}

std::optional<std::string> Context::WhyNotChangeStack(
    const position::Stack& stack) const {
  return FirstReason([&](const attention::KvStore& store, size_t l) {
    return store.WhyNotChangePlan(stack[l]);
  });
}

void Context::ChangeStack(const position::Stack& stack, int64_t length) {
  CheckStack(stack);
  Require(length > 0 && size() <= length, "context: " + std::to_string(size()) +
                                              " tokens do not fit plans " +
                                              "for " + std::to_string(length));
  const auto reason = WhyNotChangeStack(stack);
  Require(!reason, reason.value_or(""));
  std::vector<Memory> layers;
  for (size_t l = 0; l < layers_.size(); ++l) {
    attention::BandedAttention attention(stack[l],
                                         model_.layers()[l].attention.heads);
    layers_[l].store.ChangePlan(stack[l]);
    layers.push_back({std::move(attention), std::move(layers_[l].store)});
  }
  layers_ = std::move(layers);
  options_.length = length;
}

std::vector<attention::KvImage> Context::Images() const {
  std::vector<attention::KvImage> images;
  for (const Memory& memory : layers_) images.push_back(memory.store.Image());
  return images;
}

position::Stack Context::stack() const {
  position::Stack stack;
  for (const Memory& memory : layers_) {
    stack.push_back(memory.attention.plan());
  }
  return stack;
}

void Context::Restore(std::vector<Token> tokens,
                      std::span<const attention::KvImage> images) {
  const auto size = static_cast<int64_t>(tokens.size());
  Require(images.size() == layers_.size(),
          "kept keys and values of " + std::to_string(images.size()) +
              " layers for " + std::to_string(layers_.size()));
  Require(size <= options_.length,
          "the kept text has " + std::to_string(size) +
              " tokens and does not fit a context of " +
              std::to_string(options_.length));
  for (const Token token : tokens) {
    Require(token >= 0 && token < model_.config().V,
            "the kept text has a token " + std::to_string(token) +
                " outside the vocabulary");
  }
  std::vector<attention::KvStore> stores;
  for (size_t l = 0; l < layers_.size(); ++l) {
    Require(images[l].size == size && images[l].frame == images[0].frame,
            "kept keys and values of layer " + std::to_string(l) +
                " are not of the kept text");
    stores.push_back(layers_[l].attention.NewStore(options_.kv_type, pool_));
    stores.back().Restore(images[l]);
  }
  for (size_t l = 0; l < layers_.size(); ++l) {
    layers_[l].store = std::move(stores[l]);
  }
  tokens_ = std::move(tokens);
  last_ = 0;
}

int64_t Context::KvBytes() const {
  int64_t sum = 0;
  for (const Memory& memory : layers_) sum += memory.store.bytes();
  return sum;
}

}  // namespace ropewalk::model
