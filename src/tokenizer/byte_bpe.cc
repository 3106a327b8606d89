#include "tokenizer/byte_bpe.h"

#include <cstdio>
#include <span>
#include <stdexcept>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/word_cache.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Adds the pieces that stand for bytes to the symbols of the merges.
Merges ReadMerges(const formats::Metadata& metadata,
                  const Vocabulary& vocabulary, SymbolTable* symbols) {
  std::string bytes;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    // Control and user-defined pieces stand for their own characters and are
    // found before text is cut into words.
    const bool text = type == TokenType::kNormal || type == TokenType::kUnused;
    bytes.clear();
    const bool spelled = text && !vocabulary.piece(token).empty() &&
                         AppendSpelledBytes(vocabulary.piece(token), &bytes);
    symbols->AddPiece(spelled ? bytes : vocabulary.piece(token), spelled);
  }
  return Merges(metadata, true, symbols);
}

}  // namespace

// Memory that is reused from word to word.
struct ByteBpe::Scratch {
  std::vector<WordSymbol> word;
  Merges::Scratch merges;
  WordCache cache;
};

ByteBpe::ByteBpe(const formats::Metadata& metadata,
                 const Vocabulary& vocabulary, const PreTokenizerSpec& spec)
    : vocabulary_(vocabulary),
      words_(spec.stages),
      ignore_merges_(spec.ignore_merges),
      merges_(ReadMerges(metadata, vocabulary, &symbols_)) {
  bool whole = true;
  for (const char c : kReplacement) {
    whole = whole && symbols_.IsPiece(symbols_.Find({&c, 1}));
  }
  for (size_t byte = 0; byte < bytes_.size(); ++byte) {
    const char c = static_cast<char>(byte);
    bytes_[byte] = symbols_.Find({&c, 1});
  }
  if (whole) {
    Scratch scratch{.cache = WordCache(0)};
    EncodeWord(kReplacement, scratch, &replacement_);
  } else if (vocabulary.unknown()) {
    replacement_ = {*vocabulary.unknown()};
  }
}

void ByteBpe::Encode(std::string_view text, std::vector<Token>* tokens) const {
  Scratch scratch{.cache = WordCache(text.size())};
  words_.Split(
      text, [&](std::string_view word) { EncodeWord(word, scratch, tokens); });
}

void ByteBpe::EncodeWord(std::string_view word, Scratch& scratch,
                         std::vector<Token>* tokens) const {
  if (ignore_merges_) {
    const Token whole = symbols_.Find(word);
    if (symbols_.IsPiece(whole)) return tokens->push_back(whole);
  }
  if (scratch.cache.Append(word, tokens)) return;
  scratch.word.clear();
  for (const char c : word) {
    scratch.word.push_back({bytes_[static_cast<unsigned char>(c)], 1});
  }
  merges_.Join(&scratch.word, &scratch.merges);
  const size_t before = tokens->size();
  size_t at = 0;
  for (const WordSymbol& symbol : scratch.word) {
    if (symbols_.IsPiece(symbol.symbol)) {
      tokens->push_back(symbol.symbol);
    } else {
      for (const char c : word.substr(at, symbol.bytes)) {
        AppendByte(static_cast<unsigned char>(c), tokens);
      }
    }
    at += symbol.bytes;
  }
  scratch.cache.Add(word, std::span(*tokens).subspan(before));
}

void ByteBpe::AppendByte(unsigned char byte, std::vector<Token>* tokens) const {
  if (symbols_.IsPiece(bytes_[byte])) return tokens->push_back(bytes_[byte]);
  if (replacement_.empty()) {
    char text[8];
    std::snprintf(text, sizeof(text), "0x%02x", byte);
    throw std::invalid_argument(
        "Encode: the vocabulary has no piece for the byte " +
        std::string(text) + " and no unknown token");
  }
  tokens->insert(tokens->end(), replacement_.begin(), replacement_.end());
}

std::string ByteBpe::Bytes(Token token, bool /*at_start*/) const {
  if (vocabulary_.type(token) == TokenType::kUnknown) {
    return std::string(kReplacement);
  }
  return std::string(symbols_.text(token));
}

}  // namespace ropewalk::tokenizer
