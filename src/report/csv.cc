#include "report/csv.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::report {
namespace {

// Reads the text in one pass, cell by cell.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& path)
      : text_(text), path_(path) {}

  bool AtEnd() const { return at_ >= text_.size(); }
  size_t at() const { return at_; }

  // Reads the cells of one line and moves to the next line.
  std::vector<std::string> Line() {
    std::vector<std::string> cells;
    while (true) {
      cells.push_back(Cell());
      if (AtEnd()) return cells;
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      at_ += text_.substr(at_).starts_with("\r\n") ? 2 : 1;
      return cells;
    }
  }

 private:
  bool AtBreak() const {
    return AtEnd() || text_[at_] == ',' || text_[at_] == '\n' ||
           text_.substr(at_).starts_with("\r\n");
  }

  std::string Cell() {
    std::string cell;
    if (AtEnd() || text_[at_] != '"') {
      while (!AtBreak()) cell += text_[at_++];
      return cell;
    }
    const size_t opened = at_++;
    while (true) {
      if (AtEnd()) Fail(opened, "this quote is not closed");
      const char c = text_[at_++];
      if (c != '"') {
        cell += c;
      } else if (!AtEnd() && text_[at_] == '"') {
        cell += text_[at_++];
      } else {
        break;
      }
    }
    if (!AtBreak()) Fail(at_, "text must not follow a closing quote");
    return cell;
  }

  [[noreturn]] void Fail(size_t at, const std::string& what) const {
    throw FormatError(path_, static_cast<int64_t>(at), what);
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
};

}  // namespace

size_t CsvFile::Column(std::string_view name) const {
  const auto found = std::ranges::find(columns, name);
  Require(found != columns.end(),
          "the CSV file has no column '" + Printable(name, 40) + "'");
  return static_cast<size_t>(found - columns.begin());
}

CsvFile ParseCsv(std::string_view text, const std::string& path) {
  CsvFile file;
  CsvReader reader(text, path);
  while (!reader.AtEnd()) {
    const size_t begin = reader.at();
    std::vector<std::string> cells = reader.Line();
    if (file.columns.empty()) {
      file.columns = std::move(cells);
      continue;
    }
    if (cells.size() != file.columns.size()) {
      throw FormatError(path, static_cast<int64_t>(begin),
                        "a row has " + std::to_string(cells.size()) +
                            " cells but the header has " +
                            std::to_string(file.columns.size()));
    }
    file.rows.push_back(std::move(cells));
  }
  return file;
}

}  // namespace ropewalk::report
