#include "grammar/json_text.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"

namespace ropewalk::grammar {
namespace {

constexpr int64_t kIndentation = 20;
constexpr size_t kMostNameBytes = 200;

const CodeSet& RawCharacters() {
  static const CodeSet set =
      Complement(Normalise({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}));
  return set;
}

// The characters with an escape of two characters, and its second.
constexpr std::pair<uint32_t, char> kShortEscapes[] = {
    {'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
    {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

Node Hex() { return Characters({{'0', '9'}, {'a', 'f'}, {'A', 'F'}}); }

// The rest of a name that begins with `prefix`, for names that are none of
// `names`, which are in order.
Node RestOfName(const std::vector<std::string>& names, size_t begin, size_t end,
                size_t at) {
  const Node any = Repeat(Characters(RawCharacters()), 0, std::nullopt);
  std::vector<Node> ways;
  CodeSet used;
  // A name that ends here may not end here.
  const bool taken = begin < end && names[begin].size() == at;
  if (taken) ++begin;
  while (begin < end) {
    size_t next = at;
    const uint32_t character = NextCodePoint(names[begin], next);
    const std::string_view head =
        std::string_view(names[begin]).substr(0, next);
    size_t last = begin;
    while (last < end && names[last].compare(0, next, head) == 0) ++last;
    used.push_back({character, character});
    ways.push_back(
        Sequence({Character(character), RestOfName(names, begin, last, next)}));
    begin = last;
  }
  const CodeSet others =
      Intersect(Complement(Normalise(std::move(used))), RawCharacters());
  ways.push_back(Sequence({Characters(others), any}));
  if (!taken) ways.push_back(Sequence({}));
  return Alternatives(std::move(ways));
}

Node Between(std::vector<Node> parts, char open, char close) {
  std::vector<Node> row = {Character(static_cast<uint32_t>(open)), JsonSpace()};
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      row.push_back(Character(','));
      row.push_back(JsonSpace());
    }
    row.push_back(std::move(parts[i]));
  }
  if (!parts.empty()) row.push_back(JsonSpace());
  row.push_back(Character(static_cast<uint32_t>(close)));
  return Sequence(std::move(row));
}

}  // namespace

Node JsonSpace() {
  return Alternatives(
      {Sequence({}), Character(' '),
       Sequence({Character('\n'), Repeat(Characters({{' ', ' '}, {'\t', '\t'}}),
                                         0, kIndentation)})});
}

Node JsonCharacter() {
  CodeSet shorts = {{'/', '/'}};
  for (const auto& [character, name] : kShortEscapes) {
    const auto code = static_cast<uint32_t>(name);
    shorts.push_back({code, code});
  }
  // \uD8.. to \uDB.. is the first half of a pair, \uDC.. to \uDF.. the second.
  const Node no_d =
      Characters({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}});
  const Node d = Characters({{'d', 'd'}, {'D', 'D'}});
  const Node first = Characters({{'8', '9'}, {'a', 'b'}, {'A', 'B'}});
  const Node second = Characters({{'c', 'f'}, {'C', 'F'}});
  const Node other = Alternatives(
      {Sequence({no_d, Hex()}), Sequence({d, Characters({{'0', '7'}})})});
  const Node two = Sequence({Hex(), Hex()});
  const Node pair = Sequence({d, first, two, Literal("\\u"), d, second, two});
  return Alternatives(
      {Characters(RawCharacters()),
       Sequence({Character('\\'),
                 Alternatives({Characters(shorts),
                               Sequence({Character('u'),
                                         Alternatives({Sequence({other, two}),
                                                       pair})})})})});
}

Node JsonCharacterOf(const CodeSet& set) {
  std::vector<Node> ways = {Characters(Intersect(set, RawCharacters()))};
  for (const CodeRange& range : set) {
    for (uint32_t c = range.first; c <= std::min<uint32_t>(range.last, '\\');
         ++c) {
      const auto escape =
          std::find_if(std::begin(kShortEscapes), std::end(kShortEscapes),
                       [&](const auto& pair) { return pair.first == c; });
      if (escape != std::end(kShortEscapes)) {
        ways.push_back(Literal(std::string("\\") + escape->second));
      } else if (c < 0x20) {
        constexpr char kDigits[] = "0123456789abcdef";
        ways.push_back(
            Literal(std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 15]));
      }
    }
  }
  return Alternatives(std::move(ways));
}

Node JsonQuoted(Node content) {
  return Sequence({Character('"'), std::move(content), Character('"')});
}

Node JsonQuotedText(std::string_view text) {
  std::vector<Node> parts;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = NextCodePoint(text, at);
    parts.push_back(JsonCharacterOf({{c, c}}));
  }
  return JsonQuoted(Sequence(std::move(parts)));
}

