// A reader for the CSV that ToCsv writes and people edit by hand.

#ifndef ROPEWALK_REPORT_CSV_H_
#define ROPEWALK_REPORT_CSV_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::report {

// A file of RFC 4180 with a header line. Lines may end in LF or CR LF.
struct CsvFile {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // one cell for each column

  // Index of a column. Throws std::invalid_argument if there is no such column.
  size_t Column(std::string_view name) const;
};

// Empty text gives no columns and no rows. Throws a FormatError with `path` and
// the byte for a quote that is not closed, for text behind a closing quote, and
// for a row that has more or fewer cells than the header.
CsvFile ParseCsv(std::string_view text, const std::string& path);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_CSV_H_
