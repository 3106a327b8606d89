#include "position/band_text.h"

#include <cmath>
#include <string>

#include "base/text.h"

namespace ropewalk::position {
namespace {

std::string MapText(const PositionMap& map, char id) {
  std::string text;
  switch (map.kind) {
    case PositionMap::Kind::kScaled:
      if (map.scale == 0) return FormatNumber(map.offset);
      if (map.scale != 1) text = FormatNumber(map.scale) + " ";
      text += id;
      break;
    case PositionMap::Kind::kFloor:
      text = std::string("floor(") + id + " / " + std::to_string(map.divisor) +
             ")";
      break;
    case PositionMap::Kind::kModulo:
      text = std::string(1, id) + " mod " + std::to_string(map.divisor);
      break;
  }
  if (map.offset != 0) text += " + " + FormatNumber(map.offset);
  if (!std::isinf(map.cap)) {
    text = "min(" + text + ", " + FormatNumber(map.cap) + ")";
  }
  return text;
}

std::string SelectorText(const Selector& selector) {
  const std::string low = std::to_string(selector.low);
  const std::string end =
      selector.high == kUnbounded ? "" : " < " + std::to_string(selector.high);
  switch (selector.kind) {
    case Selector::Kind::kDistance:
      return low + " <= i - j" + end;
    case Selector::Kind::kKeyBelow:
      return "j" + end;
    case Selector::Kind::kChunkStep:
      return low + " <= step between chunks of " +
             std::to_string(selector.chunk) + end;
  }
  return "";
}

}  // namespace

BandText Describe(const Plan& plan, const Band& band) {
  const bool turns =
      !plan.tables[static_cast<size_t>(band.table)].frequencies.empty();
  return {.pairs = SelectorText(band.selector),
          .query = turns ? MapText(band.query, 'i') : "nothing",
          .key = turns ? MapText(band.key, 'j') : "nothing"};
}

}  // namespace ropewalk::position
