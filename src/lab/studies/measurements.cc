#include "lab/studies/measurements.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "report/csv.h"
#include "report/table.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

const std::vector<report::Column>& Columns() {
  static const std::vector<report::Column> kColumns = {
      {.name = "scale"},    {.name = "row"},      {.name = "model"},
      {.name = "seed"},     {.name = "position"}, {.name = "set"},
      {.name = "length"},   {.name = "metric"},   {.name = "value"},
      {.name = "stderr"},   {.name = "count"},    {.name = "data"},
      {.name = "hardware"}, {.name = "command"}};
  return kColumns;
}

// "nan" and "inf" are results; report/ writes them so.
std::optional<double> ParseValue(const std::string& text) {
  if (text == "nan") return std::nan("");
  if (text == "inf") return HUGE_VAL;
  if (text == "-inf") return -HUGE_VAL;
  return ParseNumber(text);
}

}  // namespace

Measurements::Measurements(std::string path, Provenance provenance)
    : path_(std::move(path)), provenance_(std::move(provenance)) {
  if (fs::exists(path_)) Read();
}

void Measurements::Refresh() {
  if (std::filesystem::exists(path_)) Read();
}

void Measurements::Read() {
  const bool named = !provenance_.data.empty();
  all_.clear();
  lines_.clear();
  const report::CsvFile file =
      report::ParseCsv(formats::ReadTextFile(path_), path_);
  const std::vector<report::Column>& columns = Columns();
  bool same = file.columns.size() == columns.size();
  for (size_t c = 0; same && c < columns.size(); ++c) {
    same = file.columns[c] == columns[c].name;
  }
  if (!same) {
    throw FormatError(path_, 0,
                      "is no measured.csv of a study: other columns; name "
                      "another folder with --out");
  }
  for (const std::vector<std::string>& cells : file.rows) {
    const auto seed = ParseInt(cells[3]);
    const auto length = ParseInt(cells[6]);
    const auto value = ParseValue(cells[8]);
    const auto error = ParseValue(cells[9]);
    const auto count = ParseInt(cells[10]);
    if (!seed || *seed < 0 || !length || !value || !error || !count) {
      throw FormatError(
          path_, 0,
          "row '" + Printable(cells[1], 40) + "' has a number that is none");
    }
    Entry entry{.line = {.row = cells[1],
                         .model = cells[2],
                         .seed = static_cast<uint64_t>(*seed),
                         .position = cells[4],
                         .set = cells[5],
                         .length = *length,
                         .metric = cells[7],
                         .value = *value,
                         .error = *error,
                         .count = *count},
                .provenance = {.scale = cells[0],
                               .data = cells[11],
                               .hardware = cells[12],
                               .command = cells[13]}};
    all_.push_back(std::move(entry));
  }
  // No data named: the table that was worked on last.
  for (const Entry& entry : all_) {
    if (!named && entry.provenance.scale == provenance_.scale) {
      provenance_.data = entry.provenance.data;
    }
  }
  for (const Entry& entry : all_) {
    if (IsOurs(entry.provenance)) lines_.push_back(entry.line);
  }
}

bool Measurements::IsOurs(const Provenance& from) const {
  return from.scale == provenance_.scale && from.data == provenance_.data;
}

bool Measurements::Has(const std::string& row, const std::string& model,
                       uint64_t seed, int64_t lines) const {
  const int64_t count =
      std::ranges::count_if(lines_, [&](const Measurement& line) {
        return line.row == row && line.model == model && line.seed == seed;
      });
  return lines == 0 ? count > 0 : count == lines;
}

void Measurements::Add(const std::vector<Measurement>& lines,
                       ops::Precision precision) {
  Provenance from = provenance_;
  if (precision != ops::Precision::kFull) {
    from.hardware += ", trained in " + nn::ToString(precision);
  }
  // Another process may have written since.
  const FolderLock lock(fs::absolute(path_).parent_path().string(), path_);
  if (fs::exists(path_)) Read();
  const auto replaced = [&](const Measurement& old) {
    return std::ranges::any_of(lines, [&](const Measurement& line) {
      return line.row == old.row && line.model == old.model &&
             line.seed == old.seed;
    });
  };
  std::erase_if(lines_, replaced);
  std::erase_if(all_, [&](const Entry& entry) {
    return IsOurs(entry.provenance) && replaced(entry.line);
  });
  for (const Measurement& line : lines) {
    lines_.push_back(line);
    all_.push_back({line, from});
  }
  Write();
}

void Measurements::Write() const {
  report::Table table(Columns());
  for (const auto& [line, from] : all_) {
    table.AddRow({from.scale, line.row, line.model, line.seed, line.position,
                  line.set, line.length, line.metric, line.value, line.error,
                  line.count, from.data, from.hardware, from.command});
  }
  WriteFileAtomically(path_, report::ToCsv(table));
}

std::vector<std::string> Measurements::Named(
    std::string Provenance::*field) const {
  std::vector<std::string> names;
  for (const auto& [line, from] : all_) {
    if (IsOurs(from) && std::ranges::find(names, from.*field) == names.end()) {
      names.push_back(from.*field);
    }
  }
  return names;
}

std::vector<std::string> Measurements::Hardware() const {
  return Named(&Provenance::hardware);
}

std::vector<std::string> Measurements::Commands() const {
  return Named(&Provenance::command);
}

bool IsOf(const Measurement& line, const CellKey& key) {
  return line.row == key.row && line.set == key.set &&
         line.length == key.length && line.metric == key.metric;
}

std::optional<Summary> Summarise(const std::vector<Measurement>& lines,
                                 const CellKey& key) {
  Summary summary;
  double sum = 0;
  std::vector<double> values;
  for (const Measurement& line : lines) {
    if (!IsOf(line, key)) continue;
    values.push_back(line.value);
    sum += line.value;
    summary.error += line.error;
  }
  if (values.empty()) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  summary.seeds = static_cast<int64_t>(values.size());
  summary.mean = sum / n;
  summary.error /= n;
  if (values.size() > 1) {
    double squares = 0;
    for (const double value : values) {
      squares += (value - summary.mean) * (value - summary.mean);
    }
    summary.spread = std::sqrt(squares / (n - 1));
  }
  return summary;
}

std::set<uint64_t> SharedSeeds(const std::vector<Measurement>& lines,
                               const std::vector<CellKey>& cells) {
  std::optional<std::set<uint64_t>> shared;
  for (const CellKey& cell : cells) {
    std::set<uint64_t> seeds;
    for (const Measurement& line : lines) {
      if (IsOf(line, cell)) seeds.insert(line.seed);
    }
    if (seeds.empty()) continue;
    if (!shared) shared = seeds;
    std::erase_if(*shared,
                  [&](uint64_t seed) { return !seeds.contains(seed); });
  }
  return shared.value_or(std::set<uint64_t>());
}

std::vector<Measurement> OfSeeds(std::vector<Measurement> lines,
                                 const std::set<uint64_t>& seeds) {
  std::erase_if(lines, [&](const Measurement& line) {
    return !seeds.contains(line.seed);
  });
  return lines;
}

}  // namespace ropewalk::lab::studies
