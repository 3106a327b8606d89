#include "cli/distance_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "base/text.h"
#include "report/markup.h"
#include "report/svg.h"

namespace ropewalk::cli {
namespace {

constexpr int64_t kCells = 48;
constexpr double kCellPx = 4;
constexpr double kMapPx = kCells * kCellPx;
constexpr double kStepPx = kMapPx + 26;
constexpr double kLeftPx = 20;
constexpr double kTopPx = 62;

// From near to the largest distance of training, then what no training has
// seen, and keys that are seen without a position. Legible on white and black.
constexpr int64_t kShades = 12;
using Rgb = std::array<double, 3>;
constexpr std::array<Rgb, 3> kRamp = {Rgb{255, 205, 80}, Rgb{68, 178, 130},
                                      Rgb{58, 104, 214}};
constexpr const char* kUnseen = "#cf3a34";
constexpr const char* kNoPosition = "#8c959f";

std::string Shade(int64_t index) {
  const double at = 2.0 * static_cast<double>(index) / (kShades - 1);
  const auto from = static_cast<size_t>(std::min(1.0, std::floor(at)));
  const double share = at - static_cast<double>(from);
  std::string rgb = "#";
  for (size_t c = 0; c < 3; ++c) {
    const double value =
        kRamp[from][c] + share * (kRamp[from + 1][c] - kRamp[from][c]);
    std::array<char, 3> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x",
                  static_cast<unsigned>(std::lround(value)));
    rgb += hex.data();
  }
  return rgb;
}

// Empty for a pair that is masked.
std::string ColourOfPair(const position::Plan& plan, int64_t i, int64_t j,
                         double N) {
  const std::optional<int64_t> band = plan.BandOf(i, j);
  if (j > i || !band) return "";
  const auto table =
      static_cast<size_t>(plan.bands[static_cast<size_t>(*band)].table);
  if (plan.tables[table].frequencies.empty()) return kNoPosition;
  const double r = *plan.EffectiveDistance(i, j);
  if (r >= N) return kUnseen;
  return Shade(std::clamp<int64_t>(
      static_cast<int64_t>(r / N * static_cast<double>(kShades)), 0,
      kShades - 1));
}

void DrawMap(report::Canvas& canvas, const position::Plan& plan, double left,
             int64_t length, int64_t N) {
  // By colour; cells of one colour that stand side by side are one box.
  std::map<std::string, std::vector<report::Box>> boxes;
  const auto middle = [length](int64_t cell) {
    return (2 * cell + 1) * length / (2 * kCells);
  };
  for (int64_t row = 0; row < kCells; ++row) {
    const double top = kTopPx + kCellPx * static_cast<double>(row);
    for (int64_t column = 0; column <= row;) {
      const std::string colour = ColourOfPair(plan, middle(row), middle(column),
                                              static_cast<double>(N));
      const int64_t first = column;
      do {
        ++column;
      } while (column <= row && ColourOfPair(plan, middle(row), middle(column),
                                             static_cast<double>(N)) == colour);
      if (colour.empty()) continue;
      boxes[colour].push_back({left + kCellPx * static_cast<double>(first), top,
                               left + kCellPx * static_cast<double>(column),
                               top + kCellPx});
    }
  }
  for (const auto& [colour, list] : boxes) canvas.Fill(list, colour);
  canvas.Text({left + kMapPx, kTopPx + 12}, "keys \u2192", "soft end");
  canvas.Text({left + kMapPx, kTopPx + 28}, "queries \u2193", "soft end");
}

// How often slower than the model's own each pair of components turns, a bar
// each on a logarithmic scale; a pair that stands still has the full height.
void DrawTable(report::Canvas& canvas, const position::FrequencyTable& table,
               const position::FrequencyTable& own, double left) {
  std::vector<double> slower;
  double most = 1;
  for (size_t m = 0; m < own.frequencies.size(); ++m) {
    const double theta = table.frequencies[m];
    slower.push_back(theta > 0 ? own.frequencies[m] / theta : INFINITY);
    if (theta > 0) most = std::max(most, slower.back());
  }
  constexpr double kBarsPx = kMapPx - 34;
  const double width = kMapPx / static_cast<double>(slower.size());
  std::vector<report::Box> turning;
  std::vector<report::Box> still;
  const double bottom = kTopPx + kMapPx - 16;
  for (size_t m = 0; m < slower.size(); ++m) {
    const bool stands = std::isinf(slower[m]);
    const double share =
        stands     ? 1
        : most > 1 ? std::max(0.0, std::log(slower[m]) / std::log(most))
                   : 0;
    const double x = left + width * static_cast<double>(m);
    (stands ? still : turning)
        .push_back({x, bottom - 2 - share * kBarsPx, x + width - 1, bottom});
  }
  canvas.Fill(turning, Shade(kShades - 1));
  canvas.Fill(still, kNoPosition);
  canvas.Text({left, kTopPx + 10},
              "at most " + FormatNumber(std::round(most * 100) / 100) +
                  (still.empty() ? "" : "; grey: not at all"),
              "soft");
  canvas.Text({left, kTopPx + kMapPx}, "fast pairs", "soft");
  canvas.Text({left + kMapPx, kTopPx + kMapPx}, "slow pairs", "soft end");
}

// The first of the plan's tables that is not the model's own.
const position::FrequencyTable* ChangedTable(
    const position::Plan& plan, const position::FrequencyTable& own) {
  for (const position::FrequencyTable& table : plan.tables) {
    if (!table.frequencies.empty() && table.frequencies != own.frequencies &&
        table.frequencies.size() == own.frequencies.size()) {
      return &table;
    }
  }
  return nullptr;
}

void DrawLegend(report::Canvas& canvas, double y, int64_t N) {
  constexpr double kBoxPx = 9;
  for (int64_t s = 0; s < kShades; ++s) {
    const double x = kLeftPx + 14 + kBoxPx * static_cast<double>(s);
    canvas.Fill({x, y - 9, x + kBoxPx, y}, Shade(s));
  }
  double x = kLeftPx + 20 + kBoxPx * static_cast<double>(kShades);
  canvas.Text({kLeftPx, y}, "0", "soft");
  canvas.Text({x, y}, "N = " + std::to_string(N), "soft");
  x += 62;
  canvas.Fill({x, y - 9, x + kBoxPx, y}, kUnseen);
  canvas.Text({x + 13, y}, "unseen", "soft");
}

std::string RangeText(int64_t first, int64_t last) {
  return first == last ? std::to_string(first)
                       : std::to_string(first) + "-" + std::to_string(last);
}

}  // namespace

