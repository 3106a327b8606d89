#include "report/table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "report/markup.h"

namespace ropewalk::report {
namespace {

std::string Heading(const Column& column) {
  if (column.unit.empty()) return column.name;
  return column.name + " (" + column.unit + ")";
}

std::string Shown(const Cell& cell, const Column& column) {
  const Cell::Value& value = cell.value();
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<int64_t>(&value)) {
    if (column.style == NumberStyle::kPercent) {
      return FormatValue(static_cast<double>(*number), column.style,
                         column.digits);
    }
    return FormatInteger(*number, column.style);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return FormatValue(*number, column.style, column.digits);
  }
  return "-";
}

// Columns of numbers are aligned right, all others left.
bool IsRightAligned(const Table& table, size_t c) {
  const Align align = table.columns()[c].align;
  if (align != Align::kAuto) return align == Align::kRight;
  bool any_number = false;
  for (const std::vector<Cell>& row : table.rows()) {
    if (row[c].AsNumber()) {
      any_number = true;
    } else if (!row[c].missing()) {
      return false;
    }
  }
  return any_number;
}

// The best number of column `c`, if the column marks one.
std::optional<double> BestOf(const Table& table, size_t c) {
  const Best best = table.columns()[c].best;
  if (best == Best::kNone) return std::nullopt;
  std::optional<double> winner;
  for (const std::vector<Cell>& row : table.rows()) {
    const std::optional<double> number = row[c].AsNumber();
    if (!number || !std::isfinite(*number)) continue;
    const bool wins =
        !winner || (best == Best::kLow ? *number < *winner : *number > *winner);
    if (wins) winner = number;
  }
  return winner;
}

// The texts of a table, to be padded or tagged.
struct Shape {
  std::vector<std::vector<std::string>> lines;  // the heading first
  std::vector<std::vector<bool>> is_best;       // as `lines`
  std::vector<bool> right;                      // a column
};

template <typename Escape>
Shape Layout(const Table& table, const Escape& escape) {
  const size_t columns = table.columns().size();
  Shape shape;
  std::vector<std::optional<double>> winners;
  shape.lines.emplace_back();
  for (size_t c = 0; c < columns; ++c) {
    shape.lines[0].push_back(escape(Heading(table.columns()[c])));
    shape.right.push_back(IsRightAligned(table, c));
    winners.push_back(BestOf(table, c));
  }
  shape.is_best.emplace_back(columns, false);
  for (const std::vector<Cell>& row : table.rows()) {
    std::vector<std::string>& line = shape.lines.emplace_back();
    std::vector<bool>& is_best = shape.is_best.emplace_back(columns, false);
    for (size_t c = 0; c < columns; ++c) {
      line.push_back(escape(Shown(row[c], table.columns()[c])));
      is_best[c] = winners[c] && row[c].AsNumber() == winners[c];
    }
  }
  return shape;
}

std::vector<int64_t> Widths(const Shape& shape, int64_t at_least) {
  std::vector<int64_t> widths(shape.right.size(), at_least);
  for (const std::vector<std::string>& line : shape.lines) {
    for (size_t c = 0; c < line.size(); ++c) {
      widths[c] = std::max(widths[c], DisplayWidth(line[c]));
    }
  }
  return widths;
}

std::string Pad(const std::string& text, int64_t width, bool right) {
  const std::string space(
      static_cast<size_t>(std::max<int64_t>(0, width - DisplayWidth(text))),
      ' ');
  return right ? space + text : text + space;
}

std::string EscapeForTerminal(const std::string& text) {
  return Printable(text, std::numeric_limits<size_t>::max());
}

std::string EscapeForMarkdown(const std::string& text) {
  std::string out;
  for (const char c : ToValidUtf8(text)) {
    if (std::string_view("\\|`*_<>[]~&").find(c) != std::string_view::npos) {
      out += '\\';
    }
    const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out += is_control ? ' ' : c;
  }
  return out;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string CsvValue(const Cell& cell) {
  const Cell::Value& value = cell.value();
  if (const auto* text = std::get_if<std::string>(&value)) {
    return CsvField(ToValidUtf8(*text));
  }
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return std::to_string(*number);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return std::isnan(*number) ? "nan" : FormatNumber(*number);
  }
  return {};
}

}  // namespace

