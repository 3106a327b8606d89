#include "grammar/grammar.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "grammar/rule_order.h"

namespace ropewalk::grammar {
namespace {

constexpr CodeRange kSurrogates{0xd800, 0xdfff};

// Whether a part has a property that all parts of a sequence and one of several
// alternatives must have, that a part which may come 0 times has, that `rules`
// knows of the rules, and `leaf` of characters and tokens.
template <typename Leaf>
bool Has(const Node& node, const std::vector<bool>& rules, const Leaf& leaf) {
  const auto has = [&](const Node& child) { return Has(child, rules, leaf); };
  switch (node.kind) {
    case Node::Kind::kCharacters:
    case Node::Kind::kToken:
      return leaf(node);
    case Node::Kind::kSequence:
      return std::all_of(node.children.begin(), node.children.end(), has);
    case Node::Kind::kAlternatives:
      return std::any_of(node.children.begin(), node.children.end(), has);
    case Node::Kind::kRepeat:
      return node.least == 0 || has(node.children.front());
    case Node::Kind::kRule:
      return rules[static_cast<size_t>(node.rule)];
  }
  return false;
}

// Whether a part matches the empty text, as far as `nullable` knows the rules.
bool IsNullable(const Node& node, const std::vector<bool>& nullable) {
  return Has(node, nullable, [](const Node&) { return false; });
}

// Whether a part has any text, as far as `productive` knows the rules.
bool IsProductive(const Node& node, const std::vector<bool>& productive) {
  return Has(node, productive, [](const Node& leaf) {
    return leaf.kind == Node::Kind::kToken || !leaf.characters.empty();
  });
}

// Sets a property of rules that follows from that of others, until no rule
// changes: at most R + 1 rounds for R rules.
template <typename Holds>
std::vector<bool> FixedPoint(const Grammar& grammar, const Holds& holds) {
  std::vector<bool> result(grammar.rules.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    // From the last rule on: rules use those that stand behind them.
    for (size_t i = grammar.rules.size(); i-- > 0;) {
      if (result[i] || !holds(grammar.rules[i].body, result)) continue;
      result[i] = true;
      changed = true;
    }
  }
  return result;
}

// Appends the rules that a text of `node` may begin with.
void AppendFirst(const Node& node, const std::vector<bool>& nullable,
                 std::vector<int32_t>& rules) {
  switch (node.kind) {
    case Node::Kind::kCharacters:
    case Node::Kind::kToken:
      return;
    case Node::Kind::kSequence:
      for (const Node& child : node.children) {
        AppendFirst(child, nullable, rules);
        if (!IsNullable(child, nullable)) return;
      }
      return;
    case Node::Kind::kAlternatives:
      for (const Node& child : node.children) {
        AppendFirst(child, nullable, rules);
      }
      return;
    case Node::Kind::kRepeat:
      if (node.most != 0) AppendFirst(node.children.front(), nullable, rules);
      return;
    case Node::Kind::kRule:
      rules.push_back(node.rule);
      return;
  }
}

void RefuseLeftRecursion(const Grammar& grammar,
                         const std::vector<bool>& nullable) {
  const RuleOrder order = OrderRules(FirstRules(grammar, nullable));
  if (order.circle.empty()) return;
  std::string circle;
  for (const int32_t rule : order.circle) {
    circle += grammar.rules[static_cast<size_t>(rule)].name + " -> ";
  }
  const std::string& name =
      grammar.rules[static_cast<size_t>(order.circle.front())].name;
  throw std::invalid_argument(
      "rule '" + Printable(name, 40) +
      "' is left-recursive, which never ends: " +
      Printable(circle + name, 120) +
      " before any character; write a repetition instead");
}

std::string Escaped(uint32_t code_point, bool in_class) {
  const char c = code_point < 0x80 ? static_cast<char>(code_point) : '\0';
  if (code_point == '\n') return "\\n";
  if (c == '\\' || (!in_class && c == '"')) {
    return std::string("\\") + c;
  }
  if (in_class && (c == '[' || c == ']' || c == '-')) {
    return std::string("\\") + c;
  }
  if (in_class && c == '^') return "\\x5E";  // elsewhere \^ is no escape
  if (code_point >= 0x20 && code_point < 0x7f) return std::string(1, c);
  char text[16];
  std::snprintf(text, sizeof text,
                code_point < 0x100     ? "\\x%02X"
                : code_point < 0x10000 ? "\\u%04X"
                                       : "\\U%08X",
                code_point);
  return text;
}

std::string ClassToGbnf(const CodeSet& set) {
  const bool single = set.size() == 1 && set[0].first == set[0].last;
  if (single) return "\"" + Escaped(set[0].first, false) + "\"";
  // A class without characters is not GBNF: all characters are left out of it.
  const CodeSet missing = Complement(set);
  const bool negated = set.empty() || missing.size() < set.size();
  if (negated && missing.empty()) return ".";
  std::string text = negated ? "[^" : "[";
  for (const CodeRange& range : negated ? missing : set) {
    text += Escaped(range.first, true);
    if (range.last != range.first) text += "-" + Escaped(range.last, true);
  }
  return text + "]";
}

std::string NodeToGbnf(const Grammar& grammar, const Node& node) {
  const auto joined = [&](const char* between) {
    std::string text = "(";
    for (size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) text += between;
      text += NodeToGbnf(grammar, node.children[i]);
    }
    return text + ")";
  };
  switch (node.kind) {
    case Node::Kind::kCharacters:
      return ClassToGbnf(node.characters);
    case Node::Kind::kSequence:
      return joined(" ");
    case Node::Kind::kAlternatives:
      return node.children.empty() ? ClassToGbnf({}) : joined(" | ");
    case Node::Kind::kRepeat:
      return "(" + NodeToGbnf(grammar, node.children.front()) + "){" +
             std::to_string(node.least) + "," +
             (node.most ? std::to_string(*node.most) : "") + "}";
    case Node::Kind::kRule:
      return grammar.rules[static_cast<size_t>(node.rule)].name;
    case Node::Kind::kToken:
      return (node.negated ? "!" : "") +
             (node.token ? "<[" + std::to_string(*node.token) + "]>"
                         : node.piece);
  }
  return "";
}

}  // namespace

