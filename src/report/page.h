// One HTML page that contains everything it shows, so that it can be mailed,
// archived and opened without a network.

#ifndef ROPEWALK_REPORT_PAGE_H_
#define ROPEWALK_REPORT_PAGE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/picture.h"
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

  // The picture must come from ToSvg or ToPicture, because it is not escaped.
  void AddFigure(const Picture& picture, std::string_view caption = {});

  // What the page comes to, in a box; `command` is what to type, empty: none.
  void AddVerdict(std::string_view text, std::string_view command = {});

  // For a command, its output or a config file: line breaks and spaces are
  // kept.
  void AddCode(std::string_view text);

  // Hidden until the reader opens it. The title of `inside` is not used.
  void AddDetails(std::string_view summary, const Page& inside);

  // The whole document.
  std::string Html() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_PAGE_H_
