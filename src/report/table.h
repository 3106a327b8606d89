// Tables of typed cells, written for terminals, Markdown, CSV and HTML.
//
// The folder report/ turns results into tables (this file), plots
// (line_plot.h, heat_map.h), JSON and one HTML page (page.h). It knows neither
// models nor schemes, and all text that it gets is escaped. The same input
// gives the same bytes; a change of format changes committed reports, and the
// tests of the commands compare them.
//
// A cell keeps its number, not its text: the same table shows 2.10 to a person
// and 2.0971234 to the program that reads the CSV.

#ifndef ROPEWALK_REPORT_TABLE_H_
#define ROPEWALK_REPORT_TABLE_H_

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "report/number.h"

namespace ropewalk::report {

// Text, an integer, a real, or nothing (a default Cell) for a missing value.
// Converts from all of them, so that a row is written {"rope", 512, 2.1237,
// {}}.
class Cell {
 public:
  using Value = std::variant<std::monostate, std::string, int64_t, double>;

  Cell() = default;
  // NOLINTBEGIN(google-explicit-constructor): a row is a list of values.
  Cell(const char* text) : value_(std::string(text)) {}
  Cell(std::string_view text) : value_(std::string(text)) {}
  Cell(std::string text) : value_(std::move(text)) {}
  template <std::integral T>
  Cell(T number) : value_(static_cast<int64_t>(number)) {}
  template <std::floating_point T>
  Cell(T number) : value_(static_cast<double>(number)) {}
  template <typename T>
  Cell(const std::optional<T>& cell) {
    if (cell) *this = Cell(*cell);
  }
  // NOLINTEND(google-explicit-constructor)

  const Value& value() const { return value_; }
  bool missing() const { return value_.index() == 0; }

  // The number of an integer or real cell; else nullopt.
  std::optional<double> AsNumber() const;

 private:
  Value value_;
};

enum class Align { kAuto, kLeft, kRight };  // kAuto: numbers right, text left

struct Column {
  std::string name;
  std::string unit = {};  // shown as "name (unit)"; not in CSV and JSON
  int digits = kShortest;
  NumberStyle style = NumberStyle::kPlain;
  Align align = Align::kAuto;
  Best best = Best::kNone;  // bold in Markdown and HTML; ties are all bold
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // Throws std::invalid_argument unless there is one cell for each column.
  void AddRow(std::vector<Cell> cells);

  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// All four forms end every line with a line break. They print a number in the
// style of its column and a missing cell as "-"; CSV prints a number in full
// and a missing cell as an empty one. Non-finite numbers are "nan", "inf",
// "-inf", in CSV too, because a loss that overflowed differs from one that was
// not measured. Ill-formed UTF-8 becomes U+FFFD.

// Columns are aligned by display width (a CJK character has two columns);
// control characters are printed as \xNN.
std::string ToText(const Table& table);

// A GitHub table whose source is aligned as well.
std::string ToMarkdown(const Table& table);

// RFC 4180: CRLF, a header line, and quotes around cells with a comma, a quote
// or a line break. Reals have the fewest digits that read back as the same
// number.
std::string ToCsv(const Table& table);

// A <table> element with all text escaped.
std::string ToHtml(const Table& table);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_TABLE_H_