Node JsonNameOtherThan(const std::vector<std::string>& names) {
  // A name of other characters is none that is written as it is.
  std::vector<std::string> sorted;
  for (const std::string& name : names) {
    bool raw = true;
    for (size_t at = 0; at < name.size();) {
      const uint32_t c = NextCodePoint(name, at);
      raw = raw && !Intersect({{c, c}}, RawCharacters()).empty();
    }
    if (!raw) continue;
    Require(name.size() <= kMostNameBytes,
            "names beside additionalProperties have at most " +
                std::to_string(kMostNameBytes) + " bytes, got " +
                std::to_string(name.size()));
    sorted.push_back(name);
  }
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return JsonQuoted(RestOfName(sorted, 0, sorted.size(), 0));
}

Node JsonConstant(const formats::Json& value) {
  std::vector<Node> parts;
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      parts.push_back(Sequence({JsonQuotedText(name), Character(':'),
                                JsonSpace(), JsonConstant(member)}));
    }
    return Between(std::move(parts), '{', '}');
  }
  if (value.is_array()) {
    for (const formats::Json& item : value) {
      parts.push_back(JsonConstant(item));
    }
    return Between(std::move(parts), '[', ']');
  }
  if (value.is_string()) return JsonQuotedText(value.get<std::string>());
  return Literal(value.dump());
}

std::optional<Node> JsonFormat(std::string_view name) {
  const auto digits = [](char first, char last) {
    return Characters(
        {{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
  };
  const Node digit = digits('0', '9');
  const auto any_of = [&](std::initializer_list<const char*> texts) {
    std::vector<Node> ways;
    for (const char* text : texts) ways.push_back(Literal(text));
    return Alternatives(std::move(ways));
  };
  const auto first_days = [&](Node last) {
    return Alternatives({Sequence({Character('0'), digits('1', '9')}),
                         Sequence({digits('1', '2'), digit}), std::move(last)});
  };
  const Node to_28 =
      Alternatives({Sequence({Character('0'), digits('1', '9')}),
                    Sequence({Character('1'), digit}),
                    Sequence({Character('2'), digits('0', '8')})});
  const Node year = Sequence({digits('1', '9'), Repeat(digit, 3, 3)});
  // Multiples of 4 in two digits, and those but 00.
  const Node even =
      Characters({{'0', '0'}, {'2', '2'}, {'4', '4'}, {'6', '6'}, {'8', '8'}});
  const Node odd =
      Characters({{'1', '1'}, {'3', '3'}, {'5', '5'}, {'7', '7'}, {'9', '9'}});
  const Node two_or_six = Characters({{'2', '2'}, {'6', '6'}});
  const Node four_or_eight = Characters({{'4', '4'}, {'8', '8'}});
  const Node even_tens =
      Characters({{'2', '2'}, {'4', '4'}, {'6', '6'}, {'8', '8'}});
  const Node leap_pair = Alternatives({Sequence({even, four_or_eight}),
                                       Sequence({odd, two_or_six}),
                                       Sequence({even_tens, Character('0')})});
  // Centuries from 12 on: 1200, 1600, 2000.
  const Node leap_century = Alternatives(
      {Sequence({even_tens, Characters({{'0', '0'}, {'4', '4'}, {'8', '8'}})}),
       Sequence({odd, two_or_six})});
  const Node leap_year =
      Alternatives({Sequence({digits('1', '9'), digit, leap_pair}),
                    Sequence({leap_century, Literal("00")})});
  const Node date = Alternatives(
      {Sequence(
           {year,
            any_of({"-01-", "-03-", "-05-", "-07-", "-08-", "-10-", "-12-"}),
            first_days(Sequence({Character('3'), digits('0', '1')}))}),
       Sequence({year, any_of({"-04-", "-06-", "-09-", "-11-"}),
                 first_days(Literal("30"))}),
       Sequence({year, Literal("-02-"), to_28}),
       Sequence({leap_year, Literal("-02-29")})});
  const Node hour =
      Alternatives({Sequence({digits('0', '1'), digit}),
                    Sequence({Character('2'), digits('0', '3')})});
  const Node minute = Sequence({digits('0', '5'), digit});
  const Node time =
      Sequence({hour, Character(':'), minute, Character(':'), minute,
                Repeat(Sequence({Character('.'), Repeat(digit, 1, 6)}), 0, 1),
                Alternatives({Character('Z'),
                              Sequence({Characters({{'+', '+'}, {'-', '-'}}),
                                        hour, Character(':'), minute})})});
  if (name == "date") return date;
  if (name == "time") return time;
  if (name == "date-time") return Sequence({date, Character('T'), time});
  if (name != "uuid") return std::nullopt;
  const auto hex = [](int64_t count) { return Repeat(Hex(), count, count); };
  const Node dash = Character('-');
  return Sequence(
      {hex(8), dash, hex(4), dash, hex(4), dash, hex(4), dash, hex(12)});
}

}  // namespace ropewalk::grammar