CodeSet Normalise(CodeSet ranges) {
  std::sort(
      ranges.begin(), ranges.end(),
      [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  CodeSet merged;
  const auto add = [&](uint32_t first, uint32_t last) {
    if (first > last) return;
    if (!merged.empty() && first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, last);
    } else {
      merged.push_back({first, last});
    }
  };
  for (const CodeRange& range : ranges) {
    const uint32_t last = std::min(range.last, kLastCodePoint);
    add(range.first, std::min(last, kSurrogates.first - 1));
    add(std::max(range.first, kSurrogates.last + 1), last);
  }
  return merged;
}

CodeSet Complement(const CodeSet& set) {
  CodeSet result;
  uint32_t next = 0;
  for (const CodeRange& range : set) {
    if (range.first > next) result.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) result.push_back({next, kLastCodePoint});
  return Normalise(std::move(result));
}

CodeSet Intersect(const CodeSet& a, const CodeSet& b) {
  CodeSet result;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint32_t first = std::max(a[i].first, b[j].first);
    const uint32_t last = std::min(a[i].last, b[j].last);
    if (first <= last) result.push_back({first, last});
    (a[i].last < b[j].last ? i : j) += 1;
  }
  return result;
}

Node Characters(CodeSet set) {
  Node node{.kind = Node::Kind::kCharacters};
  node.characters = Normalise(std::move(set));
  return node;
}

Node Character(uint32_t code_point) {
  return Characters({{code_point, code_point}});
}

Node Literal(std::string_view text) {
  std::vector<Node> parts;
  for (size_t at = 0; at < text.size();) {
    parts.push_back(Character(NextCodePoint(text, at)));
  }
  return Sequence(std::move(parts));
}

Node Sequence(std::vector<Node> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Node node{.kind = Node::Kind::kSequence};
  node.children = std::move(parts);
  return node;
}

Node Alternatives(std::vector<Node> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Node node{.kind = Node::Kind::kAlternatives};
  node.children = std::move(parts);
  return node;
}

Node Repeat(Node part, int64_t least, std::optional<int64_t> most) {
  Node node{.kind = Node::Kind::kRepeat};
  node.children.push_back(std::move(part));
  node.least = least;
  node.most = most;
  return node;
}

Node RuleOf(int32_t index) {
  Node node{.kind = Node::Kind::kRule};
  node.rule = index;
  return node;
}

std::vector<std::vector<int32_t>> FirstRules(
    const Grammar& grammar, const std::vector<bool>& nullable) {
  std::vector<std::vector<int32_t>> rules;
  for (const Rule& rule : grammar.rules) {
    rules.emplace_back();
    AppendFirst(rule.body, nullable, rules.back());
  }
  return rules;
}

std::vector<bool> FindNullable(const Grammar& grammar) {
  return FixedPoint(grammar, IsNullable);
}

void Check(const Grammar& grammar) {
  RefuseLeftRecursion(grammar, FindNullable(grammar));
  const std::vector<bool> productive = FixedPoint(grammar, IsProductive);
  for (size_t i = 0; i < grammar.rules.size(); ++i) {
    Require(productive[i],
            "rule '" + Printable(grammar.rules[i].name, 40) +
                "' has no finite text: each of its alternatives needs itself "
                "or a character of an empty class");
  }
}

std::string ToGbnf(const Grammar& grammar) {
  std::string text;
  for (const Rule& rule : grammar.rules) {
    text += rule.name + " ::= " + NodeToGbnf(grammar, rule.body) + "\n";
  }
  return text;
}

uint32_t NextCodePoint(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const size_t length = Utf8SequenceLength(text, at);
  Require(length > 0,
          "the text has ill-formed UTF-8 at byte " + std::to_string(at));
  uint32_t code_point = byte(0) & (length == 1   ? 0x7f
                                   : length == 2 ? 0x1f
                                   : length == 3 ? 0x0f
                                                 : 0x07);
  for (size_t i = 1; i < length; ++i) {
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  at += length;
  return code_point;
}

void AppendUtf8(uint32_t code_point, std::string& text) {
  const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  const auto tail = [&](int shift) {
    put(0x80 | (code_point >> shift & 0x3f));
  };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    tail(6);
    tail(0);
  } else {
    put(0xf0 | code_point >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace ropewalk::grammar