std::optional<double> Cell::AsNumber() const {
  if (const auto* number = std::get_if<double>(&value_)) return *number;
  if (const auto* number = std::get_if<int64_t>(&value_)) {
    return static_cast<double>(*number);
  }
  return std::nullopt;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<Cell> cells) {
  Require(cells.size() == columns_.size(),
          "Table: a row needs " + std::to_string(columns_.size()) +
              " cells, got " + std::to_string(cells.size()));
  rows_.push_back(std::move(cells));
}

std::string ToText(const Table& table) {
  const Shape shape = Layout(table, EscapeForTerminal);
  const std::vector<int64_t> widths = Widths(shape, 1);
  std::string out;
  for (size_t i = 0; i < shape.lines.size(); ++i) {
    std::string line;
    std::string rule;
    for (size_t c = 0; c < widths.size(); ++c) {
      const std::string_view gap = c == 0 ? "" : "  ";
      line.append(gap).append(
          Pad(shape.lines[i][c], widths[c], shape.right[c]));
      rule += gap;
      for (int64_t k = 0; k < widths[c]; ++k) rule += "\u2500";
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (i == 0) out += rule + "\n";
  }
  return out;
}

std::string ToMarkdown(const Table& table) {
  Shape shape = Layout(table, EscapeForMarkdown);
  for (size_t i = 0; i < shape.lines.size(); ++i) {
    for (size_t c = 0; c < shape.right.size(); ++c) {
      if (shape.is_best[i][c]) {
        shape.lines[i][c] = "**" + shape.lines[i][c] + "**";
      }
    }
  }
  const std::vector<int64_t> widths = Widths(shape, 3);
  std::string out;
  for (size_t i = 0; i < shape.lines.size(); ++i) {
    std::string rule = "|";
    out += "|";
    for (size_t c = 0; c < widths.size(); ++c) {
      out += " " + Pad(shape.lines[i][c], widths[c], shape.right[c]) + " |";
      const std::string dashes(static_cast<size_t>(widths[c]), '-');
      rule += shape.right[c] ? " " + dashes + ":|" : " " + dashes + " |";
    }
    out += "\n";
    if (i == 0) out += rule + "\n";
  }
  return out;
}

std::string ToCsv(const Table& table) {
  std::string out;
  for (size_t c = 0; c < table.columns().size(); ++c) {
    if (c > 0) out += ',';
    out += CsvField(ToValidUtf8(table.columns()[c].name));
  }
  out += "\r\n";
  for (const std::vector<Cell>& row : table.rows()) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) out += ',';
      out += CsvValue(row[c]);
    }
    out += "\r\n";
  }
  return out;
}

std::string ToHtml(const Table& table) {
  const auto as_it_is = [](const std::string& text) { return text; };
  const Shape shape = Layout(table, as_it_is);
  std::string out = "<table>\n<thead>\n";
  for (size_t i = 0; i < shape.lines.size(); ++i) {
    const std::string tag = i == 0 ? "th" : "td";
    out += "<tr>";
    for (size_t c = 0; c < shape.right.size(); ++c) {
      const std::string text = EscapeXml(shape.lines[i][c]);
      out += "<" + tag;
      if (i == 0) out += " scope=\"col\"";
      if (shape.right[c]) out += " class=\"number\"";
      out += ">";
      out += shape.is_best[i][c] ? "<strong>" + text + "</strong>" : text;
      out += "</" + tag + ">";
    }
    out += i == 0 ? "</tr>\n</thead>\n<tbody>\n" : "</tr>\n";
  }
  return out + "</tbody>\n</table>\n";
}

}  // namespace ropewalk::report
