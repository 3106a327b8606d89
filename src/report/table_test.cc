#include "report/table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "base/text.h"
#include "report/markup.h"
#include "report/xml_for_test.h"

namespace ropewalk::report {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Reads RFC 4180 and no extensions of it.
std::vector<std::vector<std::string>> ParseCsv(const std::string& csv) {
  std::vector<std::vector<std::string>> rows = {{""}};
  bool is_quoted = false;
  for (size_t i = 0; i < csv.size(); ++i) {
    std::string& field = rows.back().back();
    if (is_quoted) {
      if (csv[i] != '"') {
        field += csv[i];
      } else if (i + 1 < csv.size() && csv[i + 1] == '"') {
        field += csv[i++];
      } else {
        is_quoted = false;
      }
    } else if (csv[i] == '"') {
      is_quoted = true;
    } else if (csv[i] == ',') {
      rows.back().emplace_back();
    } else if (csv.compare(i, 2, "\r\n") == 0) {
      rows.push_back({""});
      ++i;
    } else {
      field += csv[i];
    }
  }
  rows.pop_back();  // every row ends with CRLF
  return rows;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(TableTest, CsvRoundTripsEveryText) {
  const std::vector<std::string> texts = {
      "plain", "a,b", "say \"x\"", "two\r\nlines", "\n", "\"", "\u4f4d", ""};
  Table table({{"a,b"}, {"n"}});
  for (const std::string& text : texts) table.AddRow({text, 1});
  const auto rows = ParseCsv(ToCsv(table));
  ASSERT_EQ(rows.size(), texts.size() + 1);
  EXPECT_EQ(rows[0][0], "a,b");
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(rows[i + 1], (std::vector<std::string>{texts[i], "1"}));
  }
}

TEST(TableTest, CsvKeepsDigitsThatTheColumnRoundsAway) {
  const double value = 2.0 / 3;
  Table table({{.name = "loss", .unit = "nats", .digits = 2}, {"n"}});
  table.AddRow({value, std::numeric_limits<int64_t>::max()});
  const auto rows = ParseCsv(ToCsv(table));
  EXPECT_EQ(rows[0][0], "loss");
  EXPECT_EQ(ParseNumber(rows[1][0]), value);
  EXPECT_EQ(rows[1][1], "9223372036854775807");
}

TEST(TableTest, CsvDistinguishesMissingFromNan) {
  Table table({{"a"}, {"b"}, {"c"}, {"d"}});
  table.AddRow({{}, std::nan(""), kInfinity, -kInfinity});
  EXPECT_EQ(ToCsv(table), "a,b,c,d\r\n,nan,inf,-inf\r\n");
}

TEST(TableTest, TextAlignsNumbersRightAndCountsWideCharactersTwice) {
  Table table({{"name"}, {.name = "loss", .digits = 2}});
  table.AddRow({"\u4f4d\u7f6e", 2.1});
  table.AddRow({"rerope", 12.345});
  table.AddRow({"e\u0301", {}});
  EXPECT_EQ(ToText(table),
            "name     loss\n"
            "──────  ─────\n"
            "\u4f4d\u7f6e     2.10\n"
            "rerope  12.35\n"
            "e\u0301           -\n");
}

TEST(TableTest, TextHasOneLineForEachRowDespiteLineBreaksInCells) {
  Table table({{"a"}, {"b", "unit"}});
  table.AddRow({"two\nlines\x1b[31m", "\xff"});
  const std::vector<std::string> lines = Lines(ToText(table));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[2].find('\x1b'), std::string::npos);
  EXPECT_FALSE(FindInvalidUtf8(ToText(table)));
  EXPECT_NE(lines[0].find("b (unit)"), std::string::npos);
}

TEST(TableTest, TextHasNoTrailingSpaces) {
  Table table({{"a"}, {"long heading"}});
  table.AddRow({"x", "y"});
  for (const std::string& line : Lines(ToText(table))) {
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST(TableTest, MarkdownCellsCannotBreakTheTable) {
  Table table({{"a|b"}, {"n"}});
  table.AddRow({"x|y\nz*_`", 1});
  const std::vector<std::string> lines = Lines(ToMarkdown(table));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "| a\\|b         |   n |");
  EXPECT_EQ(lines[1], "| ------------ | ---:|");
  EXPECT_EQ(lines[2], "| x\\|y z\\*\\_\\` |   1 |");
}

TEST(TableTest, TheBestOfAColumnIsBold) {
  Table table({{"a"},
               {.name = "low", .digits = 1, .best = Best::kLow},
               {.name = "high", .best = Best::kHigh}});
  table.AddRow({"x", 2.0, std::nan("")});
  table.AddRow({"y", 3.0, 7});
  table.AddRow({"z", 2.0, {}});
  const std::string markdown = ToMarkdown(table);
  EXPECT_NE(markdown.find("| x   | **2.0** |"), std::string::npos) << markdown;
  EXPECT_NE(markdown.find("| y   |     3.0 | **7** |"), std::string::npos);
  EXPECT_NE(markdown.find("| z   | **2.0** |"), std::string::npos);
  EXPECT_NE(ToHtml(table).find("<strong>7</strong>"), std::string::npos);
}

TEST(TableTest, HtmlIsWellFormedAndEscaped) {
  Table table({{"<a>"}, {"n"}});
  table.AddRow({"</td><script>&\x01\xff", 0.5});
  const std::vector<XmlElement> elements = XmlReader::Read(ToHtml(table));
  int64_t cells = 0;
  for (const XmlElement& element : elements) {
    EXPECT_NE(element.name, "script");
    if (element.name == "td") ++cells;
  }
  EXPECT_EQ(cells, 2);
}

TEST(TableTest, TokenColumnsUseKAndM) {
  Table table({{.name = "length", .style = NumberStyle::kTokens}});
  table.AddRow({4096});
  EXPECT_NE(ToText(table).find("4k"), std::string::npos);
  EXPECT_NE(ToCsv(table).find("4096"), std::string::npos);
}

TEST(TableTest, RowOfTheWrongWidthIsRefused) {
  Table table({{"a"}, {"b"}});
  EXPECT_THROW(table.AddRow({1}), std::invalid_argument);
}

TEST(TableTest, TablesWithoutRowsOrColumnsAreAllowed) {
  EXPECT_EQ(ToText(Table({{"a"}})), "a\n─\n");
  EXPECT_EQ(ToCsv(Table({{"a"}})), "a\r\n");
  EXPECT_NO_THROW(XmlReader::Read(ToHtml(Table({}))));
  EXPECT_NO_THROW(ToMarkdown(Table({})));
}

}  // namespace
}  // namespace ropewalk::report
