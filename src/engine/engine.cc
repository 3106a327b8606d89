#include "engine/engine.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::engine {

Engine::Engine(const EngineOptions& options)
    : model_(model::Model::Load(options.path)),
      positions_(model_.config().positions),
      threads_(MakeThreadPool(options.threads)) {
  Require(options.train_length >= 0, "train length must not be negative, got " +
                                         std::to_string(options.train_length));
  if (options.train_length > 0) positions_.train_length = options.train_length;
}

const tokenizer::Tokenizer& Engine::tokenizer() {
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

std::string Engine::Describe() const {
  return Printable(model_.config().name) + ", trained to " +
         std::to_string(positions_.train_length);
}

}  // namespace ropewalk::engine
