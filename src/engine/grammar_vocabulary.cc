#include "engine/grammar_vocabulary.h"

#include <optional>

namespace ropewalk::engine {

grammar::Vocabulary GrammarVocabulary(const tokenizer::Tokenizer& tokenizer) {
  grammar::Vocabulary vocabulary;
  const auto V = static_cast<Token>(tokenizer.VocabularySize());
  std::vector<std::string> at_start;
  // Any token of text: what follows it stands within a text.
  std::optional<Token> within;
  for (Token token = 0; token < V && !within; ++token) {
    if (!tokenizer.IsControl(token) &&
        tokenizer.DecodeNext(token, token) !=
            tokenizer.DecodeNext(token, std::nullopt)) {
      within = token;
    }
  }
  for (Token token = 0; token < V; ++token) {
    vocabulary.texts.push_back(
        tokenizer.DecodeNext(token, within.value_or(token)));
    if (within) at_start.push_back(tokenizer.DecodeNext(token, std::nullopt));
    if (tokenizer.IsEndOfText(token)) vocabulary.ends.push_back(token);
  }
  vocabulary.texts_at_start = std::move(at_start);
  if (vocabulary.ends.empty() && tokenizer.bos()) {
    vocabulary.ends.push_back(*tokenizer.bos());
  }
  return vocabulary;
}

bool StartsText(const tokenizer::Tokenizer& tokenizer,
                const grammar::Vocabulary& vocabulary, Token previous) {
  for (size_t i = 0; i < vocabulary.texts_at_start.size(); ++i) {
    if (vocabulary.texts[i] == vocabulary.texts_at_start[i]) continue;
    return tokenizer.DecodeNext(static_cast<Token>(i), previous) ==
           vocabulary.texts_at_start[i];
  }
  return false;
}

}  // namespace ropewalk::engine
