#include "cli/tile_picture.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "report/svg.h"

namespace ropewalk::cli {

using evaluate::TileMap;

namespace {

// Legible on white and on black: the first band, the second and so on.
constexpr std::array<std::string_view, 4> kWhole = {"#2f7fd6", "#d9782d",
                                                    "#2b9a72", "#9a6bc9"};
constexpr std::array<std::string_view, 4> kPart = {"#9cc3ec", "#efbd95",
                                                   "#9ed3bf", "#cfb8e6"};
constexpr std::string_view kMixed = "#b01e4f";

std::string_view ColourOf(const TileMap::Cell& cell) {
  const auto band = static_cast<size_t>(cell.band) % kWhole.size();
  switch (cell.kind) {
    case TileMap::Kind::kWhole:
      return kWhole[band];
    case TileMap::Kind::kPart:
      return kPart[band];
    case TileMap::Kind::kMixed:
      return kMixed;
    case TileMap::Kind::kSkipped:
      break;
  }
  return "";
}

}  // namespace

std::string ToSvg(const TileMap& map, const std::string& title) {
  constexpr double kSide = 520;
  constexpr double kLeft = 96;
  constexpr double kTop = 78;
  const double px = kSide / static_cast<double>(map.length);
  report::Canvas canvas(kLeft + kSide + 20, kTop + kSide + 96, title);
  canvas.Text({20, 28}, title, "title");
  canvas.Text({20, 48},
              "blocks of " + std::to_string(map.block_keys) + " keys by " +
                  std::to_string(map.strip_tokens) + " queries",
              "soft");
  canvas.Text({kLeft + kSide / 2, kTop - 12}, "keys \u2192", "head mid");
  canvas.Text({kLeft - 8, kTop + 14}, "queries \u2193", "head end");
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double top = kTop + px * static_cast<double>(map.strip_tokens) *
                                  static_cast<double>(r);
    const double bottom = std::min(
        kTop + kSide, top + px * static_cast<double>(map.strip_tokens));
    for (size_t c = 0; c < map.rows[r].size(); ++c) {
      const std::string_view colour = ColourOf(map.rows[r][c]);
      if (colour.empty()) continue;
      const double left = kLeft + px * static_cast<double>(map.block_keys) *
                                      static_cast<double>(c);
      const double right = std::min(
          kLeft + kSide, left + px * static_cast<double>(map.block_keys));
      canvas.Fill({left, top, right - 0.4, bottom - 0.4}, colour);
    }
  }
  canvas.Text({kLeft - 8, kTop + kSide}, std::to_string(map.length),
              "soft num end");
  canvas.Text({kLeft + kSide, kTop - 12}, std::to_string(map.length),
              "soft num end");
  const double y = kTop + kSide + 26;
  const auto key = [&](double x, double at, std::string_view colour,
                       const std::string& text) {
    canvas.Fill({x, at - 10, x + 12, at + 2}, colour);
    canvas.Text({x + 18, at}, text, "soft");
  };
  key(kLeft, y, kWhole[0], "first band, all pairs");
  key(kLeft + 175, y, kPart[0], "some pairs masked");
  key(kLeft + 330, y, kMixed, "two bands: both computed");
  key(kLeft, y + 22, kWhole[1], "second band, all pairs");
  key(kLeft + 175, y + 22, kPart[1], "some pairs masked");
  key(kLeft + 330, y + 22, kWhole[2], "third band, all pairs");
  canvas.Text({kLeft, y + 46}, "blank: masked, skipped", "soft");
  return canvas.Finish();
}

}  // namespace ropewalk::cli
