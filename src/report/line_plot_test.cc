#include "report/line_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "base/text.h"
#include "report/magnify.h"
#include "report/xml_for_test.h"

namespace ropewalk::report {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

Series Line(const std::string& name, const std::vector<double>& losses) {
  Series series{name, {}};
  double length = 256;
  for (const double loss : losses) {
    series.points.push_back({length, loss});
    length *= 2;
  }
  return series;
}

LinePlot LossPlot(std::vector<Series> series) {
  return {.title = "loss <against> length",
          .x = {.label = "tokens",
                .scale = Scale::kLog2,
                .style = NumberStyle::kTokens},
          .y = {.label = "loss & more"},
          .series = std::move(series),
          .x_markers = {{512, "trained to 512", true}}};
}

// Some lines hold and some collapse, the case that the magnified panel is for.
LinePlot TypicalPlot() {
  return LossPlot({Line("rope", {2.1237, 4.6929, 5.9362, 6.2377}),
                   Line("rerope", {2.1234, 2.0961, 2.0963, 2.0972}),
                   Line("window", {2.1283, 2.0972, 2.0972, 2.0972}),
                   Line("dca", {2.1237, 2.0916, 2.1031, 2.1337})});
}

// Fails if the SVG is not well formed or draws outside its canvas.
void ExpectSoundSvg(const std::string& svg) {
  std::vector<XmlElement> elements;
  ASSERT_NO_THROW(elements = XmlReader::Read(svg)) << svg;
  const auto number = [](const std::string& text) {
    const std::optional<double> value = ParseNumber(text);
    EXPECT_TRUE(value) << text;
    return value.value_or(-1);
  };
  const double width = number(elements[0].attributes.at("width"));
  const double height = number(elements[0].attributes.at("height"));
  const auto expect_inside = [&](const std::string& text, bool is_x) {
    EXPECT_GE(number(text), 0);
    EXPECT_LE(number(text), is_x ? width : height);
  };
  for (const XmlElement& element : elements) {
    for (const auto& [name, value] : element.attributes) {
      if (name == "x" || name == "x1" || name == "x2" || name == "cx") {
        expect_inside(value, true);
      } else if (name == "y" || name == "y1" || name == "y2" || name == "cy") {
        expect_inside(value, false);
      } else if (name == "points" || name == "d" || name == "transform") {
        EXPECT_EQ(value.find("nan"), std::string::npos) << value;
        EXPECT_EQ(value.find("inf"), std::string::npos) << value;
      }
      if (name == "class" && value.starts_with("line ")) {
        std::string d = element.attributes.at("d");
        for (char& c : d) c = c == 'M' || c == 'L' ? ' ' : c;
        std::istringstream in(d);
        for (std::string x, y; in >> x >> y;) {
          expect_inside(x, true);
          expect_inside(y, false);
        }
      }
    }
  }
}

int64_t CountOf(const std::string& part, const std::string& text) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(LinePlotTest, TheoryIsALineAndMeasurementsArePoints) {
  const auto drawn = [](Draw draw) {
    Series series = Line("y", {1, 2, 3});
    series.draw = draw;
    const std::string svg = ToSvg(LinePlot{.series = {series}});
    return std::pair(CountOf("class=\"line", svg), CountOf("class=\"dot", svg));
  };
  const auto [lines, dots] = drawn(Draw::kBoth);
  EXPECT_GT(lines, 0);
  EXPECT_EQ(dots, 3 + 1);  // three points and the sample beside the name
  EXPECT_EQ(drawn(Draw::kLine), std::pair(lines, int64_t{0}));
  EXPECT_EQ(drawn(Draw::kPoints), std::pair(int64_t{0}, dots));
}

TEST(LinePlotTest, DegeneratePlotsGiveValidSvg) {
  const std::string long_name(500, 'x');
  const std::vector<std::vector<Series>> cases = {
      {},
      {{"no points", {}}},
      {{"one point", {{512, 2}}}},
      {Line("equal", {2, 2, 2, 2}), Line("same", {2, 2, 2, 2})},
      {{"one x", {{512, 1}, {512, 2}, {512, 3}}}},
      {{"x not positive", {{-1, 1}, {0, 2}}}},
      {{"x not finite", {{kNan, 1}, {kInfinity, 2}, {-kInfinity, 3}}}},
      {Line("huge", {1e30, 2, 1e300, 1e308}), Line("a", {1}), Line("b", {1})},
      {Line("negative", {-1, -2, -1e30, -3})},
      {Line("nan", {kNan, kNan}), Line("inf", {kInfinity, -kInfinity})},
      {Line("between", {1, kNan, 3, kInfinity}), Line("good", {1, 1, 1, 1}),
       Line("fine", {1, 1.01, 1, 1})},
      {Line(long_name, {1, 2}), Line("\xff\x01<&\"'>", {1, 2})},
      {{"error bars",
        {{256, 1, kNan}, {512, 2, kInfinity}, {1024, 2, -1}, {2048, 3, 1e30}}}},
      std::vector<Series>(40, Line("many", {1, 2, 3}))};
  for (const std::vector<Series>& series : cases) {
    for (const Scale scale : {Scale::kLog2, Scale::kLinear}) {
      for (const Best best : {Best::kLow, Best::kHigh, Best::kNone}) {
        LinePlot plot = LossPlot(series);
        plot.best = best;
        plot.x.scale = scale;
        plot.y_markers = {{2.05, "published"}, {kNan, "nothing"}};
        plot.x_markers.push_back({kInfinity, "nowhere", true});
        SCOPED_TRACE(series.empty() ? "no series" : series[0].name);
        ExpectSoundSvg(ToSvg(plot));
        plot.y.scale = Scale::kLog2;
        ExpectSoundSvg(ToSvg(plot));
        plot.y.max = 2.5;
        plot.x.min = 400;
        ExpectSoundSvg(ToSvg(plot));
      }
    }
  }
}

TEST(LinePlotTest, SeriesOfAHundredPointsGiveValidSvg) {
  Series series{"curve", {}};
  for (int64_t i = 100; i > 0; --i) {
    const auto x = static_cast<double>(i);
    series.points.push_back({x, 2 + 8 * std::exp(-x / 10)});
  }
  const std::string svg =
      ToSvg(LinePlot{.series = {series, series}, .zoom = Zoom::kNever});
  ExpectSoundSvg(svg);
  EXPECT_EQ(CountOf("curve at 57: ", svg), 2);  // hover shows every value
}

TEST(LinePlotTest, CollapsedAndHoldingLinesGetAPanelEach) {
  const std::optional<Magnified> magnified = FindMagnified(TypicalPlot());
  ASSERT_TRUE(magnified);
  EXPECT_EQ(magnified->holds, (std::vector<bool>{false, true, true, true}));
  EXPECT_GT(magnified->range.low, 2.0);
  EXPECT_LT(magnified->range.high, 2.2);
  const std::string svg = ToSvg(TypicalPlot());
  ExpectSoundSvg(svg);
  EXPECT_NE(svg.find("3 best lines, magnified"), std::string::npos);
}

TEST(LinePlotTest, ALineThatEndsAFifthAwayDoesNotHold) {
  const std::optional<Magnified> magnified =
      FindMagnified(LossPlot({Line("best", {2, 2}), Line("close", {2, 2.01}),
                              Line("fifth", {2, 2.8}), Line("worst", {2, 6})}));
  ASSERT_TRUE(magnified);
  EXPECT_EQ(magnified->holds, (std::vector<bool>{true, true, false, false}));
}

TEST(LinePlotTest, DifferencesBelowTheErrorsAreNotDrawnLarge) {
  LinePlot plot = LossPlot(
      {Line("a", {2, 2}), Line("b", {2, 2.02}), Line("worst", {2, 30})});
  for (Series& series : plot.series) {
    for (Point& point : series.points) point.error = 0.12;
  }
  const std::optional<Magnified> magnified = FindMagnified(plot);
  ASSERT_TRUE(magnified);
  EXPECT_GE(magnified->range.high - magnified->range.low, 8 * 0.12);
  plot.series.back().points.back().y = 4;  // the errors fill the rest
  EXPECT_FALSE(FindMagnified(plot));
}

TEST(LinePlotTest, APictureForATelephoneFitsItsScreen) {
  LinePlot plot = TypicalPlot();
  plot.title =
      "A title of so many words that one line of a telephone has no "
      "room for all of them";
  plot.series[1].name = "a name that is much too long for a narrow picture";
  const Picture picture = ToPicture(plot);
  EXPECT_EQ(picture.svg, ToSvg(plot));
  ExpectSoundSvg(picture.narrow);
  const auto svg = XmlReader::Read(picture.narrow).at(0);
  EXPECT_LE(ParseNumber(svg.attributes.at("width")).value_or(1e9), 350);
  for (const Series& series : plot.series) {
    EXPECT_NE(picture.narrow.find("<title>" + series.name), std::string::npos);
  }
  // With the same values beside the names.
  EXPECT_EQ(CountOf("class=\"soft num end\"", picture.narrow),
            CountOf("class=\"soft num end\"", picture.svg));
  EXPECT_TRUE(ToPicture(LossPlot({})).empty());
}

TEST(LinePlotTest, OnePanelIsEnoughForLinesFarApart) {
  EXPECT_FALSE(FindMagnified(LossPlot({Line("a", {1, 2}), Line("b", {2, 3})})));
  EXPECT_FALSE(FindMagnified(LossPlot({Line("a", {1, 1}), Line("b", {1, 9})})));
  EXPECT_FALSE(FindMagnified(LossPlot({Line("a", {kNan})})));
  LinePlot plot = TypicalPlot();
  plot.zoom = Zoom::kNever;
  EXPECT_FALSE(FindMagnified(plot));
}

TEST(LinePlotTest, TheHighLinesAreMagnifiedIfHighIsBest) {
  LinePlot plot = LossPlot({Line("a", {0.9, 0.900}), Line("b", {0.9, 0.897}),
                            Line("c", {0.9, 0.1})});
  plot.best = Best::kHigh;
  ASSERT_TRUE(FindMagnified(plot));
  EXPECT_EQ(FindMagnified(plot)->holds, (std::vector<bool>{true, true, false}));
}

TEST(LinePlotTest, EverySeriesIsLabelledOnceWithItsLastValue) {
  LinePlot plot = TypicalPlot();
  plot.y.digits = 3;
  plot.series.push_back(Line("overflow", {2.1, kNan}));
  plot.series.push_back({"empty", {}});
  int64_t labels = 0;
  std::vector<std::string> texts;
  for (const XmlElement& element : XmlReader::Read(ToSvg(plot))) {
    if (element.name == "text") texts.push_back(element.text);
  }
  for (const Series& series : plot.series) {
    labels += std::count(texts.begin(), texts.end(), series.name);
  }
  EXPECT_EQ(labels, 6);
  for (const std::string value : {"6.238", "2.134", "nan", "no data"}) {
    EXPECT_EQ(std::count(texts.begin(), texts.end(), value), 1) << value;
  }
}

TEST(LinePlotTest, LabelsDoNotOverlap) {
  std::vector<Series> series;
  for (int64_t i = 0; i < 20; ++i) {
    series.push_back(Line("scheme " + std::to_string(i), {2.1, 2.1}));
  }
  std::vector<double> rows;
  for (const XmlElement& element : XmlReader::Read(ToSvg(LossPlot(series)))) {
    if (element.name != "text" || !element.text.starts_with("scheme")) continue;
    rows.push_back(*ParseNumber(element.attributes.at("y")));
  }
  ASSERT_EQ(rows.size(), 20u);
  std::sort(rows.begin(), rows.end());
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_GE(rows[i] - rows[i - 1], 14);
}

TEST(LinePlotTest, PointsOffTheAxisAreArrowsWithTheirValue) {
  LinePlot plot = LossPlot({Line("a", {2, 1e30}), Line("b", {2, kNan})});
  plot.y.max = 8;
  const std::string svg = ToSvg(plot);
  ExpectSoundSvg(svg);
  EXPECT_NE(svg.find("<title>a at 512: 1e30</title>"), std::string::npos);
  EXPECT_NE(svg.find("<title>b at 512: nan</title>"), std::string::npos);
  EXPECT_EQ(CountOf("l5 8h-3.2", svg), 2);
}

TEST(LinePlotTest, TrainedLengthIsMarkedAndShaded) {
  const std::string svg = ToSvg(TypicalPlot());
  EXPECT_EQ(CountOf(">trained to 512<", svg), 1);
  EXPECT_EQ(CountOf("class=\"shade\"", svg), 2);  // in both panels
}

TEST(LinePlotTest, PictureNeedsNothingOutsideItself) {
  const std::string svg = ToSvg(TypicalPlot());
  EXPECT_EQ(CountOf("http", svg), 1);  // the namespace
  EXPECT_EQ(CountOf(" id=", svg), 0);  // several fit into one page
  EXPECT_EQ(CountOf("<script", svg), 0);
  EXPECT_EQ(svg, ToSvg(TypicalPlot()));
}

}  // namespace
}  // namespace ropewalk::report
