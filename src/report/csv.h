// Reading back what ToCsv writes, and what people edit by hand.

#ifndef ROPEWALK_REPORT_CSV_H_
#define ROPEWALK_REPORT_CSV_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::report {

// A file of RFC 4180 with a header line: LF ends a line as well as CR LF.
struct CsvFile {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // as many cells as columns

  // Index of a column. Throws std::invalid_argument where there is none.
  size_t Column(std::string_view name) const;
};

// Empty text gives no columns and no rows. Throws FormatError with `path` and
// the byte: a quote that never ends, text behind a closing quote, a row of
// another number of cells than the header.
CsvFile ParseCsv(std::string_view text, const std::string& path);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_CSV_H_