std::vector<LayerKind> KindsOf(const position::Stack& stack) {
  std::vector<LayerKind> kinds;
  std::vector<std::vector<int64_t>> layers;
  for (size_t l = 0; l < stack.size(); ++l) {
    const auto known = std::ranges::find(kinds, stack[l], &LayerKind::plan);
    const auto k = static_cast<size_t>(known - kinds.begin());
    if (known == kinds.end()) {
      kinds.push_back({.plan = stack[l], .layers = ""});
      layers.emplace_back();
    }
    layers[k].push_back(static_cast<int64_t>(l) + 1);
  }
  for (size_t k = 0; k < kinds.size(); ++k) {
    std::vector<std::string> ranges;
    for (size_t at = 0; at < layers[k].size();) {
      size_t end = at + 1;
      while (end < layers[k].size() &&
             layers[k][end] == layers[k][end - 1] + 1) {
        ++end;
      }
      ranges.push_back(RangeText(layers[k][at], layers[k][end - 1]));
      at = end;
    }
    std::string& text = kinds[k].layers;
    for (size_t r = 0; r < ranges.size(); ++r) {
      text += (r == 0                   ? ""
               : r + 1 == ranges.size() ? " and "
                                        : ", ") +
              ranges[r];
    }
    text = (layers[k].size() == 1 ? "layer " : "layers ") + text;
  }
  return kinds;
}

std::string DistanceSvg(const std::vector<LayerKind>& kinds,
                        const position::ModelPositions& model, int64_t length,
                        const std::string& title) {
  const position::FrequencyTable own = position::OwnTable(model, length);
  size_t panels = 0;
  for (const LayerKind& kind : kinds) {
    panels += ChangedTable(kind.plan, own) == nullptr ? 1 : 2;
  }
  // Room for the maps, the title and the legend.
  constexpr double kLegendPx = 280;
  const double width =
      std::max({kStepPx * static_cast<double>(panels) - 26,
                report::TextWidthPx(title, report::kFontPx) * 1.1, kLegendPx});
  report::Canvas canvas(2 * kLeftPx + width, kTopPx + kMapPx + 34, title);
  canvas.Text({kLeftPx, 24}, title, "head");
  double left = kLeftPx;
  for (const LayerKind& kind : kinds) {
    canvas.Text({left, 50},
                kinds.size() == 1 ? "effective distance" : kind.layers, "soft");
    DrawMap(canvas, kind.plan, left, length, model.train_length);
    left += kStepPx;
    if (const auto* table = ChangedTable(kind.plan, own)) {
      canvas.Text({left, 50}, "turns so many times slower", "soft");
      DrawTable(canvas, *table, own, left);
      left += kStepPx;
    }
  }
  DrawLegend(canvas, kTopPx + kMapPx + 20, model.train_length);
  return canvas.Finish();
}

}  // namespace ropewalk::cli
