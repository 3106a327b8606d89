// A grammar: rules that say which texts are allowed. It is read from GBNF
// (gbnf.h) or made from a JSON schema (json_schema.h); automaton.h makes it
// fit for matching.

#ifndef ROPEWALK_GRAMMAR_GRAMMAR_H_
#define ROPEWALK_GRAMMAR_GRAMMAR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::grammar {

// Limits on what a grammar costs. Real grammars stay far below them.
inline constexpr int64_t kMaxGrammarBytes = int64_t{256} << 10;
inline constexpr int64_t kMaxRules = 2000;
inline constexpr int kMaxNesting = 100;                // groups within groups
inline constexpr int64_t kMaxRepetition = 10'000;      // the n of {n}
inline constexpr int64_t kMaxStates = 100'000;         // of the automaton
inline constexpr int64_t kMaxTransitions = 1'000'000;  // between them

inline constexpr uint32_t kLastCodePoint = 0x10ffff;

// Code points from `first` to `last`.
struct CodeRange {
  uint32_t first = 0;
  uint32_t last = 0;

  bool operator==(const CodeRange&) const = default;
};

// A set of code points, in order, with gaps between the ranges.
using CodeSet = std::vector<CodeRange>;

// The code points of `ranges`, which may overlap and have any order. Surrogates
// are left out, since no text in UTF-8 has them.
CodeSet Normalise(CodeSet ranges);
// All code points that `set` lacks.
CodeSet Complement(const CodeSet& set);
CodeSet Intersect(const CodeSet& a, const CodeSet& b);

// One part of a rule.
struct Node {
  enum class Kind {
    kCharacters,    // one code point of `characters`
    kSequence,      // `children` one after the other; none: the empty text
    kAlternatives,  // one of `children`; none: nothing at all
    kRepeat,        // children[0], `least` to `most` times
    kRule,          // the rule with the index `rule`
    kToken,         // one token of the vocabulary
  };

  Kind kind = Kind::kSequence;
  CodeSet characters;
  std::vector<Node> children;
  int64_t least = 0;
  std::optional<int64_t> most;  // unset: any number
  int32_t rule = 0;
  // For kToken: the id, or the piece that names it. If negated, the part is any
  // one token of text but this.
  std::optional<Token> token;
  std::string piece;
  bool negated = false;
};

Node Characters(CodeSet set);
Node Character(uint32_t code_point);
// The characters of `text`, which must be UTF-8.
Node Literal(std::string_view text);
Node Sequence(std::vector<Node> parts);
Node Alternatives(std::vector<Node> parts);
Node Repeat(Node part, int64_t least, std::optional<int64_t> most);
Node RuleOf(int32_t index);

struct Rule {
  std::string name;
  Node body;
};

struct Grammar {
  std::vector<Rule> rules;
  int32_t root = 0;
};

// Throws std::invalid_argument if a rule is left-recursive, naming the circle;
// if a rule that is used has no text at all; or if the root has none.
void Check(const Grammar& grammar);

// The rules that the text of a rule may begin with, rule by rule; `nullable` is
// what FindNullable gives.
std::vector<std::vector<int32_t>> FirstRules(const Grammar& grammar,
                                             const std::vector<bool>& nullable);

// Whether each rule matches the empty text.
std::vector<bool> FindNullable(const Grammar& grammar);

// The grammar in GBNF, a rule a line; names are those of the rules.
std::string ToGbnf(const Grammar& grammar);

// The code point at `at` in well-formed UTF-8; moves `at` behind it.
uint32_t NextCodePoint(std::string_view text, size_t& at);
void AppendUtf8(uint32_t code_point, std::string& text);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_GRAMMAR_H_
