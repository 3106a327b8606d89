#include "lab/studies/comparison.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/studies/difference.h"
#include "report/csv.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

std::string Fixed(double value, int digits) {
  return report::FormatValue(value, report::NumberStyle::kPlain, digits);
}

int DigitsOf(const std::string& metric) { return metric == "loss" ? 4 : 2; }

std::string LengthName(int64_t length, int64_t N) {
  if (N > 0 && length % N == 0) {
    const int64_t times = length / N;
    return times == 1 ? "N" : std::to_string(times) + "N";
  }
  return std::to_string(length);
}

// "N", "8N repeated".
std::string ColumnName(const std::string& set, int64_t length, int64_t N) {
  return LengthName(length, N) + (set == "natural" ? "" : " " + set);
}

}  // namespace

CellKey KeyOf(const Published& cell, int64_t N) {
  const double unit = cell.tokens ? 1 : static_cast<double>(N);
  return {.row = cell.row,
          .set = cell.set,
          .length = std::llround(cell.at * unit),
          .metric = cell.metric};
}

std::string ColumnOf(const Published& cell, int64_t N) {
  return ColumnName(cell.set, KeyOf(cell, N).length, cell.tokens ? 0 : N) +
         (cell.metric == "accuracy" ? "" : " " + cell.metric);
}

std::string Show(const Summary& summary, const std::string& metric) {
  std::string text = Fixed(summary.mean, DigitsOf(metric));
  if (summary.spread) {
    text += " ± " + Fixed(*summary.spread, DigitsOf(metric)) + " (" +
            std::to_string(summary.seeds) + " seeds)";
  } else if (summary.error > 0) {
    text += " (s.e. " + Fixed(summary.error, DigitsOf(metric)) + ")";
  }
  return text;
}

report::Cell ShowCell(const std::vector<Measurement>& lines,
                      const CellKey& key) {
  const auto summary = Summarise(lines, key);
  if (!summary) return {};
  return Show(*summary, key.metric);
}

std::vector<Published> ParsePublished(const std::string& text,
                                      const std::string& path) {
  const report::CsvFile file = report::ParseCsv(text, path);
  std::vector<Published> published;
  try {
    const size_t row = file.Column("row");
    const size_t name = file.Column("name");
    const size_t set = file.Column("set");
    const size_t at = file.Column("at");
    const size_t metric = file.Column("metric");
    const size_t value = file.Column("value");
    const size_t source = file.Column("source");
    for (const std::vector<std::string>& cells : file.rows) {
      std::string where = cells[at];
      const bool tokens = where.ends_with('t');
      if (tokens) where.pop_back();
      const auto place = ParseNumber(where);
      const auto number = ParseNumber(cells[value]);
      Require(
          place && *place > 0 && *place < 1e9 && number,
          "row '" + Printable(cells[row], 40) + "' has a number that is none");
      published.push_back({.row = cells[row],
                           .name = cells[name],
                           .set = cells[set],
                           .at = *place,
                           .tokens = tokens,
                           .metric = cells[metric],
                           .value = *number,
                           .source = cells[source]});
    }
  } catch (const std::invalid_argument& error) {
    throw FormatError(path, 0, error.what());
  }
  return published;
}

Agreement AgreementOf(const std::vector<Published>& published,
                      const std::vector<Measurement>& lines, int64_t N,
                      const Published& cell) {
  Agreement agreement;
  const CellKey key = KeyOf(cell, N);
  for (const Published& other : published) {
    if (other.row == cell.row || other.set != cell.set ||
        KeyOf(other, N).length != key.length || other.metric != cell.metric ||
        other.value == cell.value) {
      continue;
    }
    const auto difference = Compare(lines, KeyOf(other, N), key);
    if (!difference) continue;
    const double gap = difference->gap();
    if (std::abs(gap) <= difference->margin) {
      ++agreement.ties;
    } else if ((gap > 0) == (cell.value > other.value)) {
      ++agreement.same;
    } else {
      ++agreement.other;
    }
  }
  return agreement;
}

report::Table ComparisonTable(const std::vector<Published>& published,
                              const std::vector<Measurement>& lines, int64_t N,
                              bool measured_only) {
  report::Table table({{.name = "row"},
                       {.name = "read"},
                       {.name = "published", .align = report::Align::kRight},
                       {.name = "ours", .align = report::Align::kRight},
                       {.name = "same ordering?"}});
  for (const Published& cell : published) {
    const auto ours = Summarise(lines, KeyOf(cell, N));
    if (measured_only && !ours) continue;
    const Agreement agreement = AgreementOf(published, lines, N, cell);
    const int64_t pairs = agreement.same + agreement.ties + agreement.other;
    std::string verdict;
    if (pairs > 0) {
      verdict = agreement.other == 0 ? (agreement.same == 0 ? "tie" : "yes")
                                     : (agreement.same == 0 ? "no" : "partly");
      verdict += ": " + std::to_string(agreement.same) + " of " +
                 std::to_string(pairs) + " pairs";
      if (agreement.ties > 0) {
        verdict += ", " + std::to_string(agreement.ties) +
                   (agreement.ties == 1 ? " tie" : " ties");
      }
    }
    table.AddRow(
        {cell.row, ColumnOf(cell, N), Fixed(cell.value, DigitsOf(cell.metric)),
         ours ? report::Cell(Show(*ours, cell.metric)) : report::Cell(),
         verdict.empty() ? report::Cell() : report::Cell(verdict)});
  }
  return table;
}

report::Table MeasuredTable(const std::vector<Measurement>& lines, int64_t N,
                            const std::string& metric) {
  using Place = std::pair<std::string, int64_t>;  // set, length
  std::vector<std::string> rows;
  std::vector<Place> places;
  for (const Measurement& line : lines) {
    if (line.metric != metric ||
        (line.set != "natural" && line.set != "repeated")) {
      continue;
    }
    if (std::ranges::find(rows, line.row) == rows.end()) {
      rows.push_back(line.row);
    }
    const Place place{line.set, line.length};
    if (std::ranges::find(places, place) == places.end()) {
      places.push_back(place);
    }
  }
  std::ranges::sort(places);
  std::vector<report::Column> columns = {{.name = "row"}};
  for (const auto& [set, length] : places) {
    columns.push_back(
        {.name = ColumnName(set, length, N), .align = report::Align::kRight});
  }
  report::Table table(columns);
  for (const std::string& row : rows) {
    std::vector<report::Cell> cells = {row};
    for (const auto& [set, length] : places) {
      cells.push_back(ShowCell(
          lines, {.row = row, .set = set, .length = length, .metric = metric}));
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

report::Table ClaimsTable(const std::vector<Claim>& claims,
                          const std::vector<Measurement>& lines,
                          bool measured_only) {
  report::Table table(
      {{.name = "claim"}, {.name = "ours"}, {.name = "numbers"}});
  for (const Claim& claim : claims) {
    const ClaimResult result = Judge(lines, claim);
    if (measured_only && result.verdict == Verdict::kMissing) continue;
    table.AddRow({claim.text, ToString(result),
                  result.numbers.empty() ? report::Cell()
                                         : report::Cell(result.numbers)});
  }
  return table;
}

}  // namespace ropewalk::lab::studies
