#include "engine/engine.h"

#include <utility>

#include "base/content_hash.h"
#include "base/error.h"
#include "base/large_memory.h"
#include "base/memory.h"
#include "base/text.h"
#include "engine/grammar_vocabulary.h"

namespace ropewalk::engine {

namespace {

// Names and descriptions do not change results. Neither does the vocabulary,
// for a given text of ids.
bool ChangesResults(const std::string& key) {
  return key == "general.architecture" ||
         (!key.starts_with("general.") && !key.starts_with("tokenizer."));
}

model::Model LoadModel(const EngineOptions& options, ParallelFor& threads) {
  Require(options.train_length >= 0, "train length must be at least 0, got " +
                                         std::to_string(options.train_length));
  model::Model model = model::Model::Load(options.path);
  if (!options.exact) model.Interleave(threads);
  return model;
}

}  // namespace

// The workspace asks for the memory that is left beside the weights.
Engine::Engine(const EngineOptions& options)
    : threads_(MakeThreadPool(options.threads)),
      model_(LoadModel(options, *threads_)),
      positions_(model_.config().positions),
      workspace_(*threads_, {.chunk = kPassTokens,
                             .memory_limit = options.memory_limit != 0
                                                 ? options.memory_limit
                                                 : AvailableMemory()}) {
  if (options.train_length > 0) positions_.train_length = options.train_length;
  if (options.lock_memory) {
    // Pages of the file whose weights were interleaved are read no more: they
    // were given back, which locked ones cannot be.
    LockMemory(model_.interleaved() ? Untouched::kLater : Untouched::kRead);
  }
}

const std::string& Engine::Hash() {
  const std::scoped_lock lock(pass_mutex_, mutex_);
  if (!hash_.empty()) return hash_;
  ContentHash hash;
  for (const auto& entry : model_.file().metadata().entries()) {
    if (!ChangesResults(entry.key)) continue;
    hash.Add(entry.key);
    hash.Add(entry.value.TypeName());
    hash.Add(entry.value.bytes);
    hash.Add(std::to_string(entry.value.strings.size()));
    for (size_t s = 0; s < entry.value.strings.size(); ++s) {
      hash.Add(entry.value.strings[s]);
    }
  }
  for (const formats::GgufTensor& tensor : model_.file().tensors()) {
    hash.Add(tensor.name);
    hash.Add(tensor.type_name);
    for (const int64_t size : tensor.shape) hash.Add(std::to_string(size));
    tensor.ForPieces(
        [&](std::span<const std::byte> piece) { hash.Add(piece, *threads_); });
  }
  hash_ = hash.Hex();
  return hash_;
}

ResolvedScheme Engine::Resolve(const position::Scheme& scheme, int64_t length,
                               bool allow_failing) {
  ResolvedScheme resolved{
      .scheme = position::Resolve(scheme, positions_, length),
      .length = length};
  const position::Stack stack = position::BuildStack(
      resolved.scheme, positions_, length, model_.config().L);
  if (!allow_failing) {
    const auto reason =
        position::KnownToFail(resolved.scheme, positions_, length);
    Require(!reason, reason.value_or(""));
  }
  resolved.described = position::ToString(resolved.scheme);
  // A stack from a file is not shared, because the file may change.
  const bool shared = resolved.scheme.layers.empty();
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(stacks_,
                  [](const auto& entry) { return entry.second.expired(); });
    auto& known = stacks_[resolved.described + " " + std::to_string(length)];
    if (shared) resolved.attention = known.lock();
    if (resolved.attention == nullptr) {
      resolved.attention = model::MakeStackAttention(model_, stack);
      if (shared) known = resolved.attention;
    }
  }
  const std::string changed =
      position::ChangedLayers(resolved.scheme, positions_);
  if (!changed.empty()) resolved.described += " " + changed;
  return resolved;
}

const tokenizer::Tokenizer& Engine::tokenizer() {
  const std::scoped_lock lock(mutex_);
  if (tokenizer_ == nullptr) {
    auto loaded = std::make_unique<tokenizer::Tokenizer>(
        tokenizer::Tokenizer::FromGguf(model_.file()));
    if (loaded->VocabularySize() > model_.config().V) {
      throw FormatError(model_.file().path(), 0,
                        "the tokenizer has " +
                            std::to_string(loaded->VocabularySize()) +
                            " tokens, the embedding only " +
                            std::to_string(model_.config().V) + " rows");
    }
    tokenizer_ = std::move(loaded);
  }
  return *tokenizer_;
}

std::shared_ptr<grammar::TokenMasks> Engine::Constrain(
    const grammar::Grammar& grammar) {
  const tokenizer::Tokenizer& tokens = tokenizer();
  grammar::Automaton automaton(
      grammar, [&](const std::string& piece) { return tokens.Find(piece); });
  const std::scoped_lock lock(mutex_);
  if (vocabulary_ == nullptr) {
    vocabulary_ =
        std::make_shared<grammar::Vocabulary>(GrammarVocabulary(tokens));
    byte_tree_ = std::make_shared<grammar::ByteTree>(vocabulary_->texts);
  }
  return std::make_shared<grammar::TokenMasks>(std::move(automaton),
                                               vocabulary_, byte_tree_);
}

std::string Engine::Describe() const {
  return Printable(model_.config().name) + ", trained to " +
         std::to_string(positions_.train_length);
}

}  // namespace ropewalk::engine
