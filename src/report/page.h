// One HTML page that carries everything it shows: it can be mailed, archived
// and opened without a network.

#ifndef ROPEWALK_REPORT_PAGE_H_
#define ROPEWALK_REPORT_PAGE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/table.h"

namespace ropewalk::report {

// Parts appear in the order in which they are added. All text is escaped.
class Page {
 public:
  explicit Page(std::string_view title = {});

  void AddHeading(std::string_view text);
  void AddParagraph(std::string_view text);

  // Names and values: the model, the text, the date.
  void AddFacts(const std::vector<std::pair<std::string, std::string>>& facts);

  void AddTable(const Table& table, std::string_view caption = {});

  // `svg` comes from ToSvg and is put in unescaped.
  void AddFigure(std::string_view svg, std::string_view caption = {});

  // Line breaks and spaces are kept: a command, its output, a config file.
  void AddCode(std::string_view text);

  // Folded away until the reader opens it; the title of `inside` is unused.
  void AddDetails(std::string_view summary, const Page& inside);

  // The whole document.
  std::string Html() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_PAGE_H_
