#include "study/memory_rows.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "report/table.h"
#include "study/cells.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

report::Table RowTable() {
  return report::Table({{.name = "run"},
                        {.name = "document"},
                        {.name = "setting"},
                        {.name = "condition"},
                        {.name = "law"},
                        {.name = "goes_on_loss"},
                        {.name = "goes_on_accuracy"},
                        {.name = "repeats_loss"},
                        {.name = "repeats_accuracy"}});
}

std::string PathOf(const std::string& folder) {
  return (fs::path(folder) / "measured.csv").string();
}

}  // namespace

MemoryRows::MemoryRows(const std::string& folder)
    : folder_(folder), runs_(folder) {
  const std::string path = PathOf(folder);
  const report::CsvFile file = ReadCsv(path, RowTable());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    MemoryRow row;
    row.run = cells.Integer();
    row.document = cells.Text();
    row.setting = cells.Text();
    row.condition = cells.Text();
    row.law = cells.Text();
    row.goes_on_loss = cells.Real();
    row.goes_on_accuracy = cells.Real();
    row.repeats_loss = cells.Real();
    row.repeats_accuracy = cells.Real();
    if (!runs_.Has(row.run)) {
      throw FormatError(path, 0,
                        "row " + std::to_string(i + 1) +
                            " names a run that runs.csv does not have");
    }
    if (Find(row.document, row.setting, row.condition) != nullptr) {
      throw FormatError(path, 0,
                        "row " + std::to_string(i + 1) + " is there twice");
    }
    rows_.push_back(std::move(row));
  }
}

const MemoryRow* MemoryRows::Find(const std::string& document,
                                  const std::string& setting,
                                  const std::string& condition) const {
  const auto found = std::ranges::find_if(rows_, [&](const MemoryRow& row) {
    return row.document == document && row.setting == setting &&
           row.condition == condition;
  });
  return found == rows_.end() ? nullptr : &*found;
}

void MemoryRows::Add(MemoryRow row) {
  ROPEWALK_CHECK(Find(row.document, row.setting, row.condition) == nullptr);
  row.goes_on_loss = Rounded(row.goes_on_loss);
  row.goes_on_accuracy = Rounded(row.goes_on_accuracy);
  row.repeats_loss = Rounded(row.repeats_loss);
  row.repeats_accuracy = Rounded(row.repeats_accuracy);
  rows_.push_back(std::move(row));
  report::Table table = RowTable();
  for (const MemoryRow& r : rows_) {
    table.AddRow({r.run, r.document, r.setting, r.condition, r.law,
                  r.goes_on_loss, r.goes_on_accuracy, r.repeats_loss,
                  r.repeats_accuracy});
  }
  runs_.Write();
  WriteFileAtomically(PathOf(folder_), ToCsv(table));
}

}  // namespace ropewalk::study
