#include "study/cells.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "formats/text_file.h"

namespace ropewalk::study {

double Rounded(double value) { return std::round(value * 1e4) / 1e4; }

report::CsvFile ReadCsv(const std::string& path, const report::Table& like) {
  if (!std::filesystem::exists(path)) return {};
  report::CsvFile file = report::ParseCsv(formats::ReadTextFile(path), path);
  const bool same =
      std::ranges::equal(file.columns, like.columns(), {}, {},
                         [](const report::Column& c) { return c.name; });
  if (!same) {
    throw FormatError(path, 0,
                      "has other columns than the study writes; name another "
                      "folder with --out");
  }
  return file;
}

std::string Cells::Marks() {
  const std::string& text = Text();
  if (text.find_first_not_of("01") != std::string::npos) Refuse();
  return text;
}

int64_t Cells::Checked(const std::optional<int64_t>& number) const {
  // No count or length of a study is as large.
  constexpr int64_t kMost = int64_t{1} << 50;
  if (!number || *number < 0 || *number > kMost) Refuse();
  return *number;
}

double Cells::Number(const std::optional<double>& number) const {
  if (!number) Refuse();
  return *number;
}

void Cells::Refuse() const {
  throw FormatError(path_, 0,
                    "row " + std::to_string(line_ + 1) + ", column " +
                        std::to_string(next_) + ": '" +
                        Printable(cells_[next_ - 1], 40) +
                        "' is not what the study writes there");
}

}  // namespace ropewalk::study
