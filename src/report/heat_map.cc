#include "report/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "report/markup.h"
#include "report/svg.h"

namespace ropewalk::report {
namespace {

constexpr double kMapMarginPx = 14;
constexpr double kCellHeight = 30;
constexpr double kWidestPx = 560;  // of all columns together, if they fit
constexpr int64_t kMapNameColumns = 36;
constexpr double kLegendWidth = 120;
constexpr int64_t kLegendSteps = 24;

struct Rgb {
  double r, g, b;  // 0..255
};

// Brick, sand, teal: colour-blind readers can distinguish red from blue-green,
// and a failure stands out on white and on black.
constexpr std::array<Rgb, 5> kStops = {{{160, 44, 44},
                                        {219, 122, 88},
                                        {242, 222, 184},
                                        {110, 180, 176},
                                        {18, 105, 118}}};

// The colour of a value in [0, 1], or of the nearer end.
Rgb ColourOf(double value) {
  const double at = std::clamp(value, 0.0, 1.0) * (kStops.size() - 1);
  const size_t i = std::min(static_cast<size_t>(at), kStops.size() - 2);
  const double part = at - static_cast<double>(i);
  const auto mix = [part](double a, double b) { return a + part * (b - a); };
  return {mix(kStops[i].r, kStops[i + 1].r), mix(kStops[i].g, kStops[i + 1].g),
          mix(kStops[i].b, kStops[i + 1].b)};
}

std::string ToHex(const Rgb& rgb) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "#%02x%02x%02x",
                static_cast<unsigned>(std::lround(rgb.r)),
                static_cast<unsigned>(std::lround(rgb.g)),
                static_cast<unsigned>(std::lround(rgb.b)));
  return text.data();
}

// Relative luminance as WCAG defines it; white and near-black text have equal
// contrast at about 0.215.
bool IsDark(const Rgb& rgb) {
  const auto linear = [](double channel) {
    const double c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(rgb.r) + 0.7152 * linear(rgb.g) +
             0.0722 * linear(rgb.b) <
         0.215;
}

double WidestPx(const std::vector<std::string>& texts) {
  double widest = 0;
  for (const std::string& text : texts) {
    widest = std::max(widest, TextWidthPx(text, kFontPx));
  }
  return widest;
}

std::vector<std::string> ShortenAll(const std::vector<std::string>& names,
                                    int64_t columns) {
  std::vector<std::string> out;
  out.reserve(names.size());
  for (const std::string& name : names) out.push_back(Shorten(name, columns));
  return out;
}

void DrawCell(const HeatMap& map, size_t r, size_t c, const Box& box,
              Canvas& canvas) {
  const std::optional<double>& value = map.values[r][c];
  const bool has_value = value && std::isfinite(*value);
  const std::string text =
      has_value ? FormatValue(*value, map.style, map.digits) : "\u2013";
  canvas.BeginGroup(map.rows[r] + ", " + map.columns[c] + ": " +
                    (value ? FormatValue(*value, map.style) : "no result"));
  const Box inner = {box.left + 1, box.top + 1, box.right - 1, box.bottom - 1};
  std::string style = "soft";
  if (has_value) {
    const Rgb colour = ColourOf(*value);
    canvas.Fill(inner, ToHex(colour));
    style = IsDark(colour) ? "on-dark" : "on-light";
  } else {
    canvas.Rect(inner, "none");
  }
  if (TextWidthPx(text, kFontPx) <= box.right - box.left + 4) {
    canvas.Text({(box.left + box.right) / 2, (box.top + box.bottom) / 2 + 4},
                text, style + " num mid");
  }
  canvas.EndGroup();
}

// Draws the scale of colours, right aligned above the grid.
void DrawLegend(const HeatMap& map, double right, double y, Canvas& canvas) {
  const std::string high = FormatValue(1, map.style);
  const std::string low = FormatValue(0, map.style);
  const double to = right - TextWidthPx(high, kFontPx) - 5;
  const double from = to - kLegendWidth;
  for (int64_t i = 0; i < kLegendSteps; ++i) {
    const double step = kLegendWidth / kLegendSteps;
    const double left = from + static_cast<double>(i) * step;
    canvas.Fill({left, y - 9, left + step, y + 1},
                ToHex(ColourOf(static_cast<double>(i) / (kLegendSteps - 1))));
  }
  canvas.Text({from - 5, y}, low, "soft num end");
  canvas.Text({right, y}, high, "soft num end");
}

}  // namespace

std::string ToSvg(const HeatMap& map) {
  Require(map.values.size() == map.rows.size(),
          "HeatMap: " + std::to_string(map.rows.size()) +
              " rows are named but " + std::to_string(map.values.size()) +
              " have values");
  for (const auto& row : map.values) {
    Require(row.size() == map.columns.size(),
            "HeatMap: " + std::to_string(map.columns.size()) +
                " columns are named but a row has " +
                std::to_string(row.size()) + " values");
  }
  const std::vector<std::string> rows = ShortenAll(map.rows, kMapNameColumns);
  const std::vector<std::string> columns = ShortenAll(map.columns, 16);
  const auto column_count = static_cast<double>(columns.size());
  const double fitting = kWidestPx / std::max(1.0, column_count);
  const double cell_width = std::clamp(
      std::min(fitting, std::max(64.0, WidestPx(columns) + 12)), 8.0, 140.0);
  // A name fits above every `stride`-th column.
  const auto stride = static_cast<size_t>(
      std::ceil(std::max(1.0, (WidestPx(columns) + 6) / cell_width)));

  const double left =
      kMapMarginPx +
      std::max(WidestPx(rows), TextWidthPx(Shorten(map.row_label, 40), 12)) +
      10;
  const double grid_right = left + cell_width * column_count;
  const double right = std::max(grid_right, left + 2 * kLegendWidth);
  const double title = map.title.empty() ? 0 : 28;
  const double top = kMapMarginPx + title + 58;
  const double bottom = top + kCellHeight * static_cast<double>(rows.size());

  Canvas canvas(right + kMapMarginPx, bottom + kMapMarginPx, map.title);
  canvas.Text({kMapMarginPx, kMapMarginPx + 16},
              Shorten(map.title, static_cast<int64_t>(right / 10)), "title");
  DrawLegend(map, right, kMapMarginPx + title + 14, canvas);
  canvas.Text({kMapMarginPx, top - 10}, Shorten(map.row_label, 40), "head");
  canvas.Text({(left + grid_right) / 2, top - 27},
              Shorten(map.column_label, 60), "head mid");
  for (size_t c = 0; c < columns.size(); c += stride) {
    const double x = left + cell_width * (static_cast<double>(c) + 0.5);
    canvas.Text({x, top - 10}, columns[c], "soft num mid");
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    const double y = top + kCellHeight * static_cast<double>(r);
    canvas.Text({left - 8, y + kCellHeight / 2 + 4}, rows[r], "num end");
    for (size_t c = 0; c < columns.size(); ++c) {
      const double x = left + cell_width * static_cast<double>(c);
      DrawCell(map, r, c, {x, y, x + cell_width, y + kCellHeight}, canvas);
    }
  }
  if (rows.empty() || columns.empty()) {
    canvas.Text({left, top + 4}, "no data", "soft");
  }
  return canvas.Finish();
}

}  // namespace ropewalk::report
