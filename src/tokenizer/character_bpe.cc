#include "tokenizer/character_bpe.h"

#include <string>

#include "tokenizer/spaces.h"
#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

Merges ReadCharacterMerges(const formats::Metadata& metadata,
                           const Vocabulary& vocabulary, SymbolTable* symbols) {
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    symbols->AddPiece(
        vocabulary.piece(token),
        (type == TokenType::kNormal || type == TokenType::kUserDefined ||
         type == TokenType::kUnused) &&
            !vocabulary.piece(token).empty());
  }
  return Merges(metadata, false, symbols);
}

}  // namespace

CharacterBpe::CharacterBpe(const formats::Metadata& metadata,
                           const Vocabulary& vocabulary,
                           const PreTokenizerSpec& spec)
    : EscapedModel(metadata, vocabulary, Normalizer(metadata, false, false)),
      words_(spec.stages),
      line_breaks_whole_(spec.line_breaks_whole),
      merges_(ReadCharacterMerges(metadata, vocabulary, &symbols_)) {}

void CharacterBpe::Encode(std::string_view text,
                          std::vector<Token>* tokens) const {
  const std::string escaped = vocabulary_.escapes_spaces()
                                  ? normalizer_.Normalize(text)
                                  : std::string(text);
  std::vector<WordSymbol> symbols;
  Merges::Scratch scratch;
  words_.Split(escaped, [&](std::string_view word) {
    if (line_breaks_whole_ &&
        word.find_first_not_of('\n') == std::string_view::npos) {
      const Token whole = symbols_.Find(word);
      if (symbols_.IsPiece(whole)) return tokens->push_back(whole);
    }
    symbols.clear();
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = CharacterAt(word, at).bytes;
      symbols.push_back({symbols_.Find(word.substr(at, bytes)),
                         static_cast<uint32_t>(bytes)});
      at += bytes;
    }
    merges_.Join(&symbols, &scratch);
    size_t at = 0;
    for (const WordSymbol& symbol : symbols) {
      const std::string_view run = word.substr(at, symbol.bytes);
      at += run.size();
      if (symbols_.IsPiece(symbol.symbol)) {
        tokens->push_back(symbol.symbol);
        continue;
      }
      for (size_t i = 0; i < run.size();) {
        const size_t bytes = CharacterAt(run, i).bytes;
        AppendWithoutPiece(run.substr(i, bytes), tokens);
        i += bytes;
      }
    }
  });
}

}  // namespace ropewalk::tokenizer
