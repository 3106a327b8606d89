#include "report/csv.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "report/table.h"

namespace ropewalk::report {
namespace {

TEST(CsvTest, ReadsWhatToCsvWrites) {
  Table table({{.name = "name"}, {.name = "a, \"b\""}, {.name = "value"}});
  table.AddRow({"plain", "two\nlines", 0.1});
  table.AddRow({"", "comma, quote \"", {}});
  const CsvFile file = ParseCsv(ToCsv(table), "t.csv");
  EXPECT_EQ(file.columns,
            (std::vector<std::string>{"name", "a, \"b\"", "value"}));
  ASSERT_EQ(file.rows.size(), 2u);
  EXPECT_EQ(file.rows[0],
            (std::vector<std::string>{"plain", "two\nlines", "0.1"}));
  EXPECT_EQ(file.rows[1],
            (std::vector<std::string>{"", "comma, quote \"", ""}));
  EXPECT_EQ(file.Column("value"), 2u);
  EXPECT_THROW(file.Column("other"), std::invalid_argument);
}

TEST(CsvTest, LinesMayEndInLfOrCrLfAndTheLastWithout) {
  for (const char* text : {"a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n1,2"}) {
    const CsvFile file = ParseCsv(text, "t.csv");
    ASSERT_EQ(file.rows.size(), 1u) << text;
    EXPECT_EQ(file.rows[0], (std::vector<std::string>{"1", "2"}));
  }
  EXPECT_TRUE(ParseCsv("", "t.csv").columns.empty());
  EXPECT_TRUE(ParseCsv("a,b\n", "t.csv").rows.empty());
}

TEST(CsvTest, BrokenRowsAndQuotesAreFormatErrors) {
  for (const char* text :
       {"a,b\n1\n", "a,b\n1,2,3\n", "a,b\n\"1,2\n", "a,b\n\"1\"x,2\n"}) {
    EXPECT_THROW(ParseCsv(text, "t.csv"), FormatError) << text;
  }
}

}  // namespace
}  // namespace ropewalk::report
