// A report as a list of sections, written for terminals, as Markdown and as one
// HTML page: what a study says stands once, whoever reads it.

#ifndef ROPEWALK_REPORT_SECTIONS_H_
#define ROPEWALK_REPORT_SECTIONS_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/picture.h"
#include "report/table.h"

namespace ropewalk::report {

// Parts that are empty are left out; they appear in this order.
struct Section {
  std::string heading;  // empty: the section goes on with the one before
  std::vector<std::string> paragraphs;
  // Names and values; a value without a name is a command or the like.
  std::vector<std::pair<std::string, std::string>> facts;
  std::optional<Table> table;
  std::string caption;  // of the table
  // For HTML alone: a picture, or other markup of ours that moves.
  Picture figure;
  std::string figure_name;  // its file without .svg; empty: it has none
  std::string figure_caption;
  std::string config;  // a file, hidden until the reader opens it
  std::string config_title;
  bool in_terminal = true;
};

struct Report {
  std::string title;
  std::vector<Section> sections;
  // What it comes to and the command to type, computed from the rows; empty:
  // nothing can be said.
  std::string verdict = {};
  std::string command = {};
};

// Headings and tables alone: the reader has just run the command.
std::string ToText(const Report& report);
std::string ToMarkdown(const Report& report);
std::string ToHtml(const Report& report);

// Writes table.md, index.html and the pictures that have a name; `suffix`
// stands before each dot. Throws IoError.
void WriteReport(const Report& report, const std::string& folder,
                 const std::string& suffix = {});

// `page` with each {{...}} replaced by what `fill` makes of its inside. What
// ends with a line break (a table) ends its own line. Throws
// std::invalid_argument, with the line, where `fill` does or a }} is missing.
std::string FillPage(
    const std::string& page,
    const std::function<std::string(const std::string& inside)>& fill);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_SECTIONS_H_
