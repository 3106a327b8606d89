// Rows of a study in one CSV file beside runs.csv, which grows row by row.

#ifndef ROPEWALK_STUDY_ROW_FILE_H_
#define ROPEWALK_STUDY_ROW_FILE_H_

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "report/table.h"
#include "study/cells.h"
#include "study/runs.h"

namespace ropewalk::study {

// A Row has
//
//   int64_t run                                       an index of runs.csv
//   static std::vector<report::Column> Columns()      of the file
//   static Row From(Cells&)                           the cells by turns
//   std::vector<report::Cell> ToCells() const         the same
//   bool Same(const Row&) const                       measures the same thing
//
// One process at a time, and one object for a folder.
template <typename Row>
class RowFile {
 public:
  // Reads FOLDER/NAME and runs.csv where they exist. Throws IoError, and
  // FormatError for files that are none of ours.
  RowFile(const std::string& folder, const std::string& name)
      : path_((std::filesystem::path(folder) / name).string()), runs_(folder) {
    const report::CsvFile file = ReadCsv(path_, report::Table(Row::Columns()));
    for (size_t i = 0; i < file.rows.size(); ++i) {
      Cells cells(file.rows[i], path_, i);
      Row row = Row::From(cells);
      const bool twice = FindSame(row) != nullptr;
      if (twice || !runs_.Has(row.run)) {
        throw FormatError(
            path_, 0,
            "row " + std::to_string(i + 1) +
                (twice ? " is there twice"
                       : " names a run that runs.csv does not have"));
      }
      rows_.push_back(std::move(row));
    }
  }

  // Throws like Runs::IndexOf.
  int64_t RunOf(const Run& run) { return runs_.IndexOf(run); }

  const Row* FindSame(const Row& row) const {
    return Find([&](const Row& other) { return other.Same(row); });
  }
  template <typename Matches>
  const Row* Find(const Matches& matches) const {
    const auto found = std::ranges::find_if(rows_, matches);
    return found == rows_.end() ? nullptr : &*found;
  }

  // Writes both files anew. Throws IoError. The row must be new.
  void Add(Row row) {
    ROPEWALK_CHECK(FindSame(row) == nullptr);
    rows_.push_back(std::move(row));
    report::Table table(Row::Columns());
    for (const Row& r : rows_) table.AddRow(r.ToCells());
    runs_.Write();
    WriteFileAtomically(path_, ToCsv(table));
  }

  const Runs& runs() const { return runs_; }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::string path_;
  Runs runs_;
  std::vector<Row> rows_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_ROW_FILE_H_
