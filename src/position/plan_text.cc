#include "position/plan_text.h"

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::position {
namespace {

constexpr std::string_view kFirstLine = "ropewalk-plan 1";

template <typename Kind>
using Names = std::span<const std::pair<std::string_view, Kind>>;

constexpr std::array<std::pair<std::string_view, ScoreScale::Kind>, 4> kScales =
    {{{"none", ScoreScale::Kind::kNone},
      {"logn", ScoreScale::Kind::kLogN},
      {"clip", ScoreScale::Kind::kClip},
      {"learned", ScoreScale::Kind::kLearned}}};
constexpr std::array<std::pair<std::string_view, Selector::Kind>, 3>
    kSelectors = {{{"distance", Selector::Kind::kDistance},
                   {"key-below", Selector::Kind::kKeyBelow},
                   {"chunk-step", Selector::Kind::kChunkStep}}};
constexpr std::array<std::pair<std::string_view, PositionMap::Kind>, 3> kMaps =
    {{{"scaled", PositionMap::Kind::kScaled},
      {"floor", PositionMap::Kind::kFloor},
      {"modulo", PositionMap::Kind::kModulo}}};

template <typename Kind>
std::string NameOf(Names<Kind> names, Kind kind) {
  for (const auto& [name, value] : names) {
    if (value == kind) return std::string(name);
  }
  ROPEWALK_CHECK(false);
  return {};
}

std::string CapText(double cap) {
  return std::isinf(cap) ? "inf" : FormatNumber(cap);
}

std::string MapText(const PositionMap& map) {
  return NameOf<PositionMap::Kind>(kMaps, map.kind) + " " +
         FormatNumber(map.scale) + " " + std::to_string(map.divisor) + " " +
         FormatNumber(map.offset) + " " + CapText(map.cap);
}

// The words of one line, taken one after another.
class Words {
 public:
  Words(std::string_view line, int64_t number) : rest_(line), number_(number) {}

  bool Empty() const { return rest_.empty(); }

  std::string_view Next() {
    const size_t space = rest_.find(' ');
    const std::string_view word = rest_.substr(0, space);
    rest_ = space == std::string_view::npos ? std::string_view()
                                            : rest_.substr(space + 1);
    if (word.empty()) Fail("a word is missing");
    return word;
  }

  template <typename Kind>
  Kind NextKind(Names<Kind> names) {
    const std::string_view word = Next();
    for (const auto& [name, kind] : names) {
      if (name == word) return kind;
    }
    Fail("'" + Printable(word, 40) + "' is not known");
  }

  int64_t NextInt(int64_t least, int64_t most) {
    const std::string_view word = Next();
    const std::optional<int64_t> value = ParseInt(word);
    if (!value || *value < least || *value > most) {
      Fail("an integer from " + std::to_string(least) + " to " +
           std::to_string(most) + " expected, got '" + Printable(word, 40) +
           "'");
    }
    return *value;
  }

  double NextNumber() {
    const std::string_view word = Next();
    const std::optional<double> value = ParseNumber(word);
    if (!value) Fail("a number expected, got '" + Printable(word, 40) + "'");
    return *value;
  }

  double NextCap() {
    constexpr std::string_view kNone = "inf";
    if (rest_.substr(0, rest_.find(' ')) != kNone) return NextNumber();
    Next();
    return std::numeric_limits<double>::infinity();
  }

  PositionMap NextMap() {
    PositionMap map;
    map.kind = NextKind<PositionMap::Kind>(kMaps);
    map.scale = NextNumber();
    map.divisor = NextInt(1, kUnbounded);
    map.offset = NextNumber();
    map.cap = NextCap();
    return map;
  }

  void End() {
    if (!Empty()) Fail("'" + Printable(rest_, 40) + "' is too much");
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw std::invalid_argument("plan, line " + std::to_string(number_) + ": " +
                                what);
  }

 private:
  std::string_view rest_;
  int64_t number_;
};

FrequencyTable ReadTable(Words& words) {
  FrequencyTable table;
  table.magnitude = words.NextNumber();
  while (!words.Empty()) table.frequencies.push_back(words.NextNumber());
  return table;
}

Band ReadBand(Words& words, int64_t tables) {
  Band band;
  Selector& selector = band.selector;
  selector.kind = words.NextKind<Selector::Kind>(kSelectors);
  selector.low = words.NextInt(0, kUnbounded);
  selector.high = words.NextInt(selector.low + 1, kUnbounded);
  selector.chunk = words.NextInt(1, kUnbounded);
  band.query = words.NextMap();
  band.key = words.NextMap();
  band.table = words.NextInt(0, tables - 1);
  words.End();
  return band;
}

}  // namespace

std::string PlanText(const Plan& plan) {
  std::string text(kFirstLine);
  text += "\nscale " + NameOf<ScoreScale::Kind>(kScales, plan.scale.kind) +
          " " + std::to_string(plan.scale.length) + "\n";
  for (const FrequencyTable& table : plan.tables) {
    text += "table " + FormatNumber(table.magnitude);
    for (const double frequency : table.frequencies) {
      text += " " + FormatNumber(frequency);
    }
    text += "\n";
  }
  for (const Band& band : plan.bands) {
    const Selector& selector = band.selector;
    text += "band " + NameOf<Selector::Kind>(kSelectors, selector.kind) + " " +
            std::to_string(selector.low) + " " + std::to_string(selector.high) +
            " " + std::to_string(selector.chunk) + " " + MapText(band.query) +
            " " + MapText(band.key) + " " + std::to_string(band.table) + "\n";
  }
  return text;
}

Plan ParsePlanText(std::string_view text) {
  Plan plan;
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view()
                                         : text.substr(end + 1);
    Words words(line, ++number);
    if (number == 1) {
      if (line != kFirstLine) {
        words.Fail("'" + std::string(kFirstLine) + "' expected");
      }
      continue;
    }
    const std::string_view what = words.Next();
    if (what == "scale") {
      plan.scale.kind = words.NextKind<ScoreScale::Kind>(kScales);
      plan.scale.length = words.NextInt(2, kUnbounded);
      words.End();
    } else if (what == "table") {
      plan.tables.push_back(ReadTable(words));
    } else if (what == "band") {
      plan.bands.push_back(
          ReadBand(words, static_cast<int64_t>(plan.tables.size())));
    } else {
      words.Fail("'" + Printable(what, 40) + "' is not known");
    }
  }
  Require(!plan.bands.empty(), "plan: a text without bands");
  return plan;
}

}  // namespace ropewalk::position
