#include "memory/law.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::memory {
namespace {

constexpr std::array<std::pair<std::string_view, Law::Kind>, 3> kKinds = {
    {{"far", Law::Kind::kFar},
     {"place", Law::Kind::kPlace},
     {"order", Law::Kind::kOrder}}};

constexpr int64_t kMostTokens = int64_t{1} << 30;

int64_t Count(std::string_view key, std::string_view text) {
  const std::optional<int64_t> count = ParseLength(text);
  Require(count && *count <= kMostTokens,
          "memory law: " + std::string(key) +
              " must be a number of tokens, got '" + Printable(text, 40) + "'");
  return *count;
}

double Number(std::string_view key, std::string_view text, double least,
              double most) {
  const std::optional<double> number = ParseNumber(text);
  Require(number && *number >= least && *number <= most,
          "memory law: " + std::string(key) + " must be from " +
              FormatNumber(least) + " to " + FormatNumber(most) + ", got '" +
              Printable(text, 40) + "'");
  return *number;
}

}  // namespace

Law ParseLaw(std::string_view spelling) {
  const size_t colon = spelling.find(':');
  const std::string_view name = spelling.substr(0, colon);
  Law law;
  bool known = false;
  for (const auto& [kind_name, kind] : kKinds) {
    if (kind_name != name) continue;
    law.kind = kind;
    known = true;
  }
  Require(known, "memory law '" + Printable(name, 40) +
                     "' is none of far, place, order");
  if (colon == std::string_view::npos) return law;
  std::string_view rest = spelling.substr(colon + 1);
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const size_t equals = item.find('=');
    Require(equals != std::string_view::npos,
            "memory law: '" + Printable(item, 40) + "' is not KEY=VALUE");
    const std::string_view key = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    if (key == "distance") {
      law.distance = Count(key, value);
    } else if (key == "skip") {
      law.skip = Count(key, value);
    } else if (key == "alone") {
      law.alone = Count(key, value);
    } else if (key == "sharpness") {
      law.sharpness = Number(key, value, 0.01, 100);
    } else if (key == "bias") {
      law.bias = Number(key, value, -100, 100);
    } else {
      Require(false, "memory law: '" + Printable(key, 40) +
                         "' is none of distance, skip, alone, sharpness, bias");
    }
    if (comma == std::string_view::npos) return law;
    rest = rest.substr(comma + 1);
  }
}

std::string ToString(const Law& law) {
  std::string text;
  for (const auto& [name, kind] : kKinds) {
    if (kind == law.kind) text = std::string(name);
  }
  if (law.distance >= 0) text += ":distance=" + std::to_string(law.distance);
  text += (law.distance >= 0 ? ",skip=" : ":skip=") + std::to_string(law.skip);
  text += ",alone=" + std::to_string(law.alone);
  if (law.sharpness) text += ",sharpness=" + FormatNumber(*law.sharpness);
  if (law.bias) text += ",bias=" + FormatNumber(*law.bias);
  return text;
}

Law LawFor(const Law& law, const position::ModelPositions& positions) {
  Law set = law;
  if (set.distance < 0) {
    set.distance = set.kind == Law::Kind::kFar ? positions.train_length / 4 : 0;
  }
  const bool windows = std::ranges::any_of(
      positions.layers,
      [](const position::LayerPositions& l) { return l.window != 0; });
  if (!set.sharpness) set.sharpness = windows ? 1.0 : 1.1;
  if (!set.bias) set.bias = windows ? 0.0 : -1.0;
  return set;
}

Law LawForChosen(int64_t longest, int64_t prompt,
                 const position::ModelPositions& positions) {
  const bool fits = 4 * (longest + prompt) <= 3 * positions.train_length;
  return LawFor({.kind = fits ? Law::Kind::kPlace : Law::Kind::kFar},
                positions);
}

}  // namespace ropewalk::memory
