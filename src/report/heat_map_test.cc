#include "report/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "report/xml_for_test.h"

namespace ropewalk::report {
namespace {

HeatMap Grid(std::vector<std::vector<std::optional<double>>> values) {
  HeatMap map{.title = "a <b>", .row_label = "depth", .column_label = "length"};
  for (size_t r = 0; r < values.size(); ++r) {
    map.rows.push_back("row & " + std::to_string(r));
  }
  for (size_t c = 0; !values.empty() && c < values[0].size(); ++c) {
    map.columns.push_back(std::to_string(c));
  }
  map.values = std::move(values);
  return map;
}

std::vector<XmlElement> TextsOf(const HeatMap& map) {
  std::vector<XmlElement> texts;
  for (const XmlElement& element : XmlReader::Read(ToSvg(map))) {
    if (element.name == "text") texts.push_back(element);
  }
  return texts;
}

TEST(HeatMapTest, EveryCellShowsItsValue) {
  const std::string svg = ToSvg(Grid({{0.0, 0.25}, {1.0, std::nullopt}}));
  EXPECT_NO_THROW(XmlReader::Read(svg));
  for (const std::string text : {">0%<", ">25%<", ">100%<", ">\u2013<"}) {
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  }
  EXPECT_NE(svg.find("row &amp; 1, 1: no result"), std::string::npos);
}

TEST(HeatMapTest, TextIsLightOnDarkCellsAndDarkOnLightOnes) {
  for (const XmlElement& text : TextsOf(Grid({{1.0, 0.5}}))) {
    const std::string& style = text.attributes.at("class");
    if (text.text == "50%") {
      EXPECT_EQ(style, "on-light num mid");
    }
    if (text.text == "100%" && style.find("mid") != std::string::npos) {
      EXPECT_EQ(style, "on-dark num mid");
    }
  }
}

TEST(HeatMapTest, ExtremeValuesAndShapesGiveValidSvg) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<HeatMap> maps = {
      Grid({}), Grid({{}}), Grid({{std::nan(""), infinity, -3.0, 1e30}}),
      Grid(std::vector<std::vector<std::optional<double>>>(
          3, std::vector<std::optional<double>>(200, 0.5)))};
  for (const HeatMap& map : maps) {
    const std::string svg = ToSvg(map);
    for (const XmlElement& element : XmlReader::Read(svg)) {
      for (const auto& [name, value] : element.attributes) {
        if (name == "class" || name == "aria-label" || name == "role") continue;
        EXPECT_EQ(value.find("nan"), std::string::npos);
        EXPECT_EQ(value.find("inf"), std::string::npos);
      }
    }
  }
}

TEST(HeatMapTest, ValuesMustFillTheGrid) {
  HeatMap map = Grid({{0.5, 0.5}});
  map.values[0].pop_back();
  EXPECT_THROW(ToSvg(map), std::invalid_argument);
  map.values.clear();
  EXPECT_THROW(ToSvg(map), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::report
