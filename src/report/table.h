// Tables of typed cells, written for terminals, Markdown, CSV and HTML.
//
// A cell keeps its number, not its text: the same table shows 2.10 to a
// person and 2.0971234 to the program that reads the CSV.

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

// Nothing (a default Cell: not measured), text, an integer or a real.
// Converts from all of them, so that a row reads {"rope", 512, 2.1237, {}}.
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

  // The number of a numeric cell.
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

// All four end every line, show a number as its column asks (CSV: in full),
// and a missing cell as "-" (CSV: as nothing). Non-finite numbers are "nan",
// "inf", "-inf", in CSV too: a loss that overflowed is a result, and differs
// from one that was not measured. Ill-formed UTF-8 becomes U+FFFD.

// Aligned by display width (CJK counts two columns); control characters are
// shown as \xNN.
std::string ToText(const Table& table);

// A GitHub table, aligned in the source as well.
std::string ToMarkdown(const Table& table);

// RFC 4180: CRLF, a header line, quotes where a comma, a quote or a line
// break asks for them; reals with the fewest digits that read back equal.
std::string ToCsv(const Table& table);

// A <table> element, everything escaped.
std::string ToHtml(const Table& table);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_TABLE_H_
