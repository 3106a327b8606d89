// Cuts text into words; byte-level BPE joins letters only within a word.
//
// Published pre-tokenizers are regular expressions. Here they are lists of
// simpler rules: a run of a class behind an optional character, a cased word,
// spaces up to a line break, and so on. Each rule decides in one pass over the
// characters it reads, so that no text is slow (a backtracking engine takes
// hours for 10 MB of spaces). Tests compare the rules with every published
// expression.

#ifndef ROPEWALK_TOKENIZER_PRE_TOKENIZER_H_
#define ROPEWALK_TOKENIZER_PRE_TOKENIZER_H_

#include <bitset>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {

// A class of characters: [\s\p{L}x], or all other characters if it is negated.
struct CharacterSet {
  uint32_t classes = 0;         // bits of unicode_classes.h
  std::u32string_view members;  // single characters
  std::u32string_view ranges;   // first, last, first, last, ...
  bool negated = false;
  uint32_t but_not = 0;  // classes that are excluded again
};

inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// One form of a word. Comments give it as a regular expression.
struct WordRule {
  enum class Kind {
    kRun,               // lead? body{least,most} tail{0,tail_most}
    kCased,             // lead? upper* lower+ | lead? upper+ lower*, followed
                        // by contraction? if `contraction`
    kContraction,       // 's|'t|'re|'ve|'m|'ll|'d
    kThroughLineBreak,  // \s*[\r\n]+
    kSpacesBeforeText,  // \s+(?!\S)
    kSpacesAtEnd,       // \s+$
    kHalvedSpaces,      // \s{512}(?!\S)|\s{256}(?!\S)|...|\s{1,2}(?!\S)|\s
    kDigitGroups,       // body{1,3}(?=(?:body{3})*END), where END is not body,
                        // and not \w if `alone`
    kSplitBeforeThousands,  // up to the next (?=(\d{3})+(?!\d))
    kJoinedWords,           // lead?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
    kFramed,                // `before`, body{least,most}, `behind`
  };

  Kind kind = Kind::kRun;
  CharacterSet lead;
  bool has_lead = false;
  bool needs_lead = false;
  CharacterSet body;  // kCased: upper
  int64_t least = 1;
  int64_t most = kNoLimit;
  CharacterSet tail;  // kCased: lower
  int64_t tail_most = 0;
  bool contraction = false;
  bool any_case = false;  // of contractions
  bool alone = false;
  std::string_view before = {};
  std::string_view behind = {};
};

// The rules of a stage are tried in order at each place. Text at which no rule
// matches is a word too, up to the next place at which a rule matches.
using WordStage = std::vector<WordRule>;

struct PreTokenizerSpec {
  // Each stage cuts the words of the stage before it.
  std::vector<WordStage> stages;
  bool ignore_merges = false;  // a word that is a piece becomes that token
  bool add_bos = false;        // the default if the file has no key for it
  // Merges join characters with U+2581 for spaces, as in SentencePiece, instead
  // of bytes.
  bool characters = false;
  bool escape_spaces = false;
  // A word of line breaks that is a piece becomes that token.
  bool line_breaks_whole = false;
};

// The spec for a value of tokenizer.ggml.pre; nullopt if it is unknown.
// The names are those of llama.cpp.
std::optional<PreTokenizerSpec> FindPreTokenizer(std::string_view name);
// All names, in alphabetical order.
std::vector<std::string_view> PreTokenizerNames();

// Immutable, for any number of threads at a time.
class PreTokenizer {
 public:
  explicit PreTokenizer(const std::vector<WordStage>& stages);

  // Calls `word` with the words of `text` in order; joined, they give `text`.
  // Ill-formed bytes count as U+FFFD. Takes time linear in the text.
  void Split(std::string_view text,
             const std::function<void(std::string_view)>& word) const;

 private:
  // A CharacterSet with a table of the answers for ASCII.
  class Set {
   public:
    explicit Set(const CharacterSet& set);
    bool Has(char32_t c) const { return c < 128 ? ascii_[c] : HasSlowly(c); }

   private:
    bool HasSlowly(char32_t c) const;

    CharacterSet set_;
    std::bitset<128> ascii_;
  };
  struct Rule {
    WordRule rule;
    Set lead, body, tail;
  };
  struct Matcher;

  void SplitStage(size_t stage, std::string_view text,
                  const std::function<void(std::string_view)>& word) const;

  std::vector<std::vector<Rule>> stages_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_PRE_TOKENIZER_H_
