#include "lab/data/train_tokenizer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "lab/data/bpe_merges.h"
#include "lab/data/draws.h"
#include "lab/data/sentencepiece_model.h"

namespace ropewalk::lab::data {
namespace {

constexpr std::string_view kWordStart = "\xe2\x96\x81";  // U+2581
constexpr size_t kSpaceCharacters = 1;
// As in SentencePiece.
constexpr int64_t kMaxPieceCharacters = 16;
// Longer words (a line of dashes, a script without spaces) are counted in
// parts.
constexpr size_t kMaxWordCharacters = 64;

enum class Kind { kLetter, kIdeograph, kDigit, kSign, kNone };

// Pieces do not reach from one kind into another. Ranges instead of Unicode's
// tables: a sign taken for a letter costs a piece at worst.
Kind KindOf(uint32_t c) {
  if (c < 0x20 || c == 0x7f) return Kind::kNone;
  if (c < 0x80) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) return Kind::kLetter;
    return c >= '0' && c <= '9' ? Kind::kDigit : Kind::kSign;
  }
  if (c < 0xc0 || c == 0xd7 || c == 0xf7) return Kind::kSign;
  if (c >= 0x2000 && c < 0x2c00) return Kind::kSign;  // also arrows, boxes
  if (c >= 0x3000 && c < 0x3040) return Kind::kSign;
  if (c >= 0xfe30 && c < 0xfe70) return Kind::kSign;
  if (c >= 0xff00 && c < 0xff10) return Kind::kSign;
  if (c >= 0xff10 && c < 0xff1a) return Kind::kDigit;
  if (c >= 0x1f000 && c < 0x20000) return Kind::kSign;  // emoji
  if ((c >= 0x2e80 && c < 0xa000) || (c >= 0xf900 && c < 0xfb00) ||
      c >= 0x20000) {
    return Kind::kIdeograph;
  }
  return Kind::kLetter;
}

