// BPE over the characters of a word, by the merges of a tokenizer.json.

#include <optional>
#include <span>
#include <string>

#include "base/text.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/word_model.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kTextMerges = "tokenizer.ggml.merges";
// Pairs of tokens, where pieces have spaces and texts would be ambiguous.
constexpr std::string_view kMergePairs = "ropewalk.tokenizer.merges";

class RuleReader {
 public:
  RuleReader(const formats::Metadata& metadata, const ModelPieces& pieces,
             const std::string& inner)
      : metadata_(metadata), pieces_(pieces), inner_(inner) {}

  std::vector<Merges::Rule> Read() {
    if (metadata_.Has(kMergePairs)) {
      ReadPairs();
    } else {
      ReadTexts();
    }
    return std::move(rules_);
  }

 private:
  void ReadPairs() {
    const std::vector<int64_t> pairs = *metadata_.FindInts(kMergePairs);
    if (pairs.size() % 2 != 0) {
      throw metadata_.Error(
          kMergePairs,
          "must be pairs, got " + std::to_string(pairs.size()) + " tokens");
    }
    const auto token = [&](size_t i) {
      if (pairs[i] < 0 || pairs[i] >= pieces_.size()) {
        throw metadata_.Error(kMergePairs, "token " + std::to_string(pairs[i]) +
                                               " is not in the vocabulary");
      }
      return static_cast<Token>(pairs[i]);
    };
    for (size_t i = 0; i < pairs.size(); i += 2) {
      Add(kMergePairs, token(i), token(i + 1));
    }
  }

  void ReadTexts() {
    const StringList* merges = metadata_.FindStringList(kTextMerges);
    if (merges == nullptr) {
      throw metadata_.Error(kTextMerges,
                            "missing: a BPE vocabulary needs its merges");
    }
    for (const std::string_view merge : *merges) {
      const size_t space = merge.find(' ');
      if (space == std::string_view::npos ||
          merge.find(' ', space + 1) != std::string_view::npos) {
        throw metadata_.Error(kTextMerges,
                              "merge " + std::to_string(rules_.size()) + " '" +
                                  Printable(merge, 40) +
                                  "' must be two pieces with a space between "
                                  "them");
      }
      Add(kTextMerges, Find(merge.substr(0, space)),
          Find(merge.substr(space + 1)));
    }
  }

  Token Find(std::string_view piece) const {
    const Token token = pieces_.Find(piece);
    if (token < 0) {
      throw metadata_.Error(
          kTextMerges, "merge " + std::to_string(rules_.size()) + ": '" +
                           Printable(piece, 40) + "' is not in the vocabulary");
    }
    return token;
  }

  void Add(std::string_view key, Token left, Token right) {
    std::string_view end = pieces_.text(right);
    if (!inner_.empty() && end.starts_with(inner_)) {
      end.remove_prefix(inner_.size());
    }
    std::string joined(pieces_.text(left));
    joined += end;
    const Token result = pieces_.Find(joined);
    if (result < 0) {
      throw metadata_.Error(key, "merge " + std::to_string(rules_.size()) +
                                     " gives '" + Printable(joined, 40) +
                                     "', which is not in the vocabulary");
    }
    rules_.push_back({left, right, result});
  }

  const formats::Metadata& metadata_;
  const ModelPieces& pieces_;
  const std::string& inner_;
  std::vector<Merges::Rule> rules_;
};

class WordBpe : public WordModel {
 public:
  WordBpe(const formats::Metadata& metadata, const StepJson& model,
          const ModelPieces& pieces)
      : pieces_(pieces),
        unknown_(FindUnknown(model, pieces)),
        inner_(model.String("continuing_subword_prefix", "")),
        last_(model.String("end_of_word_suffix", "")),
        byte_fallback_(model.Bool("byte_fallback", false)),
        fuse_unknown_(model.Bool("fuse_unk", false)),
        ignore_merges_(model.Bool("ignore_merges", false)),
        merges_(RuleReader(metadata, pieces, inner_).Read()) {
    if (model.Find("dropout") != nullptr &&
        *model.Find("dropout") != formats::Json(0.0)) {
      throw model.Error("dropout, which makes tokens random, is not supported");
    }
  }

  void Encode(std::string_view word, Memory& memory,
              std::vector<Token>* tokens) const override {
    if (ignore_merges_) {
      const Token whole = pieces_.Find(word);
      if (whole >= 0) return tokens->push_back(whole);
    }
    if (memory.cache.Append(word, tokens)) return;
    const size_t before = tokens->size();
    ReadSymbols(word, &memory.symbols);
    merges_.Join(&memory.symbols, &memory.merges);
    for (const WordSymbol& symbol : memory.symbols) {
      tokens->push_back(symbol.symbol);
    }
    memory.cache.Add(word, std::span(*tokens).subspan(before));
  }

 private:
  // The tokens of the characters. One without a token is dropped if there is no
  // unknown token.
  void ReadSymbols(std::string_view word,
                   std::vector<WordSymbol>* symbols) const {
    symbols->clear();
    bool after_unknown = false;
    std::string spelled;
    std::vector<Token> bytes;
    for (size_t at = 0; at < word.size();) {
      std::string_view c = word.substr(at, CharacterAt(word, at).bytes);
      const bool first = at == 0;
      at += c.size();
      const bool last = at == word.size();
      if ((!first && !inner_.empty()) || (last && !last_.empty())) {
        spelled = first ? "" : inner_;
        spelled += c;
        if (last) spelled += last_;
        c = spelled;
      }
      const Token token = pieces_.Find(c);
      if (token >= 0) {
        symbols->push_back({token, 1});
        after_unknown = false;
        continue;
      }
      bytes.clear();
      if (byte_fallback_ && pieces_.AppendBytes(c, &bytes)) {
        for (const Token byte : bytes) symbols->push_back({byte, 1});
        after_unknown = false;
        continue;
      }
      if (!unknown_) continue;
      if (!(fuse_unknown_ && after_unknown)) symbols->push_back({*unknown_, 1});
      after_unknown = true;
    }
  }

  const ModelPieces& pieces_;
  std::optional<Token> unknown_;
  // Marks of characters that do not begin a word, and that end one.
  std::string inner_, last_;
  bool byte_fallback_, fuse_unknown_, ignore_merges_;
  Merges merges_;
};

}  // namespace

std::unique_ptr<const WordModel> MakeWordBpe(const formats::Metadata& metadata,
                                             const StepJson& model,
                                             const ModelPieces& pieces) {
  return std::make_unique<WordBpe>(metadata, model, pieces);
}

}  // namespace ropewalk::tokenizer
