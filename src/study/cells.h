// Cells of the CSV files in which a study keeps its rows.

#ifndef ROPEWALK_STUDY_CELLS_H_
#define ROPEWALK_STUDY_CELLS_H_

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "base/text.h"
#include "report/csv.h"
#include "report/table.h"

namespace ropewalk::study {

// With four digits behind the point: more of a loss is noise of the order of
// sums.
double Rounded(double value);

// Numbers of one cell, with spaces between them.
template <typename T>
std::string Joined(const std::vector<T>& numbers) {
  std::string text;
  for (const T number : numbers) {
    text +=
        (text.empty() ? "" : " ") + FormatNumber(static_cast<double>(number));
  }
  return text;
}

// The rows of a CSV with exactly the columns of `like`; none without a file.
// Throws IoError, and FormatError for other columns.
report::CsvFile ReadCsv(const std::string& path, const report::Table& like);

// Reads the cells of one row by turns. Every call throws FormatError for what
// the study does not write there.
class Cells {
 public:
  Cells(const std::vector<std::string>& cells, const std::string& path,
        size_t line)
      : cells_(cells), path_(path), line_(line) {}

  const std::string& Text() { return cells_[next_++]; }
  int64_t Integer() { return Checked(ParseInt(Text())); }
  double Real() { return Number(ParseNumber(Text())); }
  std::string Marks();  // of 0 and 1
  template <typename T>
  std::vector<T> List() {
    std::istringstream words(Text());
    std::vector<T> list;
    for (std::string word; words >> word;) {
      if constexpr (std::is_integral_v<T>) {
        list.push_back(Checked(ParseInt(word)));
      } else {
        list.push_back(Number(ParseNumber(word)));
      }
    }
    return list;
  }

 private:
  int64_t Checked(const std::optional<int64_t>& number) const;
  double Number(const std::optional<double>& number) const;
  [[noreturn]] void Refuse() const;

  const std::vector<std::string>& cells_;
  const std::string& path_;
  size_t line_;
  size_t next_ = 0;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_CELLS_H_
