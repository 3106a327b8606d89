// The definition that the automata are held to: a grammar is read part by part,
// with every end that a part may have.

#ifndef ROPEWALK_GRAMMAR_REFERENCE_FOR_TEST_H_
#define ROPEWALK_GRAMMAR_REFERENCE_FOR_TEST_H_

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/text.h"
#include "grammar/grammar.h"

namespace ropewalk::grammar {

// Takes time that grows fast with the text; no tokens.
class Reference {
 public:
  Reference(const Grammar& grammar, std::string_view text)
      : grammar_(grammar), text_(text) {
    const std::set<size_t> ends =
        Ends(grammar.rules[static_cast<size_t>(grammar.root)].body, 0);
    whole_ = ends.contains(text.size());
    start_ = whole_ || wants_more_;
  }

  // Whether the text is one of the grammar, or the beginning of one. The
  // latter needs every part of the grammar to have a text.
  bool whole() const { return whole_; }
  bool start() const { return start_; }

 private:
  std::set<size_t> Ends(const Node& node, size_t at) {
    switch (node.kind) {
      case Node::Kind::kCharacters:
        return Character(node, at);
      case Node::Kind::kSequence: {
        std::set<size_t> ends = {at};
        for (const Node& child : node.children) ends = All(child, ends);
        return ends;
      }
      case Node::Kind::kAlternatives: {
        std::set<size_t> ends;
        for (const Node& child : node.children) ends.merge(Ends(child, at));
        return ends;
      }
      case Node::Kind::kRepeat:
        return Repetition(node, at);
      case Node::Kind::kRule:
        return Ends(grammar_.rules[static_cast<size_t>(node.rule)].body, at);
      case Node::Kind::kToken:
        return {};
    }
    return {};
  }

  std::set<size_t> All(const Node& node, const std::set<size_t>& begins) {
    std::set<size_t> ends;
    for (const size_t begin : begins) ends.merge(Ends(node, begin));
    return ends;
  }

  std::set<size_t> Repetition(const Node& node, size_t at) {
    std::set<size_t> ends;
    std::set<size_t> now = {at};
    // More rounds than characters end nowhere new.
    const auto rounds = static_cast<int64_t>(text_.size()) + node.least + 1;
    const int64_t last = std::min(rounds, node.most.value_or(rounds));
    for (int64_t i = 0;; ++i) {
      if (i >= node.least) ends.insert(now.begin(), now.end());
      // A part that may not come at all, as in x{0}, may even be x itself.
      if (i >= last) return ends;
      now = All(node.children.front(), now);
    }
  }

  std::set<size_t> Character(const Node& node, size_t at) {
    size_t next = at;
    if (at < text_.size() && Utf8SequenceLength(text_, at) > 0) {
      const uint32_t c = NextCodePoint(text_, next);
      for (const CodeRange& range : node.characters) {
        if (range.first <= c && c <= range.last) return {next};
      }
      return {};
    }
    // The text ends here, or within a character.
    const std::string_view rest = text_.substr(at);
    for (const CodeRange& range : node.characters) {
      for (uint32_t c = range.first; c <= range.last; ++c) {
        std::string spelled;
        AppendUtf8(c, spelled);
        if (spelled.starts_with(rest)) {
          wants_more_ = true;
          return {};
        }
      }
    }
    return {};
  }

  const Grammar& grammar_;
  std::string_view text_;
  bool wants_more_ = false;
  bool whole_ = false;
  bool start_ = false;
};

// Grammars of a few rules over a few characters of one to four bytes.
class RandomGrammar {
 public:
  explicit RandomGrammar(Rng& rng) : rng_(rng) {}

  Grammar Make() {
    Grammar grammar;
    rules_ = 1 + rng_.Below(4);
    for (int64_t i = 0; i < rules_; ++i) {
      grammar.rules.push_back({i == 0 ? "root" : "r" + std::to_string(i), {}});
      grammar.rules.back().body = Part(3);
    }
    return grammar;
  }

 private:
  Node Part(int depth) {
    const int64_t kind = depth == 0 ? rng_.Below(2) : rng_.Below(9);
    std::vector<Node> parts;
    switch (kind) {
      case 0:
      case 1:
        return Class();
      case 2:
      case 3:
      case 4:
        for (int64_t i = rng_.Below(4); i >= 0; --i) {
          parts.push_back(Part(depth - 1));
        }
        return Sequence(std::move(parts));
      case 5:
        for (int64_t i = 1 + rng_.Below(3); i >= 0; --i) {
          parts.push_back(rng_.Below(6) == 0 ? Sequence({}) : Part(depth - 1));
        }
        return Alternatives(std::move(parts));
      case 6: {
        const int64_t least = rng_.Below(3);
        std::optional<int64_t> most;
        if (rng_.Below(2) == 0) most = least + rng_.Below(3);
        return Repeat(Part(depth - 1), least, most);
      }
      default:
        return RuleOf(static_cast<int32_t>(rng_.Below(rules_)));
    }
  }

  Node Class() {
    constexpr uint32_t kCharacters[] = {'a',  'b',    'c',    0xe4,
                                        0xe5, 0x3042, 0x3043, 0x1f600};
    CodeSet set;
    for (int64_t i = rng_.Below(2); i >= 0; --i) {
      const uint32_t c = kCharacters[rng_.Below(8)];
      set.push_back({c, c + static_cast<uint32_t>(rng_.Below(3))});
    }
    return Characters(set);
  }

  Rng& rng_;
  int64_t rules_ = 1;
};

// Characters of such a grammar, now and then bytes that are no character.
inline std::string RandomText(Rng& rng, int64_t most_characters) {
  constexpr const char* kTexts[] = {"a",
                                    "b",
                                    "c",
                                    "d",
                                    "\xc3\xa4",
                                    "\xc3\xa5",
                                    "\xe3\x81\x82",
                                    "\xe3\x81",
                                    "\xf0\x9f\x98\x80",
                                    "\xf0\x9f",
                                    "\x82"};
  std::string text;
  for (int64_t i = rng.Below(most_characters + 1); i > 0; --i) {
    text += kTexts[rng.Below(rng.Below(8) == 0 ? 11 : 7)];
  }
  return text;
}

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_REFERENCE_FOR_TEST_H_