// The character at text[at], whose bytes are counted; `text` is UTF-8.
uint32_t CharacterAt(std::string_view text, size_t at, size_t* bytes) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const uint32_t lead = byte(0);
  *bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  switch (*bytes) {
    case 1:
      return lead;
    case 2:
      return (lead & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3:
      return (lead & 0xf) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    default:
      return (lead & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 |
             (byte(3) & 0x3f);
  }
}

// Words with their counts; a word is what one piece may reach over, with "▁"
// in place of the space in front of it.
class WordCounter {
 public:
  void AddLine(std::string_view line) {
    bool after_space = false;
    Kind word_kind = Kind::kNone;
    for (size_t at = 0, bytes = 0; at < line.size(); at += bytes) {
      const uint32_t c = CharacterAt(line, at, &bytes);
      if (c == ' ' || c == 0x2581) {
        Flush();
        if (after_space) Count(kWordStart);
        after_space = true;
        continue;
      }
      const Kind kind = KindOf(c);
      if (kind != word_kind || kind == Kind::kDigit ||
          word_characters_ >= kMaxWordCharacters || after_space) {
        Flush();
      }
      word_kind = kind;
      if (after_space) {
        // A digit stands alone, without its space too.
        if (kind == Kind::kDigit || kind == Kind::kNone) {
          Count(kWordStart);
        } else {
          word_ = kWordStart;
          word_characters_ = kSpaceCharacters;
        }
        after_space = false;
      }
      if (kind == Kind::kNone) continue;
      word_ += line.substr(at, bytes);
      ++word_characters_;
    }
    Flush();
    if (after_space) Count(kWordStart);
  }

  // Sorted, so that nothing depends on the order within a hash table.
  std::vector<std::pair<std::string, int64_t>> Sorted() const {
    std::vector<std::pair<std::string, int64_t>> words(counts_.begin(),
                                                       counts_.end());
    std::sort(words.begin(), words.end());
    return words;
  }

 private:
  void Flush() {
    if (!word_.empty()) Count(word_);
    word_.clear();
    word_characters_ = 0;
  }
  void Count(std::string_view word) { ++counts_[std::string(word)]; }

  std::unordered_map<std::string, int64_t> counts_;
  std::string word_;
  size_t word_characters_ = 0;
};

using Words = std::vector<std::pair<std::string, int64_t>>;

Words CountWords(const Corpus& corpus, const TokenizerTraining& options) {
  const double keep = static_cast<double>(options.sample_bytes) /
                      static_cast<double>(corpus.bytes());
  WordCounter counter;
  corpus.ForEach([&](const CorpusDocument& document) {
    Draws draws(Purpose::kTokenizerSample, options.seed, document.index);
    std::string_view text = document.text;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (draws.Uniform() < keep) counter.AddLine(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  });
  return counter.Sorted();
}

// The characters that get a piece, the most frequent first.
std::vector<std::string> ChooseCharacters(const Words& words,
                                          const TokenizerTraining& options) {
  std::map<std::string, int64_t> counts;
  int64_t total = 0;
  for (const auto& [word, count] : words) {
    for (size_t at = 0, bytes = 0; at < word.size(); at += bytes) {
      CharacterAt(word, at, &bytes);
      counts[word.substr(at, bytes)] += count;
      total += count;
    }
  }
  // "▁" always: a text of spaces must not be spelt in bytes.
  std::set<std::string> required = {std::string(kWordStart)};
  if (options.vocabulary >= 512) {
    for (char c = '!'; c <= '~'; ++c) required.insert(std::string(1, c));
  }
  for (const std::string& character : required) counts[character] += 0;
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(),
                                                      counts.end());
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> chosen;
  int64_t covered = 0;
  for (const auto& [character, count] : sorted) {
    const bool wanted = static_cast<double>(covered) <
                        options.character_coverage * static_cast<double>(total);
    if (wanted || required.contains(character)) chosen.push_back(character);
    covered += count;
  }
  return chosen;
}

// The words as indices of `characters`, cut where a character is none of them.
std::vector<CountedWord> Index(const Words& words,
                               const std::vector<std::string>& characters) {
  std::unordered_map<std::string_view, int32_t> index;
  for (const std::string& character : characters) {
    index.emplace(character, static_cast<int32_t>(index.size()));
  }
  std::vector<CountedWord> indexed;
  for (const auto& [word, count] : words) {
    CountedWord next{{}, count};
    const auto flush = [&] {
      if (next.symbols.size() > 1) indexed.push_back(next);
      next.symbols.clear();
    };
    for (size_t at = 0, bytes = 0; at < word.size(); at += bytes) {
      CharacterAt(word, at, &bytes);
      const auto found = index.find(std::string_view(word).substr(at, bytes));
      if (found == index.end()) {
        flush();
      } else {
        next.symbols.push_back(found->second);
      }
    }
    flush();
  }
  return indexed;
}

void CheckOptions(const TokenizerTraining& options) {
  Require(options.vocabulary >= 300 && options.vocabulary <= 1'000'000,
          "a vocabulary must have 300 to 1000000 pieces, got " +
              std::to_string(options.vocabulary));
  Require(options.sample_bytes > 0, "sample_bytes must be above 0, got " +
                                        std::to_string(options.sample_bytes));
  Require(options.character_coverage > 0 && options.character_coverage <= 1,
          "character_coverage must be above 0 and at most 1, got " +
              FormatNumber(options.character_coverage));
}

// <unk>, <s>, </s>, the control pieces and the bytes.
std::vector<SentencePiece> FirstPieces(const TokenizerTraining& options) {
  std::vector<SentencePiece> pieces = {
      {"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
  for (const std::string& piece : options.control_pieces) {
    pieces.push_back({piece, 0, 3});
  }
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const auto b = static_cast<size_t>(byte);
    pieces.push_back(
        {std::string("<0x") + kDigits[b / 16] + kDigits[b % 16] + ">", 0, 6});
  }
  std::set<std::string> texts;
  for (const SentencePiece& piece : pieces) {
    Require(piece.text.find_first_of(" \t\n") == std::string::npos &&
                piece.text.size() > 2 && !FindInvalidUtf8(piece.text),
            "a control piece must be UTF-8, without spaces and above two "
            "bytes, got '" +
                Printable(piece.text) + "'");
    Require(texts.insert(piece.text).second,
            "the control piece '" + Printable(piece.text) +
                "' is already in the vocabulary");
  }
  return pieces;
}

}  // namespace

std::string TrainTokenizer(const Corpus& corpus,
                           const TokenizerTraining& options) {
  CheckOptions(options);
  std::vector<SentencePiece> pieces = FirstPieces(options);
  const Words words = CountWords(corpus, options);
  Require(!words.empty(),
          "no line of the corpus can be learnt from: is it "
          "all blank?");
  const std::vector<std::string> characters = ChooseCharacters(words, options);
  const auto fixed = static_cast<int64_t>(pieces.size() + characters.size());
  Require(fixed <= options.vocabulary,
          "a vocabulary of " + std::to_string(options.vocabulary) +
              " is too small: bytes, special pieces and the characters of "
              "this corpus are " +
              std::to_string(fixed) +
              " (a lower character_coverage needs fewer)");
  const int64_t wanted = options.vocabulary - fixed;
  const std::vector<std::string> learnt = LearnMerges(
      characters, Index(words, characters), wanted, kMaxPieceCharacters);
  const auto reached = fixed + static_cast<int64_t>(learnt.size());
  Require(reached == options.vocabulary,
          "a vocabulary of " + std::to_string(options.vocabulary) +
              " is too large for this corpus: it fills " +
              std::to_string(reached));
  float score = 0;
  for (const std::vector<std::string>* list : {&learnt, &characters}) {
    for (const std::string& text : *list) pieces.push_back({text, score--, 1});
  }
  return WriteSentencePiece(pieces);
}

}  // namespace ropewalk::lab::data
